"""tests/interop/lab.py: Sluice as the server of a virtual internet, and browsers behind its NATs.

    with Internet("symmetric1", "symmetric2") as net:
        a, b = net.parties("symmetric1", "symmetric2", room="tea")
        connected(a, b)

The virtual internet (namespaces, NATs, browsers) is the lab beside this repository, in ../shared/natlab; without it, without
root, or without a browser, need() skips the test. Each Internet is a lab of its own, named after this process: tests of
several trees run at the same time, and what a killed one left behind is cleared by the next.
"""
import concurrent.futures
import os
import re
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("SLUICE_SRC", "."), "tests/lib"))
from sluice import SLOW, SRC, Sluice, skip, wait_for

NATLAB = os.path.join(SRC, "../shared/natlab")
URL = "https://server.natlab.test"
PLAIN_URL = "http://203.0.113.10:8080"
PREFIX = "ci"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def need(*programs):
    """Skips the test where the virtual internet cannot be made."""
    if not os.path.exists(os.path.join(NATLAB, "natlab")):
        skip("the virtual internet (../shared/natlab) is not here")
    if os.geteuid():
        skip("network namespaces need root")
    for program in ("ip", "gcc", "openssl", *programs):
        if not shutil.which(program):
            skip(f"{program} is not installed")
    if NATLAB not in sys.path:
        sys.path.insert(0, NATLAB)


def lab_name(pid):
    digits = ""
    while pid:
        pid, digit = divmod(pid, 36)
        digits = DIGITS[digit] + digits
    return PREFIX + digits


def clear_dead_labs():
    """Labs of processes that ended without a chance to clean up."""
    from natlablib.lab import Lab
    names = {ns.split("-")[0] for ns in os.listdir("/run/netns")} if os.path.isdir("/run/netns") else set()
    for name in names:
        digits = name[len(PREFIX):]
        if name.startswith(PREFIX) and digits and set(digits) <= set(DIGITS) and not os.path.exists(f"/proc/{int(digits, 36)}"):
            Lab(name).down()


class Internet:
    """A lab with these clients (None: all of them), and Sluice with conf/lab.yaml in its host "server"."""

    def __init__(self, *hosts, overrides=(), serve=True, relay=True):
        from natlablib.lab import Lab
        clear_dead_labs()
        self.lab, self.server = Lab(lab_name(os.getpid())), None
        self.browsers = []
        self.old_handler = signal.signal(signal.SIGTERM, self.ended)
        try:
            self.lab.up(only=set(hosts) if hosts else None)
            if serve:
                self.server = self.start(overrides, relay)
        except BaseException:
            self.close()
            raise

    def start(self, overrides, relay=True):
        with open(os.path.join(SRC, "conf/lab.yaml")) as f:
            config = f.read()
        if not relay:
            config = re.sub(r"\nturn-relay:\n(  .*\n)+", "\n", config.replace("turn-relay, ", ""))
        tls = self.lab.state["tls"]
        return Sluice(config, overrides=overrides, env={"SLUICE_CERT": tls["cert"], "SLUICE_KEY": tls["key"]},
                      wrap=self.lab.argv("server", []))

    def ended(self, *_):
        self.lab.down()
        os._exit(1)

    def browser(self, host, kind="chromium", **options):
        """A browser in host, that ends with the lab."""
        from natlablib.browser import Browser
        browser = Browser(self.lab, host, kind, **options)
        self.browsers.append(browser)
        return browser

    def parties(self, *hosts, kinds=None, **query):
        """The call page in a browser of each host; they start side by side, since that takes longest."""
        with concurrent.futures.ThreadPoolExecutor(len(hosts)) as pool:
            return list(pool.map(lambda host, kind: Party(self, host, kind, **query), hosts, kinds or ["chromium"] * len(hosts)))

    def close(self):
        for browser in self.browsers:
            browser.close()
        self.browsers = []
        self.lab.down()
        if os.path.exists(f"{self.lab.dir}.lock"):
            os.unlink(f"{self.lab.dir}.lock")
        signal.signal(signal.SIGTERM, self.old_handler)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        try:
            for browser in self.browsers:
                for level, text in browser.console[-10:] if failure[0] else ():
                    print(f"{browser.host}: [{level}] {text}", file=sys.stderr)
                browser.close()
            if self.server:
                self.server.__exit__(*failure)
        finally:
            self.close()
        return False


