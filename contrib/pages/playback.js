/*
 * playback.js: a recording played with all its tracks together, from the files of the tracks; no word of the page.
 *
 *     const p = new Playback(recording, load);  // recording: {manifest, segments, notes}; load(file): a Promise of a Blob
 *     p.tracks[i].attach(figure);                             // pictures of a track into an element
 *     await p.play(); p.seek(12.5); p.pause(); p.time; p.tracks[i].silent = true;
 *
 * Sealed files are opened with p.key (sealed.js). Where tracks have no files of their own, they are taken out of the room's. The clock is the sound card's. Sound is decoded and put at its place on it, to the sample; pictures are media elements that are kept with it by their
 * rate, and by a jump when they are far off. Where a track has no file there is silence, and no picture.
 */
import {onlyTrack} from '/one-track.js';
import {unseal} from '/sealed.js';
import {decodeSound} from '/webm.js';

const AHEAD_S = 12; // what is loaded before it is needed
const BEHIND_S = 2;
const JUMP_S = 0.25; // a picture that is so far off jumps
const NEAR_S = 0.012; // and one that is nearer is left alone
const STARTS_S = 0.06; // a media element takes so long to begin
const PEAKS_PER_S = 20;
const THUMBNAILS = 12; // of a track, at most
const THUMBNAIL_WITHIN_MS = 5000;
const SOUND_WITHIN_MS = 1000; // where there is no sound card, some browsers wait for one without end

const seconds = ms => ms / 1000;
const isRoom = file => /^\d+-room\./.test(file);

/* Files of a track, by time: its own, or else the room's; index: which of a file's tracks it is, when there are others */
function piecesOf(track, segments) {
	const all = segments.filter(s => s.container !== 'pcapng' && s.tracks?.some(t => t.id === track.id));
	const own = all.filter(s => !isRoom(s.file));
	return (own.length ? own : all)
		.map(s => ({file: s.file, sealed: s.sealed, start: seconds(s.start_ms), end: seconds(s.end_ms),
			from: seconds(s.tracks.find(t => t.id === track.id).start_ms ?? s.start_ms), // a room's file may show a picture later than others
			index: s.tracks.length > 1 ? s.tracks.findIndex(t => t.id === track.id) : -1}))
		.sort((a, b) => a.start - b.start);
}

/* The sound of everybody, mixed: played only where nobody's own sound is there */
function mixesOf({manifest, segments}) {
	const mixes = manifest.tracks.filter(t => t.source === 'mix').map(t => t.id);
	const others = manifest.tracks.some(t => t.kind === 'audio' && t.source !== 'mix' && piecesOf(t, segments).length);
	return new Set(others ? mixes : []);
}

function spansOf(notes, from, to, end, id) {
	const spans = [];
	for (const n of notes.filter(x => (x.type === from || x.type === to) && (id === undefined || x.id === id)))
		if (n.type === from)
			spans.push({start: seconds(n.at_ms), end});
		else if (spans.length)
			spans[spans.length - 1].end = seconds(n.at_ms);
	return spans;
}

class Track {
	constructor(playback, told, recording, end) {
		this.playback = playback;
		this.id = told.id;
		this.kind = told.kind;
		this.source = told.source;
		this.codec = told.codec;
		this.person = recording.manifest.participants.find(p => p.id === told.participant)?.name || (told.source === 'mix' ? 'everybody' : 'guest');
		this.pieces = piecesOf(told, recording.segments);
		this.mutes = spansOf(recording.notes, 'mute', 'unmute', end, told.id);
		this.loaded = new Map(); // piece -> Promise of what it becomes
	}

	get end() {
		return this.pieces.length ? this.pieces[this.pieces.length - 1].end : 0;
	}

	load(piece) {
		if (!this.loaded.has(piece))
			this.loaded.set(piece, this.open(piece).catch(error => {
				this.playback.failed(this, piece, error);
				return null;
			}));
		return this.loaded.get(piece);
	}

	/* Loads what is near, and lets go of what is far. */
	look(time) {
		for (const piece of this.pieces)
			if (piece.end > time - BEHIND_S && piece.start < time + AHEAD_S)
				this.load(piece);
			else if (this.loaded.has(piece) && (piece.end < time - AHEAD_S || piece.start > time + 2 * AHEAD_S))
				this.drop(piece);
	}

