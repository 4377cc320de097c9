"""tests/bench/calls.py: telephones by the hundred: calls through sip-gateway and through Debian's rtpengine, and a room of the mixer. Signalling is
done here, media by call_load."""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time

import numpy
from phone import CODECS, Speech
from servers import LOAD_CPU, OBJS, Ours, Server, cpu, pinned
from sip import Phone, Udp, token
from sluice import free_port, wait_for

CALL_LOAD = os.path.join(OBJS, "tests/bench/call_load")
CALL_CONF = """
modules: [http, stun, signaling-ws, sfu, mixer, sip-gateway]
max_sessions: 65536
listen:
  - {name: media, udp: "127.0.0.1:{port}"}
  - {name: web, tcp: "127.0.0.1:{web}"}
signaling-ws: {max_peers: 1000}
mixer: {rooms: [{match: ".", tones: off}]}
sip-gateway:
  rate: 0
  max_cps: 10000
  max_calls: 10000
  media: {addresses: [127.0.0.1], ports: 20000-39999}
  trunks: [{name: far, server: "127.0.0.1:{far}", options_interval: 0}]
  routes:
    - {match: "^room(.*)$", trunk: anyone, to: "room:bench$1"}
    - {match: "^far$", trunk: anyone, to: "trunk:far/far"}
"""
FIRST_PORT = 41000
TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well."


def voice(hz):
    """Ten seconds of speech; where espeak-ng is not installed, of a tone that swells and falls."""
    if shutil.which("espeak-ng") and shutil.which("ffmpeg"):
        wav = subprocess.run(["espeak-ng", "-s", "150", "--stdout", TEXT], capture_output=True, check=True).stdout
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", "-", "-ar", str(hz), "-ac", "1", "-f", "s16le", "-"], input=wav, capture_output=True, check=True)
        return numpy.resize(numpy.frombuffer(raw.stdout, "<i2"), 10 * hz) * 0.5
    t = numpy.arange(10 * hz) / hz
    return sum(numpy.sin(2 * numpy.pi * 140 * k * t) / k for k in range(1, 6)) * 4000 * (1.1 + numpy.sin(5 * t))


def frames(directory, codec, limited=False, silent=False):
    """What a kind of telephone says, as payloads in a file; limited: its Opus has the bandwidth of a telephone, as who was asked for no more sends it."""
    speech = Speech(codec)
    if codec == "opus":  # as browsers do
        speech.encoder.options = {"application": "voip", "fec": "1", **({"cutoff": "4000"} if limited else {})}
        speech.encoder.bit_rate = 32000
    n = speech.hz // 50
    samples = numpy.zeros(10 * speech.hz) if silent else voice(speech.hz)
    path = os.path.join(directory, f"{codec}-{limited}-{silent}")
    with open(path, "wb") as f:
        for i in range(500):
            payload = speech.encode(samples[i * n:(i + 1) * n])
            f.write(struct.pack("!H", len(payload)) + payload)
    pt, _, clock, *_ = CODECS[codec]
    return f"{pt}:{clock // 50}:{path}"


def kinds_of(directory, codecs):
    """Of both ends; and of the first, where it is asked for no more than a telephone hears."""
    return [frames(directory, codecs[0]), frames(directory, codecs[1]), frames(directory, codecs[0], limited=True)]


def kind_of(description):
    return 2 if "maxplaybackrate=8000" in description else 0


def sdp(port, codec):
    """With events, so that nobody has to listen for digits."""
    pt, rtpmap, clock, *_ = CODECS[codec]
    return (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {pt} 101\r\na=rtpmap:{pt} {rtpmap}\r\n"
            f"a=rtpmap:101 telephone-event/{clock}\r\na=fmtp:101 0-15\r\na=sendrecv\r\n")


def media_of(description):
    return (re.search(r"c=IN IP4 (\S+)", description).group(1), int(re.search(r"m=audio (\d+)", description).group(1)))


