"""tests/lib/video_phone.py: a telephone with a camera, for tests: what it shows are VP8 packets that no decoder need understand, one for each
picture, with a real header of a key frame (RFC 6386 section 9.1) that says how large they are; so it is known whose picture somebody sees."""
import asyncio
import os
import socket
import struct

from caller import Caller

PLI, FIR, NACK, TMMBR, TMMBN = (206, 1), (206, 4), (205, 1), (205, 3), (205, 4)


class Camera:
    """A socket for both RTP and RTCP; key frames only when they are asked for."""

    def __init__(self, size, feedback, proto="RTP/AVPF", codec="VP8", fps=20, limit=0):
        self.size, self.feedback, self.proto, self.codec, self.fps, self.limit = size, feedback, proto, codec, fps, limit
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.to = self.task = None
        self.ssrc, self.seq, self.ts, self.picture = int.from_bytes(os.urandom(4), "big"), 1000, 77, 0
        self.needs_key, self.direction = True, "sendrecv"
        self.seen = []   # of each packet: seq, ssrc, ts, size of a key frame or None
        self.asked = []  # RTCP feedback that came: (type, fmt), the bytes behind both SSRCs
        self.lose = lambda seq: False  # of what it sends
        self.sent = {}
        asyncio.get_running_loop().add_reader(self.sock, self.on_readable)

    def sdp(self):
        lines = [f"m=video {self.sock.getsockname()[1]} {self.proto} 97", f"a=rtpmap:97 {self.codec}/90000", "a=rtcp-mux", f"a={self.direction}"]
        if self.limit:
            lines.insert(1, f"b=TIAS:{self.limit}")
        return "\r\n".join(lines + [f"a=rtcp-fb:97 {f}" for f in self.feedback] + [""])

    def take(self, sdp):
        """The section of the other side's description; where to send to."""
        self.theirs = sdp[sdp.index("m=video"):]
        self.to = ("127.0.0.1", int(self.theirs.split()[1]))
        self.pt = int(self.theirs.split()[3])
        return self

    def start(self):
        if self.to[1]:
            self.task = asyncio.ensure_future(self.film())
        return self

    async def film(self):
        while True:
            self.shoot()
            await asyncio.sleep(1 / self.fps)

    def shoot(self):
        w, h = self.size
        tag = (0 if self.needs_key else 1) | 1 << 4 | 400 << 5
        head = struct.pack("<I", tag)[:3] + (b"\x9d\x01\x2a" + struct.pack("<HH", w, h) if self.needs_key else b"")
        payload = struct.pack("!BBH", 0x90, 0x80, 0x8000 | self.picture & 0x7fff) + head + bytes(400)
        self.needs_key = False
        self.seq, self.ts, self.picture = self.seq + 1 & 0xffff, self.ts + 90000 // self.fps, self.picture + 1
        packet = struct.pack("!BBHII", 0x80, 0x80 | self.pt, self.seq, self.ts & 0xffffffff, self.ssrc) + payload
        self.sent[self.seq] = packet
        if not self.lose(self.seq):
            self.sock.sendto(packet, self.to)

    def say(self, kind, body=b"", media=None):
        """RTCP feedback behind an empty report."""
        words = 2 + len(body) // 4
        media = (self.seen[-1]["ssrc"] if self.seen else 0) if media is None else media
        self.sock.sendto(struct.pack("!BBHI", 0x80, 201, 1, self.ssrc) +
                         struct.pack("!BBHII", 0x80 | kind[1], kind[0], words, self.ssrc, media) + body, self.to)

    def on_readable(self):
        while True:
            try:
                data = self.sock.recv(2048)
            except (BlockingIOError, OSError):
                return
            if 192 <= data[1] <= 223:
                self.hear(data)
            else:
                self.see(data)

    def hear(self, data):
        while len(data) >= 4:
            kind, n = (data[1], data[0] & 31), 4 * struct.unpack("!H", data[2:4])[0] + 4
            if kind[0] in (205, 206):
                self.asked.append((kind, data[12:n]))
                self.needs_key |= kind in (PLI, FIR)
                if kind == NACK:
                    self.repeat(data[12:n])
            data = data[n:]

    def repeat(self, body):
        """As RFC 4585 has it: the same packet once more."""
        for pid, mask in struct.iter_unpack("!HH", body):
            for seq in (pid, *(pid + 1 + i & 0xffff for i in range(16) if mask >> i & 1)):
                self.sock.sendto(self.sent[seq], self.to)

    def see(self, data):
        _, _, seq, ts, ssrc = struct.unpack("!BBHII", data[:12])
        p, at = data[12:], 1
        if p[0] & 0x80:  # RFC 7741 section 4.2
            at = 2 + (2 if p[1] & 0x80 and p[2] & 0x80 else bool(p[1] & 0x80)) + bool(p[1] & 0x40) + bool(p[1] & 0x30)
        key = p[0] & 0x10 and not p[at] & 1
        self.seen.append({"seq": seq, "ssrc": ssrc, "ts": ts, "size": struct.unpack("<HH", p[at + 6:at + 10]) if key else None})

    def kinds(self):
        return [kind for kind, _ in self.asked]

    def close(self):
        if self.task:
            self.task.cancel()
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()


class VideoPhone(Caller):
    def __init__(self, s, name, hz=0, size=(320, 240), feedback=("nack", "nack pli"), codec="pcmu", **camera):
        super().__init__(s, name, codec, hz)
        self.camera = Camera(size, feedback, **camera)
        sound = self.media.sdp
        self.media.sdp = lambda codecs=None: sound(codecs) + self.camera.sdp()

    def _answered(self, m):
        super()._answered(m)
        if m.status < 300 and "m=video" in m.body:
            self.camera.take(m.body)
            if not self.camera.task:
                self.camera.start()
        return m

    async def reinvite(self, n=3):
        """Its description as it is now, once more; the answer's body."""
        self.ua.request("INVITE", self.target, self.lines(n, "INVITE"), self.media.sdp())
        m = await asyncio.to_thread(self.ua.expect, lambda m: m.status >= 200 and m.get("CSeq") == f"{n} INVITE")
        self.ua.request("ACK", self.target, self.lines(n, "ACK"))
        assert m.status == 200, m
        return m.body

    def close(self):
        self.camera.close()
        super().close()
