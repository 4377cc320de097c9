"""tests/lib/client.py: a client of signaling-ws for tests of telephony: a room of its own, messages as dictionaries."""
import json
import time

from sip import PATIENCE, WebSocket, token


class Client:
    def __init__(self, server, name="web", room=None):
        self.wire, self.n, self.log, self.waiting = WebSocket(server, "/signal", None), 0, [], []
        self.say(type="hello", version=1)
        self.expect("hello")
        self.say(type="join", room=room or "r" + token(), name=name)
        self.welcome = self.expect("welcome")

    def say(self, **message):
        self.n += 1
        self.wire.send(json.dumps({"id": self.n, **message}))

    def expect(self, type, timeout=5.0, **fields):
        """The next message of the type with these members; others wait."""
        def wants(m):
            return m.get("type") == type and all(m.get(k) == v for k, v in fields.items())
        end = time.monotonic() + timeout * PATIENCE
        for m in self.waiting:
            if wants(m):
                self.waiting.remove(m)
                return m
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"waited for {type} {fields}; came: {self.log[-8:]}")
            try:
                m = json.loads(self.wire.recv(left))
            except TimeoutError:
                continue
            self.log.append(m)
            if wants(m):
                return m
            self.waiting.append(m)

    def register(self, user, password="secret", **more):
        self.say(type="register", user=user, password=password, **more)
        m = self.expect("registered")
        assert m["ok"], m
        return self

    def close(self):
        self.wire.close()