class Gateway(Ours):
    """Sluice between two telephones, or a room."""

    def __init__(self, workers=1):
        super().__init__(CALL_CONF, overrides=(f"processes: {workers}",), alone=workers == 1)

    def __enter__(self):
        super().__enter__()
        wait_for(lambda: self.counter("sip-gateway.trunks_up") == 1, "the trunk")
        self.near = Phone(Udp(("127.0.0.1", self.port("port"))), "near")
        self.far = Phone(Udp(("127.0.0.1", self.port("port")), port=self.port("far")), "far")
        return self

    def invite(self, number, port, codec):
        call, tag = token(16), token()
        self.near.request("INVITE", f"sip:{number}@bench", [
            f"From: <sip:near@bench>;tag={tag}", f"To: <sip:{number}@bench>", f"Call-ID: {call}", "CSeq: 1 INVITE", f"Contact: <{self.near.contact}>"],
            sdp(port, codec))
        return call, tag

    def accepted(self, call, tag):
        m = self.near.expect(lambda m: m.get("Call-ID") == call and m.status >= 200, 20)
        assert m.status == 200, m
        self.near.request("ACK", re.search("<(.*?)>", m.get("Contact")).group(1), [
            f"From: <sip:near@bench>;tag={tag}", f"To: {m.get('To')}", f"Call-ID: {call}", "CSeq: 1 ACK"])
        return m.body

    def call(self, i, codecs):
        """Two lines for call_load: both ends of a call."""
        ports = FIRST_PORT + 4 * i, FIRST_PORT + 4 * i + 2
        call = self.invite("far", ports[0], codecs[0])
        m = self.far.expect("INVITE", 20)
        self.far.reply(m, 200, "OK", [f"Contact: <{self.far.contact}>"], sdp(ports[1], codecs[1]), tag=token())
        answer = self.accepted(*call)
        self.far.expect("ACK", 20)
        self.near.waiting.clear()
        return [(ports[0], *media_of(answer), kind_of(answer)), (ports[1], *media_of(m.body), 1)]

    def enter(self, i, codec, kind):
        port = FIRST_PORT + 4 * i
        return (port, *media_of(self.accepted(*self.invite("room", port, codec))), kind)


class Rtpengine(Server):
    """Debian's, in user space; spoken to by its ng protocol."""

    def __init__(self, alone=True):
        ng = free_port()
        super().__init__("rtpengine", ["rtpengine", "--foreground", "--no-fallback", "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{ng}", "--port-min=20000",
                                       "--port-max=39999", "--log-level=3", "--num-threads=2", "--listen-cli=127.0.0.1:PORT"], socket.SOCK_STREAM)
        self.wrap = pinned if alone else list
        self.ng = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ng.connect(("127.0.0.1", ng))
        self.ng.settimeout(5)

    def ask(self, **what):
        def encode(x):
            if isinstance(x, dict):
                return b"d" + b"".join(encode(k) + encode(v) for k, v in sorted(x.items())) + b"e"
            if isinstance(x, list):
                return b"l" + b"".join(map(encode, x)) + b"e"
            data = str(x).encode()
            return str(len(data)).encode() + b":" + data
        self.ng.send(token().encode() + b" " + encode(what))
        answer = self.ng.recv(65536).decode()
        assert "6:result2:ok" in answer, answer
        return answer[answer.index("v=0"):]

    def call(self, i, codecs):
        ports = FIRST_PORT + 4 * i, FIRST_PORT + 4 * i + 2
        names = [CODECS[c][1].split("/")[0] for c in codecs]
        codec = {} if codecs[0] == codecs[1] else {"codec": {"transcode": [names[1]], "mask": [names[0]]}}
        common = {"call-id": f"call-{i}", "from-tag": "a", "ICE": "remove", **codec}
        offer = self.ask(command="offer", sdp=sdp(ports[0], codecs[0]), **common)
        answer = self.ask(command="answer", sdp=sdp(ports[1], codecs[1]), **{"to-tag": "b", **common})
        return [(ports[0], *media_of(answer), kind_of(answer)), (ports[1], *media_of(offer), 1)]