	drop(piece) {
		const gone = this.loaded.get(piece);
		this.loaded.delete(piece);
		gone.then(what => this.release?.(what));
	}

	async blob(piece) {
		const blob = await this.playback.loadFile(piece.file);
		if (!piece.sealed && piece.index < 0)
			return blob;
		if (piece.sealed && !this.playback.key)
			throw new Error('it is sealed; give its private key');
		let bytes = new Uint8Array(await blob.arrayBuffer());
		if (piece.sealed)
			bytes = await unseal(this.playback.key, bytes);
		return new Blob([piece.index < 0 ? bytes : onlyTrack(bytes, piece.index)]);
	}

	isNear(piece) {
		const {time} = this.playback;
		return piece.end > time - BEHIND_S && piece.start < time + AHEAD_S;
	}
}

/* ---- sound */

class Sound extends Track {
	constructor(...all) {
		super(...all);
		this.pieces = this.pieces.filter(p => p.end > p.start);
		this.gain = this.playback.context.createGain();
		this.gain.connect(this.playback.context.destination);
		this.playing = new Map(); // piece -> node
		this.peaks = new Map(); // piece -> Float32Array, PEAKS_PER_S
	}

	get silent() {
		return this.gain.gain.value === 0;
	}

	set silent(yes) {
		this.gain.gain.value = yes ? 0 : 1;
	}

	async open(piece) {
		const {context} = this.playback, bytes = await (await this.blob(piece)).arrayBuffer();
		const buffer = await decodeSound(context, new Uint8Array(bytes), piece.end - piece.start) ?? await context.decodeAudioData(bytes);
		if (!this.peaks.has(piece)) {
			this.peaks.set(piece, peaksOf(buffer));
			this.playback.dispatchEvent(new CustomEvent('peaks', {detail: this}));
		}
		if (this.loaded.has(piece))
			this.schedule(piece, buffer);
		return buffer;
	}

	/* Puts a piece on the clock; from its middle when its time has come already. */
	schedule(piece, buffer) {
		const p = this.playback, {context} = p;
		if (p.paused || p.soundless || this.playing.has(piece) || !buffer)
			return;
		const now = context.currentTime + 0.005, when = p.contextTime(piece.start), late = Math.max(0, now - when);
		if (late >= buffer.duration)
			return;
		const node = context.createBufferSource();
		node.buffer = buffer;
		node.connect(this.gain);
		node.onended = () => node === this.playing.get(piece) && this.playing.delete(piece);
		node.start(when + late, late);
		this.playing.set(piece, node);
	}

	tick(time) {
		this.look(time);
		for (const piece of this.pieces)
			if (piece.end > time && piece.start < time + AHEAD_S)
				this.load(piece).then(buffer => this.loaded.has(piece) && this.schedule(piece, buffer));
	}

	stop() {
		for (const node of this.playing.values()) {
			node.onended = null;
			node.stop();
		}
		this.playing.clear();
	}

	/* The waveform of what was not played yet, file by file */
	async measure() {
		for (const piece of this.pieces) {
			if (this.playback.closed)
				return;
			if (!this.peaks.has(piece) && await this.load(piece) && !this.isNear(piece))
				this.drop(piece);
		}
	}

}

function peaksOf(buffer) {
	const data = buffer.getChannelData(0), step = Math.round(buffer.sampleRate / PEAKS_PER_S);
	const peaks = new Float32Array(Math.ceil(data.length / step));
	for (let i = 0; i < data.length; i++)
		peaks[Math.floor(i / step)] = Math.max(peaks[Math.floor(i / step)], Math.abs(data[i]));
	return peaks;
}

/* ---- pictures: two elements, one that shows and one that has the next file ready */

class Picture extends Track {
	constructor(...all) {
		super(...all);
		this.elements = [0, 1].map(() => {
			const video = document.createElement('video');
			video.muted = video.playsInline = true;
			video.preload = 'auto';
			return {video, piece: null, ready: false};
		});
		this.shown = null; // one of elements
		this.thumbnails = new Map(); // piece -> ImageBitmap of its beginning
	}

	attach(figure) {
		this.figure = figure;
		figure.prepend(...this.elements.map(e => e.video));
	}

	async open(piece) {
		return URL.createObjectURL(await this.blob(piece));
	}

	release(url) {
		if (url)
			URL.revokeObjectURL(url);
	}

