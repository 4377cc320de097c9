"""tests/lib/hep.py: a collector of HEP version 3 (https://github.com/sipcapture/HEP): what it is told, chunk by chunk."""
import json
import socket
import struct
import threading

SIP, RTCP, LOG = 1, 5, 100


class Told:
    """One packet: what kind, from where to where, under which Call-ID."""

    def __init__(self, data):
        assert data[:4] == b"HEP3" and len(data) == struct.unpack("!H", data[4:6])[0], data[:16]
        chunks, at = {}, 6
        while at < len(data):
            vendor, kind, n = struct.unpack("!HHH", data[at:at + 6])
            assert vendor == 0 and 6 <= n <= len(data) - at, (vendor, kind, n)
            chunks[kind] = data[at + 6:at + n]
            at += n
        v6 = chunks[1][0] == socket.AF_INET6
        self.kind, self.protocol = chunks[11][0], chunks[2][0]
        self.source, self.to = ((socket.inet_ntop(socket.AF_INET6 if v6 else socket.AF_INET, chunks[ip]), struct.unpack("!H", chunks[port])[0])
                                for ip, port in ((5 if v6 else 3, 7), (6 if v6 else 4, 8)))
        self.call_id = chunks.get(17, b"").decode()
        self.payload = chunks[15]
        self.json = json.loads(self.payload) if self.kind != SIP else None

    def __repr__(self):
        return f"{self.kind} {self.source} {self.to} {self.call_id} {self.payload[:300]}"


class Collector:
    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port, self.told = self.sock.getsockname()[1], []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            self.told.append(Told(self.sock.recv(65535)))

    def of(self, kind, call_id=None):
        return [t for t in list(self.told) if t.kind == kind and call_id in (None, t.call_id)]
