// interop/werift/peer.js: werift as a participant of a room whose media the server carries.
//
//     node peer.js URL ROOM NAME
//
// It has no codecs: RTP to publish comes in on standard input, what it receives goes out on standard output, for the test to encode and
// decode. Lines of JSON: in {kind, rtp}; out {ready}, {kind, peer, frame} (a whole VP8 frame or Opus packet), {error}.
"use strict";
const readline = require("node:readline");
const WebSocket = require("ws");
const { MediaStreamTrack, RTCPeerConnection, RtpPacket, Vp8RtpPayload, useOPUS, useVP8 } = require("werift");

const [url, room, name] = process.argv.slice(2);
const options = { codecs: { audio: [useOPUS()], video: [useVP8()] } };
const socket = new WebSocket(url);
const tracks = { audio: new MediaStreamTrack({ kind: "audio" }), video: new MediaStreamTrack({ kind: "video" }) };
let pub, sub, sections = [];

const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const say = (message) => socket.send(JSON.stringify(message));

async function publish() {
  pub = new RTCPeerConnection(options);
  for (const track of Object.values(tracks)) pub.addTransceiver(track, { direction: "sendonly" });
  await pub.setLocalDescription(await pub.createOffer());
  const sources = pub.getTransceivers().map((t) => ({ mid: t.mid, source: t.kind === "audio" ? "microphone" : "camera" }));
  say({ type: "publish", sdp: pub.localDescription.sdp, tracks: sources });
}

// A frame is whole when its last packet has come and none is missing in between.
class Frames {
  constructor(peer) {
    this.peer = peer;
    this.parts = [];
  }

  take(rtp) {
    const last = this.parts.at(-1);
    if (last && rtp.header.sequenceNumber !== ((last.header.sequenceNumber + 1) & 0xffff)) this.parts = [];
    this.parts.push(rtp);
    if (!rtp.header.marker) return;
    const payloads = this.parts.map((p) => Vp8RtpPayload.deSerialize(p.payload));
    if (payloads[0].isPartitionHead) tell({ kind: "video", peer: this.peer, frame: Buffer.concat(payloads.map((p) => p.payload)).toString("base64") });
    this.parts = [];
  }
}

function arrived(transceiver) {
  const section = sections.find((s) => s.mid === transceiver.mid);
  const frames = new Frames(section.peer);
  transceiver.onTrack.subscribe((track) => track.onReceiveRtp.subscribe((rtp) => {
    if (rtp.payload.length === 0) return;
    if (track.kind === "video") frames.take(rtp);
    else tell({ kind: "audio", peer: section.peer, frame: rtp.payload.toString("base64") });
  }));
  if (transceiver.kind === "video") { // until there is a first key frame
    const timer = setInterval(() => transceiver.receiver.tracks.forEach((t) => t.ssrc && transceiver.receiver.sendRtcpPLI(t.ssrc)), 1000);
    timer.unref();
  }
}

async function answer(message) {
  sections = message.tracks;
  if (!sub) {
    sub = new RTCPeerConnection(options);
    sub.onRemoteTransceiverAdded.subscribe(arrived);
  }
  await sub.setRemoteDescription({ type: "offer", sdp: message.sdp });
  await sub.setLocalDescription(await sub.createAnswer());
  say({ type: "sub-answer", sdp: sub.localDescription.sdp, n: message.n });
}

async function heard(message) {
  if (message.type === "welcome") {
    tell({ ready: message.self.id });
    await publish();
    say({ type: "subscribe", auto: true });
  } else if (message.type === "published") {
    await pub.setRemoteDescription({ type: "answer", sdp: message.sdp });
  } else if (message.type === "sub-offer") {
    await answer(message);
  } else if (message.type === "error") {
    tell({ error: message.message });
  }
  if ("seq" in message) say({ type: "ack", seq: message.seq });
}

let turn = Promise.resolve(); // messages are taken one after the other
socket.on("message", (data) => {
  turn = turn.then(() => heard(JSON.parse(data))).catch((error) => tell({ error: String(error.stack || error) }));
});
socket.on("open", () => {
  say({ type: "hello", version: 1 });
  say({ type: "join", room, name });
});
socket.on("error", (error) => tell({ error: String(error) }));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { kind, rtp } = JSON.parse(line);
  tracks[kind].writeRtp(RtpPacket.deSerialize(Buffer.from(rtp, "base64")));
}).on("close", () => process.exit(0));
