"""tests/lib/made.py: recordings as the writer leaves them, made by hand: journal with its chain, manifest, files."""
import base64
import hashlib
import hmac
import json
import os
import time


def journal(id, *lines):
    chain, out = hashlib.sha256(id.encode()).hexdigest(), b""
    for line in lines:
        body = json.dumps(line, separators=(",", ":"))[:-1].encode()
        chain = hashlib.sha256(chain.encode() + body).hexdigest()
        out += body + b',"chain":"%s"}\n' % chain.encode()
    return out, chain


def make_recording(where, id, files, room="tea", over=True):
    """A finished recording as the writer leaves it; over False: as a crash does."""
    path = os.path.join(where, room, id)
    os.makedirs(path)
    lines = [{"type": "start", "at_ms": 0, "id": id}]
    for name, data in files.items():
        with open(os.path.join(path, name), "wb") as f:
            f.write(data)
        lines.append({"type": "segment", "file": name, "container": "webm", "sealed": False, "start_ms": 0, "tracks": [], "end_ms": 1, "frames": 1,
                      "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    if over:
        lines.append({"type": "end", "at_ms": 5, "reason": "everybody has left"})
    else:
        open(os.path.join(path, ".open"), "w").close()
    text, chain = journal(id, *lines)
    with open(os.path.join(path, "journal.jsonl"), "wb") as f:
        f.write(text)
    with open(os.path.join(path, "manifest.json"), "w") as f:
        json.dump({"version": 1, "id": id, "room": room, "state": "finished" if over else "recording", "started_unix_ms": 1, "started_monotonic_ns": 1, "participants": [], "tracks": [], "segments": len(files),
                   "journal": {"file": "journal.jsonl", "lines": len(lines), "chain": chain}}, f)
    os.system(f"chmod -R a+rwX {where}")
    return path


def token(secret="a secret of more than thirty-two bytes", **media):
    """That permits recordings to be seen and controlled"""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    body = part(b'{"alg":"HS256"}') + "." + part(json.dumps({"exp": time.time() + 600, "media": media or {"recorder": True}}).encode())
    return body + "." + part(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest())
