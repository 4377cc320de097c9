"""tests/lib/chromium.py: one headless Chromium on this machine, and pages in it that are told what to do over the DevTools protocol.

Microphones are permitted and made up; a page may send tones of WebAudio instead and look for tones in what it hears (TONES).
"""
import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request

from sluice import PATIENCE, skip, wait_for

try:
    import websockets
except ImportError:
    skip("python3-websockets is missing")

# tone(hz): a stream of it. listen(stream): a function that returns the strongest frequency of what comes, 0: silence.
TONES = """
globalThis.testAudio ??= new AudioContext();
globalThis.tone = (hz) => {
  const from = testAudio.createOscillator(), to = testAudio.createMediaStreamDestination();
  from.frequency.value = hz; from.connect(to); from.start();
  return to.stream;
};
globalThis.listen = (stream) => {
  const element = new Audio();
  element.srcObject = stream; element.muted = true; element.play();  // Chromium decodes what somebody plays
  const heard = testAudio.createAnalyser();
  heard.fftSize = 8192; testAudio.createMediaStreamSource(stream).connect(heard);
  return () => {
    const bins = new Float32Array(heard.frequencyBinCount);
    heard.getFloatFrequencyData(bins);
    const peak = bins.indexOf(Math.max(...bins));
    return bins[peak] > -70 ? peak * testAudio.sampleRate / heard.fftSize : 0;
  };
};
"""


class Chromium:
    tones = TONES

    def __init__(self):
        if not shutil.which("chromium"):
            skip("chromium is not installed")
        self.dir = tempfile.mkdtemp(prefix="chromium-", dir=os.environ.get("TEST_TMP"))
        self.proc = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required",
             "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--disable-features=WebRtcHideLocalIpsWithMdns",
             "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
             "--remote-debugging-port=0", f"--user-data-dir={self.dir}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        name = os.path.join(self.dir, "DevToolsActivePort")
        wait_for(lambda: os.path.exists(name) and open(name).read(), "Chromium", 30)
        self.port = open(name).read().split()[0]
        self.loop, self.pages = asyncio.new_event_loop(), []
        asyncio.set_event_loop(self.loop)

    def page(self, url, ready="true"):
        """A new page, when it is complete and the condition holds in it."""
        page = Page(self, url)
        self.pages.append(page)
        wait_for(lambda: page.eval(f"document.readyState === 'complete' && Boolean({ready})"), f"{url}: {ready}", 20)
        return page

    def close(self):
        for page in self.pages:
            self.loop.run_until_complete(page.ws.close())
        self.loop.close()
        self.proc.terminate()
        self.proc.wait(20)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Page:
    def __init__(self, browser, url):
        request = urllib.request.Request(f"http://127.0.0.1:{browser.port}/json/new?{urllib.parse.quote(url, safe='')}", method="PUT")
        self.target = json.load(urllib.request.urlopen(request))
        self.browser, self.n = browser, 0
        self.ws = browser.loop.run_until_complete(websockets.connect(self.target["webSocketDebuggerUrl"], max_size=None))

    async def _ask(self, method, params):
        self.n += 1
        await self.ws.send(json.dumps({"id": self.n, "method": method, "params": params}))
        while True:
            m = json.loads(await asyncio.wait_for(self.ws.recv(), 20 * PATIENCE))
            if m.get("id") == self.n:
                return m

    def ask(self, method, **params):
        """A command of the DevTools protocol."""
        return self.browser.loop.run_until_complete(self._ask(method, params))["result"]

    def eval(self, text):
        result = self.ask("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, text, limit=15):
        """The first true value of an expression."""
        return wait_for(lambda: self.eval(text), text, limit)

    def screenshot(self, path, width=1100, height=820):
        import base64
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        urllib.request.urlopen(f"http://127.0.0.1:{self.browser.port}/json/close/{self.target['id']}").read()
