"""tests/lib/room_phone.py: a client of signaling-ws that calls without SIP, with media of aiortc. Written from modules/sip-gateway/README.md,
independent of phone.js on purpose. It resumes like rooms.Client, so that its socket may be lost at any time."""
import asyncio
import json

import aiortc
from media import Tone, collect, strongest_hz, until
from rooms import Client


class Leg:
    """One call: its connection, what is heard, and what was said about it."""

    def __init__(self, phone, name, hz):
        self.phone, self.name, self.said, self.frames = phone, name, [], []
        self.pc = aiortc.RTCPeerConnection()
        self.pc.addTrack(Tone(hz))
        self.pc.on("track", lambda track: asyncio.ensure_future(collect(track, self.frames)))

    def types(self):
        return [m["type"] for m in self.said]

    def last(self, kind):
        return next((m for m in reversed(self.said) if m["type"] == kind), None)

    async def gets(self, kind, **members):
        """The first message of this type with these members."""
        try:
            return await until(lambda: next((m for m in self.said if m["type"] == kind and members.items() <= m.items()), None), f"{kind} {members}")
        except AssertionError as e:
            raise AssertionError(f"{e}; came: {[{k: v for k, v in m.items() if k != 'sdp'} for m in self.said]}") from e

    async def hears(self, hz):
        """From now on."""
        def there():  # strongest_hz counts by 48 kHz
            return len(self.frames) >= 20 and abs(strongest_hz(self.frames) * self.frames[-1].sample_rate / 48000 - hz) < 12
        self.frames.clear()
        await until(there, f"{hz} Hz at {self.phone.name}")

    async def do(self, kind, **members):
        await self.phone.tell(type=kind, call=self.name, **members)

    async def accept(self):
        await self.pc.setRemoteDescription(aiortc.RTCSessionDescription(self.last("incoming")["sdp"], "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        await self.do("accept", sdp=self.pc.localDescription.sdp)

    async def hang_up(self):
        await self.do("hangup")
        await self.pc.close()


class RoomPhone(Client):
    def __init__(self, url, name, hz=440, room=None):
        super().__init__(url, room or f"phone-{name}", name)
        self.hz, self.calls, self.registrations = hz, {}, []

    async def hear(self, ws, m, moving):
        fresh = m.get("seq") is None or m["seq"] > self.seq
        await super().hear(ws, m, moving)
        if not fresh:
            return
        if m["type"] == "registered":
            self.registrations.append(m)
        elif "call" in m:
            leg = self.calls.get(m["call"])
            if not leg and m["type"] == "incoming":
                leg = self.calls[m["call"]] = Leg(self, m["call"], self.hz)
            if leg:
                leg.said.append(m)
                if m["type"] in ("accepted", "progress") and "sdp" in m:
                    await leg.pc.setRemoteDescription(aiortc.RTCSessionDescription(m["sdp"], "answer"))

    async def tell(self, **message):
        """A numbered message, kept until the server has it."""
        self.last_id += 1
        text = json.dumps({"id": self.last_id, **message})
        self.unacked[self.last_id] = text
        if self.ws and self.joined.is_set():
            await self.send(self.ws, text)

    async def register(self, **members):
        """What the server says to it."""
        n = len(self.registrations)
        await self.tell(type="register", **members)
        return await until(lambda: len(self.registrations) > n and self.registrations[-1], "registered")

    async def call(self, number):
        leg = Leg(self, f"c{len(self.calls)}", self.hz)
        self.calls[leg.name] = leg
        await leg.pc.setLocalDescription(await leg.pc.createOffer())
        await leg.do("call", number=number, sdp=leg.pc.localDescription.sdp)
        return leg

    async def rings(self, n=1):
        """Its n-th incoming call."""
        def incoming():
            legs = [leg for leg in self.calls.values() if "incoming" in leg.types()]
            return len(legs) >= n and legs[n - 1]
        return await until(incoming, f"{self.name} to ring")

    async def stop(self):
        await asyncio.gather(*(leg.pc.close() for leg in self.calls.values()))
        await super().stop()