def measure(server, lines, kinds, seconds, load_cpu=LOAD_CPU):
    """Percent of a core, and what the telephones saw; CPU counts after a second, in which buffers fill. load_cpu: None: any"""
    text = "\n".join(" ".join(map(str, line)) for line in lines)
    command = [CALL_LOAD, str(seconds + 1), *kinds]
    with subprocess.Popen(command if load_cpu is None else pinned(command, load_cpu), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        p.stdin.write(text)
        p.stdin.close()
        time.sleep(1)
        before, since = cpu(server.pid), time.monotonic()
        time.sleep(seconds - 0.2)
        percent = 100 * (cpu(server.pid) - before) / (time.monotonic() - since)
        return percent, json.loads(p.stdout.read())


def servers():
    yield Gateway()
    if shutil.which("rtpengine"):
        yield Rtpengine()


def compare(b, what, n, codecs, heed=True):
    """A row of CPU per call, and one of what did not arrive, of both; heed: who is asked for no more than a telephone hears sends no more."""
    kinds = kinds_of(b.tmp, codecs)
    if not heed:
        kinds[2] = kinds[0]
    used, lost = {}, {}
    for server in servers():
        with server as s:
            lines = [line for i in range(n) for line in s.call(i, codecs)]
            percent, seen = measure(s, lines, kinds, max(5, b.args.seconds))
            used[s.name] = round(percent / n, 3)
            lost[s.name] = round(100 * max(0, seen["sent"] - seen["received"]) / seen["sent"] + 100 * seen["missing"] / seen["sent"], 2)
    b.row(f"{n} calls, {what}", "% core", used)
    b.row("... packets that did not arrive", "%", lost)


def servers_on_all_cores():
    yield Gateway(workers=2)
    if shutil.which("rtpengine"):
        yield Rtpengine(alone=False)


def last(b, n, codecs, seconds):
    """n calls for so long; servers and telephones share all cores. A server that is starved makes rtpengine's CPU look small: read what did not arrive first."""
    kinds = kinds_of(b.tmp, codecs)
    used, lost = {}, {}
    for server in servers_on_all_cores():
        with server as s:
            lines = [line for i in range(n) for line in s.call(i, codecs)]
            percent, seen = measure(s, lines, kinds, seconds, None)
            used[s.name] = round(percent / n, 3)
            lost[s.name] = max(0, seen["sent"] - seen["received"])
    b.row(f"{n} calls, {seconds:g} s, each", "% core", used)
    b.row(f"... of {seen['sent']} packets did not arrive", "", lost)


def crowd(b, n, talkers):
    """A room of n telephones; talkers of them speak."""
    kinds = [frames(b.tmp, "pcmu"), frames(b.tmp, "pcmu", silent=True)]
    with Gateway() as s:
        lines = [s.enter(i, "pcmu", 0 if i < talkers else 1) for i in range(n)]
        percent, _ = measure(s, lines, kinds, max(5, b.args.seconds))
        shared, own = s.counter("mixer.encoded_shared"), s.counter("mixer.encoded_own")
    b.row(f"{n} phones in a room, {talkers} talk", "% core", {"sluice": round(percent / n, 3)}, encoded=[shared, own])


def idle(b, n, seconds=10):
    """n rooms with a telephone each that says nothing: how often the mixer wakes, and what the node does for so many open calls (reports, clocks)."""
    with Gateway() as s:
        for i in range(n):
            s.accepted(*s.invite(f"room{i}", FIRST_PORT, "pcmu"))
            s.near.waiting.clear()
        wait_for(lambda: s.counter("mixer.rooms") == n, "the rooms")
        woken, before, since = s.counter("mixer.wakeups"), cpu(s.pid), time.monotonic()
        time.sleep(seconds)
        percent = 100 * (cpu(s.pid) - before) / (time.monotonic() - since)
        woken = s.counter("mixer.wakeups") - woken
    b.row(f"{n} rooms in which nobody talks, all", "% core", {"sluice": round(percent, 2)})
    b.row(f"... times the mixer woke in {seconds} s", "", {"sluice": woken})
