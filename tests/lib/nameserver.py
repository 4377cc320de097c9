"""tests/lib/nameserver.py: a name server for tests, on loopback: A, SRV and NAPTR records from a table, which a test may change at any time.
What it does not have does not exist."""
import socket
import struct
import threading

A, SRV, AAAA, NAPTR = 1, 33, 28, 35


def name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".") if p) + b"\0"


def text(s):
    return bytes([len(s)]) + s.encode()


def rdata(kind, value):
    if kind == A:
        return socket.inet_aton(value)
    if kind == SRV:
        priority, weight, port, target = value
        return struct.pack("!HHH", priority, weight, port) + name(target)
    order, preference, flags, service, replacement = value
    return struct.pack("!HH", order, preference) + text(flags) + text(service) + text("") + name(replacement)


class Dns:
    """.records: {(name, kind): [values]}; .asked: (name, kind) in order."""

    def __init__(self, records, ttl=300):
        self.records, self.ttl, self.asked = dict(records), ttl, []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, client = self.sock.recvfrom(4096)
            except OSError:
                return
            self.sock.sendto(self.answer(query), client)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        question, (kind,) = query[12:at + 5], struct.unpack("!H", query[at + 1:at + 3])
        key = (".".join(labels), kind)
        self.asked.append(key)
        values = self.records.get(key, [])
        known = any(n == key[0] for n, _ in self.records)
        head = query[:2] + struct.pack("!HHHHH", 0x8580 | (0 if known else 3), 1, len(values), 0, 0)
        answers = b""
        for v in values:
            data = rdata(kind, v)
            answers += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(data)) + data
        return head + question + answers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
