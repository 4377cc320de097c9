"""tests/lib/record.py: recordings, looked at from outside: the journal's chain by the documents, files by ffmpeg, which nobody here wrote."""
import asyncio
import contextlib
import fractions
import glob
import hashlib
import json
import os
import shutil
import subprocess

from sluice import PATIENCE, Sluice, skip, wait_for
from media import Participant, Picture, Tone, until

import av
import numpy

if not shutil.which("ffprobe") or not shutil.which("ffmpeg"):
    skip("ffmpeg is not installed")


CONF = """
processes: 2
modules: [http, stun, signaling-ws, sfu, recorder]
listen:
  - {name: media, udp: "127.0.0.1:{udp}"}
  - {name: web, tcp: "127.0.0.1:{web}"}
sfu: {direct_peers: 0}
recorder: {linger: 500ms, min_free: 0, segment: 2s, MORE}
"""


def conf(more, base=CONF):
    return base.replace("MORE", more)


def server(conf, start=True, **options):
    """A server with a directory for recordings that its workers may write to."""
    s = Sluice(conf, start=False, **options)
    where = os.path.join(s.prefix, "recordings")
    os.mkdir(where)
    os.chmod(where, 0o777)
    if start:
        s.start()
    return s


class Recording:
    def __init__(self, path):
        self.path = path
        self.open = os.path.exists(os.path.join(path, ".open"))  # first: what is read after it has gone is complete
        with open(os.path.join(path, "manifest.json")) as f:
            self.manifest = json.load(f)
        self.lines, self.kinds = [], {t["id"]: t["kind"] for t in self.manifest["tracks"]}
        chain = hashlib.sha256(self.manifest["id"].encode()).hexdigest()
        with open(os.path.join(path, "journal.jsonl"), "rb") as f:
            for line in f.read().split(b"\n")[:-1]:
                body, tail = line[:-len(b',"chain":""}') - 64], line[-len(b',"chain":""}') - 64:]
                chain = hashlib.sha256(chain.encode() + body).hexdigest()
                assert tail == b',"chain":"%s"}' % chain.encode(), (path, line)
                self.lines.append(json.loads(line))
        self.chain = chain

    def of(self, kind):
        return [x for x in self.lines if x["type"] == kind]

    @property
    def segments(self):
        return self.of("segment")

    def file(self, segment):
        return os.path.join(self.path, segment["file"])

    def verify(self):
        """Every file is the one that the journal says, and nothing else lies about."""
        for s in self.segments:
            with open(self.file(s), "rb") as f:
                data = f.read()
            assert len(data) == s["bytes"] and hashlib.sha256(data).hexdigest() == s["sha256"], s
        if not self.open:
            assert self.chain == self.manifest["journal"]["chain"] and len(self.lines) == self.manifest["journal"]["lines"], self.manifest
            names = {s["file"] for s in self.segments} | {"manifest.json", "journal.jsonl"}
            assert set(os.listdir(self.path)) == names, set(os.listdir(self.path)) ^ names
        return self


def recordings_in(where):
    return [Recording(os.path.dirname(m)) for m in sorted(glob.glob(os.path.join(where, "*/*/manifest.json")))]


def recordings(s):
    return recordings_in(os.path.join(s.prefix, "recordings"))


def decode(path):
    """A whole file through ffmpeg: no word of complaint; returns frames of each stream by codec type."""
    out = subprocess.run(["ffmpeg", "-v", "warning", "-xerror", "-i", path, "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-"], capture_output=True, text=True)
    # Files of G.711 say how many channels there are, and no more.
    words = [x for x in out.stderr.splitlines() if x.strip() and not x.startswith("Guessed Channel Layout")]
    assert out.returncode == 0 and not words, (path, out.stderr)
    probe = json.loads(subprocess.run(["ffprobe", "-v", "error", "-count_packets", "-show_streams", "-show_format", "-of", "json", path],
                                      capture_output=True, text=True, check=True).stdout)
    return probe


