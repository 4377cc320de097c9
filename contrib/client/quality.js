/*
 * quality.js: how good a call sounds, from what a browser measures: round trip, loss, jitter, what was made up for what did not come in
 * time, and from these an estimate of the opinion that people would have of it (E-model, ITU-T G.107; 1 to 4.5).
 */

const STATS_WITHIN_MS = 2000; // some browsers never answer for a connection that is closed meanwhile
const FRAME_MS = 20;
const BEST = 93.2; // R of a call with nothing wrong
/* How badly loss is taken (Bpl), with the concealment that decoders have (G.113 Appendix I for G.711; Opus measured near it). */
const ROBUSTNESS = {opus: 25, g722: 20, pcma: 25.1, pcmu: 25.1};

/* loss: 0 to 1; delayMs: one way, from mouth to ear. */
export function opinion({loss, delayMs, codec}) {
	const percent = 100 * Math.min(1, Math.max(0, loss));
	const late = Math.max(0, delayMs - 177.3);
	const r = BEST - 0.024 * delayMs - 0.11 * late - 95 * percent / (percent + (ROBUSTNESS[codec] ?? 20));
	if (r <= 0)
		return 1;
	return Math.min(4.5, Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6));
}

/* One entry for each stream, in either direction */
function trackOf(s, codecs) {
	const {kind, packetsReceived, packetsSent, packetsLost, bytesReceived, bytesSent, framesDecoded, framesEncoded, keyFramesDecoded, frameWidth, frameHeight, framesPerSecond,
		nackCount, pliCount, firCount, jitter} = s;
	return JSON.parse(JSON.stringify({kind, direction: s.type === 'inbound-rtp' ? 'in' : 'out', codec: codecs.get(s.codecId)?.mimeType?.split('/')[1]?.toLowerCase() ?? null,
		packets: packetsReceived ?? packetsSent, bytes: bytesReceived ?? bytesSent, packetsLost, framesDecoded, framesEncoded, keyFramesDecoded, frameWidth, frameHeight,
		framesPerSecond, nackCount, pliCount, firCount, jitter}));
}

/* Of all that getStats() says, what concerns one call, its sound above all; null where the browser does not say. */
export async function measure(pc) {
	const report = new Map(), out = {audioPackets: 0, bytesReceived: 0, bytesSent: 0, packetsSent: 0, packetsLost: 0, framesDecoded: 0, tracks: []};
	(await Promise.race([pc.getStats().catch(() => []), new Promise(resolve => setTimeout(resolve, STATS_WITHIN_MS, []))])).forEach(s => report.set(s.id, s));
	let pair = null, remote = null, inbound = null;
	for (const s of report.values()) {
		if (s.type === 'inbound-rtp' || s.type === 'outbound-rtp')
			out.tracks.push(trackOf(s, report));
		if ((s.kind ?? s.mediaType) === 'video') {
			out.framesDecoded += s.framesDecoded ?? 0;
			continue;
		}
		if (s.type === 'inbound-rtp')
			inbound = s;
		else if (s.type === 'remote-inbound-rtp')
			remote = s;
		else if (s.type === 'outbound-rtp')
			Object.assign(out, {bytesSent: s.bytesSent, packetsSent: s.packetsSent});
		else if (s.type === 'transport' && s.selectedCandidatePairId)
			pair = report.get(s.selectedCandidatePairId) ?? pair;
		else if (s.type === 'candidate-pair' && s.selected) // Firefox
			pair ??= s;
	}
	const codec = report.get(inbound?.codecId)?.mimeType?.split('/')[1]?.toLowerCase() ?? null;
	return {
		...out, codec, at: performance.now(),
		audioPackets: inbound?.packetsReceived ?? 0, packetsLost: inbound?.packetsLost ?? 0, bytesReceived: inbound?.bytesReceived ?? 0,
		concealed: inbound?.concealedSamples ?? 0, samples: inbound?.totalSamplesReceived ?? 0, level: inbound?.audioLevel ?? null,
		jitter: inbound?.jitter ?? null, buffered: inbound?.jitterBufferDelay ?? 0, emitted: inbound?.jitterBufferEmittedCount ?? 0,
		rtt: pair?.currentRoundTripTime ?? remote?.roundTripTime ?? null,
		lossOut: remote?.fractionLost ?? null, jitterOut: remote?.jitter ?? null,
		pair: pair && {local: report.get(pair.localCandidateId)?.candidateType ?? null, protocol: report.get(pair.localCandidateId)?.protocol ?? null,
			relay: report.get(pair.localCandidateId)?.relayProtocol ?? null},
	};
}

/* What happened between two measurements, in the words of a panel: times in ms, losses from 0 to 1. */
export function compare(before, now) {
	const since = key => Math.max(0, now[key] - (before?.[key] ?? 0));
	const got = since('audioPackets'), lost = since('packetsLost'), emitted = since('emitted');
	const lossIn = got + lost > 0 ? lost / (got + lost) : null;
	const bufferMs = emitted > 0 ? 1000 * since('buffered') / emitted : null;
	const rttMs = now.rtt === null ? null : 1000 * now.rtt;
	const delayMs = (rttMs ?? 0) / 2 + FRAME_MS;
	return {
		rtt: rttMs, jitterIn: now.jitter === null ? null : 1000 * now.jitter, jitterOut: now.jitterOut === null ? null : 1000 * now.jitterOut,
		lossIn, lossOut: now.lossOut, buffer: bufferMs, concealed: since('samples') > 0 ? since('concealed') / since('samples') : null,
		mosIn: lossIn === null ? null : opinion({loss: lossIn, delayMs: delayMs + (bufferMs ?? 0), codec: now.codec}),
		mosOut: now.lossOut === null ? null : opinion({loss: now.lossOut, delayMs: delayMs + 2 * FRAME_MS, codec: now.codec}),
		codec: now.codec, pair: now.pair, tracks: now.tracks,
	};
}
