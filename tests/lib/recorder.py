"""tests/lib/recorder.py: a session recording server for tests (RFC 7866), written from the RFCs: SIP by tests/lib/sip.py, its two streams by
tests/lib/phone.py. Everything is in the running loop. What it is sent is checked as it comes."""
import asyncio
import re
import socket
import xml.etree.ElementTree as xml

from phone import CODECS, Phone
from sip import Phone as UserAgent
from sip import Udp, token

NS = "{urn:ietf:params:xml:ns:recording:1}"
# The order of elements below <recording> (RFC 7865 section 9)
ORDER = ["datamode", "group", "session", "participant", "stream", "sessionrecordingassoc", "participantsessionassoc", "participantstreamassoc"]


class Metadata:
    """A snapshot: .people {name: (aor, label of the stream that is sent, or None, has left)}."""

    def __init__(self, text):
        self.text, root = text, xml.fromstring(text)
        assert root.tag == NS + "recording", root.tag
        places = [ORDER.index(e.tag.removeprefix(NS)) for e in root]
        assert places == sorted(places), text
        assert root.findtext(NS + "datamode") == "complete", text
        [session] = root.findall(NS + "session")
        self.session = session.get("session_id")
        assert len(self.session) == 24 and session.findtext(NS + "start-time"), text
        labels = {s.get("stream_id"): s.findtext(NS + "label") for s in root.findall(NS + "stream")}
        assert sorted(labels.values()) == ["1", "2"], text
        assert all(e.get("session_id") == self.session for e in root.iter() if e.get("session_id")), text
        self.people, self.heard = {}, {}
        for p in root.findall(NS + "participant"):
            who, name = p.get("participant_id"), p.find(NS + "nameID")
            [part] = [e for e in root.findall(NS + "participantsessionassoc") if e.get("participant_id") == who]
            [streams] = [e for e in root.findall(NS + "participantstreamassoc") if e.get("participant_id") == who]
            assert part.findtext(NS + "associate-time"), text
            sends = streams.findtext(NS + "send")
            key = name.get("aor").split(":")[1].split("@")[0]
            self.people[key] = (name.get("aor"), labels[sends] if sends else None, part.find(NS + "disassociate-time") is not None)


def parts(m):
    """{type: content} of a multipart message."""
    kind, _, rest = m.get("Content-Type").partition(";")
    assert kind == "multipart/mixed" and m.get("MIME-Version") == "1.0", m.headers
    boundary = re.search('boundary="?([^";]+)"?', rest).group(1)
    pieces = m.body.split(f"--{boundary}")
    assert pieces[0].strip() == "" and pieces[-1].startswith("--"), m.body
    out = {}
    for piece in pieces[1:-1]:
        head, _, content = piece.lstrip("\r\n").partition("\r\n\r\n")
        out[re.search("(?i)content-type: *([^;\r\n]+)", head).group(1)] = content[:-2]
        if "rs-metadata" in head:
            assert "Content-Disposition: recording-session" in head, head
    return out


class Recorder:
    def __init__(self, server, codecs=("pcmu", "pcma"), host="127.0.0.2", port=0):
        self.ua, self.codecs = UserAgent(Udp(server, host, port), "recorder"), codecs
        self.no_tcp = socket.socket()  # bound, but nobody listens: what is sent there by TCP is refused
        self.no_tcp.bind(self.ua.wire.here)
        self.streams, self.tag, self.n = None, token(), 100

    async def expect(self, what, timeout=10):
        return await asyncio.to_thread(self.ua.expect, what, timeout)

    def read(self, m):
        """An INVITE of the client's: its sections and its metadata"""
        assert "siprec" in m.get("Require", "") and "+sip.src" in m.get("Contact"), m.headers
        content = parts(m)
        self.target, self.theirs, self.mine = re.search("<(.*?)>", m.get("Contact")).group(1), m.get("From"), m.get("To")
        self.metadata = Metadata(content["application/rs-metadata+xml"])
        self.offer = content["application/sdp"]
        self.sections = re.split("(?m)^(?=m=)", self.offer)[1:]
        assert len(self.sections) == 2 and all(s.startswith("m=audio") for s in self.sections), self.offer
        assert [re.search("a=label:(.*?)\r\n", s).group(1) for s in self.sections] == ["1", "2"], self.offer
        self.directions = [re.search("a=(sendonly|inactive|sendrecv|recvonly)", s).group(1) for s in self.sections]

    def first_codec(self, section):
        """What the client would like to send"""
        pt = self.sections[section].split()[3]
        return next(name for name, c in CODECS.items() if f"a=rtpmap:{pt} {c[1]}" in self.sections[section] or (c[0] == int(pt) and c[0] < 96))

    def description(self, direction="recvonly"):
        if not self.streams:
            self.streams = []
            for i in (0, 1):
                best = self.first_codec(i)
                self.streams.append(Phone(best if best in self.codecs else self.codecs[0]))
        lines = ["v=0", "o=- 5 5 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
        for i, s in enumerate(self.streams):
            pt, rtpmap = CODECS[s.speech.codec][:2]
            lines += [f"m=audio {s.port} RTP/AVP {pt} 101", f"a=rtpmap:{pt} {rtpmap}", f"a=rtpmap:101 telephone-event/{s.speech.clock}",
                      f"a=label:{i + 1}", f"a={direction}"]
        return "\r\n".join(lines + [""])

    def answer(self, m, direction="recvonly"):
        self.ua.reply(m, 200, "OK", [f"Contact: <{self.ua.contact}>", "Supported: siprec"], self.description(direction), tag=self.tag)

    async def take(self, timeout=10):
        """Is called, or told anew, and agrees."""
        m = await self.expect("INVITE", timeout)
        self.read(m)
        self.invite = m
        self.answer(m)
        await self.expect("ACK")
        return m

    async def refuse(self, status, reason):
        m = await self.expect("INVITE")
        self.read(m)
        self.ua.reply(m, status, reason, tag=token())
        await self.expect("ACK")

    def lines(self, method):
        self.n += 1
        mine = self.mine if ";tag=" in self.mine else f"{self.mine};tag={self.tag}"
        return [f"From: {mine}", f"To: {self.theirs}", f"Call-ID: {self.invite.get('Call-ID')}", f"CSeq: {self.n} {method}",
                f"Contact: <{self.ua.contact}>"]

    async def say(self, method, body="", kind="application/sdp"):
        """A request of its own within the dialog; the answer"""
        self.ua.request(method, self.target, self.lines(method), body, kind=kind)
        m = await self.expect(lambda m: m.status >= 200 and m.get("CSeq") == f"{self.n} {method}")
        if method == "INVITE":
            ack = self.lines("ACK")
            self.n -= 1
            ack[3] = f"CSeq: {self.n} ACK"
            self.ua.request("ACK", self.target, ack)
        return m

    async def byed(self, timeout=10):
        m = await self.expect("BYE", timeout)
        self.ua.reply(m, 200, "OK")
        return m

    def close(self):
        for s in self.streams or []:
            s.close()
        self.ua.close()
        self.no_tcp.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        self.close()
