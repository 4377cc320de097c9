"""tests/bench/dial.py: setting calls up: sipp calls sipp through us, and through Kamailio as a proxy that keeps transactions and stays in the dialog.

Ours is a user agent on both sides: each call has two dialogs, two media legs with four sockets, and a record. Kamailio passes messages on.
"""
import csv
import os
import shutil
import socket
import subprocess
import tempfile
import time

from servers import LOAD_CPU, Ours, Server, cpu, pinned
from kamailio import MODULES
from sluice import free_port, wait_for

HOLD_MS = 1000
SHARE = 0.7  # of a core
MOST = 1500  # calls per second: sipp has one core for both its sides
CONF = """
modules: [sip-gateway]
max_sessions: 65536
listen: [{name: sip, udp: "127.0.0.1:{port}"}]
sip-gateway:
  rate: 0
  max_cps: 100000
  max_calls: 100000
  media: {addresses: [127.0.0.1], ports: 20000-59999}
  trunks: [{name: far, server: "127.0.0.1:FAR", options_interval: 0}]
  routes: [{match: "^service$", trunk: anyone, to: "trunk:far/service"}]
"""
KAMAILIO = """
debug=0
log_stderror=yes
children=2
disable_tcp=yes
listen=udp:127.0.0.1:PORT
MODULES
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {
	if (!mf_process_maxfwd_header("10")) {
		sl_send_reply("483", "Too Many Hops");
		exit;
	}
	if (is_method("INVITE") && !has_totag())
		record_route();
	$du = "sip:127.0.0.1:FAR";
	t_relay();
}
"""


class Gateway(Ours):
    """With the stack's process on the same core as the worker."""

    def __init__(self, far):
        super().__init__(CONF.replace("FAR", str(far)))

    def __enter__(self):
        super().__enter__()
        wait_for(lambda: self.counter("sip-gateway.trunks_up") == 1, "the trunk")
        return self


def kamailio(directory, far):
    path = os.path.join(directory, "kamailio.cfg")
    server = Server("kamailio", ["kamailio", "-DD", "-E", "-m", "256", "-M", "32", "-Y", directory, "-f", path], socket.SOCK_DGRAM)
    with open(path, "w") as f:
        f.write(KAMAILIO.replace("MODULES", MODULES).replace("PORT", str(server.port)).replace("FAR", str(far)))
    return server


def sipp(directory, *args):
    return subprocess.Popen(pinned(["sipp", "-i", "127.0.0.1", "-nostdin", *args], LOAD_CPU), cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def figures(directory):
    """Milliseconds from each INVITE to its 200, and how many calls came to their end and did not."""
    with open(os.path.join(directory, "stat.csv")) as f:
        last = list(csv.DictReader(f, delimiter=";"))[-1]
    delays = []
    for name in os.listdir(directory):
        if name.endswith("_rtt.csv"):
            with open(os.path.join(directory, name)) as f:
                delays += [float(row.split(";")[1]) for row in list(f)[1:]]
    return sorted(delays), int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])


def sample(server, rate, seconds):
    """CPU seconds of a call; 99th percentile of its set-up, ms; calls that failed; calls of a second that came about."""
    with tempfile.TemporaryDirectory(prefix="sluice-sipp-") as directory:
        before, since = cpu(server.pid), time.monotonic()
        caller = sipp(directory, "-sn", "uac", "-s", "service", "-p", str(free_port()), "-r", str(rate), "-m", str(int(rate * seconds)), "-d", str(HOLD_MS),
                      "-l", "100000", "-trace_rtt", "-rtt_freq", "1", "-trace_stat", "-stf", "stat.csv", server.address)
        caller.wait(seconds * 4 + 60)
        used, passed = cpu(server.pid) - before, time.monotonic() - since - HOLD_MS / 1000
        delays, good, failed = figures(directory)
    assert good > 0, "not one call came about"
    return used / (good + failed), delays[int(0.99 * (len(delays) - 1))], failed, good / passed


def measure(server, seconds):
    """At a small rate what a call costs; then as many as 70 % of a core should carry by that, at most MOST."""
    cost, *_ = sample(server, 100, max(5, seconds))
    rate = min(MOST, int(SHARE / cost))
    again, p99, failed, done = sample(server, rate, max(10, seconds))
    return {"rate": rate, "cost": again, "p99": p99, "failed": failed, "done": done}


def compare(b):
    found = {}
    with tempfile.TemporaryDirectory(prefix="sluice-dial-") as directory:
        os.chmod(directory, 0o755)
        for name in ("sluice", "kamailio"):
            if name == "kamailio" and not shutil.which(name):
                continue
            far = free_port()
            callee = sipp(directory, "-sn", "uas", "-p", str(far))
            try:
                with Gateway(far) if name == "sluice" else kamailio(directory, far) as s:
                    found[name] = measure(s, b.args.seconds)
            finally:
                callee.kill()
                callee.wait()
    for what, unit, key, scale in (("CPU of a call, set up and ended", "us", "cost", 1e6), ("calls offered, by 70 % of a core", "1/s", "rate", 1),
                                   ("... that came about", "1/s", "done", 1), ("... set up, 99th percentile", "ms", "p99", 1), ("... that failed", "", "failed", 1)):
        b.row(what, unit, {n: round(f[key] * scale, 1) for n, f in found.items()})