	pieceAt(time) {
		return this.pieces.findLast(p => p.from <= time + NEAR_S) ?? this.pieces.find(p => p.start <= time + NEAR_S);
	}

	isMuted(time) {
		return this.mutes.some(m => time >= m.start && time < m.end);
	}

	async prepare(element, piece) {
		element.piece = piece;
		element.ready = false;
		const url = await this.load(piece);
		if (element.piece !== piece || !url)
			return;
		element.video.src = url;
		element.ready = true;
	}

	elementFor(piece) {
		let element = this.elements.find(e => e.piece === piece);
		if (!element) {
			element = this.elements.find(e => e !== this.shown) ?? this.elements[0];
			this.prepare(element, piece);
		}
		return element;
	}

	/* The last picture of a file stands until the next one begins, or the track ends. */
	tick(time) {
		this.look(time);
		const piece = this.pieceAt(time), next = this.pieces[this.pieces.indexOf(piece) + 1];
		const there = piece && (next || time < piece.end + 0.3) && !this.isMuted(time);
		this.figure?.classList.toggle('away', !there);
		if (!there) {
			this.stop();
		} else {
			const element = this.elementFor(piece);
			this.keep(element, time - piece.start);
			if (element !== this.shown && element.ready && element.video.readyState >= 2)
				this.show(element);
		}
		if (next && next.start < time + AHEAD_S / 3 && (!piece || this.shown?.piece === piece || !there))
			this.begin(this.elementFor(next), next.start - time);
	}

	show(element) {
		this.shown?.video.classList.remove('shown');
		this.shown?.video.pause();
		this.shown = element;
		element.video.classList.add('shown');
	}

	/* It is started a little before its time. */
	begin(element, inS) {
		if (element.ready && !this.playback.paused && inS < STARTS_S && element.video.paused)
			element.video.play().catch(() => {});
	}

	/* Keeps an element at its time in the file. */
	keep(element, at) {
		const {video} = element, off = at - video.currentTime;
		if (!element.ready || video.readyState < 1)
			return;
		const end = Number.isFinite(video.duration) ? video.duration : Infinity;
		if (at >= end - 0.02) {
			if (Math.abs(end - video.currentTime) > JUMP_S && !video.seeking)
				video.currentTime = Math.max(0, end - 0.02);
			return;
		}
		if (this.playback.paused) {
			video.pause();
			if (Math.abs(off) > NEAR_S && !video.seeking)
				video.currentTime = at;
			return;
		}
		if (video.paused)
			video.play().catch(() => {});
		if (Math.abs(off) > JUMP_S && !video.seeking)
			video.currentTime = at + STARTS_S / 2;
		else
			video.playbackRate = Math.abs(off) < NEAR_S ? 1 : Math.min(1.3, Math.max(0.75, 1 + off * 2));
	}

	/* How far its picture is behind (ahead: negative), in seconds; null: there is none now */
	get offset() {
		const {shown} = this, {heard: time} = this.playback;
		if (!shown?.ready || shown.video.paused || shown.piece !== this.pieceAt(time))
			return null;
		return time - shown.piece.start - shown.video.currentTime;
	}

	stop() {
		for (const {video} of this.elements)
			video.pause();
	}

	/* The first pictures of some files, file by file: few, however long it is */
	async measure() {
		const step = Math.ceil(this.pieces.length / THUMBNAILS);
		for (let i = 0; i < this.pieces.length && !this.playback.closed; i += step) {
			const piece = this.pieces[i], url = await this.load(piece);
			const image = url && await firstPicture(url);
			if (!this.isNear(piece) && this.loaded.has(piece))
				this.drop(piece);
			if (!image)
				continue;
			this.thumbnails.set(piece, image);
			this.playback.dispatchEvent(new CustomEvent('peaks', {detail: this}));
		}
	}
}

/* null: it cannot be decoded, or it takes too long */
async function firstPicture(url) {
	const video = document.createElement('video');
	video.muted = true;
	video.preload = 'auto';
	const ready = new Promise(done => {
		video.onloadeddata = () => done(true);
		video.onerror = () => done(false);
		setTimeout(done, THUMBNAIL_WITHIN_MS, false);
	});
	video.src = url;
	const image = await ready && await createImageBitmap(video).catch(() => null);
	video.removeAttribute('src');
	video.load();
	return image;
}

