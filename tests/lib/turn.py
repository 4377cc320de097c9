"""tests/lib/turn.py: a small TURN client (RFC 8656) for process tests: blocking control dialogue, plain data path.

Written from the RFC, independent of the server's code on purpose. One object is one 5-tuple over UDP (or a framed stream).
"""
import array
import base64
import fcntl
import hashlib
import hmac
import os
import select
import socket
import struct
import subprocess
import termios
import time
import zlib

from sluice import SLOW

COOKIE = 0x2112A442
ALLOCATE, REFRESH, SEND, DATA, PERMISSION, CHANNEL, BINDING = 3, 4, 6, 7, 8, 9, 1
CONNECT, CONNECTION_BIND, CONNECTION_ATTEMPT = 10, 11, 12
USERNAME, INTEGRITY, ERROR, CHANNEL_NUMBER, LIFETIME, PEER, DATA_ATTR = 0x06, 0x08, 0x09, 0x0C, 0x0D, 0x12, 0x13
INTEGRITY_SHA256, ALGORITHM, USERHASH, ALGORITHMS = 0x1C, 0x1D, 0x1E, 0x8002
CONNECTION_ID, TICKET = 0x2A, 0x8030
REALM, NONCE, RELAYED, FAMILY, TRANSPORT, MAPPED, FINGERPRINT = 0x14, 0x15, 0x16, 0x17, 0x19, 0x20, 0x8028


class TurnError(Exception):
    def __init__(self, code, method, attrs=None):
        super().__init__(f"method {method}: {code}")
        self.code, self.attrs = code, attrs


def rest_credentials(secret, name="test", ttl=3600):
    user = f"{int(time.time()) + ttl}:{name}"
    return user, base64.b64encode(hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()).decode()


def attr(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def xor_addr(addr, txid):
    host, port = addr[0], addr[1]
    v6 = ":" in host
    raw = socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, host)
    key = struct.pack("!I", COOKIE) + txid
    return struct.pack("!BBH", 0, 2 if v6 else 1, port ^ (COOKIE >> 16)) + bytes(a ^ b for a, b in zip(raw, key))


def unxor_addr(value, txid):
    family, port = value[1], struct.unpack("!H", value[2:4])[0] ^ (COOKIE >> 16)
    key = struct.pack("!I", COOKIE) + txid
    raw = bytes(a ^ b for a, b in zip(value[4:], key))
    return socket.inet_ntop(socket.AF_INET6 if family == 2 else socket.AF_INET, raw), port


def parse(data):
    """(type, txid, {attr: first value}) of a STUN message, None for anything else."""
    if len(data) < 20 or data[0] & 0xC0 or struct.unpack("!I", data[4:8])[0] != COOKIE:
        return None
    attrs, at = {}, 20
    while at + 4 <= len(data):
        kind, n = struct.unpack("!HH", data[at:at + 4])
        attrs.setdefault(kind, data[at + 4:at + 4 + n])
        at += 4 + n + (-n % 4)
    return struct.unpack("!H", data[:2])[0], data[8:20], attrs


def message(kind, attrs=b"", txid=None, key=None, fingerprint=False, sha256=False):
    txid = txid or os.urandom(12)
    if key and sha256:
        head = struct.pack("!HHI", kind, len(attrs) + 36, COOKIE) + txid
        attrs += attr(INTEGRITY_SHA256, hmac.new(key, head + attrs, hashlib.sha256).digest())
    elif key:
        head = struct.pack("!HHI", kind, len(attrs) + 24, COOKIE) + txid
        attrs += attr(INTEGRITY, hmac.new(key, head + attrs, hashlib.sha1).digest())
    if fingerprint:
        head = struct.pack("!HHI", kind, len(attrs) + 8, COOKIE) + txid
        attrs += attr(FINGERPRINT, struct.pack("!I", zlib.crc32(head + attrs) ^ 0x5354554E))
    return struct.pack("!HHI", kind, len(attrs), COOKIE) + txid + attrs


