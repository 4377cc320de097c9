"""tests/lib/phone.py: the media of a telephone, for tests: RTP by a socket, speech by FFmpeg's codecs, keys by libsrtp. Written from the RFCs,
not from our code.
"""
import asyncio
import audioop
import base64
import fractions
import math
import os
import socket
import struct

import av
import numpy
import pylibsrtp

CODECS = {  # name: payload type, rtpmap, clock, samples per second, FFmpeg's decoder
    "pcmu": (0, "PCMU/8000", 8000, 8000, None), "pcma": (8, "PCMA/8000", 8000, 8000, None), "g722": (9, "G722/8000", 8000, 16000, "g722"),
    "opus": (111, "opus/48000/2", 48000, 48000, "libopus"), "l16": (118, "L16/16000", 16000, 16000, None)}
EVENTS = "0123456789*#ABCD"


def share_at(samples, hz, frequency):
    """How much of the power is at a frequency, of 1."""
    x = numpy.asarray(samples, dtype=float)
    angle = 2 * numpy.pi * frequency * numpy.arange(len(x)) / hz
    power = (x @ x) * len(x)
    return 0 if power == 0 else 2 * ((x @ numpy.cos(angle)) ** 2 + (x @ numpy.sin(angle)) ** 2) / power


class Speech:
    """A codec both ways."""

    def __init__(self, codec):
        self.codec = codec
        self.pt, self.rtpmap, self.clock, self.hz, name = CODECS[codec]
        if name:
            self.encoder = av.CodecContext.create(name, "w")
            self.decoder = av.CodecContext.create(name, "r")
            self.encoder.sample_rate = self.hz
            self.encoder.layout, self.encoder.format = "mono", "s16"
            if codec == "g722":
                self.encoder.time_base = fractions.Fraction(1, self.hz)

    def encode(self, samples):
        pcm = numpy.asarray(samples).astype("<i2")
        if self.codec == "pcmu":
            return audioop.lin2ulaw(pcm.tobytes(), 2)
        if self.codec == "pcma":
            return audioop.lin2alaw(pcm.tobytes(), 2)
        if self.codec == "l16":
            return pcm.astype(">i2").tobytes()
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self.hz
        return b"".join(bytes(p) for p in self.encoder.encode(frame))

    def decode(self, payload):
        if self.codec == "pcmu":
            return numpy.frombuffer(audioop.ulaw2lin(payload, 2), "<i2")
        if self.codec == "pcma":
            return numpy.frombuffer(audioop.alaw2lin(payload, 2), "<i2")
        if self.codec == "l16":
            return numpy.frombuffer(payload, ">i2").astype("<i2")
        frames = self.decoder.decode(av.Packet(payload))
        return numpy.concatenate([f.to_ndarray().reshape(-1, len(f.layout.channels)).mean(axis=1) for f in frames] or [numpy.zeros(0)])


