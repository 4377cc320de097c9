"""tests/lib/arrivals.py: when what is in a recorded track's files came in, by the dump of its packets (`packets: on`): what a busy sender put apart itself can be told
from what the recorder would have."""
import struct

from record import onsets, packets

PACKET = 6  # an enhanced packet block
HEAD = 28 + 28  # its own, and IP and UDP
PACKET_S = 0.02  # of a telephone's
BEFORE_KEY = 50


def dumped(path):
    """Of each packet of a dump: (ns since the epoch, its RTP time)."""
    with open(path, "rb") as f:
        data = f.read()
    at, out = 0, []
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert struct.unpack_from("<I", data, at + size - 4) == (size,), path
        if kind == PACKET:
            high, low = struct.unpack_from("<II", data, at + 12)
            out.append((high << 32 | low, struct.unpack_from("!I", data, at + HEAD + 4)[0]))
        at += size
    return out


def arrivals(r, track):
    """In ms of the recording, for each frame in the order of their times: when its first packet came."""
    first = {}
    for x in r.segments:
        if x["container"] == "pcapng" and track["label"] in x["file"]:
            for ns, ts in dumped(r.file(x)):
                first.setdefault(ts, ns / 1e6 - r.manifest["started_unix_ms"])
    return list(first.values())


def marks(r, track):
    """Of each flash or beep of a track: (when its files have it, when its frame came), in ms of the recording."""
    files = [x for x in r.segments if [t["id"] for t in x["tracks"]] == [track["id"]] and "-room." not in x["file"]]
    # WAV has samples alone
    times = [[i * PACKET_S for i in range(x["frames"])] if x["container"] == "wav" else packets(r.file(x)) for x in files]
    came, out = arrivals(r, track), []
    at = len(came) - sum(map(len, times))  # those before the first key frame are in no file
    assert 0 <= at <= BEFORE_KEY, (track, len(came), at)
    for x, own in zip(files, times):
        for mark in onsets(r.file(x), track["kind"]):
            n = max(i for i, t in enumerate(own) if t <= mark + 0.0005)
            out.append((x["start_ms"] + 1000 * mark, came[at + n] + 1000 * (mark - own[n])))
        at += len(own)
    return out


def apart_twice(r, picture, sound):
    """Of each flash: how many ms later its beep is in the files, and how many ms later it came."""
    beeps = marks(r, sound)
    pairs = [(flash, min(beeps, key=lambda b: abs(b[0] - flash[0]))) for flash in marks(r, picture)]
    return [(beep[0] - flash[0], beep[1] - flash[1]) for flash, beep in pairs]
