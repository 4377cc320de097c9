"""tests/lib/phone_page.py: the phone page in a browser (tests/lib/chromium.py or firefox.py), used by its own buttons, with tones instead of a
microphone; and what two of them can do with a call."""
import re

from sluice import wait_for

# What a call's card says, and the call behind it
HELPERS = """
globalThis.cards = () => [...document.querySelectorAll('.talk')];
globalThis.live = () => cards().filter((c) => c.dataset.state !== 'ended');
globalThis.button = (what, card = live()[0]) => card?.querySelector(`[data-do="${what}"]:not([hidden])`);
globalThis.press = (text) => [...text].forEach((k) => document.querySelector(`#pad [value="${k}"]`).click());
globalThis.heard = () => {
  const stream = sluice.phone.calls.find((c) => c.state === 'up' && !c.held)?.stream;
  if (!stream)
    return 0;
  if (globalThis.ears?.stream !== stream)
    globalThis.ears = {stream, hz: listen(stream)};
  return ears.hz();
};
globalThis.digits = [];
sluice.phone.addEventListener('calls', ({detail}) => detail.forEach((c) => c.counted ??= (c.addEventListener('digit', (e) => digits.push(e.detail.digit)), true)));
"""


class PhonePage:
    def __init__(self, browser, s, user=None, hz=440, query=""):
        self.user, self.hz = user, hz
        self.page = browser.page(f"http://127.0.0.1:{s.port('sip')}/phone.html?{query}", "window.sluice && sluice.phone.state === 'ready'")
        self.eval, self.until = self.page.eval, self.page.until
        self.eval(browser.tones + HELPERS)
        self.eval(f"sluice.phone.stream = tone({hz})")
        if user:
            self.register(user)

    def register(self, user, password="secret"):
        self.eval(f"""document.getElementById('settings').click(), register.user.value = '{user}', register.password.value = '{password}',
                      register.requestSubmit()""")
        self.until("sluice.phone.registration")

    def dial(self, number):
        """By the pad where that types, and not into a call."""
        by_pad = re.fullmatch(r"[0-9*#]+", number) and not self.eval("sluice.phone.calls.length")
        self.eval((f"press('{number}')" if by_pad else f"number.value = '{number}'") + ", dial.requestSubmit()")

    def click(self, what):
        self.until(f"Boolean(button('{what}'))")
        self.eval(f"button('{what}').click()")

    def up(self, n=1):
        self.until(f"sluice.phone.calls.filter((c) => c.state === 'up').length === {n}")

    def hears(self, hz):
        wait_for(lambda: abs(self.eval("heard()") - hz) < 15, f"{hz} Hz at {self.user}", 15)

    def says(self, text):
        self.until(f"cards().some((c) => c.innerText.includes({text!r})) || document.getElementById('problem').innerText.includes({text!r})")

    def over(self):
        self.until("sluice.phone.calls.length === 0")


def talk(a, b):
    """a calls b, who answers."""
    a.dial(b.user)
    b.until("sluice.phone.calls.length && button('accept') && document.title.includes('Incoming')")
    assert b.eval("sluice.stats().then((s) => s.sounds)") == "bell"
    a.until("sluice.stats().then((s) => s.sounds === 'ringback')")
    b.click("accept")
    a.until("sluice.phone.calls.every((c) => c.state === 'up')")
    b.until("sluice.phone.calls.every((c) => c.state === 'up')")
    assert a.eval("sluice.stats().then((s) => s.sounds)") is None


def a_call(a, b):
    """From a to b, with tones both ways; digits, hold, mute, a lost socket, other paths, the end."""
    talk(a, b)
    assert b.eval("live()[0].querySelector('strong').innerText") == "Alice"
    a.hears(700)
    b.hears(440)
    # Digits, hold, mute
    a.eval("press('4#')")
    b.until("digits.join('') === '4#'")
    a.click("hold")
    b.until("live()[0].dataset.held === 'true' && live()[0].innerText.includes('The other side holds the call')")
    a.click("hold")
    b.until("live()[0].dataset.held === 'false'")
    b.hears(440)
    a.click("mute")
    wait_for(lambda: b.eval("heard()") == 0, "silence", 15)
    a.click("mute")
    b.hears(440)
    # A lost socket, and another path for the sound: the other side does not notice
    ufrag = a.eval("sluice.phone.calls[0].pc.localDescription.sdp.match(/ice-ufrag:(.*)/)[1]")
    a.eval("sluice.phone.socket.ws.close(4900)")
    a.until("sluice.phone.socket.connects > 1 && sluice.phone.socket.state === 'open'")
    a.hears(700)
    a.eval("sluice.phone.calls[0].restart('network')")
    a.until(f"sluice.phone.calls[0].pc.signalingState === 'stable' && !sluice.phone.calls[0].pc.localDescription.sdp.includes({ufrag!r})")
    a.until("sluice.phone.calls[0].pc.iceConnectionState.match(/connected|completed/)")
    a.hears(700)
    b.hears(440)
    b.eval("sluice.phone.calls[0].restart('network')")  # it was offered to, and offers now
    b.until("sluice.phone.calls[0].pc.signalingState === 'stable' && sluice.phone.calls[0].restarts === 1")
    a.hears(700)
    b.hears(440)
    assert a.eval("sluice.stats().then((s) => s.state)") == "connected"
    b.click("hangup")
    a.says("The call has ended.")
    a.over()
    b.until("document.querySelectorAll('#log li').length > 0")