class Stream:
    """What TurnClient wants of a socket, over a connection: one frame is one datagram."""

    def __init__(self, sock):
        self.sock, self.held = sock, b""

    def settimeout(self, t):
        self.sock.settimeout(t)

    def gettimeout(self):
        return self.sock.gettimeout()

    def sendto(self, data, _):
        self.sock.sendall(data + bytes(-len(data) % 4))

    def recv(self, _):
        while True:
            if len(self.held) >= 4:
                n = struct.unpack("!H", self.held[2:4])[0]
                whole = 4 + n + (-n % 4) if self.held[0] & 0x40 else 20 + n
                if len(self.held) >= whole:
                    frame, self.held = self.held[:whole], self.held[whole:]
                    return frame
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.held += more

    def close(self):
        self.sock.close()


class TurnClient:
    def __init__(self, server, user="lab", password="labpass", sock=None, timeout=2.0, tries=4, modern=False):
        self.server, self.user, self.password = server, user, password
        self.modern, self.algorithms = modern, None  # modern: RFC 8489, what the server offers of it; else RFC 5389
        self.sock = sock or socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(timeout)
        self.tries = tries
        self.realm = self.nonce = self.relayed = self.ticket = None
        self.backlog = []  # data that arrived while an answer was awaited

    def key(self):
        digest = hashlib.sha256 if self.uses_sha256() else hashlib.md5
        return digest(b":".join((self.user.encode(), self.realm, self.password.encode()))).digest()

    def uses_sha256(self):
        return self.modern and self.algorithms is not None and self.algorithms[:2] == b"\0\2"

    def features(self):
        cookie = self.nonce[:9] == b"obMatJos2"
        return int.from_bytes(base64.b64decode(self.nonce[9:13]), "big") if self.modern and cookie else 0

    def credentials(self):
        features = self.features()
        assert bool(features & 1) == (self.modern and self.algorithms is not None), "bid down"
        name = attr(USERNAME, self.user.encode())
        if features & 2:
            name = attr(USERHASH, hashlib.sha256(self.user.encode() + b":" + self.realm).digest())
        chosen = attr(ALGORITHM, self.algorithms[:4]) + attr(ALGORITHMS, self.algorithms) if features & 1 else b""
        return name + attr(REALM, self.realm) + attr(NONCE, self.nonce) + chosen

    def request(self, method, attrs=b"", auth=True):
        """Sends until answered; answers 401 and 438 with credentials. Returns the attributes of the success."""
        for attempt in range(3):
            txid = os.urandom(12)
            extra = b""
            signed = auth and self.nonce
            if signed:
                extra = self.credentials()
            body = attrs(txid) if callable(attrs) else attrs
            out = message(method, body + extra, txid, self.key() if signed else None, sha256=self.uses_sha256())
            kind, got = self.exchange(out, txid)
            if signed and kind & 0x110 == 0x100:
                assert (INTEGRITY_SHA256 in got) == self.uses_sha256() and (INTEGRITY in got) != self.uses_sha256()
            if kind & 0x110 == 0x100:
                return got
            code = got[ERROR][2] * 100 + got[ERROR][3]
            if code in (401, 438) and auth and attempt < 2 and (code == 438 or not signed):
                self.realm, self.nonce, self.algorithms = got[REALM], got[NONCE], got.get(ALGORITHMS)
                continue
            raise TurnError(code, method, got)
        raise TurnError(401, method)

    def exchange(self, out, txid):
        """Over datagrams it is sent again; the answer may come whenever, as long as all tries together last."""
        patience, now = self.sock.gettimeout(), time.monotonic()
        end, again, pause = now + patience * self.tries, now, min(patience, 5 * SLOW)
        try:
            while (now := time.monotonic()) < end:
                if now >= again:
                    self.sock.sendto(out, self.server)
                    again = end if isinstance(self.sock, Stream) else now + pause
                self.sock.settimeout(max(0.01, min(again, end) - now))
                try:
                    data = self.sock.recv(65536)
                except TimeoutError:
                    continue
                m = parse(data)
                if m and m[1] == txid:
                    return m[0], m[2]
                self.backlog.append(data)
        finally:
            self.sock.settimeout(patience)
        raise TimeoutError(f"no answer from {self.server}")

    def binding(self):
        got = self.request(BINDING, auth=False)
        return got

    def allocate(self, lifetime=None, family=None, transport=17, mobile=False):
        body = attr(TRANSPORT, bytes([transport, 0, 0, 0]))
        if mobile:
            body += attr(TICKET, b"")
        if lifetime is not None:
            body += attr(LIFETIME, struct.pack("!I", lifetime))
        if family:
            body += attr(FAMILY, bytes([family, 0, 0, 0]))
        txid = {}

        def attrs(t):
            txid["last"] = t
            return body
        got = self.request(ALLOCATE, attrs)
        self.relayed = unxor_addr(got[RELAYED], txid["last"])
        self.lifetime = struct.unpack("!I", got[LIFETIME])[0]
        self.ticket = got.get(TICKET)
        return self.relayed

    def refresh(self, lifetime=600, ticket=None):
        body = attr(LIFETIME, struct.pack("!I", lifetime))
        got = self.request(REFRESH, body + attr(TICKET, ticket) if ticket is not None else body)
        self.ticket = got.get(TICKET, self.ticket)
        return struct.unpack("!I", got[LIFETIME])[0]

    def permit(self, *peers):
        self.request(PERMISSION, lambda t: b"".join(attr(PEER, xor_addr(p, t)) for p in peers))

    # ---- TCP relays (RFC 6062)

    def connect(self, peer):
        return self.request(CONNECT, lambda t: attr(PEER, xor_addr(peer, t)))[CONNECTION_ID]

    def connection_attempt(self):
        """(connection id, peer) of the next indication that a peer has connected."""
        while True:
            m = parse(self.backlog.pop(0) if self.backlog else self.sock.recv(65536))
            if m and m[0] == 0x10 | CONNECTION_ATTEMPT:
                return m[2][CONNECTION_ID], unxor_addr(m[2][PEER], m[1])

    def connection_bind(self, connection):
        """Over a stream of its own, which carries the peer's bytes from then on."""
        self.request(CONNECTION_BIND, attr(CONNECTION_ID, connection))
        return self.sock

    def bind(self, channel, peer):
        self.request(CHANNEL, lambda t: attr(CHANNEL_NUMBER, struct.pack("!HH", channel, 0)) + attr(PEER, xor_addr(peer, t)))

    def send_channel(self, channel, data):
        self.sock.sendto(struct.pack("!HH", channel, len(data)) + data, self.server)

    def send_indication(self, peer, data):
        txid = os.urandom(12)
        self.sock.sendto(message(0x10 | SEND, attr(PEER, xor_addr(peer, txid)) + attr(DATA_ATTR, data), txid), self.server)

    def receive(self):
        """(channel or peer, payload) of the next relayed packet."""
        while True:
            data = self.backlog.pop(0) if self.backlog else self.sock.recv(65536)
            if data[0] & 0xC0 == 0x40:
                channel, n = struct.unpack("!HH", data[:4])
                return channel, data[4:4 + n]
            m = parse(data)
            if m and m[0] == 0x10 | DATA:
                return unxor_addr(m[2][PEER], m[1]), m[2][DATA_ATTR]

    def close(self):
        self.sock.close()


