"""tests/lib/flash.py: a picture that flashes and sounds that beep at the same times of one clock, sent so that nothing but who receives them can put them apart.

What is shown follows from a frame's own time, not from when a busy machine came to make it; and sender reports say when that was captured, as browsers'
do, where aiortc says when it was encoded and sent, which is later by whatever the encoder took.
"""
import asyncio
import contextlib
import fractions
import random
import subprocess
import time

from media import Picture
from record import Sound

import aiortc
import av
import numpy

LENGTH = 0.1
NTP_EPOCH_S = 2208988800
SENDER = aiortc.rtcrtpsender.RTCRtpSender
TRANSPORT = aiortc.rtcdtlstransport.RTCDtlsTransport


class Flash(Picture):
    """White for LENGTH of each second since its first frame; zero is when that was, by time.time()."""
    zero = None

    async def recv(self):
        pts, base = await self.next_timestamp()
        self.zero = self._start
        image = numpy.full((240, 320, 3), 255 if pts % 90000 < 90000 * LENGTH else 0, dtype=numpy.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = pts, base
        return frame


class Beep(Sound):
    """Sounds while the flash is white."""
    zero = None

    def __init__(self, flash):
        super().__init__()
        self.flash = flash

    async def recv(self):
        if self.zero is None:
            self.began, self.zero = asyncio.get_running_loop().time(), time.time()
        return await super().recv()

    def samples(self, t):
        if self.flash.zero is None:
            return t * 0
        return numpy.where((t + self.zero - self.flash.zero) % 1 < LENGTH, numpy.sin(2 * numpy.pi * 1000 * t) * 20000, 0)


class Capture:
    """Of one sender: what its reports are to say."""

    def __init__(self):
        self.sent = self.origin = None  # the newest frame's time, without and with the offset that RTP times have


WHITE = f"lt(mod(t,1),{LENGTH})"  # for libavfilter


def film(path, seconds, *codecs):
    """The same as a file, for who plays one instead of a camera: 20 pictures a second, and a square that moves, so that there is something to send."""
    white = WHITE.replace(",", "\\,")
    picture = ("color=black:s=320x240:r=20,drawbox=x='mod(t*100\\,300)':y=200:w=20:h=20:color=gray:t=fill,"
               f"drawbox=w=iw:h=ih:color=white:t=fill:enable='{white}',format=yuv420p")
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"aevalsrc='0.6*sin(2000*PI*t)*{white}':s=48000",
                    "-t", str(seconds), *codecs, path], check=True)


@contextlib.contextmanager
def reports_of_capture():
    """Sender reports tie RTP times to when the track had that time."""
    next_frame, send_rtcp, captures = SENDER._next_encoded_frame, SENDER._send_rtcp, {}

    async def watched(self, codec):
        c = captures.setdefault(self, Capture())
        if c.sent is not None and c.origin is None:
            c.origin = self._RTCRtpSender__rtp_timestamp - c.sent
        frame = await next_frame(self, codec)
        c.sent = c.sent if c.origin is not None else frame.timestamp
        return frame

    async def corrected(self, packets):
        c, track = captures.get(self), self._RTCRtpSender__track
        for p in packets:
            if isinstance(p, aiortc.rtp.RtcpSrPacket) and getattr(track, "zero", None):
                if not c or c.origin is None:
                    return  # nothing true can be said yet
                passed = (p.sender_info.rtp_timestamp - c.origin) % (1 << 32)
                at = fractions.Fraction(track.zero) + NTP_EPOCH_S + fractions.Fraction(passed, 90000 if self.kind == "video" else 48000)
                p.sender_info.ntp_timestamp = int(at * (1 << 32))
        await send_rtcp(self, packets)

    SENDER._next_encoded_frame, SENDER._send_rtcp = watched, corrected
    try:
        yield
    finally:
        SENDER._next_encoded_frame, SENDER._send_rtcp = next_frame, send_rtcp


@contextlib.contextmanager
def losing(share):
    """What aiortc sends, repeats too, is lost so often; its reports are not."""
    whole, chance = TRANSPORT._send_rtp, random.Random(3)

    async def some(self, data):
        if aiortc.rtcdtlstransport.is_rtcp(data) or chance.random() >= share:
            await whole(self, data)
    TRANSPORT._send_rtp = some
    try:
        yield
    finally:
        TRANSPORT._send_rtp = whole