def packets(path, stream=0):
    """Presentation times of a stream's packets, in seconds."""
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", str(stream), "-show_entries", "packet=pts_time", "-of", "csv=p=0", path],
                         capture_output=True, text=True, check=True).stdout
    return [float(x.strip(",")) for x in out.split() if x.strip(",") not in ("", "N/A")]


def onsets(path, kind):
    """When white or loud begins, in seconds of the file, each in the middle of a second of silence."""
    out, before = [], True
    with av.open(path) as c:
        for frame in c.decode(**{kind: 0}):
            if kind == "audio":
                samples = numpy.abs(frame.to_ndarray()).reshape(-1)
                samples = samples / (32768 if samples.dtype == numpy.int16 else 1)
                loud = samples > 0.2
                n, ms = len(samples) // frame.samples, frame.sample_rate // 1000
                for i in range(0, len(samples), ms * n):
                    on = loud[i:i + ms * n].any()
                    if on and not before:
                        out.append(frame.time + i / n / frame.sample_rate)
                    quiet = 0 if on else quiet + 1 if out else 100
                    before = quiet < 100
            else:
                on = frame.to_ndarray(format="gray").mean() > 128
                if on and not before:
                    out.append(frame.time)
                before = on
    return out


def apart(r, picture, sound, since_ms):
    """Of each flash of a track since then: how many ms later its beep begins in the other track, sorted."""
    times = {picture: [], sound: []}
    for x in r.segments:
        id = x["tracks"][0]["id"] if len(x["tracks"]) == 1 else None
        if id in times:
            times[id].extend(x["start_ms"] + 1000 * o for o in onsets(r.file(x), r.kinds[id]))
    return sorted(min((b - a for b in times[sound]), key=abs) for a in times[picture] if a > since_ms)


class Sound(Tone):
    """Keeps to the clock, as a sound card does."""
    began = None

    async def recv(self):
        loop = asyncio.get_running_loop()
        self.began = self.began or loop.time()
        await asyncio.sleep(max(0, self.began + self.at / 48000 + 0.02 - loop.time()))
        t = (numpy.arange(960) + self.at) / 48000
        frame = av.AudioFrame.from_ndarray(self.samples(t).astype(numpy.int16).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self.at, fractions.Fraction(1, 48000)
        self.at += 960
        return frame

    def samples(self, t):
        return numpy.sin(2 * numpy.pi * self.hz * t) * 12000


@contextlib.asynccontextmanager
async def room(s, *parties, name="tea", **options):
    url = f"ws://127.0.0.1:{s.port('web')}/signal"
    people = []
    try:
        for who, tracks in parties:
            people.append(await Participant(url, name, who, tracks, **options).start(subscribe=False))
        yield people
    finally:
        for p in people:
            with contextlib.suppress(Exception):
                await p.close()


def finished(s, n=1):
    """The recordings, once they are."""
    wait_for(lambda: s.counter("recorder.recordings") == 0 and [r.open for r in recordings(s)] == [False] * n, "the recordings to end", 15)
    return [r.verify() for r in recordings(s)]


async def call(s, seconds):
    async with room(s, ("ada", [Sound(300), Picture()]), ("../b b", [Sound(500)]), name="../tea") as (a, b):
        await until(lambda: a.heard.get("recording"), "the word that it is recorded")
        assert a.heard["recording"][0]["state"] == "on"
        await asyncio.sleep(seconds)


def record(s, *words, status=0):
    out = subprocess.run([*s.argv(), "record", *words], capture_output=True, text=True, timeout=60 * PATIENCE)
    assert out.returncode == status, (words, out)
    return out.stdout + out.stderr


def keys(where):
    """Key pairs: X25519, RSA."""
    for name, algorithm in (("x", ["X25519"]), ("rsa", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"])):
        subprocess.run(["openssl", "genpkey", "-algorithm", *algorithm, "-out", f"{where}/{name}.key"], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", f"{where}/{name}.key", "-pubout", "-out", f"{where}/{name}.pem"], check=True, capture_output=True)
        os.chmod(f"{where}/{name}.pem", 0o644)