/* ---- all of them */

export class Playback extends EventTarget {
	constructor(recording, loadFile, key = null) {
		super();
		this.key = key; // to sealed files
		this.context = new AudioContext();
		this.loadFile = loadFile;
		this.paused = true;
		this.soundless = false; // pictures alone, by the page's clock
		this.context.addEventListener('statechange', () => this.soundless && this.context.state === 'running' && this.soundCame());
		this.closed = false;
		this.at = 0; // where it stood at
		this.since = 0; // this time of the context
		const end = seconds(recording.manifest.duration_ms);
		const whole = mixesOf(recording);
		this.tracks = recording.manifest.tracks.filter(t => !whole.has(t.id)).map(t => new (t.kind === 'audio' ? Sound : Picture)(this, t, recording, end)).filter(t => t.pieces.length);
		this.pauses = spansOf(recording.notes, 'pause', 'resume', end);
		this.duration = Math.max(0.1, ...this.tracks.map(t => t.end));
	}

	/* Of the clock that all goes by */
	get now() {
		return this.soundless ? seconds(performance.now()) : this.context.currentTime;
	}

	/* Of the recording, as sound leaves us */
	get time() {
		return Math.min(this.duration, this.paused ? this.at : this.at + Math.max(0, this.now - this.since));
	}

	/* And as it is heard at a moment of performance.now(), in which sound cards take their time */
	heardAt(now) {
		if (this.soundless)
			return this.time + (this.paused ? 0 : seconds(now - performance.now()));
		const {contextTime = 0, performanceTime = 0} = this.context.getOutputTimestamp?.() ?? {};
		const latency = this.context.outputLatency || this.context.baseLatency || 0;
		const heard = contextTime > 0 ? contextTime + seconds(now - performanceTime) : this.context.currentTime - latency;
		return this.paused ? this.at : Math.min(this.duration, Math.max(this.at, this.at + heard - this.since));
	}

	get heard() {
		return this.heardAt(performance.now());
	}

	contextTime(time) {
		return this.since + time - this.at;
	}

	async play() {
		if (!this.paused || this.closed)
			return;
		if (this.at >= this.duration)
			this.at = 0;
		await Promise.race([this.context.resume(), new Promise(late => setTimeout(late, SOUND_WITHIN_MS))]);
		if (!this.paused || this.closed)
			return;
		this.soundless = this.context.state !== 'running';
		this.since = this.now + 0.05;
		this.paused = false;
		this.timer ??= setInterval(() => this.tick(), 40);
		this.tick();
		this.dispatchEvent(new Event('state'));
	}

	soundCame() {
		const {time} = this;
		this.soundless = false;
		this.seek(time);
	}

	pause() {
		if (this.paused)
			return;
		this.at = this.time;
		this.paused = true;
		for (const t of this.tracks)
			t.stop();
		this.tick();
		this.dispatchEvent(new Event('state'));
	}

	seek(time) {
		this.at = Math.min(this.duration, Math.max(0, time));
		this.since = this.now + 0.05;
		for (const t of this.tracks)
			if (t.kind === 'audio')
				t.stop();
		this.timer ??= setInterval(() => this.tick(), 40);
		this.tick();
	}

	/* What nobody said anything in is not waited through. */
	skipPause() {
		const span = this.pauses.find(p => this.time >= p.start + 1 && this.time < p.end - 1);
		if (span && !this.paused)
			this.seek(span.end - 0.5);
	}

	tick() {
		if (!this.paused && this.time >= this.duration)
			this.pause();
		this.skipPause();
		for (const t of this.tracks)
			t.tick(t.kind === 'audio' ? this.time : this.heard);
		this.dispatchEvent(new Event('time'));
	}

	failed(track, piece, error) {
		this.dispatchEvent(new CustomEvent('trouble', {detail: {track, file: piece.file, message: error.message}}));
	}

	/* Waveforms of all sound and thumbnails of all pictures, one track after the other */
	async measure() {
		for (const t of this.tracks)
			await t.measure();
	}

	close() {
		this.closed = true;
		clearInterval(this.timer);
		for (const t of this.tracks) {
			t.stop();
			for (const piece of [...t.loaded.keys()])
				t.drop(piece);
		}
		this.context.close();
	}
}

export {PEAKS_PER_S};
