"""tests/lib/judge.py: files of recordings, decoded once each while more are being written.

A recording that runs for half an hour makes thousands of files. To decode them all when it is over takes as long again; they are never written over once
they have their names, so that one look at each is enough, whenever that is. FFmpeg's libraries do it in this process: to start ffmpeg takes fifty times as
long as to read one of these files.
"""
import glob
import os
import threading

import av
import av.logging

av.logging.set_level(av.logging.WARNING)

NICE = 10  # what is recorded goes first


def played(path):
    """A whole file through libavformat and the decoders, without a word of complaint, and each packet is a frame: times of its first stream's packets, in s"""
    times, n_frames = [], 0
    with av.logging.Capture() as said, av.open(path) as file:
        for stream in file.streams:
            stream.thread_type = "NONE"  # whose words would be another thread's
        for packet in file.demux():
            if packet.size:
                times.append((packet.stream.index, float(packet.pts * packet.time_base)))
            n_frames += len(packet.decode())
    assert not said and n_frames == len(times) > 0, (path, n_frames, len(times), said)
    return [at for index, at in times if index == 0]


class Judge(threading.Thread):
    """Of every file below a directory: times of its first stream's packets, or why it does not play."""

    def __init__(self, where):
        super().__init__(daemon=True)
        self.where, self.known, self.over, self.lock = where, {}, threading.Event(), threading.Lock()

    def look(self, path):
        """The verdict on one file, by whoever asks first; complaints are for who asks."""
        with self.lock:
            if path not in self.known:
                try:
                    self.known[path] = played(path)
                except (AssertionError, av.FFmpegError) as error:
                    self.known[path] = error
            if isinstance(self.known[path], Exception):
                raise self.known[path]
            return self.known[path]

    def names(self):
        """Files that are finished: `.part` has gone from their names."""
        return [f for kind in ("webm", "mkv", "mp4", "ogg", "wav") for f in glob.glob(os.path.join(self.where, "*/*/*." + kind))]

    def run(self):
        # Of this thread alone
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while not self.over.wait(0.5):
            for path in sorted(self.names()):
                if path in self.known or self.over.is_set():
                    continue
                try:
                    self.look(path)
                except (AssertionError, av.FFmpegError) as error:
                    print("# does not play:", str(error)[:300], flush=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()
