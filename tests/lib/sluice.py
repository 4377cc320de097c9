"""tests/lib/sluice.py: a running Sluice for process tests, and the checks that every such test owes.

    with Sluice(CONFIG) as s:            # temporary prefix, free ports: {udp} {tcp} {tls} ... in CONFIG are replaced
        s.port("tcp"); s.top(); s.reload(); s.kill_worker(slot)

Leaving the block stops the server and fails the test on: an [alert] or [crit] line, a sanitizer's report, a crash, an exit status
other than 0, a child that was not reaped, process.bugs != 0. Standard library only; nothing sleeps for luck: wait_for().
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SRC = os.environ.get("SLUICE_SRC", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
OBJS = os.environ.get("SLUICE_OBJS", os.path.join(SRC, "objs"))
BINARY = os.environ.get("SLUICE", os.path.join(OBJS, "sluice"))
# Reads the same shared segments. Tests look hundreds of times, and to start a binary with sanitizers for each look is dear.
VIEWER = os.environ.get("SLUICE_VIEWER", BINARY)
SLOW = 5 if os.environ.get("SLUICE_ASAN") else 1  # patience with instrumented binaries
PATIENCE = 2 * SLOW + 1  # what a limit is stretched by that only a failure reaches: machines are busy, and waiting for nothing is rare


class Skipped(SystemExit):
    """Exit status 77, unless main() has a scene to blame it on."""

    def __init__(self, reason):
        super().__init__(77)
        self.reason = reason


def skip(reason):
    """In a scene: it is skipped, and counted so. Elsewhere: ends the test program as skipped, with the reason on the last line."""
    print(reason)
    raise Skipped(reason)


def wait_for(condition, what, limit=10.0, step=0.02):
    """The first true value of condition(); fails loudly after limit seconds."""
    end = time.monotonic() + limit * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit * PATIENCE:.0f} s for {what}")
        time.sleep(step)


def free_port(after=0):
    """A port that is free for both TCP and UDP on 127.0.0.1 right now, and so are as many after it. Below those that the kernel gives to
    connections, which would take it before its user comes."""
    while True:
        port = random.randrange(12000, 30000)
        try:
            for n in range(port, port + after + 1):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as sock:
                        sock.bind(("127.0.0.1", n))
            return port
        except OSError:
            continue


def make_cert(directory, names=("localhost",)):
    """A self-signed certificate; returns (cert, key) file names."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    san = ",".join(("IP:" if re.match(r"^[0-9.:]+$", n) else "DNS:") + n for n in names)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=sluice test", "-addext", f"subjectAltName={san}", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    os.chmod(key, 0o644)
    return cert, key


