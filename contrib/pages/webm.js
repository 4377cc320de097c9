/*
 * webm.js: the sound of a Matroska or WebM file with its times: decodeAudioData() joins what it finds and forgets gaps, and a call has gaps.
 *
 *     const {codec, frames} = readSound(bytes);      // frames: [{at: µs, data: Uint8Array}]; null: there is none that could be decoded
 *     const buffer = await decodeSound(context, bytes, seconds);
 */
export const ID = {segment: 0x18538067, info: 0x1549a966, scale: 0x2ad7b1, tracks: 0x1654ae6b, track: 0xae, number: 0xd7, codec: 0x86, audio: 0xe1, hz: 0xb5,
	channels: 0x9f, cluster: 0x1f43b675, time: 0xe7, group: 0xa0, block: 0xa1, simple: 0xa3};
export const DOWN = new Set([ID.segment, ID.info, ID.tracks, ID.track, ID.audio, ID.cluster, ID.group]); // what lies in these is read, too
const CODECS = {A_OPUS: 'opus', 'A_PCM/INT/LIT': 'pcm-s16'};
const NEAR = 0.002; // seconds: times in files are rounded to milliseconds

/* A number whose length its first byte tells (RFC 8794 section 4); keep: an identity keeps the mark */
export function number(bytes, at, keep) {
	const length = Math.clz32(bytes[at]) - 23;
	if (length > 8 || at + length > bytes.length)
		return {length: Infinity, value: 0};
	let value = keep ? bytes[at] : bytes[at] & (0xff >> length);
	let unknown = (bytes[at] & (0xff >> length)) === 0xff >> length;
	for (let i = 1; i < length; i++) {
		value = value * 256 + bytes[at + i];
		unknown &&= bytes[at + i] === 0xff;
	}
	return {length, value, unknown};
}

export function unsigned(data) {
	return data.reduce((v, byte) => v * 256 + byte, 0);
}

function real(data) {
	const view = new DataView(data.buffer, data.byteOffset, data.length);
	return data.length === 4 ? view.getFloat32(0) : data.length === 8 ? view.getFloat64(0) : 0;
}

/* Calls fn(id, data) for all elements; of those that hold others data is empty. */
function walk(bytes, fn) {
	for (let at = 0; at < bytes.length;) {
		const id = number(bytes, at, true), size = number(bytes, at + id.length);
		const from = at + id.length + size.length;
		if (!(from <= bytes.length))
			return; // cut off
		if (DOWN.has(id.value)) {
			fn(id.value, bytes.subarray(from, from));
			at = from;
		} else {
			if (size.unknown || from + size.value > bytes.length)
				return;
			fn(id.value, bytes.subarray(from, from + size.value));
			at = from + size.value;
		}
	}
}

export function readSound(bytes) {
	const frames = [], tracks = [];
	let scale = 1000000, cluster = 0;
	walk(bytes, (id, data) => {
		const track = tracks[tracks.length - 1];
		if (id === ID.scale)
			scale = unsigned(data);
		else if (id === ID.track)
			tracks.push({});
		else if (id === ID.number && track)
			track.number = unsigned(data);
		else if (id === ID.codec && track)
			track.codec = new TextDecoder().decode(data);
		else if (id === ID.hz && track)
			track.hz = real(data);
		else if (id === ID.channels && track)
			track.channels = unsigned(data);
		else if (id === ID.time)
			cluster = unsigned(data);
		else if ((id === ID.simple || id === ID.block) && data.length > 4)
			frames.push({track: data[0] & 0x7f, at: cluster + new DataView(data.buffer, data.byteOffset + 1, 2).getInt16(0), data: data.subarray(4)});
	});
	const sound = tracks.find(t => CODECS[t.codec]);
	return sound ? {codec: CODECS[sound.codec], hz: sound.hz || 48000, channels: sound.channels || 1,
		frames: frames.filter(f => f.track === sound.number).map(f => ({at: f.at * scale / 1000, data: f.data}))} : null;
}

/* Decoders count what they give and know of no gaps, too: the n-th that comes out has the time of the n-th that went in. */
function put(buffer, audio, state, frames) {
	const told = (frames[state.n++]?.at ?? audio.timestamp) / 1e6, at = Math.abs(told - state.end) < NEAR ? state.end : told, first = Math.round(at * buffer.sampleRate);
	const n = Math.min(audio.numberOfFrames, buffer.length - first);
	state.end = at + audio.numberOfFrames / buffer.sampleRate;
	for (let c = 0; n > 0 && c < buffer.numberOfChannels; c++)
		audio.copyTo(buffer.getChannelData(c).subarray(first, first + n),
			{planeIndex: Math.min(c, audio.numberOfChannels - 1), frameCount: n, format: 'f32-planar'});
	audio.close();
}

/* Every frame at its time; null: this browser, or this file, cannot be had so. */
export async function decodeSound(context, bytes, seconds) {
	const sound = globalThis.AudioDecoder && readSound(bytes), config = sound && {codec: sound.codec, sampleRate: sound.hz, numberOfChannels: sound.channels};
	if (sound && !sound.frames.length) // it was silent while others were not
		return context.createBuffer(sound.channels, 1, sound.hz);
	if (!sound || !(await AudioDecoder.isConfigSupported(config)).supported)
		return null;
	const length = Math.max(seconds, sound.frames[sound.frames.length - 1].at / 1e6) + 0.2; // the last one is as long as it is
	const buffer = context.createBuffer(sound.channels, Math.ceil(length * sound.hz), sound.hz), state = {end: 0, n: 0};
	let failure = null;
	const decoder = new AudioDecoder({output: audio => put(buffer, audio, state, sound.frames), error: e => { failure = e; }});
	decoder.configure(config);
	for (const f of sound.frames)
		decoder.decode(new EncodedAudioChunk({type: 'key', timestamp: f.at, data: f.data}));
	await decoder.flush().catch(() => {});
	if (failure)
		throw failure;
	decoder.close();
	return buffer;
}
