"""tests/lib/player.py: files of recordings as those see them who did not write them: ffprobe with ffmpeg's decoders, and the player of a browser; and whether they
agree with the journal."""
import json
import os
import subprocess

from record import packets

NEAR_S = 0.1
# Browsers count every picture, also those that they drop; on a busy machine some may never reach a decoder.
LEAST = 1 if "SLUICE_RECORD_SECONDS" in os.environ else 0.9

# A sender that stood still for more than a second, in MP4; a new head in a playlist; files of G.711 say how many channels there are, and no more
NO_COMPLAINT = ("DTS discontinuity", "Found duplicated MOOV Atom", "Guessed Channel Layout")

# play(url): a file from its beginning to its end; index: with this one of its tracks alone. heard(url): how long its sound is once it is decoded, and how loud
PLAY = """
const play = async (url, index) => {
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer()), {onlyTrack} = await import('/one-track.js');
  const blob = new Blob([index === undefined ? bytes : onlyTrack(bytes, index)]), video = Object.assign(document.createElement('video'), {muted: true, src: URL.createObjectURL(blob)});
  document.body.append(video);
  const ended = new Promise((ok, bad) => {
    video.onended = ok;
    video.onerror = () => bad(new Error(`${url}: ${video.error.message}`));
    video.onloadedmetadata = () => setTimeout(bad, 20000 + 1000 * (Number.isFinite(video.duration) ? video.duration : 3600), new Error(`${url} does not end`));
  });
  await video.play();
  await ended;
  const {totalVideoFrames, corruptedVideoFrames = 0} = video.getVideoPlaybackQuality();
  const seen = {duration: video.duration, at: video.currentTime, pictures: totalVideoFrames, corrupted: corruptedVideoFrames, width: video.videoWidth,
    sound: video.mozHasAudio ?? video.webkitAudioDecodedByteCount > 0};
  video.remove();
  return seen;
};
const heard = async url => {
  const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(await (await fetch(url)).arrayBuffer());
  return [sound.duration, sound.getChannelData(0).reduce((a, b) => Math.max(a, Math.abs(b)), 0)];
};
"""
PAGE = f"<!doctype html><body></body><script>{PLAY}globalThis.play = play;</script>"


def probe(path):
    """A whole file through ffmpeg's decoders, without a word of complaint: ffprobe's streams, with the packets and the frames of each, and the file's format."""
    out = subprocess.run(["ffprobe", "-v", "warning", "-count_packets", "-count_frames", "-show_streams", "-show_format", "-of", "json", path], capture_output=True, text=True)
    words = [x for x in out.stderr.splitlines() if x.strip() and not any(y in x for y in NO_COMPLAINT)]
    assert out.returncode == 0 and not words, (path, out.stderr)
    return json.loads(out.stdout)


def seconds(x):
    return (x["end_ms"] - x["start_ms"]) / 1000


def as_long(r, x, long, late=0):
    """How long a last picture stands nobody knows: muxers write how long the one before did."""
    last = 0
    for i, kind in enumerate(r.kinds[t["id"]] for t in x["tracks"]):
        times = packets(r.file(x), i) if kind == "video" else []
        last = max([last, *(b - a for a, b in zip(times[-3:], times[-2:]))])
    return -NEAR_S < long - seconds(x) < NEAR_S + last + late


def read(r, x):
    """A file by ffprobe and ffmpeg, which agree with the journal's line about it; how many frames each kind of stream has."""
    p, frames = probe(r.file(x)), {}
    # Of MP4 in fragments ffprobe takes the time at which a stream ends for its length, and counts that from where it begins.
    late = max(float(y["start_time"]) for y in p["streams"]) if x["container"] == "mp4" else 0
    assert len(p["streams"]) == len(x["tracks"]) and as_long(r, x, float(p["format"]["duration"]), late), (x, p["format"])
    for y in p["streams"]:
        assert y["nb_read_frames"] == y["nb_read_packets"], (x, y)
        frames[y["codec_type"]] = frames.get(y["codec_type"], 0) + int(y["nb_read_frames"])
    assert x["container"] == "wav" or sum(frames.values()) == x["frames"], (x, frames)  # PCM has no frames
    return frames


def address(r, x, token, base=""):
    return f"{base}/recordings/{os.path.basename(r.path)}/{x['file']}?token={token}"


def is_loud(page, r, x, token):
    """A file's sound, decoded by the browser, is as long as the journal says, and there is something in it."""
    long, peak = page.eval(f"heard('{address(r, x, token)}')")
    print("#", x["file"], "journal", seconds(x), "decoded", long, "peak", round(peak, 2), flush=True)
    return abs(long - seconds(x)) < NEAR_S and peak > 0.2


def plays(page, files, token):
    """Files (recording, line of its journal, address of its server or "") in a browser's player, all at once: it agrees with ffprobe about how long each is and how many pictures
    it has. What it saw."""
    urls = [address(r, x, token, base) for r, x, base in files]
    all = page.eval(f"Promise.all({json.dumps(urls)}.map(url => play(url)))")
    for (r, x, _), seen in zip(files, all):
        n = read(r, x)
        print("#", x["file"], "journal", seconds(x), n, "browser", seen, flush=True)
        assert as_long(r, x, seen["duration"]) and as_long(r, x, seen["at"]), (x, seen)
        assert LEAST * n.get("video", 0) <= seen["pictures"] <= n.get("video", 0) and seen["corrupted"] == 0 and (seen["width"] > 0) == ("video" in n), (x, n, seen)
    return all


def longest(files):
    return max(files, key=seconds)
