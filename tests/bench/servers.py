"""tests/bench/servers.py: the servers that the benchmarks compare, each pinned to SERVER_CPU, and what their processes cost.

A server is a context and has a name, an address and a pid; its descendants count too.
"""
import glob
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from sluice import OBJS, SRC, Sluice, free_port, wait_for

SERVER_CPU, LOAD_CPU = 0, 1
BENCH_ADDRESS = "203.0.113.1"  # of this namespace, beside loopback; 192.0.2.0/24 is that of turn-offload
SECRET = "benchsecret"
TICK = os.sysconf("SC_CLK_TCK")
BENCH = os.path.join(SRC, "tests/bench")

TURN_CONF = f"""
modules: [stun, turn-relay]
max_sessions: 65536
listen: [{{name: media, udp: "127.0.0.1:{{port}}"}}]
turn-relay: {{realm: bench, secrets: [{SECRET}], ports: 20000-65535, allow_peers: [127.0.0.0/8]}}
"""
STREAM_CONF = f"""
modules: [stun, turn-relay]
listen:
  - {{name: plain, tcp: "127.0.0.1:{{port}}"}}
  - {{name: secure, tcp: "127.0.0.1:{{tls}}", tls: {{cert: CERT, key: KEY}}}}
turn-relay: {{realm: bench, secrets: [{SECRET}], ports: 20000-65535, allow_peers: [127.0.0.0/8]}}
"""
OFFLOAD_CONF = f"""
modules: [stun, turn-relay]
listen: [{{name: media, udp: "192.0.2.1:3478"}}]
turn-relay: {{realm: bench, secrets: [{SECRET}], ports: 20000-65535, offload: MODE}}
"""
SIGNAL_CONF = """
modules: [http, signaling-ws]
max_sessions: 65536
listen: [{name: web, tcp: "127.0.0.1:{port}"}]
signaling-ws: {rate: 100000, burst: 100000}
"""
# Rates start where they would end, since the way is loopback and nothing is to be found out about it.
SFU_CONF = """
modules: [http, stun, signaling-ws, sfu]
max_sessions: 65536
handshakes: {rate: 100000}
listen:
  - {name: media, udp: "127.0.0.1:{udp}"}
  - {name: web, tcp: "127.0.0.1:{port}"}
webrtc: {start_bitrate: 100000, max_bitrate: 1000000}
signaling-ws: {rate: 100000, burst: 100000, max_peers: 10000}
sfu: {direct_peers: 0}
"""
RECORD_CONF = """
modules: [http, stun, signaling-ws, sfu, recorder]
max_sessions: 65536
handshakes: {rate: 100000}
listen:
  - {name: media, udp: "127.0.0.1:{udp}"}
  - {name: web, tcp: "127.0.0.1:{port}"}
webrtc: {start_bitrate: 100000, max_bitrate: 1000000}
signaling-ws: {rate: 100000, burst: 100000, max_peers: 10000}
sfu: {direct_peers: 0}
recorder: {dir: DIR, when: WHEN, control: everyone, min_free: 0, linger: 200ms, sync: never}
"""

# What Janus does without: other plugins, other transports, estimates of what it may send. Its default debug level, less chatter.
JANUS_FILES = {
    "janus.jcfg": """
general: { configs_folder = "DIR" plugins_folder = "LIB/plugins" transports_folder = "LIB/transports" events_folder = "LIB/events"
           loggers_folder = "LIB/loggers" debug_level = 3 session_timeout = 0 }
plugins: { disable = "OTHERS" }
transports: { disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so" }
""",
    "janus.transport.websockets.jcfg": 'general: { json = "compact" ws = true ws_ip = "127.0.0.1" ws_port = PORT wss = false }\n',
    "janus.plugin.videoroom.jcfg": "ROOMS",
}
JANUS_ROOM = 'room-%d: { publishers = 100 bitrate = 0 fir_freq = 0 videocodec = "vp8" audiocodec = "opus" %s }\n'


def pinned(command, cpu=SERVER_CPU):
    return ["taskset", "-c", str(cpu), *command]


