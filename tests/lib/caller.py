"""tests/lib/caller.py: a telephone that calls a number of a running server without a password, and talks: SIP by tests/lib/sip.py,
media by tests/lib/phone.py. Everything is in the running loop; what waits for SIP does so in a thread."""
import asyncio
import re

from phone import Phone, share_at
from sip import Phone as UserAgent
from sip import Udp, token

import numpy


class Caller:
    def __init__(self, s, name, codec="pcmu", hz=0, **how):
        self.ua = UserAgent(Udp(("127.0.0.1", s.port("sip"))), name)
        self.media, self.name = Phone(codec, hz, **how), name
        self.to = self.bye = None

    def lines(self, n, method):
        return [f"From: \"{self.name}\" <sip:{self.name}@sluice>;tag={self.tag}", f"To: {self.to}", f"Call-ID: {self.call_id}",
                f"CSeq: {n} {method}", f"Contact: <{self.ua.contact}>"]

    def begin(self, number):
        self.tag, self.call_id, self.to = token(), token(16), f"<sip:{number}@sluice>"
        self.uri = f"sip:{number}@sluice"
        self.branch = token(12)
        self.ua.request("INVITE", self.uri, self.lines(1, "INVITE"), self.media.sdp(), self.branch)

    def _answered(self, m):
        self.to = m.get("To")
        self.target = re.search("<(.*?)>", m.get("Contact", f"<{self.uri}>")).group(1)
        self.ua.request("ACK", self.target if m.status < 300 else self.uri, self.lines(1, "ACK"), branch=None if m.status < 300 else self.branch)
        if m.status < 300 and not self.media.task:
            self.media.take(m.body).start()
        return m

    async def call(self, number):
        """Is answered, and talks."""
        self.begin(number)
        m = await self.final()
        assert m.status == 200, m
        return self

    async def early(self, number):
        """Hears what comes before an answer."""
        self.begin(number)
        m = await asyncio.to_thread(self.ua.expect, 183)
        self.media.take(m.body).start()
        return self

    async def final(self):
        m = await asyncio.to_thread(self.ua.expect, lambda m: m.status >= 200 and m.get("CSeq") == "1 INVITE")
        return self._answered(m)

    async def answer(self):
        """Is called, and answers at once."""
        m = await asyncio.to_thread(self.ua.expect, "INVITE", 15)
        self.tag, self.call_id, self.to = token(), m.get("Call-ID"), m.get("From")
        self.target = re.search("<(.*?)>", m.get("Contact")).group(1)
        body = self.media.take(m.body).sdp()
        self.ua.reply(m, 200, "OK", [f"Contact: <{self.ua.contact}>"], body, tag=self.tag)
        await asyncio.to_thread(self.ua.expect, "ACK")
        self.media.start()

    async def renewed(self, limit=10):
        """The server offers anew: it goes on from there, to another address. The request."""
        m = await asyncio.to_thread(self.ua.expect, "INVITE", limit)
        body = self.media.take(m.body).sdp()
        self.ua.reply(m, 200, "OK", [f"Contact: <{self.ua.contact}>"], body)
        await asyncio.to_thread(self.ua.expect, "ACK")
        return m

    async def refer(self, number):
        """The other side shall go there; it is let go itself when that has worked."""
        self.ua.request("REFER", self.target, [*self.lines(5, "REFER"), f"Refer-To: <sip:{number}@sluice>"])
        m = await asyncio.to_thread(self.ua.expect, lambda m: m.get("CSeq") == "5 REFER")
        assert m.status == 202, m
        m = await asyncio.to_thread(self.ua.expect, lambda m: m.method == "NOTIFY" and "100" not in m.body)
        self.ua.reply(m, 200, "OK")
        return m.body

    async def ended(self, limit=10):
        """The server hangs up; the value of Reason."""
        m = await asyncio.to_thread(self.ua.expect, "BYE", limit)
        self.ua.reply(m, 200, "OK")
        self.bye = m
        return m.get("Reason", "")

    async def hangup(self, n=9):
        self.ua.request("BYE", self.target, self.lines(n, "BYE"))
        m = await asyncio.to_thread(self.ua.expect, lambda m: m.get("CSeq") == f"{n} BYE")
        assert m.status == 200, m
        self.bye = m

    async def press(self, digits):
        await self.media.press(digits)

    def share(self, hz, ms=200):
        """How much of what it heard last is that tone, of 1."""
        n = self.media.speech.hz * ms // 1000
        samples = numpy.concatenate(self.media.heard[-40:]) if self.media.heard else numpy.zeros(0)
        return share_at(samples[-n:], self.media.speech.hz, hz) if len(samples) >= n else 0

    def close(self):
        self.media.close()
        self.ua.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        self.close()
