"""tests/interop/room_aiortc.py URL ROOM NAME ADDRESS [deaf]: aiortc as a participant of a room, in a process of its own. It publishes a tone and
a picture, and tells as lines of JSON of whom it has decoded how many pictures, and whether it hears anything of them. Who is deaf makes a key frame as it begins,
and no other when asked: it counts how often it was."""
import asyncio
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
from media import Participant, Picture, Tone, aioice, numpy

# What a process that waits for its turn on a busy machine measures of the way says nothing: the server goes by reports of loss.
aiortc.rtcrtpreceiver.RemoteBitrateEstimator.add = lambda *_, **__: None


def is_loud(frames):
    """Sound, not silence, among the last two seconds."""
    return any(numpy.abs(f.to_ndarray()).max() > 500 for f in frames[-100:])


asked = 0


def turn_a_deaf_ear(_sender):
    global asked
    asked += 1


async def main(url, room, name, address, *words):
    make_key_frame = aiortc.rtcrtpsender.RTCRtpSender._send_keyframe
    if "deaf" in words:
        aiortc.rtcrtpsender.RTCRtpSender._send_keyframe = turn_a_deaf_ear
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
    p = await Participant(url, room, name, [Tone(600), Picture()]).start()
    if "deaf" in words:  # its first one may be lost while it connects
        await asyncio.sleep(1)
        make_key_frame(p.pub.getSenders()[1])
    while True:
        seen = {}
        for section in p.sections.values():
            frames, of = p.frames.get(section["id"], []), seen.setdefault(section["peer"], {"pictures": 0, "heard": False})
            if section["kind"] == "video":
                of["pictures"] = len(frames)
            else:
                of["heard"] = is_loud(frames)
        print(json.dumps({"self": p.id, "seen": seen, "asked": asked}), flush=True)
        await asyncio.sleep(0.25)


asyncio.run(main(*sys.argv[1:]))