def _parents():
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                out[int(pid)] = int(f.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return out


def family(pid):
    """pid and its descendants."""
    parents, found = _parents(), [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def cpu(pid):
    """Seconds of CPU used by pid and its descendants."""
    ticks = 0
    for p in family(pid):
        try:
            with open(f"/proc/{p}/stat") as f:
                ticks += sum(map(int, f.read().rpartition(")")[2].split()[11:13]))
        except OSError:
            continue
    return ticks / TICK


def cpu_exactly(pid):
    """Seconds of CPU used by the threads that pid has now: nanoseconds, where cpu() counts ticks"""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def pss(pid):
    """KiB of memory of pid and its descendants, shared pages counted once."""
    total = 0
    for p in family(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total


def answers(port, kind):
    """Whether something is bound to this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, kind) as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


class Server:
    """A foreign server; the context ends it."""

    def __init__(self, name, command, kind):
        self.name, self.port, self.proc, self.wrap = name, free_port(), None, pinned
        self.command, self.kind = [part.replace("PORT", str(self.port)) for part in command], kind

    def __enter__(self):
        env = {"NODE_PATH": "/usr/share/nodejs", **os.environ}  # where Debian's node-ws is
        self.proc = subprocess.Popen(self.wrap(self.command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     env=env, start_new_session=True)
        wait_for(lambda: answers(self.port, self.kind), f"{self.name} to serve")
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()

    @property
    def pid(self):
        return self.proc.pid

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


class Ours(Sluice):
    """Sluice with one worker, unless overrides say otherwise."""
    name = "sluice"

    def __init__(self, config, overrides=("processes: 1",), env=None, alone=True):
        super().__init__(config, overrides=overrides, env=env, wrap=pinned([]) if alone else [])

    @property
    def pid(self):
        return self.master_pid()

    @property
    def address(self):
        return f"127.0.0.1:{self.ports['port']}"

    @property
    def tls_address(self):
        return f"127.0.0.1:{self.ports['tls']}"


class StreamCoturn(Server):
    """coturn for clients over TCP and TLS."""

    def __init__(self, directory, cert, key):
        self.tls_port = free_port()
        super().__init__("coturn", coturn_command(directory, "--cert", cert, "--pkey", key, "--tls-listening-port", str(self.tls_port),
                                                  "--no-udp"), socket.SOCK_STREAM)

    @property
    def tls_address(self):
        return f"127.0.0.1:{self.tls_port}"


def coturn_command(directory, *more):
    return ["turnserver", "-n", "-L", "127.0.0.1", "-p", "PORT", "--min-port", "20000", "--max-port", "65535", "-r", "bench",
            "--use-auth-secret", "--static-auth-secret", SECRET, "--allow-loopback-peers", "--relay-threads", "1",
            "--no-cli", "--no-dtls", "--no-stdout-log", "-l", f"{directory}/coturn.log",
            "--pidfile", f"{directory}/coturn.pid", "--userdb", f"{directory}/coturn.db", *more]


def coturn(directory):
    """With one relay thread and without what costs: logs, database, console."""
    return Server("coturn", coturn_command(directory, "--no-tls", "--no-tcp"), socket.SOCK_DGRAM)


def forwarder(tools):
    """The least that relaying can cost: two system calls per packet and no checks."""
    return Server("udprelay", [f"{tools}/udprelay", "--mode=plain", "--port=PORT"], socket.SOCK_DGRAM)


def node():
    return Server("node ws", ["node", f"{BENCH}/signal_node.js", "PORT"], socket.SOCK_STREAM)


def janus(directory, rooms=1, record_in=None):
    """The VideoRoom of Janus, recording all if a directory for that is named; it offers candidates of BENCH_ADDRESS, since it leaves loopback out."""
    libraries = next(iter(glob.glob("/usr/lib/*/janus")))
    others = ",".join(os.path.basename(p) for p in glob.glob(f"{libraries}/plugins/*.so") if "videoroom" not in p)
    record = f'record = true rec_dir = "{record_in}"' if record_in else ""
    text_of_rooms = "".join(JANUS_ROOM % (n + 1, record) for n in range(rooms))
    server = Server("janus", ["janus", "-F", directory, "-C", f"{directory}/janus.jcfg"], socket.SOCK_STREAM)
    for name, text in JANUS_FILES.items():
        for word, value in (("ROOMS", text_of_rooms), ("DIR", directory), ("LIB", libraries), ("OTHERS", others), ("PORT", str(server.port))):
            text = text.replace(word, value)
        with open(os.path.join(directory, name), "w") as f:
            f.write(text)
    return server
