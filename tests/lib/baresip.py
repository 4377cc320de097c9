"""tests/lib/baresip.py: baresip as a telephone for tests: a tone instead of a microphone, and what it hears in a file."""
import glob
import json
import os
import re
import socket
import subprocess
import tempfile
import wave

import numpy

from sluice import PATIENCE, free_port, wait_for

RATES = {"opus": (48000, 2), "g711": (8000, 1), "g722": (16000, 1)}


class Baresip:
    """One baresip with a tone instead of a microphone; what it hears is written to files. video: the module of a codec ("vp8", "avcodec" for
    H.264): then it has a moving picture instead of a camera, and sees(). beeps: a file of sound instead of the
    tone; the picture may flash with it (flash())."""

    def __init__(self, s, user, hz, codec, more=(), account="", contacts=(), video=None, beeps=None):
        """more: modules of applications; account: parameters of it; contacts: lines."""
        self.dir = tempfile.mkdtemp(prefix="baresip-", dir=os.environ.get("TEST_TMP"))
        sound = self.tone(hz, *RATES[codec])
        with open(os.path.join(self.dir, "accounts"), "w") as f:
            f.write(f"<sip:{user}@127.0.0.1:{s.port('sip')}>;auth_pass=secret;answermode=manual;regint=300{account}\n")
        with open(os.path.join(self.dir, "contacts"), "w") as f:
            f.writelines(f"{line}\n" for line in contacts)
        self.more, self.beeps = list(more), beeps
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.data = b""
        self.start(user, sound, codec, video)
        wait_for(lambda: self._connect() or self.proc.poll() is not None, "baresip's control port")
        assert self.proc.poll() is None, f"baresip does not start: {open(self.log.name, errors='replace').read()}"

    def start(self, user, sound, codec, video):
        self.port = free_port()
        modules = ["account", "ctrl_tcp", "menu", "aufile", "aubridge", "sndfile", "uuid", codec, *self.more]
        seen = ["video_source fakevideo,nil", "video_display fakevideo,nil", "video_size 352x288", "video_fps 25", "video_bitrate 400000"] if video else []
        modules += ["fakevideo", video] if video else []
        if self.beeps:
            sound = self.beeps
            modules += ["avfilter"] if video else []
        with open(os.path.join(self.dir, "config"), "w") as f:
            f.write("\n".join([
                f"sip_listen 127.0.0.1:{free_port(after=1)}", "module_path /usr/lib/baresip/modules", f"ctrl_tcp_listen 127.0.0.1:{self.port}",
                f"audio_source aufile,{sound}", f"audio_player aubridge,nil{user}", "audio_alert aubridge,nil",
                *seen, "net_interface 127.0.0.1", f"snd_path {self.dir}", f"audio_path {self.dir}", "rtp_ports 30200-31199",
                *[f"module_app {m}.so" if m in ("account", "ctrl_tcp", "menu", *self.more) else f"module {m}.so" for m in modules], ""]))
        self.proc = subprocess.Popen(["baresip", "-4", "-f", self.dir], stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)

    def tone(self, hz, rate, channels):
        """A file of half a minute."""
        name = os.path.join(self.dir, "tone.wav")
        sound = (numpy.sin(numpy.arange(30 * rate) * 2 * numpy.pi * hz / rate) * 8000).astype("<i2")
        with wave.open(name, "wb") as w:
            w.setnchannels(channels)
            w.setsampwidth(2)
            w.setframerate(rate)
            w.writeframes(numpy.repeat(sound, channels).tobytes())
        return name

    def _connect(self):
        try:
            self.control = socket.create_connection(("127.0.0.1", self.port))
            return True
        except OSError:
            return False

    def said(self):
        """How much its log has of now: what it is to see since then."""
        return os.path.getsize(self.log.name)

    def sees(self, since=0):
        """Pictures that it has decoded in the last seconds, in one second; 0: none."""
        with open(self.log.name, "rb") as f:
            data = f.read()
        rates = re.findall(r"efps=[0-9.]+/([0-9.]+)", data[since:].decode(errors="replace"))
        return float(rates[-1]) if b"receiving with resolution" in data and rates else 0

    def flash(self, when):
        """Its picture is white when an expression of libavfilter says so, else black; by a clock of its own."""
        self.command("avfilter", f"drawbox=w=iw:h=ih:color=black:t=fill,drawbox=w=iw:h=ih:color=white:t=fill:enable='{when}'")

    def command(self, command, params=""):
        text = json.dumps({"command": command, "params": params}).encode()
        self.control.sendall(f"{len(text)}:".encode() + text + b",")

    def event(self, kind, limit=10):
        """Waits until baresip tells of such an event."""
        self.control.settimeout(limit * PATIENCE)
        while True:
            n, found, rest = self.data.partition(b":")
            if found and len(rest) > int(n):
                text, self.data = rest[:int(n)], rest[int(n) + 1:]
                m = json.loads(text)
                if m.get("type") == kind:
                    return m
                continue
            more = self.control.recv(65536)
            assert more, "baresip has ended"
            self.data += more

    def heard(self):
        """What it has decoded so far: (samples, rate) of the longest file."""
        best = (numpy.zeros(0), 1)
        for name in glob.glob(os.path.join(self.dir, "*dec.wav")):
            with open(name, "rb") as f:
                data = f.read()
            rate = int.from_bytes(data[24:28], "little")
            channels = int.from_bytes(data[22:24], "little")
            samples = numpy.frombuffer(data[44:44 + (len(data) - 44) // 2 * 2], "<i2")[::channels].astype(float)
            if len(samples) > len(best[0]):
                best = (samples, rate)
        return best

    def close(self):
        self.control.close()
        self.proc.terminate()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:  # its own trouble
            self.proc.kill()
            self.proc.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def tone_of(sound, seconds=0.5):
    """The strongest frequency of the last half second, and its share of the power."""
    samples, rate = sound
    n = int(rate * seconds)
    if n < 100 or len(samples) < 2 * n:
        return 0, 0
    x = samples[-n:] * numpy.hanning(n)
    spectrum = numpy.abs(numpy.fft.rfft(x)) ** 2
    if spectrum.sum() == 0:
        return 0, 0
    peak = int(spectrum[1:].argmax()) + 1
    return peak * rate / n, spectrum[max(peak - 3, 0):peak + 4].sum() / spectrum.sum()


def hears(phone, hz):
    def there():
        found, share = tone_of(phone.heard())
        return abs(found - hz) < 8 and share > 0.8
    wait_for(there, f"a tone of {hz} Hz", 15)
