"""tests/lib/player.py: files of recordings as those see them who did not write them: ffprobe with ffmpeg's decoders, and the player of a browser; and whether they
agree with the journal."""
import json
import os
import subprocess

NEAR_S = 0.15  # how long a last picture stands, nobody knows

# A sender that stood still for more than a second, in MP4; a new head in a playlist; files of G.711 say how many channels there are, and no more
NO_COMPLAINT = ("DTS discontinuity", "Found duplicated MOOV Atom", "Guessed Channel Layout")

# play(url): a file from its beginning to its end; index: with this one of its tracks alone
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


def read(r, x):
    """A file by ffprobe and ffmpeg, which agree with the journal's line about it; how many frames each kind of stream has."""
    p, frames = probe(r.file(x)), {}
    assert len(p["streams"]) == len(x["tracks"]) and abs(float(p["format"]["duration"]) - seconds(x)) < NEAR_S, (x, p["format"])
    for y in p["streams"]:
        assert y["nb_read_frames"] == y["nb_read_packets"], (x, y)
        frames[y["codec_type"]] = frames.get(y["codec_type"], 0) + int(y["nb_read_frames"])
    assert x["container"] == "wav" or sum(frames.values()) == x["frames"], (x, frames)  # PCM has no frames
    return frames


def plays(page, r, x, token, base=""):
    """A file in a browser's player, which agrees with ffprobe about how long it is and how many pictures it has; what it saw."""
    seen, n = page.eval(f"play('{base}/recordings/{os.path.basename(r.path)}/{x['file']}?token={token}')"), read(r, x)
    assert abs(seen["duration"] - seconds(x)) < NEAR_S and abs(seen["at"] - seconds(x)) < NEAR_S, (x, seen)
    assert seen["pictures"] == n.get("video", 0) and seen["corrupted"] == 0 and (seen["width"] > 0) == ("video" in n), (x, n, seen)
    return seen


def longest(files):
    return max(files, key=seconds)
