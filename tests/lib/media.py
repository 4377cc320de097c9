"""tests/lib/media.py: media of aiortc for tests: a tone and a moving picture, what was heard, and a participant of a room whose media the
server carries.

The participant is written from modules/sfu/README.md, independent of media.js on purpose.
"""
import asyncio
import base64
import fractions
import hashlib
import hmac
import json
import time

from sluice import PATIENCE, skip

try:
    import aioice.ice
    import aiortc
    import aiortc.sdp
    import av
    import numpy
    import websockets
except ImportError as error:
    skip(f"python3-aiortc or python3-websockets is not installed: {error}")

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # it leaves loopback out by itself


def make_token(secret, **claims):
    """A JWT for ten minutes, made by hand: HS256."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    body = part(b'{"alg":"HS256"}') + "." + part(json.dumps({"exp": time.time() + 600, **claims}).encode())
    return body + "." + part(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest())


class Picture(aiortc.mediastreams.VideoStreamTrack):
    """A stripe that moves over a grey that changes, so that there is something to send."""

    async def recv(self):
        pts, base = await self.next_timestamp()
        image = numpy.full((240, 320, 3), pts // 3000 % 256, dtype=numpy.uint8)
        image[:, (pts // 3000 * 8) % 300:][:, :20] = 255
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = pts, base
        return frame


class Tone(aiortc.mediastreams.MediaStreamTrack):
    kind = "audio"

    def __init__(self, hz=440):
        super().__init__()
        self.hz, self.at = hz, 0

    async def recv(self):
        await asyncio.sleep(0.02)
        t = (numpy.arange(960) + self.at) / 48000
        samples = (numpy.sin(2 * numpy.pi * self.hz * t) * 12000).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self.at, fractions.Fraction(1, 48000)
        self.at += 960
        return frame


def strongest_hz(frames):
    """Of the last frames of sound."""
    samples = numpy.concatenate([f.to_ndarray().reshape(-1, len(f.layout.channels)).mean(axis=1) for f in frames[-20:]])
    spectrum = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples))))
    return numpy.argmax(spectrum) * 48000 / len(samples)


def is_tone(frames, hz=440):
    return len(frames) >= 20 and abs(strongest_hz(frames) - hz) < 10


async def until(condition, what, limit=15):
    """The first true value of condition(), asked while the loop turns."""
    end = asyncio.get_running_loop().time() + limit * PATIENCE
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < end, f"waited for {what}"
        await asyncio.sleep(0.05)
    return value


async def collect(track, frames):
    try:
        while True:
            frames.append(await track.recv())
    except aiortc.mediastreams.MediaStreamError:
        pass  # it has ended


class Participant:
    """One client in a room: publishes its tracks, subscribes to everything."""

    def __init__(self, url, room, name, tracks=(), data=False, token=None, codec=None):
        self.url, self.room, self.name = url + (f"?token={token}" if token else ""), room, name
        self.tracks, self.data, self.codec = list(tracks), data, codec  # "video/H264", "audio/PCMU"; None: whatever is agreed upon
        self.pub = self.sub = self.channel = None
        self.heard = {}   # type -> [message, ...]
        self.frames = {}  # track id -> [frame, ...]
        self.sections, self.published, self.got = {}, {}, []
        self.tasks = set()

    async def start(self, subscribe=True):
        self.ws = await websockets.connect(self.url, max_size=None)
        self.spawn(self.read())
        await self.say(type="hello", version=1)
        await self.say(type="join", room=self.room, name=self.name)
        welcome = (await until(lambda: self.heard.get("welcome"), "the welcome"))[0]
        self.id, self.mode = welcome["self"]["id"], welcome.get("mode")
        if self.tracks or self.data:
            await self.publish()
        if subscribe:
            await self.say(type="subscribe", auto=True)
        return self

    def spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def say(self, **message):
        await self.ws.send(json.dumps(message))

    async def read(self):
        async for text in self.ws:
            m = json.loads(text)
            self.heard.setdefault(m["type"], []).append(m)
            if m["type"] == "published":
                self.published = {t["mid"]: t["id"] for t in m["tracks"]}
                await self.pub.setRemoteDescription(aiortc.RTCSessionDescription(m["sdp"], "answer"))
            elif m["type"] == "sub-offer":
                await self.answer(m)
            if "seq" in m:
                await self.say(type="ack", seq=m["seq"])

    async def publish(self):
        self.pub = aiortc.RTCPeerConnection()
        for track in self.tracks:
            t = self.pub.addTransceiver(track, direction="sendonly")
            if self.codec and self.codec.startswith(track.kind):
                t.setCodecPreferences([c for c in aiortc.RTCRtpSender.getCapabilities(track.kind).codecs if c.mimeType in (self.codec, "video/rtx")])
        if self.data:
            self.channel = self.pub.createDataChannel("room")
            self.channel.on("message", self.got.append)
        await self.pub.setLocalDescription(await self.pub.createOffer())
        tracks = [{"mid": t.mid, "source": "microphone" if t.kind == "audio" else "camera"} for t in self.pub.getTransceivers()]
        await self.say(type="publish", sdp=self.pub.localDescription.sdp, tracks=tracks)

    async def answer(self, m):
        if not self.sub:
            self.sub = aiortc.RTCPeerConnection()
            self.sub.on("track", self.arrived)
        self.sections = {t["mid"]: t for t in m["tracks"] if "mid" in t}
        await self.sub.setRemoteDescription(aiortc.RTCSessionDescription(m["sdp"], "offer"))
        await self.sub.setLocalDescription(await self.sub.createAnswer())
        await self.say(type="sub-answer", sdp=self.sub.localDescription.sdp, n=m["n"])

    def arrived(self, track):
        mid = next(t.mid for t in self.sub.getTransceivers() if t.receiver.track is track)
        self.spawn(collect(track, self.frames.setdefault(self.sections[mid]["id"], [])))

    def of(self, other, kind):
        """Frames of the other participant's track of this kind."""
        for section in self.sections.values():
            if section["peer"] == other.id and section["kind"] == kind:
                return self.frames.get(section["id"], [])
        return []

    async def close(self):
        for pc in (self.pub, self.sub):
            if pc:
                await pc.close()
        await self.ws.close()
        for task in self.tasks:
            task.cancel()
