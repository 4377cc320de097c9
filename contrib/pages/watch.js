/*
 * watch.js: HTTP Live Streaming (RFC 8216) of a recording by Media Source Extensions, for browsers that do not play playlists themselves: one picture
 * with its sound, or sound alone, followed while it goes on.
 *
 *     const all = readMaster(await text('index.m3u8'));   // [{name, uri, codecs: [..], audio: uri or null, width, height}]
 *     const w = new Watch(video, all[0], load);           // load(uri): a Promise of a Response
 *     w.addEventListener('trouble', e => e.detail.message); w.close();
 *
 * Segments carry the time of the recording, so that they find their places by themselves, behind a discontinuity, too. What is missing is jumped over.
 */
const AGAIN_MS = 1000; // a playlist that grows is asked for again
const AHEAD_S = 30; // so much is loaded before it is played
const BEHIND_S = 60; // and so much is kept of what was
const FROM_EDGE_S = 3; // where one begins who comes while it goes on
const GAP_S = 0.3; // a player that stands so long before what it has jumps there

function attributes(text) {
	return Object.fromEntries([...text.matchAll(/([A-Z-]+)=(?:"([^"]*)"|([^,]*))/g)].map(m => [m[1], m[2] ?? m[3]]));
}

export function readMaster(text) {
	const lines = text.split('\n'), sounds = new Map(), streams = [];
	for (const line of lines.filter(l => l.startsWith('#EXT-X-MEDIA:'))) {
		const a = attributes(line);
		if (a.TYPE === 'AUDIO' && a.DEFAULT === 'YES')
			sounds.set(a['GROUP-ID'], a.URI);
	}
	lines.forEach((line, i) => {
		if (!line.startsWith('#EXT-X-STREAM-INF:'))
			return;
		const a = attributes(line), [width = 0, height = 0] = (a.RESOLUTION ?? '').split('x').map(Number);
		streams.push({name: a.NAME ?? '', uri: lines[i + 1], codecs: (a.CODECS ?? '').split(','), audio: sounds.get(a.AUDIO) ?? null, width, height});
	});
	return streams;
}

export function readPlaylist(text) {
	const segments = [];
	let map = null, duration = 0;
	for (const line of text.split('\n'))
		if (line.startsWith('#EXT-X-MAP:'))
			map = attributes(line).URI;
		else if (line.startsWith('#EXTINF:'))
			duration = parseFloat(line.slice(8));
		else if (line && !line.startsWith('#'))
			segments.push({uri: line, map, duration});
	return {segments, over: text.includes('#EXT-X-ENDLIST')};
}

/* Opus is written in two ways. */
function typeFor(kind, codec) {
	const type = name => `${kind}/mp4; codecs="${name}"`;
	const found = [codec, codec.toLowerCase()].map(type).find(t => MediaSource.isTypeSupported(t));
	if (!found)
		throw new Error(`this browser does not play ${codec}`);
	return found;
}

/* One playlist into one buffer */
class Feed {
	constructor(watch, uri, type) {
		Object.assign(this, {watch, uri, next: 0, map: null, segments: [], over: false});
		this.buffer = watch.source.addSourceBuffer(type);
	}

	/* The end of what there is at a time, or that time */
	endAt(time) {
		const {buffered} = this.buffer;
		for (let i = 0; i < buffered.length; i++)
			if (buffered.start(i) <= time + GAP_S && buffered.end(i) > time)
				return buffered.end(i);
		return time;
	}

	async refresh() {
		if (!this.over)
			({segments: this.segments, over: this.over} = readPlaylist(await (await this.watch.load(this.uri)).text()));
	}

	async append(bytes) {
		const done = new Promise((ok, fail) => {
			this.buffer.addEventListener('updateend', ok, {once: true});
			this.buffer.addEventListener('error', () => fail(new Error('a segment could not be read')), {once: true});
		});
		this.buffer.appendBuffer(bytes);
		await done;
	}

	async forget(before) {
		const {buffered} = this.buffer;
		if (buffered.length === 0 || buffered.start(0) >= before)
			return;
		const done = new Promise(ok => { this.buffer.addEventListener('updateend', ok, {once: true}); });
		this.buffer.remove(0, before);
		await done;
	}

	async fetch(uri) {
		return (await this.watch.load(uri)).arrayBuffer();
	}

	/* Who comes while it goes on needs none of what was long before. */
	skipTo(seconds) {
		let left = 0;
		this.next = this.segments.length;
		while (this.next > 0 && left < seconds)
			left += this.segments[--this.next].duration;
	}

	async fill() {
		const {video} = this.watch;
		while (!this.watch.closed && this.next < this.segments.length && this.endAt(video.currentTime) - video.currentTime < AHEAD_S) {
			const segment = this.segments[this.next++];
			if (segment.map !== this.map)
				await this.append(await this.fetch(segment.map));
			this.map = segment.map;
			await this.append(await this.fetch(segment.uri));
		}
		await this.forget(video.currentTime - BEHIND_S);
	}

	get done() {
		return this.over && this.next === this.segments.length;
	}
}

export class Watch extends EventTarget {
	constructor(video, stream, load) {
		super();
		Object.assign(this, {video, load, closed: false, begun: false, stood: 0, feeds: []});
		this.source = new MediaSource();
		this.url = URL.createObjectURL(this.source);
		video.src = this.url;
		this.source.addEventListener('sourceopen', () => this.open(stream), {once: true});
	}

	async open({uri, codecs, audio, width}) {
		try {
			const own = width ? 'video' : 'audio';
			this.feeds.push(new Feed(this, uri, typeFor(own, codecs[0])));
			if (audio)
				this.feeds.push(new Feed(this, audio, typeFor('audio', codecs[1])));
			await this.run();
		} catch (error) {
			if (!this.closed)
				this.dispatchEvent(new CustomEvent('trouble', {detail: {message: error.message}}));
		}
	}

	async run() {
		await this.refresh();
		if (this.feeds.some(f => !f.over))
			this.feeds.forEach(f => f.skipTo(FROM_EDGE_S));
		while (!this.closed) {
			await Promise.all(this.feeds.map(f => f.fill()));
			this.begin();
			this.jump();
			if (this.feeds.every(f => f.done) && this.source.readyState === 'open') {
				this.source.endOfStream();
				return;
			}
			await new Promise(done => setTimeout(done, AGAIN_MS));
			await this.refresh();
		}
	}

	refresh() {
		return Promise.all(this.feeds.map(f => f.refresh()));
	}

	begin() {
		const starts = this.feeds.map(f => f.buffer.buffered).filter(b => b.length).map(b => b.start(0));
		if (this.begun || starts.length < this.feeds.length)
			return;
		this.begun = true;
		this.video.currentTime = Math.max(...starts);
		this.video.play().catch(() => {}); // with sound some browsers want a click first
	}

	/* Over what nobody has sent */
	jump() {
		const {buffered, currentTime} = this.video;
		const stands = this.begun && !this.video.paused && currentTime === this.stood;
		this.stood = currentTime;
		for (let i = 0; stands && i < buffered.length; i++)
			if (buffered.start(i) > currentTime) {
				this.video.currentTime = buffered.start(i) + 0.01;
				return;
			}
	}

	close() {
		this.closed = true;
		this.video.removeAttribute('src');
		this.video.load();
		URL.revokeObjectURL(this.url);
	}
}