class Dtls:
    """What TurnClient wants of a socket, over DTLS: `openssl s_client` shakes hands; a frame is a datagram of its own."""

    def __init__(self, server, *options, timeout=3.0):
        host = f"[{server[0]}]" if ":" in server[0] else server[0]
        self.proc = subprocess.Popen(["openssl", "s_client", "-dtls1_2", "-quiet", "-no_ign_eof", "-connect", f"{host}:{server[1]}",
                                      *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        self.timeout, self.held = timeout, b""

    def settimeout(self, t):
        self.timeout = t

    def gettimeout(self):
        return self.timeout

    def fileno(self):
        return self.proc.stdout.fileno()

    def sendto(self, data, _):
        """Waits until s_client has read it: two writes that meet in the pipe would be one record."""
        self.proc.stdin.write(data)
        unread = array.array("i", [1])
        while unread[0] and self.proc.poll() is None:
            fcntl.ioctl(self.proc.stdin, termios.FIONREAD, unread)

    def recv(self, _):
        while True:
            n = len(self.held) >= 4 and struct.unpack("!H", self.held[2:4])[0] + (4 if self.held[0] & 0x40 else 20)
            if n and len(self.held) >= n:
                frame, self.held = self.held[:n], self.held[n:]
                return frame
            if not select.select([self.proc.stdout], [], [], self.timeout)[0]:
                raise TimeoutError("nothing came")
            more = self.proc.stdout.read(65536)
            if not more:
                raise ConnectionError("closed")
            self.held += more

    def close(self):
        """With close_notify, which s_client says at the end of its input."""
        self.proc.stdin.close()
        self.proc.wait()
        self.proc.stdout.close()
