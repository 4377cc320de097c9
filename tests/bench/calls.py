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
    - {match: "^room$", trunk: anyone, to: "room:bench"}
    - {match: "^far$", trunk: anyone, to: "trunk:far/far"}
"""
FIRST_PORT = 41000


def frames(directory, codec, hz):
    """Ten seconds of a voice, more or less: a tone that swells and falls, as payloads in a file; hz 0: silence."""
    speech, rng = Speech(codec), numpy.random.default_rng(1)
    n = speech.hz // 50
    path = os.path.join(directory, f"{codec}-{hz}")
    with open(path, "wb") as f:
        for i in range(500):
            t = (numpy.arange(n) + i * n) / speech.hz
            voice = sum(numpy.sin(2 * numpy.pi * hz * k * t) / k for k in range(1, 6)) * 4000 * (1.1 + numpy.sin(i / 9)) + rng.normal(0, 60, n) if hz else t * 0
            payload = speech.encode(voice)
            f.write(struct.pack("!H", len(payload)) + payload)
    pt, _, clock, *_ = CODECS[codec]
    return f"{pt}:{clock // 50}:{path}"


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
        super().__init__(CALL_CONF, overrides=(f"processes: {workers}",))
        if workers > 1:
            self.wrap = []

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
        return media_of(m.body)

    def call(self, i, codecs):
        """Two lines for call_load: both ends of a call."""
        ports = FIRST_PORT + 4 * i, FIRST_PORT + 4 * i + 2
        call = self.invite("far", ports[0], codecs[0])
        m = self.far.expect("INVITE", 20)
        self.far.reply(m, 200, "OK", [f"Contact: <{self.far.contact}>"], sdp(ports[1], codecs[1]), tag=token())
        near = self.accepted(*call)
        self.far.expect("ACK", 20)
        self.near.waiting.clear()
        return [(ports[0], *near, 0), (ports[1], *media_of(m.body), 1)]

    def enter(self, i, codec, kind):
        port = FIRST_PORT + 4 * i
        return (port, *self.accepted(*self.invite("room", port, codec)), kind)


class Rtpengine(Server):
    """Debian's, in user space; spoken to by its ng protocol."""

    def __init__(self):
        ng = free_port()
        super().__init__("rtpengine", ["rtpengine", "--foreground", "--no-fallback", "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{ng}", "--port-min=20000",
                                       "--port-max=39999", "--log-level=3", "--num-threads=2", "--listen-cli=127.0.0.1:PORT"], socket.SOCK_STREAM)
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
        return [(ports[0], *media_of(answer), 0), (ports[1], *media_of(offer), 1)]


def measure(server, lines, kinds, seconds):
    """Percent of a core, and what the telephones saw; CPU counts after a second, in which buffers fill."""
    text = "\n".join(" ".join(map(str, line)) for line in lines)
    with subprocess.Popen(pinned([CALL_LOAD, str(seconds + 1), *kinds], LOAD_CPU), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
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


def compare(b, what, n, codecs):
    """A row of CPU per call, and one of what did not arrive, of both."""
    kinds = [frames(b.tmp, codecs[0], 140), frames(b.tmp, codecs[1], 210)]
    used, lost = {}, {}
    for server in servers():
        with server as s:
            lines = [line for i in range(n) for line in s.call(i, codecs)]
            percent, seen = measure(s, lines, kinds, max(5, b.args.seconds))
            used[s.name] = round(percent / n, 3)
            lost[s.name] = round(100 * max(0, seen["sent"] - seen["received"]) / seen["sent"] + 100 * seen["missing"] / seen["sent"], 2)
    b.row(f"{n} calls, {what}", "% core", used)
    b.row("... packets that did not arrive", "%", lost)


def many(b, n, codecs):
    """As many transcoded calls as two workers on two cores shall carry, the generator beside them."""
    kinds = [frames(b.tmp, codecs[0], 140), frames(b.tmp, codecs[1], 210)]
    with Gateway(workers=2) as s:
        lines = [line for i in range(n) for line in s.call(i, codecs)]
        percent, seen = measure(s, lines, kinds, max(10, b.args.seconds))
    b.row(f"{n} calls, Opus to PCMU, 2 workers", "% core", {"sluice": round(percent / n, 3)})
    b.row("... packets that did not arrive", "%", {"sluice": round(100 * max(0, seen["sent"] - seen["received"]) / seen["sent"], 2)})


def crowd(b, n, talkers):
    """A room of n telephones; talkers of them speak."""
    kinds = [frames(b.tmp, "pcmu", 150), frames(b.tmp, "pcmu", 0)]
    with Gateway() as s:
        lines = [s.enter(i, "pcmu", 0 if i < talkers else 1) for i in range(n)]
        percent, _ = measure(s, lines, kinds, max(5, b.args.seconds))
        shared, own = s.counter("mixer.encoded_shared"), s.counter("mixer.encoded_own")
    b.row(f"{n} phones in a room, {talkers} talk", "% core", {"sluice": round(percent / n, 3)}, encoded=[shared, own])
