"""tests/lib/siprec_world.py: a server whose calls are recorded by two recorders of the test's (recorder.py), and what scenes with them share.
Everything is in the running loop."""
import asyncio
import math
import os
import struct
import tempfile
import wave

from media import until
from recorder import Recorder
from sluice import Sluice, free_port, wait_for

DIR = tempfile.mkdtemp(dir=os.environ.get("TEST_TMP"))
os.chmod(DIR, 0o777)


def sound(name, hz, seconds):
    with wave.open(os.path.join(DIR, name), "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(8000)
        f.writeframes(b"".join(struct.pack("<h", int(8000 * math.sin(2 * math.pi * hz * i / 8000))) for i in range(int(8000 * seconds))))
    os.chmod(os.path.join(DIR, name), 0o644)


sound("hello.wav", 600, 1.5)
sound("music.wav", 1100, 0.5)
CONF = f"""
processes: 2
modules: [http, stun, signaling-ws, sfu, mixer, sip-gateway]
listen: [{{name: media, udp: "127.0.0.1:{{sip}}"}}]
signaling-ws: {{auth: open}}
sfu: {{}}
mixer: {{rooms: [{{match: "^club$", tones: off}}, {{match: "^vault$", pin: "27", tones: off}}]}}
sip-gateway:
  realm: sluice
  rate: 0
  records: {DIR}/calls
  sounds: {DIR}
  music: {DIR}/music.wav
  media: {{addresses: [127.0.0.1], ports: 40000-49999}}
  users:
    - {{name: "1001", password: secret}}
    - {{name: "1002", password: secret}}
    - {{name: "1003", password: secret, siprec: off}}
  trunks:
    - {{name: near, server: "127.0.0.2:NEAR", options_interval: 0, failover: 1s}}
    - {{name: far, server: "127.0.0.2:FAR", options_interval: 0, failover: 1s}}
  siprec: {{trunks: [near, far], to: srs, required: REQUIRED}}
  routes:
    - {{match: "^desk$", trunk: anyone, to: "user:1001"}}
    - {{match: "^other$", trunk: anyone, to: "user:1002"}}
    - {{match: "^secret$", trunk: anyone, to: "user:1003"}}
    - {{match: "^club$", trunk: anyone, to: "room:club"}}
    - {{match: "^backdoor$", trunk: anyone, to: "room:club", siprec: off}}
    - {{match: "^vault$", trunk: anyone, to: "room:vault"}}
    - {{match: "^sidedoor$", trunk: anyone, to: "room:vault", siprec: off}}
    - {{match: "^echo$", trunk: anyone, to: echo}}
    - {{match: "^music$", trunk: anyone, to: "music-on-hold"}}
    - {{match: "^front$", trunk: anyone, to: "announcement:hello.wav | user:1001"}}
    - {{match: "^welcome$", trunk: anyone, to: "announcement:hello.wav | room:club"}}
    - {{match: "^quiet$", trunk: anyone, to: "user:1001", siprec: off}}
"""


class World:
    def __init__(self, required="off", **how):
        self.near, self.far = free_port(), free_port()
        text = CONF.replace("NEAR", str(self.near)).replace("FAR", str(self.far)).replace("REQUIRED", required)
        self.s = Sluice(text, **how)

    def __enter__(self):
        self.s.__enter__()
        return self

    def __exit__(self, *exc):
        if exc[0] is None:
            wait_for(lambda: self.s.counter("sip-gateway.legs") == 0 and self.s.counter("sip-gateway.recorders") == 0, "all legs to go")
        return self.s.__exit__(*exc)

    def recorder(self, port, codecs=("pcmu", "pcma")):
        return Recorder(("127.0.0.1", self.s.port("sip")), codecs, port=port)


async def talk(s, a, b, number="desk"):
    await asyncio.to_thread(b.ua.register)
    a.begin(number)
    await b.answer()
    assert (await a.final()).status == 200


async def heard(stream, hz):
    await until(lambda: stream.hears(hz), f"the recorder to hear {hz} Hz")


async def reinvite(p, n, direction):
    """The party's own new offer"""
    p.media.direction = direction
    p.ua.request("INVITE", p.target, p.lines(n, "INVITE"), p.media.sdp())
    m = await asyncio.to_thread(p.ua.expect, lambda m: m.status == 200 and m.get("CSeq") == f"{n} INVITE")
    p.ua.request("ACK", p.target, p.lines(n, "ACK"))
    return m


async def call(a, number):
    a.begin(number)
    assert (await a.final()).status == 200