class Sluice:
    def __init__(self, config, overrides=(), env=None, prefix=None, wrap=(), allow=(), expect_status=0, start=True):
        """config: YAML text. {name} of letters is replaced by a free port. allow: regular expressions of alarming lines that the test
        provokes. wrap: command in front of the binary (ip netns exec ...)."""
        self.prefix = prefix or tempfile.mkdtemp(prefix="sluice-", dir=os.environ.get("TEST_TMP"))
        os.chmod(self.prefix, 0o755)
        self.ports, self.allow, self.expect_status = {}, list(allow), expect_status
        # With sanitizers a worker's start may take longer than the ten seconds that it has.
        self.overrides, self.wrap = [*(["start_timeout: 100s"] if SLOW > 1 else []), *overrides], list(wrap)
        self.env = {**os.environ, "SLUICE_STRICT": "1", **(env or {})}
        self.config_path = os.path.join(self.prefix, "test.yaml")
        self.log_path = os.path.join(self.prefix, "log")
        self.write(config)
        self.proc = None
        if start:
            self.start()

    # ---- configuration

    def port(self, name):
        return self.ports.setdefault(name, free_port())

    def write(self, config):
        text = re.sub(r"\{([a-z_]+[0-9]*)\}", lambda m: str(self.port(m.group(1))), config)
        with open(self.config_path, "w") as f:
            f.write(text)

    # ---- life

    def argv(self, *more, binary=BINARY):
        out = [*self.wrap, binary, "-c", self.config_path, "-p", self.prefix]
        for o in self.overrides:
            out += ["-g", o]
        return out + list(more)

    def start(self, binary=BINARY):
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.argv(binary=binary), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
                                         start_new_session=True)
        wait_for(self.is_up, "the server to serve", 20)

    def is_up(self):
        if self.proc.poll() is not None:
            raise AssertionError(f"the server ended with {self.proc.returncode}:\n{self.log()[-3000:]}")
        if not os.path.exists(os.path.join(self.prefix, "sluice.sock")):
            return False
        return "current" in self.status()

    def status(self):
        """The master's own words: a line for each generation. "" while nobody answers."""
        with socket.socket(socket.AF_UNIX) as c:
            try:
                c.settimeout(30 * PATIENCE)
                c.connect(os.path.join(self.prefix, "sluice.sock"))
                c.sendall(b"status\n")
                return b"".join(iter(lambda: c.recv(4096), b"")).decode()
            except OSError:
                return ""

    def run(self, *args, check=False, timeout=30, binary=BINARY):
        """A tool command against this server."""
        return subprocess.run([*self.wrap, binary, "-p", self.prefix, *args], capture_output=True, env=self.env, check=check,
                              timeout=timeout * PATIENCE)

    def json(self, *args):
        out = self.run(*args, "--json", binary=VIEWER)
        assert out.returncode == 0, out.stderr
        return json.loads(out.stdout)

    def top(self):
        return self.json("top", "--once")

    def workers(self, state=None, generation=None):
        return [w for w in self.top()["workers"] if (state is None or w["state"] == state)
                and (generation is None or w["generation"] == generation)]

    def counter(self, name):
        """Sum of a counter ("turn-relay.allocations") over the workers that live."""
        return sum(w["counters"].get(name, 0) for w in self.top()["workers"])

    def counts(self, name, exactly=None, at_least=1):
        """The counter comes to that: a client may have its answer a moment before it is counted."""
        if exactly is None:
            return wait_for(lambda: self.counter(name) >= at_least, f"{name} to be {at_least} at least")
        wait_for(lambda: self.counter(name) == exactly, f"{name} to be {exactly}")
        return exactly

    def sessions(self, kind=None):
        return self.json("sessions", *(["--kind", kind] if kind else []))["sessions"]

    def generation(self):
        return self.top()["generation"]

    def reload(self, ok=True):
        out = self.run("-s", "reload", timeout=60)
        assert (out.returncode == 0) == ok, (out.returncode, out.stderr.decode(), self.log()[-2000:])
        return out.stderr.decode()

    def upgrade(self):
        """Another binary takes over, in the same process and with the same sockets: here, it is the same one."""
        n = self.generation() + 1
        self.run("-s", "upgrade", check=True)
        wait_for(lambda: self.generation() == n and self.is_up(), "the new binary")

    def kill_worker(self, slot=None, sig=signal.SIGKILL):
        """Kills one serving worker (by its slot) and returns its description."""
        w = next(w for w in self.workers("serving") if slot is None or w["slot"] == slot)
        os.kill(w["pid"], sig)
        return w

    def descriptors(self):
        """Open descriptors per process: master and workers."""
        pids = [self.master_pid()] + [w["pid"] for w in self.workers()]
        return {p: len(os.listdir(f"/proc/{p}/fd")) for p in pids}

    def master_pid(self):
        with open(os.path.join(self.prefix, "sluice.pid")) as f:
            return int(f.read())

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self, graceful=False, limit=20):
        if self.proc and self.proc.poll() is None:
            os.kill(self.master_pid() if self.wrap else self.proc.pid, signal.SIGQUIT if graceful else signal.SIGTERM)
            self.proc.wait(limit * PATIENCE)

    # ---- the checks

    def children_left(self):
        """Processes that still run with this prefix in their environment's session."""
        left = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getsid(int(pid)) == self.proc.pid and open(f"/proc/{pid}/stat").read().split(") ")[1][0] != "Z":
                    left.append(int(pid))
            except (OSError, IndexError, ProcessLookupError):
                continue
        return left

    def check(self):
        log = self.log()
        for line in log.splitlines():
            alarming = re.search(r"level=\"?(alert|crit)|\"level\":\"(alert|crit)\"|Sanitizer|runtime error:"
                                 r"|was killed by signal (4|6|7|8|11)\b", line)
            if alarming and not any(re.search(a, line) for a in self.allow):
                raise AssertionError(f"alarming line: {line}\n{log[-3000:]}")
        assert self.proc.returncode == self.expect_status, f"exit status {self.proc.returncode}:\n{log[-3000:]}"
        assert not self.children_left(), f"processes left behind: {self.children_left()}"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        bugs = 0
        try:
            if kind is None and self.proc.poll() is None:
                bugs = self.counter("process.bugs")
        finally:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                for pid in self.children_left():
                    os.kill(pid, signal.SIGKILL)
                if kind is None:
                    raise
        if kind is None:
            assert bugs == 0, f"process.bugs is {bugs}"
            self.check()
            if not os.environ.get("TEST_KEEP"):
                shutil.rmtree(self.prefix, ignore_errors=True)
        else:
            print(self.log()[-4000:], file=sys.stderr)
        return False


def main(*tests):
    """Runs test functions as TAP; exit status 1 when one failed."""
    failed = 0
    pick = sys.argv[1] if len(sys.argv) > 1 else ""
    tests = [t for t in tests if pick in t.__name__]
    for n, t in enumerate(tests, 1):
        try:
            t()
            print(f"ok {n} - {t.__name__}", flush=True)
        except Skipped as skipped:
            print(f"ok {n} - {t.__name__} # SKIP {skipped.reason}", flush=True)
        except SystemExit:
            raise
        except BaseException:
            import traceback
            failed += 1
            print(f"not ok {n} - {t.__name__}", flush=True)
            traceback.print_exc()
    print(f"1..{len(tests)}")
    sys.exit(1 if failed else 0)