class Party:
    """The call page in a browser of its own. It starts by itself; stats() is what the page tells of the call."""

    def __init__(self, net, host, kind="chromium", url=URL, policy="all", **query):
        self.net, self.host = net, host
        query = {"name": host, "autostart": "1", "policy": policy, **query}
        plain = {"insecure_origins": [url]} if url.startswith("http:") and kind == "chromium" else {}
        self.browser = net.browser(host, kind, **plain)
        self.page = self.browser.page(f"{url}/?" + "&".join(f"{k}={v}" for k, v in query.items()), timeout=30 * SLOW)

    def stats(self):
        """None while the page is being loaded, which it is twice: the lobby sends a link to a room on to the call."""
        from natlablib.browser import BrowserError
        try:
            return self.page.eval("() => window.sluice ? window.sluice.stats() : null", timeout=15 * SLOW)
        except BrowserError as error:
            if any(word in str(error) for word in ("destroyed", "navigat", "Cannot find context", "Inspected target", "no such", "aborted")):
                return None
            raise


# ---- what is asked of a call

def sample(*parties):
    """stats() of all of them, None as long as one has none."""
    seen = [p.stats() for p in parties]
    return seen if all(seen) else None


def flows(before, now, frames=5):
    """Did each party decode more pictures and receive more sound in between?"""
    return all(n["framesDecoded"] >= b["framesDecoded"] + frames and n["audioPackets"] >= b["audioPackets"] + frames
               for b, n in zip(before, now))


def connected(*parties, limit=30):
    """Waits until media flows both ways; returns the stats() of each."""
    def up():
        seen = sample(*parties)
        return seen if seen and all(s["state"] == "connected" and s["pairs"] for s in seen) else None
    try:
        return flowing(*parties, since=wait_for(up, "the call to connect", limit, 0.1))
    except AssertionError:
        for party in parties:
            print(f"{party.host}: {party.stats()}", file=sys.stderr)
        raise


def flowing(*parties, since=None, limit=15):
    """Waits until each party has got more media than in since (now); returns the newest stats()."""
    since = since or wait_for(lambda: sample(*parties), "the page")

    def more():
        now = sample(*parties)
        return now if now and flows(since, now) else None
    return wait_for(more, "pictures and sound at both ends", limit, 0.1)


def path(stats):
    """The pair in use as (local type, relay's transport or None, remote type)."""
    pair = stats["pairs"][0]
    return pair["local"]["type"], pair["local"]["relayProtocol"], pair["remote"]["type"]


def same_path(a, b):
    ends = [[(p[end]["address"], p[end]["port"]) for end in ("local", "remote")] for p in (a["pairs"][0], b["pairs"][0])]
    return ends[0] == ends[1]


class Watch:
    """Samples a call while things happen: how long did pictures stand still, what was lost, did the path change?"""

    def __init__(self, *parties):
        self.parties, self.samples = parties, []
        self.look()

    def look(self):
        seen = sample(*self.parties)
        if seen:
            self.samples.append((time.monotonic(), seen))
        return seen

    def during(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.1)

    def until(self, condition, what, limit):
        wait_for(lambda: condition(self.look() or self.samples[-1][1]), what, limit, 0.1)

    def longest_freeze(self):
        """Seconds; the worst of all parties. Limited by how often we look."""
        worst = 0
        for i in range(len(self.parties)):
            frames, since = None, None
            for at, seen in self.samples:
                worst = max(worst, at - (since or at))
                if seen[i]["framesDecoded"] != frames:
                    frames, since = seen[i]["framesDecoded"], at
        return worst

    def lost(self):
        return sum(after["packetsLost"] - before["packetsLost"] for before, after in zip(self.samples[0][1], self.samples[-1][1]))

    def path_changed(self):
        return any(not same_path(b, s) for _, seen in self.samples for b, s in zip(self.samples[0][1], seen) if s["pairs"])
