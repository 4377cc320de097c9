"""tests/lib/rooms.py: a signalling client that never gives up, for process tests: numbers what it says, resumes, joins anew.

Written from the protocol's description, independent of the server and of sluice.js on purpose. After `reconnect` it opens its next
socket before the old one is gone, as a page would. What it heard is kept per own id and sender, so that losses show as gaps.
"""
import asyncio
import json
import random

try:
    import websockets
except ImportError:
    from sluice import skip
    skip("python3-websockets is missing")

ACK_EVERY = 8
CLOSE_LOST = 4999  # not on purpose: the peer stays and may be resumed


class Client:
    def __init__(self, url, room, name, seed=0):
        self.url, self.room, self.name = url, room, name
        self.rng = random.Random(f"{seed} {name}")
        self.id = self.token = self.ws = None
        self.seq = self.last_id = self.said = 0
        self.unacked = {}  # number -> text, in order
        self.heard = {}  # (own id, sender) -> [n, ...]
        self.notices = []  # (type, peer's id, reason)
        self.errors, self.gaps = [], []
        self.connects = self.resumes = self.joins = self.moves = self.resumes_failed = 0
        self.joined = asyncio.Event()
        self.task = None
        self.sockets, self.readers = [], set()  # of the one in use, and of one that is about to go

    # ---- life

    async def start(self):
        self.task = asyncio.create_task(self.run())
        await asyncio.wait_for(self.joined.wait(), 30)
        return self

    async def run(self):
        pause = 0.05
        while True:
            try:
                ws = await websockets.connect(self.url, ping_interval=None, compression=None, max_queue=None, open_timeout=10)
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                await asyncio.sleep(pause * (1 + self.rng.random()))
                pause = min(pause * 2, 1)
                continue
            pause = 0.05
            await self.serve(ws)

    async def serve(self, ws):
        """One socket until its end, or until it told us to move to the next one."""
        self.connects += 1
        self.sockets = [*self.sockets[-1:], ws]
        self.joined.clear()
        moving = asyncio.Event()
        reader = asyncio.create_task(self.read(ws, moving))
        self.readers.add(reader)
        reader.add_done_callback(self.readers.discard)
        try:
            await ws.send(json.dumps({"type": "hello", "version": 1}))
            await ws.send(json.dumps({"type": "resume", "token": self.token, "seq": self.seq} if self.token else
                                     {"type": "join", "room": self.room, "name": self.name}))
        except websockets.ConnectionClosed:
            pass
        mover = asyncio.create_task(moving.wait())
        try:
            await asyncio.wait({reader, mover}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            mover.cancel()
        if reader.done():
            reader.result()

    async def stop(self):
        self.task.cancel()
        for ws in self.sockets:
            await ws.close()

    async def drop(self):
        """Loses the socket as a network would."""
        await self.ws.close(CLOSE_LOST)

    # ---- hearing

    async def read(self, ws, moving):
        try:
            async for text in ws:
                await self.hear(ws, json.loads(text), moving)
        except websockets.ConnectionClosed:
            pass
        finally:
            if self.ws is ws:
                self.ws = None
                self.joined.clear()

    async def hear(self, ws, m, moving):
        seq = m.get("seq")
        if seq is not None:
            if seq <= self.seq:  # came by the old socket and is replayed on the new one
                return
            if seq != self.seq + 1:
                self.gaps.append((self.id, self.seq, seq))
            self.seq = seq
        handler = getattr(self, "on_" + m["type"], None)
        if handler:
            await handler(ws, m, moving)
        if seq is not None and seq % ACK_EVERY == 0:  # last: on a socket that closes this waits, and the other one's reader goes on
            await self.send(ws, {"type": "ack", "seq": seq})

    async def on_welcome(self, ws, m, _):
        if m["resumed"]:
            self.resumes += 1
            self.unacked = {n: t for n, t in self.unacked.items() if n > m["last"]}
        else:
            self.joins += 1
            self.seq, self.unacked = 0, {}
        self.id, self.token, self.ws = m["self"]["id"], m["token"], ws
        done = 0
        while left := [n for n in self.unacked if n > done]:  # more may be said meanwhile
            done = left[0]
            await self.send(ws, self.unacked[done])
        if self.ws is ws:
            self.joined.set()

    async def on_message(self, ws, m, _):
        self.heard.setdefault((self.id, m["from"]), []).append(m["n"])

    async def on_ack(self, ws, m, _):
        self.unacked.pop(m["id"], None)

    async def on_joined(self, ws, m, _):
        self.notices.append(("joined", m["peer"]["id"], None))

    async def on_left(self, ws, m, _):
        self.notices.append(("left", m["peer"]["id"], m["reason"]))

    async def on_restart(self, ws, m, _):
        self.notices.append(("restart", None, m["reason"]))

    async def on_reconnect(self, ws, m, moving):
        self.moves += 1
        asyncio.get_running_loop().call_later(self.rng.random() * m["within"] / 1000, moving.set)

    async def on_error(self, ws, m, _):
        if m["code"] == "resume_failed":
            self.resumes_failed += 1
            self.token = None
            await self.send(ws, {"type": "join", "room": self.room, "name": self.name})
        elif m["code"] == "server_error" and ws is not self.ws:  # it could not let us in just now
            await ws.close(CLOSE_LOST)
        elif m["code"] not in ("replaced", "not_joined"):  # of the old socket
            self.errors.append(m)

    # ---- speaking

    async def send(self, ws, m):
        try:
            await ws.send(m if isinstance(m, str) else json.dumps(m))
        except websockets.ConnectionClosed:
            pass

    async def say(self):
        """The next numbered message to the room; kept until the server has it."""
        self.last_id += 1
        text = json.dumps({"type": "message", "id": self.last_id, "n": self.said})
        self.said += 1
        self.unacked[self.last_id] = text
        if self.ws and self.joined.is_set():
            await self.send(self.ws, text)