class Phone:
    """One party: says a tone, keeps what it hears. Everything is in the running loop."""

    def __init__(self, codec, hz=0, events=True, keyed=False, ptime=20, ip="127.0.0.1"):
        self.speech, self.tone, self.events, self.ptime = Speech(codec), hz, events, ptime
        self.sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ip, 0))
        self.sock.setblocking(False)
        self.ip, self.port = self.sock.getsockname()[:2]
        self.to, self.seq, self.ts, self.ssrc = None, 100, 5000, int.from_bytes(os.urandom(4), "big")
        self.heard, self.packets, self.digits, self.rtcp, self.drop = [], [], "", [], lambda seq: False
        self.key = base64.b64encode(os.urandom(30)).decode() if keyed else None
        self.seal = self.opener = None
        self.event_ts, self.phase, self.task, self.direction, self.event_pt = None, 0, None, "sendrecv", 101
        self.fmtp = ""
        asyncio.get_running_loop().add_reader(self.sock, self.on_readable)

    # ---- descriptions
    def sdp(self, codecs=None):
        kinds = [CODECS[c] for c in codecs or [self.speech.codec]]
        clock = self.speech.clock
        family = "IP6" if ":" in self.ip else "IP4"
        lines = ["v=0", f"o=- 1 1 IN {family} {self.ip}", "s=-", f"c=IN {family} {self.ip}", "t=0 0",
                 f"m=audio {self.port} RTP/{'S' if self.key else ''}AVP {' '.join(str(k[0]) for k in kinds)}{' 101' if self.events else ''}"]
        lines += [f"a=rtpmap:{k[0]} {k[1]}" for k in kinds]
        if self.fmtp:
            lines.append(f"a=fmtp:{kinds[0][0]} {self.fmtp}")
        if self.events:
            lines += [f"a=rtpmap:101 telephone-event/{clock}", "a=fmtp:101 0-15"]
        if self.key:
            lines.append(f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{self.key}")
        return "\r\n".join(lines + [f"a=ptime:{self.ptime}", f"a={self.direction}", ""])

    def take(self, sdp):
        """Where to send to, by the other side's description."""
        ip, port = None, None
        for line in sdp.split("\r\n"):
            if line.startswith("c=IN"):
                ip = line.split()[2]
            if line.startswith("m=audio"):
                port = int(line.split()[1])
            if line.startswith("a=rtpmap:") and "telephone-event/%d" % self.speech.clock in line:
                self.event_pt = int(line[9:].split()[0])
            if line.startswith("a=crypto:") and self.key and "AES_CM_128_HMAC_SHA1_80" in line:
                theirs = line.split("inline:")[1].split("|")[0]
                self.seal, self.opener = (self.session(base64.b64decode(k), way) for k, way in ((self.key, "out"), (theirs, "in")))
        assert port, sdp
        self.to = (ip, port)
        return self

    @staticmethod
    def session(key, way):
        kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND if way == "out" else pylibsrtp.Policy.SSRC_ANY_INBOUND
        return pylibsrtp.Session(policy=pylibsrtp.Policy(key=key, ssrc_type=kind))

    # ---- out
    def packet(self, payload, pt, marker=False, ts=None):
        self.seq = (self.seq + 1) & 0xffff
        data = struct.pack("!BBHII", 0x80, (0x80 if marker else 0) | pt, self.seq, (self.ts if ts is None else ts) & 0xffffffff, self.ssrc) + payload
        if self.drop(self.seq):
            return
        self.sock.sendto(self.seal.protect(data) if self.seal else data, self.to)

    def say(self):
        n = self.speech.hz * self.ptime // 1000
        t = (numpy.arange(n) + self.phase) / self.speech.hz
        self.phase += n
        payload = self.speech.encode(numpy.sin(2 * numpy.pi * self.tone * t) * 8000 if self.tone else numpy.zeros(n))
        if payload:
            self.packet(payload, self.speech.pt)
        self.ts += self.speech.clock * self.ptime // 1000

    async def talk(self):
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            if self.event_ts is None:
                self.say()
            else:
                self.ts += self.speech.clock * self.ptime // 1000
            at += self.ptime / 1000
            await asyncio.sleep(max(0, at - loop.time()))

    def start(self):
        self.task = asyncio.ensure_future(self.talk())
        return self

    async def press(self, digits, ms=100, lose_ends=0):
        """As telephone-event."""
        for digit in digits:
            self.event_ts = self.ts
            for held in range(20, ms + 1, 20):
                self.packet(struct.pack("!BBH", EVENTS.index(digit), 10, held * self.speech.clock // 1000), self.event_pt, held == 20, self.event_ts)
                await asyncio.sleep(0.02)
            for _ in range(3 - lose_ends):
                self.packet(struct.pack("!BBH", EVENTS.index(digit), 0x8a, ms * self.speech.clock // 1000), self.event_pt, False, self.event_ts)
            self.event_ts = None
            await asyncio.sleep(0.08)

    async def press_tones(self, digits, ms=100):
        """As sound (ITU-T Q.23), with pauses as long, instead of what it says."""
        self.task.cancel()
        n = self.speech.hz // 50
        for digit in digits:
            row, column = divmod("123A456B789C*0#D".index(digit), 4)
            for piece in range(2 * ms // 20):
                at = (numpy.arange(n) + piece * n) / self.speech.hz
                pcm = sum(6000 * numpy.sin(2 * numpy.pi * hz * at) for hz in ((697, 770, 852, 941)[row], (1209, 1336, 1477, 1633)[column]))
                self.packet(self.speech.encode(pcm if piece < ms // 20 else numpy.zeros(n)), self.speech.pt)
                self.ts += self.speech.clock // 50
                await asyncio.sleep(0.02)
        self.start()

    # ---- in
    def on_readable(self):
        while True:
            try:
                data, source = self.sock.recvfrom(2048)
            except (BlockingIOError, OSError):
                return
            self.hear(data, source)

    def hear(self, data, source):
        if 192 <= data[1] <= 223:
            self.rtcp.append(data)
            return
        if self.opener:
            data = self.opener.unprotect(data)
        _, second, seq, ts, ssrc = struct.unpack("!BBHII", data[:12])
        pt, payload = second & 127, data[12:]
        self.packets.append((seq, ts, ssrc, pt, bool(second & 128), len(payload), source))
        if pt == self.event_pt and self.events:
            if payload[1] & 0x80 and ts != getattr(self, "last_event", None):
                self.last_event = ts
                self.digits += EVENTS[payload[0]]
            return
        self.heard.append(self.speech.decode(payload))

    def hears(self, frequency, ms=160):
        """Is it that tone, in the last piece?"""
        n = self.speech.hz * ms // 1000
        samples = numpy.concatenate(self.heard[-40:]) if self.heard else numpy.zeros(0)
        return len(samples) >= n and share_at(samples[-n:], self.speech.hz, frequency) > 0.7

    def has_heard(self, frequency, ms=100):
        """Was it that tone, in any piece of what it has kept? A short one may have gone by while this process had to wait."""
        n, step = self.speech.hz * ms // 1000, self.speech.hz // 50
        samples = numpy.concatenate(self.heard) if self.heard else numpy.zeros(0)
        return any(share_at(samples[at:at + n], self.speech.hz, frequency) > 0.7 for at in range(0, len(samples) - n + 1, step))

    def silent(self, ms=300):
        n = self.speech.hz * ms // 1000
        samples = numpy.concatenate(self.heard[-40:]) if self.heard else numpy.zeros(0)
        return len(samples) == 0 or math.sqrt(float(numpy.mean(samples[-n:].astype(float) ** 2))) < 60

    def close(self):
        if self.task:
            self.task.cancel()
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()
