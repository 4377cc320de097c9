"""tests/lib/http_rooms.py: the test module of tests/integration/http_rooms, built into a folder, and small HTTP helpers."""
import os
import socket
import ssl
import subprocess

from sluice import OBJS, SRC, free_port  # noqa: F401  (free_port: for those who import everything from here)

SOURCE = os.path.join(SRC, "tests/integration/http_rooms/rooms.c")


def build(directory, source=SOURCE):
    """The source's module (rooms.so) in directory; returns the module_path line of a configuration. In a tree with sanitizers with the
    same flags."""
    module = os.path.join(directory, os.path.basename(source).replace(".c", ".so"))
    flags = ["-fsanitize=address,undefined"] if os.environ.get("SLUICE_ASAN") else []
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-shared",
                    *flags, "-I" + os.path.join(SRC, "core/include"), "-o", module, source], check=True)
    return f'module_path: ["{directory}", "{OBJS}/modules"]'


def tls_context(alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def connect(port, tls=None, timeout=10):
    """A connected socket; tls: an SSLContext."""
    sock = socket.create_connection(("127.0.0.1", port), timeout)
    return tls.wrap_socket(sock, server_hostname="localhost") if tls else sock


def exchange(port, data, tls=None, timeout=10):
    """Everything that the server says to these bytes until it closes or says nothing for timeout seconds."""
    sock, out = connect(port, tls, timeout), b""
    with sock:
        try:
            sock.sendall(data)
            while True:
                more = sock.recv(65536)
                if not more:
                    return out
                out += more
        except (TimeoutError, ConnectionError):
            return out


def request(path="/", method="GET", headers=(), body=b"", version="1.1", close=True):
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Response:
    """One response out of bytes; rest: what follows it."""

    def __init__(self, data, head_only=False):
        head, _, after = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        assert lines[0].startswith("HTTP/1.1 "), data[:200]
        self.status = int(lines[0].split()[1])
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        length = 0 if head_only or self.status in (204, 304) else int(self.headers["content-length"])
        self.body, self.rest = after[:length], after[length:]
        assert len(self.body) == length, (length, len(self.body))


def get(port, path="/", tls=None, **kw):
    return Response(exchange(port, request(path, **kw), tls), head_only=kw.get("method") == "HEAD")
