"""tests/lib/judge.py: files of recordings, decoded once each while more are being written.

A recording that runs for half an hour makes thousands of files. To decode them all when it is over takes as long again; they are never written over once
they have their names, so that one look at each is enough, whenever that is.
"""
import glob
import os
import threading

from record import decode, packets

NICE = 10  # what is recorded goes first


class Judge(threading.Thread):
    """Of every file below a directory: (what ffprobe says, times of its first stream's packets), or why it does not play."""

    def __init__(self, where):
        super().__init__(daemon=True)
        self.where, self.known, self.over, self.lock = where, {}, threading.Event(), threading.Lock()

    def look(self, path):
        """The verdict on one file, by whoever asks first; complaints are for who asks."""
        with self.lock:
            if path not in self.known:
                try:
                    self.known[path] = decode(path), packets(path)
                except AssertionError as error:
                    self.known[path] = error
            if isinstance(self.known[path], AssertionError):
                raise self.known[path]
            return self.known[path]

    def names(self):
        """Files that are finished: `.part` has gone from their names."""
        return [f for kind in ("webm", "mkv", "mp4", "ogg", "wav") for f in glob.glob(os.path.join(self.where, "*/*/*." + kind))]

    def run(self):
        # Of this thread and of what it starts
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while not self.over.wait(0.5):
            for path in sorted(self.names()):
                if path in self.known or self.over.is_set():
                    continue
                try:
                    self.look(path)
                except AssertionError as error:
                    print("# does not play:", str(error)[:300], flush=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()
