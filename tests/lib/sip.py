"""tests/lib/sip.py: a SIP user agent for tests, written from the RFCs: messages as text over UDP, TCP or a WebSocket, digests, and
enough of dialogs to call and to be called. Nothing here is lenient: what a phone could stumble over fails the test."""
import base64
import contextlib
import hashlib
import os
import random
import re
import socket
import ssl
import struct
import time

SLOW = 5 if os.environ.get("SLUICE_ASAN") else 1  # patience with instrumented binaries
PATIENCE = 2 * SLOW + 1  # as in sluice.py, which this file does without
T1 = 1.0  # seconds until a datagram that nothing answers is sent again: twice RFC 3261's, for machines that are busy
rng = random.Random(7)


def octets(text):
    """What is sent may be text or, where it is no text, bytes."""
    return text if isinstance(text, bytes) else text.encode()


def token(n=8):
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(n))


class Message:
    """A parsed message: .status or .method and .uri, headers in order, .body."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        self.first, self.method, self.uri, self.status = lines[0], None, None, 0
        if lines[0].startswith("SIP/2.0 "):
            self.status = int(lines[0].split(" ", 2)[1])
        else:
            self.method, self.uri, version = lines[0].split(" ")
            assert version == "SIP/2.0", lines[0]
        self.headers = [(n.strip(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
        assert int(self.get("Content-Length", "0")) == len(self.body.encode()), text

    def get(self, name, default=None):
        return next((v for n, v in self.headers if n.lower() == name.lower()), default)

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def tag(self, name):
        found = re.search(r";tag=([^;>\s]+)", self.get(name))
        return found.group(1) if found else None

    def __repr__(self):
        return f"<{self.first}>"


class Udp:
    via = "UDP"

    def __init__(self, server, host="127.0.0.1", port=0):
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, port))
        self.server, self.here = server, self.sock.getsockname()[:2]

    def send(self, text):
        self.sock.sendto(octets(text), self.server)

    def recv(self, timeout):
        self.sock.settimeout(timeout)
        data = self.sock.recv(65536)
        return "" if data[:1] > b"\x7f" else data.decode(errors="replace")  # RTCP for a phone at the port below

    def close(self):
        self.sock.close()


class Tcp:
    via = "TCP"

    def __init__(self, server, tls=False):
        self.sock = socket.create_connection(server)
        self.here, self.data = self.sock.getsockname()[:2], b""
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock, self.via = context.wrap_socket(self.sock), "TLS"

    def send(self, text):
        self.sock.sendall(octets(text))

    def recv(self, timeout):
        self.sock.settimeout(timeout)
        while True:
            self.data = self.data.lstrip(b"\r\n")
            head, found, rest = self.data.partition(b"\r\n\r\n")
            if found:
                n = int(re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head).group(1))
                if len(rest) >= n:
                    self.data = rest[n:]
                    return (head + found + rest[:n]).decode(errors="replace")
            more = self.sock.recv(65536)
            if not more:
                raise EOFError("the connection has ended")
            self.data += more

    def close(self):
        self.sock.close()


class WebSocket:
    """RFC 7118 over a client of RFC 6455, as small as it can be."""

    via = "WS"

    def __init__(self, server, path="/sip", protocol="sip"):
        self.sock = socket.create_connection(server)
        self.here, self.data = ("ws" + token() + ".invalid", None), b""
        key = base64.b64encode(os.urandom(16)).decode()
        offer = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n".encode())
        self.sock.settimeout(5)
        while b"\r\n\r\n" not in self.data:
            self.data += self.sock.recv(4096)
        self.answer, _, self.data = self.data.partition(b"\r\n\r\n")
        assert b" 101 " in self.answer.split(b"\r\n")[0], self.answer

    def send(self, text):
        data, mask = octets(text), os.urandom(4)
        n = len(data)
        head = struct.pack("!BB", 0x81, 0x80 | n) if n < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, n)
        self.sock.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def _bytes(self, n):
        while len(self.data) < n:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError("the connection has ended")
            self.data += more
        out, self.data = self.data[:n], self.data[n:]
        return out

    def recv(self, timeout):
        self.sock.settimeout(timeout)
        while True:
            first, n = self._bytes(2)
            if n == 126:
                n, = struct.unpack("!H", self._bytes(2))
            elif n == 127:
                n, = struct.unpack("!Q", self._bytes(8))
            data = self._bytes(n)
            if first & 15 == 8:
                raise EOFError(f"closed {struct.unpack('!H', data[:2])[0]}")
            if first & 15 == 1:
                return data.decode(errors="replace")

    def close(self):
        self.sock.close()


def digest(user, password, challenge, method, uri, n=1):
    """The value of Authorization for a challenge (RFC 7616)."""
    p = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    h = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256, "SHA-512-256": lambda b: hashlib.new("sha512_256", b)}[p.get("algorithm", "MD5")]
    hx = lambda s: h(s.encode()).hexdigest()
    cnonce, nc = token(), f"{n:08x}"
    a1, a2 = hx(f"{user}:{p['realm']}:{password}"), hx(f"{method}:{uri}")
    response = hx(f"{a1}:{p['nonce']}:{nc}:{cnonce}:auth:{a2}")
    return (f'Digest username="{user}", realm="{p["realm"]}", nonce="{p["nonce"]}", uri="{uri}", response="{response}", '
            f'algorithm={p.get("algorithm", "MD5")}, qop=auth, nc={nc}, cnonce="{cnonce}"')


class Phone:
    """A user agent on one transport. Requests are lists of header lines; everything that comes is kept in .log."""

    def __init__(self, wire, user, password="secret", domain="sluice"):
        self.wire, self.user, self.password, self.domain = wire, user, password, domain
        self.call_id, self.cseq, self.tag, self.log, self.waiting = token(16), 0, token(), [], []
        self.unheard = {}  # over UDP: branches of requests that nothing has answered, and answers to INVITE that nothing has acknowledged:
        # [text, when it is sent again, seconds until then]
        self.known = {}  # over UDP: what has come, and what was said to it last
        host, port = wire.here
        transport = "" if wire.via == "UDP" else f";transport={wire.via.lower()}"
        host = f"[{host}]" if ":" in host else host
        self.hostport = f"{host}:{port}" if port else host
        self.contact = f"sip:{user}@{self.hostport}{transport}"

    def via(self, branch=None):
        return f"Via: SIP/2.0/{self.wire.via} {self.hostport};branch=z9hG4bK{branch or token(12)};rport"

    def request(self, method, uri, lines, body="", branch=None, kind="application/sdp"):
        branch = branch or token(12)
        text = "\r\n".join([f"{method} {uri} SIP/2.0", self.via(branch), "Max-Forwards: 70", *lines])
        if body:
            text += f"\r\nContent-Type: {kind}"
        text += f"\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
        self.wire.send(text)
        if self.wire.via == "UDP":
            self._sent(method, branch, text)
        return text

    def _sent(self, method, branch, text):
        """What is lost goes out again: a request by itself, an ACK when what it is for comes again."""
        if method != "ACK":
            self.unheard[branch] = [text, time.monotonic() + T1, T1]
            return
        m = Message(text)
        for key in self.known:
            if key[1:3] == (m.get("Call-ID"), m.get("CSeq").replace("ACK", "INVITE")) and key[3] >= 200:
                self.known[key] = text

    def _again(self):
        """Sends what is due again (RFC 3261 section 17.1); seconds until the next is."""
        now = time.monotonic()
        for one in self.unheard.values():
            if one[1] <= now:
                self.wire.send(one[0])
                one[2] *= 2
                one[1] = now + one[2]
        return min((one[1] for one in self.unheard.values()), default=now + 60) - now

    def reply(self, m, status, reason, lines=(), body="", tag=None):
        to = m.get("To") + (f";tag={tag}" if tag and not m.tag("To") else "")
        text = "\r\n".join([f"SIP/2.0 {status} {reason}", *[f"Via: {v}" for v in m.all("Via")],
                            *[f"Record-Route: {v}" for v in m.all("Record-Route")], f"From: {m.get('From')}", f"To: {to}",
                            f"Call-ID: {m.get('Call-ID')}", f"CSeq: {m.get('CSeq')}", *lines])
        if body:
            text += "\r\nContent-Type: application/sdp"
        text += f"\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
        self.wire.send(text)
        if self.wire.via == "UDP":
            self.known[self._key(m)] = text
            if m.method == "INVITE" and 200 <= status < 300:
                self.unheard[m.get("Call-ID"), m.get("CSeq").split()[0]] = [text, time.monotonic() + T1, T1]

    @staticmethod
    def _key(m):
        return m.get("Via"), m.get("Call-ID"), m.get("CSeq"), m.status, m.tag("To") if m.status else None

    def _is_again(self, m):
        """A message that has come before: what was said to it is said again (RFC 3261 sections 13.2.2.4, 17.2), and nobody sees it twice."""
        if self.wire.via != "UDP" or m.status and m.status < 200:
            return False
        key = self._key(m)
        if key not in self.known:
            self.known[key] = ""
            return False
        if self.known[key]:
            self.wire.send(self.known[key])
        return True

    def _take(self, text):
        """A message that came, None if nothing new did."""
        if not text.strip():
            return None
        m = Message(text)
        if m.status:
            self.unheard.pop(re.search("branch=z9hG4bK([^;,]*)", m.get("Via", "branch=z9hG4bK")).group(1), None)
        elif m.method == "ACK":
            self.unheard.pop((m.get("Call-ID"), m.get("CSeq").split()[0]), None)
        m.again = self._is_again(m)
        return m

    def expect(self, what, timeout=5.0, again=False):
        """The next message that what(message) wants, or whose status or method it is; others wait. again: it may be one that was here already."""
        wants = what if callable(what) else lambda m: what in (m.status, m.method)
        end = time.monotonic() + timeout * PATIENCE
        for m in self.waiting:
            if wants(m):
                self.waiting.remove(m)
                return m
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self.user}: waited {timeout} s for {what}; came: {self.log[-12:]}")
            try:
                text = self.wire.recv(max(0.001, min(left, self._again())))
            except TimeoutError:
                continue
            m = self._take(text)
            if not m or m.again and not again:
                continue
            self.log.append(m)
            if wants(m):
                return m
            self.waiting.append(m)

    def silent(self, seconds):
        """Nothing comes that is new."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                m = self._take(self.wire.recv(left))
                assert not m or m.again, f"something came: {m} {m.headers}"
        return True

    def register(self, expires=300, contact=None, authenticate=True, extra=()):
        """REGISTER, with credentials when it is asked for them; the final answer."""
        uri, authorization = f"sip:{self.domain}", []
        for _ in range(2):
            self.cseq += 1
            self.request("REGISTER", uri, [
                f"From: <sip:{self.user}@{self.domain}>;tag={self.tag}", f"To: <sip:{self.user}@{self.domain}>",
                f"Call-ID: {self.call_id}", f"CSeq: {self.cseq} REGISTER", f"Contact: {contact or f'<{self.contact}>'}",
                f"Expires: {expires}", *extra, *authorization])
            m = self.expect(lambda m: m.status >= 200 and m.get("CSeq") == f"{self.cseq} REGISTER")
            if m.status != 401 or authorization or not authenticate:
                return m
            authorization = ["Authorization: " + digest(self.user, self.password, m.get("WWW-Authenticate"), "REGISTER", uri)]
        return m

    def close(self):
        self.wire.close()
