"""tests/lib/reports.py: a call between two telephones that say in RTCP what they hear: one with keys, one without."""
import asyncio
import struct

from caller import Caller
from media import until

NTP, LOST = 0xe8f1c2d380000000, 3  # half a second


def report(party, about):
    """SR with one block and a name, from the party's media, to the port for it."""
    m = party.media
    sr = struct.pack("!BBHIQIIIIIIIII", 0x81, 200, 12, m.ssrc, NTP, m.ts & 0xffffffff, 70, 11200, about, 5 << 24 | LOST, 70000, 33, 7, 65536)
    data = sr + struct.pack("!BBHIBB6s", 0x81, 202, 3, m.ssrc, 1, 4, b"n@me\0\0")
    m.sock.sendto(m.seal.protect_rtcp(data) if m.seal else data, (m.to[0], m.to[1] + 1))


async def call(s):
    """Between one with keys and one without, who have heard each other and report."""
    b, a = Caller(s, "1001", "pcma", 300), Caller(s, "ann", "pcma", 440, keyed=True)
    await asyncio.to_thread(b.ua.register)
    a.begin("desk")
    await b.answer()
    assert (await a.final()).status == 200
    await until(lambda: a.share(300) > 0.5 and b.share(440) > 0.5, "them to hear each other")
    for p in (a, b):
        report(p, p.media.packets[0][2])
    return a, b


async def hang_up(a, b):
    await a.hangup()
    await b.ended()
    for p in (a, b):
        p.close()
