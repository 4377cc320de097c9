"""tests/lib/spaces.py: network namespaces for one test: its own, and one at the other end of each veth pair.

    enter()                                    # this program again, alone with its interfaces; skips where that is not possible
    with Space("west", "192.0.2.1/24", "client", "192.0.2.9/24") as clients:
        with clients: s = socket.socket(...)   # a socket that lives over there

The test's process stays in its own namespace but for the blocks that say otherwise; a socket belongs to the namespace it was made in.
"""
import ctypes
import os
import subprocess
import sys

from sluice import skip

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def enter():
    if os.environ.get("TEST_IN_SPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        skip("no right to make network namespaces here")
    os.environ["TEST_IN_SPACE"] = "1"
    os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])


def ip(*words, inside=None):
    where = ["nsenter", "-t", str(inside), "-n"] if inside else []
    subprocess.run([*where, "ip", *words], check=True)


class Space:
    """`here` and `there` are the names of the ends; addresses with their prefix length, further ones in `more` as (here, there)."""

    def __init__(self, here, here_addr, there, there_addr, more=()):
        self.here, self.there = here, there
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo up; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        ip("link", "add", here, "type", "veth", "peer", "name", there)
        ip("link", "set", there, "netns", str(self.holder.pid))
        for mine, theirs in [(here_addr, there_addr), *more]:
            self.address(mine, theirs)
        ip("link", "set", here, "up")
        ip("link", "set", "lo", "up", inside=self.holder.pid)
        ip("link", "set", there, "up", inside=self.holder.pid)
        self.home, self.away = (os.open(f"/proc/{p}/ns/net", os.O_RDONLY) for p in ("self", self.holder.pid))

    def address(self, mine, theirs):
        nodad = ["nodad"] if ":" in mine else []
        ip("addr", "add", mine, "dev", self.here, *nodad)
        ip("addr", "add", theirs, "dev", self.there, *nodad, inside=self.holder.pid)

    def ip(self, *words):
        ip(*words, inside=self.holder.pid)

    def __enter__(self):
        self.set(self.away)
        return self

    def __exit__(self, *_):
        self.set(self.home)

    @staticmethod
    def set(fd):
        if LIBC.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def close(self):
        ip("link", "del", self.here)
        self.holder.stdin.close()
        self.holder.wait()
        os.close(self.home)
        os.close(self.away)
