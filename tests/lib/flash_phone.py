"""tests/lib/flash_phone.py: a telephone whose picture flashes while it beeps, once a second, for tests of lip sync. Its pictures leave much later than its
sound, as where an encoder takes its time; that both belong together is known from its sender reports alone, which tell when what was captured."""
import asyncio
import fractions
import struct
import time

from video_phone import VideoPhone

import av
import numpy

LENGTH = 0.1  # of flash and beep: one picture
LATE = 0.25  # pictures, in seconds
NTP_EPOCH_S = 2208988800
PIECE = 1100
RATE, FPS = 90000, 10


def film():
    """A second, encoded once: white, from a key frame on, then black."""
    encoder, out = av.CodecContext.create("libvpx", "w"), []
    encoder.width, encoder.height, encoder.pix_fmt, encoder.bit_rate = 160, 120, "yuv420p", 200000
    encoder.time_base, encoder.options = fractions.Fraction(1, FPS), {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    for n in range(FPS):
        frame = av.VideoFrame.from_ndarray(numpy.full((120, 160, 3), 255 if n == 0 else 0, dtype=numpy.uint8), format="rgb24")
        frame.pts, frame.time_base = n, encoder.time_base
        out.append(b"".join(bytes(p) for p in encoder.encode(frame)))
    return out


FILM = film()


class FlashPhone(VideoPhone):
    """reports: does it send any?"""

    def __init__(self, s, name, codec="pcmu", reports=True):
        super().__init__(s, name, 0, codec=codec)
        self.zero, self.n, self.reports = None, 0, reports
        sound = self.media.sdp
        self.media.sdp = lambda codecs=None: sound(codecs).replace("a=ptime", "a=rtcp-mux\r\na=ptime", 1)
        self.media.say, self.camera.film = self.say, self.film

    def since(self):
        self.zero = self.zero or time.time()
        return time.time() - self.zero

    # ---- sound
    def say(self):
        self.since()
        m, n = self.media, self.media.speech.hz // 50
        t = (numpy.arange(n) + m.phase) / m.speech.hz
        m.phase += n
        m.packet(m.speech.encode(numpy.where(t % 1 < LENGTH, numpy.sin(2 * numpy.pi * 1000 * t) * 20000, 0)), m.speech.pt)
        m.ts += m.speech.clock // 50
        if self.reports and m.phase % m.speech.hz < n:
            m.sock.sendto(self.report(m.ssrc, m.ts, t[-1]), m.to)

    # ---- pictures
    def shoot(self, at):
        c, data = self.camera, FILM[self.n % FPS]
        ts = c.ts + int(at * RATE) & 0xffffffff
        for begin in range(0, len(data), PIECE):
            head = struct.pack("!BBH", 0x90 if begin == 0 else 0x80, 0x80, 0x8000 | self.n & 0x7fff)
            c.seq = c.seq + 1 & 0xffff
            last = begin + PIECE >= len(data)
            c.sock.sendto(struct.pack("!BBHII", 0x80, (0x80 if last else 0) | c.pt, c.seq, ts, c.ssrc) + head + data[begin:begin + PIECE], c.to)
        if self.reports and self.n % FPS == 0:
            c.sock.sendto(self.report(c.ssrc, ts, at), c.to)

    async def film(self):
        while True:
            at = self.n / FPS
            await asyncio.sleep(max(0, at + LATE - self.since()))
            self.shoot(at)
            self.n += 1

    def report(self, ssrc, ts, at):
        ntp = int((fractions.Fraction(self.zero + at) + NTP_EPOCH_S) * (1 << 32))
        return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, ntp, ts & 0xffffffff, 0, 0)
