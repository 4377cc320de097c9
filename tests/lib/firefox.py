"""tests/lib/firefox.py: one headless Firefox on this machine, and pages in it that are told what to do over Marionette, with the calls of
tests/lib/chromium.py. Microphones and cameras are permitted and made up."""
import json
import os
import shutil
import socket
import subprocess
import tempfile

from sluice import PATIENCE, skip, wait_for

PREFERENCES = {
    "media.navigator.streams.fake": True, "media.navigator.audio.fake_frequency": 440, "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True, "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0, "media.autoplay.blocking_policy": 0, "media.gmp-manager.updateEnabled": False,
    "dom.min_background_timeout_value": 4, "dom.timeout.enable_budget_timer_throttling": False,
    # Nothing leaves this machine
    "network.connectivity-service.enabled": False, "network.captive-portal-service.enabled": False, "network.trr.mode": 5,
    "network.proxy.type": 0, "services.settings.server": "data:,none", "app.normandy.enabled": False, "app.update.disabledForTesting": True,
    "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.server": "", "dom.push.enabled": False,
    "browser.safebrowsing.malware.enabled": False, "browser.safebrowsing.phishing.enabled": False, "extensions.update.enabled": False,
    "extensions.getAddons.cache.enabled": False, "browser.aboutwelcome.enabled": False, "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage": "about:blank", "marionette.port": 0,
}
# As in chromium.py, but of the microphone that is made up, which is a tone of 440 Hz: where no sound card is, an AudioContext of Firefox stands still. What
# comes is recorded for half a second, and decoded.
TONES = """
globalThis.tone = () => null;
globalThis.recorded = async (stream) => {
  const recorder = new MediaRecorder(stream), parts = [];
  const stopped = new Promise((done) => recorder.onstop = done);
  recorder.ondataavailable = ({data}) => parts.push(data);
  recorder.start();
  setTimeout(() => recorder.state !== 'inactive' && recorder.stop(), 500);
  await stopped;
  const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(await new Blob(parts).arrayBuffer());
  return sound.getChannelData(0).slice(-9600);
};
globalThis.share = (samples, hz) => {
  let re = 0, im = 0;
  samples.forEach((v, i) => (re += v * Math.cos(2 * Math.PI * hz * i / 48000), im += v * Math.sin(2 * Math.PI * hz * i / 48000)));
  return Math.hypot(re, im) / samples.length;
};
globalThis.listen = (stream) => async () => {
  const samples = await recorded(stream).catch(() => []);  // the call has just ended
  const shares = Array.from({length: 240}, (_, i) => share(samples, 100 + 5 * i)), peak = Math.max(...shares);
  return peak > 0.003 ? 100 + 5 * shares.indexOf(peak) : 0;
};
"""
# Values pass as JSON, so that what has none (elements, streams) does no harm
EVAL = """
const [text] = arguments;
return (async () => {
  try {
    return {value: JSON.stringify(await window.eval(text)) ?? 'null'};
  } catch (error) {
    return {error: `${error}\\n${error.stack}`};
  }
})();
"""


class Firefox:
    tones = TONES

    def __init__(self):
        if not shutil.which("firefox-esr"):
            skip("firefox-esr is not installed")
        self.dir = tempfile.mkdtemp(prefix="firefox-", dir=os.environ.get("TEST_TMP"))
        with open(os.path.join(self.dir, "user.js"), "w") as f:
            f.writelines(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in PREFERENCES.items())
        self.proc = subprocess.Popen(["firefox-esr", "--headless", "--no-remote", "--marionette", "-profile", self.dir, "about:blank"],
                                     env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.connect()
        except BaseException:
            self.end()
            raise

    def environment(self):
        """It sees none of the user's own files, and as root has no sandbox."""
        kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
        return {**kept, "HOME": self.dir, "XDG_RUNTIME_DIR": self.dir, "MOZ_CRASHREPORTER_DISABLE": "1", "MOZ_DISABLE_CONTENT_SANDBOX": "1",
                "MOZ_DISABLE_SOCKET_PROCESS_SANDBOX": "1", "MOZ_DISABLE_RDD_SANDBOX": "1", "MOZ_DISABLE_UTILITY_SANDBOX": "1"}

    def connect(self):
        name = os.path.join(self.dir, "MarionetteActivePort")
        wait_for(lambda: os.path.exists(name) and open(name).read(), "Firefox", 40)
        self.socket = socket.create_connection(("127.0.0.1", int(open(name).read())), 30 * PATIENCE)
        self.data, self.n, self.shown = b"", 0, None
        self.receive()  # its greeting
        self.ask("WebDriver:NewSession", pageLoadStrategy="normal")
        self.ask("WebDriver:SetTimeouts", script=20000 * PATIENCE, pageLoad=30000 * PATIENCE)
        self.free = self.ask("WebDriver:GetWindowHandle")["value"]  # the page that it begins with

    def receive(self):
        while b":" not in self.data or len(self.data.partition(b":")[2]) < int(self.data.partition(b":")[0]):
            more = self.socket.recv(65536)
            assert more, "Firefox has ended"
            self.data += more
        n, _, rest = self.data.partition(b":")
        self.data = rest[int(n):]
        return json.loads(rest[:int(n)])

    def ask(self, command, **params):
        """A command of Marionette."""
        self.n += 1
        text = json.dumps([0, self.n, command, params]).encode()
        self.socket.sendall(f"{len(text)}:".encode() + text)
        kind, n, error, result = self.receive()
        assert (kind, n) == (1, self.n), (kind, n)
        assert not error, error
        return result

    def page(self, url, ready="true"):
        """A new page, when it is complete and the condition holds in it."""
        handle, self.free = self.free or self.ask("WebDriver:NewWindow", type="tab")["handle"], None
        page = Page(self, handle)
        page.show()
        self.ask("WebDriver:Navigate", url=url)
        page.until(f"document.readyState === 'complete' && Boolean({ready})", 20)
        return page

    def end(self):
        self.proc.terminate()
        try:
            self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def close(self):
        self.socket.close()
        self.end()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Page:
    def __init__(self, browser, handle):
        self.browser, self.handle = browser, handle

    def show(self):
        """Commands are for the page that is shown."""
        if self.browser.shown != self.handle:
            self.browser.ask("WebDriver:SwitchToWindow", handle=self.handle, focus=True)
            self.browser.shown = self.handle

    def eval(self, text):
        self.show()
        result = self.browser.ask("WebDriver:ExecuteScript", script=EVAL, args=[text], newSandbox=False, sandbox=None)["value"]
        assert "error" not in result, result["error"]
        return json.loads(result["value"])

    def until(self, text, limit=15):
        """The first true value of an expression."""
        return wait_for(lambda: self.eval(text), text, limit)

    def close(self):
        """As a tab is closed; the last one would take Firefox with it."""
        self.show()
        self.browser.ask("WebDriver:CloseWindow")
        self.browser.shown = None
