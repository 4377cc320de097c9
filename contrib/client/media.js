/*
 * media.js: a room whose media go through the server: what sluice.js uses when the server carries them (module sfu).
 *
 * Two connections, so that offers never cross: Publish, which we offer, and Subscribe, which the server offers. Remote: one
 * other participant, with the tracks that come from it; it stands where a direct Link would. The messages are described in
 * modules/sfu/README.md.
 */

/* Without a mode Chromium takes three encodings of VP9 for layers of one, and sends the first alone. */
const LAYERS = [
	{rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150000, scalabilityMode: 'L1T3'},
	{rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500000, scalabilityMode: 'L1T3'},
	{rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1700000, scalabilityMode: 'L1T3'},
];
const RESTART_AFTER_MS = 500; // of a connection that says disconnected
const RESTART_PAUSE_MS = 2000;
const WATCH_MS = 100; // how often it is looked whether anything comes in
const STALL_MS = 500; // nothing did for so long, where it had come all the time: another path
const LEAST_STALL_MS = 300; // while we send, the server's feedback comes in steadily: a shorter silence tells
const STALL_GAPS = 3, GAP_DECAY = 0.99;
const DOUBT_MS = 300; // nobody says anything any more, or does it not come? The signalling knows, within
const DOUBT_WITHIN_MS = 300;
const FOLLOW_FROM_MS = 100, FOLLOW_MS = 350; // after a change of the network: what still came from before; what the server has followed
const STEADY = 15; // looks in a row that saw something new
const STATS_WITHIN_MS = 2000;
const SIZES_MS = 500; // how often the shown sizes are looked at

const emit = (target, type, detail) => target.dispatchEvent(new CustomEvent(type, {detail}));
const sourceOf = track => track.kind === 'audio' ? 'microphone' : track.contentHint === 'detail' || track.contentHint === 'text' ? 'screen' : 'camera';

/* Some browsers never answer for a connection that is closed meanwhile. */
const reportOf = (pc, track) => Promise.race([pc.getStats(track).catch(() => []), new Promise(resolve => setTimeout(resolve, STATS_WITHIN_MS, []))]);

/*
 * Where a page may use the camera, Chromium binds sockets to each network that it knows of, and learns of a new network up
 * to two seconds late. In a frame that may not, it binds them to none: they outlive a change of the address, and an ICE
 * restart works at once. Our only peer is the server, so that the way of the default route is the right one.
 */
let frame = null;

export function peerConnectionClass(room) {
	const mayFrame = room.RTCPeerConnection === globalThis.RTCPeerConnection && globalThis.document?.body;
	if (!mayFrame || !/Chrom(e|ium)\//.test(globalThis.navigator?.userAgent))
		return room.RTCPeerConnection;
	if (!frame?.isConnected) {
		frame = document.createElement('iframe');
		frame.hidden = true;
		frame.allow = "camera 'none'; microphone 'none'";
		document.body.append(frame);
	}
	return frame.contentWindow.RTCPeerConnection ?? room.RTCPeerConnection;
}

async function bytesReceived(pc) {
	let sum = 0;
	(await reportOf(pc)).forEach(s => sum += s.type === 'candidate-pair' ? s.bytesReceived ?? 0 : 0);
	return sum;
}

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

/*
 * Tells from what comes in, look by look, that a path has died: there was something new all the time, and now nothing is.
 * A silence counts from stall ms on; where least is given, from that on if the gaps before were so much shorter.
 */
export class Pulse {
	constructor({every = WATCH_MS, stall = STALL_MS, least = stall, steady = STEADY} = {}) {
		Object.assign(this, {every, stall, least, steady, beats: 0, heardAt: 0, lookedAt: 0, sum: 0, widest: 0});
	}

	/* What stays silent after a restart is no reason for another. */
	calm() {
		this.beats = 0;
	}

	get isWeak() {
		return this.beats < this.steady;
	}

	/* True: it has just died. A look that comes late says that this page slept, and nothing about the path. */
	look(sum, now) {
		const late = now - this.lookedAt > 3 * this.every, isNew = sum !== this.sum;
		this.lookedAt = now;
		this.sum = sum;
		this.beats += isNew;
		if (isNew && !late)
			this.widest = Math.max(this.widest * GAP_DECAY, now - this.heardAt);
		if (isNew || late)
			this.heardAt = now;
		if (now - this.heardAt < Math.min(this.stall, Math.max(this.least, STALL_GAPS * this.widest)))
			return false;
		const died = !this.isWeak;
		this.calm();
		return died;
	}
}

/* ---- one of the two connections */

class Connection {
	constructor(media, name, pulse = {}) {
		Object.assign(this, {media, name, restartedAt: -Infinity, restarts: 0, pulse: new Pulse(pulse)});
		this.queue = Promise.resolve(); // one description after the other
		this.pc = new (peerConnectionClass(media.room))({iceServers: media.room.relays(), bundlePolicy: 'max-bundle'});
		this.pc.onicecandidate = ({candidate}) => candidate?.candidate && this.say({type: 'trickle', pc: name, candidate: candidate.candidate});
		this.pc.oniceconnectionstatechange = () => this.iceChanged();
		this.pc.onconnectionstatechange = () => {
			if (this.pc.connectionState === 'connected')
				media.room.mark('connected');
			media.changed();
		};
	}

	say(message) {
		if (!this.closed)
			this.media.room.socket.send(message);
	}

	then(step) {
		this.queue = this.queue.then(() => this.closed || step()).catch(error => {
			if (!this.closed)
				emit(this.media.room, 'trouble', {peer: this.name, message: String(error)});
		});
		return this.queue;
	}

	iceChanged() {
		const state = this.pc.iceConnectionState;
		clearTimeout(this.suspicion);
		if (state === 'connected' || state === 'completed')
			this.media.room.mark('iceConnected');
		if (state === 'failed' || state === 'disconnected')
			this.suspicion = setTimeout(() => this.restart(state), state === 'failed' ? 0 : RESTART_AFTER_MS);
	}

	restart(reason) {
		const now = performance.now();
		if (this.closed || now - this.restartedAt < RESTART_PAUSE_MS || !this.pc.remoteDescription)
			return;
		this.restartedAt = now;
		this.restarts++;
		this.pulse.calm();
		emit(this.media.room, 'restart', {peer: this, reason});
		this.begin(true);
	}

	close() {
		this.closed = true;
		clearTimeout(this.suspicion);
		this.pc.close();
	}
}

class Publish extends Connection {
	constructor(media) {
		super(media, 'pub', {least: LEAST_STALL_MS});
		this.requests = 0;
		this.senders = new Map(); // track id of the server -> transceiver
		for (const track of media.room.stream?.getTracks() ?? [])
			this.add(track);
		if (media.data)
			this.channel = this.pc.createDataChannel('room');
		if (this.channel)
			this.channel.onmessage = ({data}) => emit(media.room, 'data', {data});
	}

	add(track) {
		const simulcast = track.kind === 'video' && sourceOf(track) === 'camera';
		this.pc.addTransceiver(track, {direction: 'sendonly', streams: [this.media.room.stream],
			...(simulcast && {sendEncodings: LAYERS.map(l => ({...l}))})});
	}

	/* Ours is always the offer; the answer to it ends the step. */
	begin(iceRestart = false) {
		return this.then(async () => {
			await this.pc.setLocalDescription(await this.pc.createOffer({iceRestart}));
			this.media.room.mark('offer');
			const tracks = this.pc.getTransceivers().filter(t => t.sender.track).map(t => ({mid: t.mid, source: sourceOf(t.sender.track),
				name: t.sender.track.label, muted: !t.sender.track.enabled}));
			const answered = new Promise(resolve => this.answered = resolve);
			this.say({type: 'publish', sdp: this.pc.localDescription.sdp, tracks, request: ++this.requests});
			await answered;
		});
	}

	async published(m) {
		if (m.request !== this.requests || this.pc.signalingState !== 'have-local-offer')
			return;
		await this.pc.setRemoteDescription({type: 'answer', sdp: m.sdp});
		this.media.room.mark('remoteAnswer');
		for (const {mid, id} of m.tracks)
			this.senders.set(id, this.pc.getTransceivers().find(t => t.mid === mid));
		this.answered?.();
	}

	/* What nobody watches need not be made. */
	async encodings({track, active}) {
		const sender = this.senders.get(track)?.sender;
		const parameters = sender?.getParameters();
		if (!parameters?.encodings?.length)
			return;
		for (const encoding of parameters.encodings)
			encoding.active = active[encoding.rid ?? ''] ?? encoding.active;
		await sender.setParameters(parameters).catch(() => { /* it is being replaced: the next word finds it */ });
	}

	mute(track, muted) {
		for (const [id, t] of this.senders)
			if (t?.sender.track === track)
				this.say({type: 'mute', track: id, muted});
	}
}

class Subscribe extends Connection {
	constructor(media) {
		super(media, 'sub', {stall: DOUBT_MS});
		this.pc.ontrack = ({track, transceiver}) => media.arrived(track, transceiver.mid);
	}

	/* The server offers, at once or with news; a restart is asked for. */
	begin(iceRestart = false) {
		this.say(iceRestart ? {type: 'sub-restart'} : {type: 'subscribe', auto: true});
	}

	offered(m) {
		return this.then(async () => {
			this.media.sections = new Map(m.tracks.filter(t => t.mid !== undefined).map(t => [t.mid, t]));
			await this.pc.setRemoteDescription({type: 'offer', sdp: m.sdp});
			this.media.room.mark('remoteOffer');
			await this.pc.setLocalDescription();
			this.media.room.mark('answer');
			this.say({type: 'sub-answer', sdp: this.pc.localDescription.sdp, n: m.n});
			this.media.gone(); // sections that the offer has emptied
		});
	}
}

/* ---- one other participant: in events and stats, it stands where a direct link would */

export class Remote {
	constructor(media, info) {
		Object.assign(this, {media, id: info.id, name: info.name, polite: info.polite, there: false, restarts: 0});
		this.stream = new MediaStream();
		this.tracks = new Map(); // id -> what the server says of it, with .track once it has come
	}

	get state() {
		return this.media.subscribe.pc.connectionState;
	}

	async stats() {
		const sum = {id: this.id, name: this.name, through: 'server', quality: this.quality ?? null, tracks: {}};
		for (const [id, t] of this.tracks) {
			if (!t.track)
				continue;
			(await reportOf(this.media.subscribe.pc, t.track)).forEach(s => {
				if (s.type === 'inbound-rtp')
					sum.tracks[id] = {...s, source: t.source, muted: t.muted, paused: t.paused ?? false};
			});
		}
		return sum;
	}

	close() {
		clearTimeout(this.waiting);
	}
}

/* ---- both, and the other participants */

export class Media {
	constructor(room, {data = true} = {}) {
		Object.assign(this, {room, data});
		this.remotes = new Map();
		this.sections = new Map(); // mid -> track, of the newest offer
		this.speakers = [];
		this.open();
		this.looker = setInterval(() => this.lookAtSizes(), SIZES_MS);
		this.watcher = setInterval(() => this.watch(), WATCH_MS);
	}

	open() {
		this.publish = new Publish(this);
		this.subscribe = new Subscribe(this);
		this.publish.begin();
		this.subscribe.begin();
	}

	/* The server has lost one of the connections, or both. */
	reopen(which) {
		if (which === 'publish' || which === 'both') {
			this.publish.close();
			this.publish = new Publish(this);
			this.publish.begin();
		}
		if (which === 'subscribe' || which === 'both') {
			this.subscribe.close();
			for (const remote of this.remotes.values())
				for (const id of [...remote.tracks.keys()])
					this.dropTrack(remote, id);
			this.subscribe = new Subscribe(this);
			this.subscribe.begin();
		}
	}

	hear(m) {
		switch (m.type) {
		case 'published': return this.publish.published(m).catch(error => emit(this.room, 'trouble', {message: String(error)}));
		case 'sub-offer': return this.subscribe.offered(m);
		case 'track': return this.know(m.track);
		case 'track-gone': return this.dropTrack(this.remotes.get(m.peer), m.id);
		case 'muted': return this.update(m.id, {muted: m.muted});
		case 'paused': return this.update(m.id, {paused: m.paused});
		case 'speakers': this.speakers = m.peers; return emit(this.room, 'speakers', m.peers);
		case 'quality': return this.judged(m.peers);
		case 'encodings': return this.publish.encodings(m);
		case 'media-restart': return this.restartTold(m);
		default: return undefined;
		}
	}

	/* How good everybody's line is; what is said of us comes with peer null. */
	judged(peers) {
		for (const {peer: id, ...quality} of peers) {
			const mine = id === this.room.self?.id, remote = mine ? null : this.remoteOf(id);
			(remote ?? this).quality = quality;
			if (mine || remote.there)
				emit(this.room, 'quality', {peer: remote, ...quality});
		}
	}

	/* An ICE restart keeps everything; only what is gone on the server is opened anew. */
	restartTold({connection, reason}) {
		if (connection === 'publish' && this.publish.pc.iceConnectionState === 'failed')
			return this.publish.restart(reason);
		return this.reopen(connection);
	}

	/* News of a participant's tracks may overtake the news that it is there: then it is nameless until that comes. */
	remoteOf(id) {
		if (!this.remotes.has(id))
			this.remotes.set(id, new Remote(this, {id}));
		return this.remotes.get(id);
	}

	/* True: it was not there before, as far as anybody was told. */
	addRemote(info) {
		const remote = this.remoteOf(info.id), isNew = !remote.there;
		Object.assign(remote, {name: info.name, polite: info.polite, there: true});
		return isNew ? remote : null;
	}

	/* What had come before the news of it. */
	tellTracks(remote) {
		if (remote.quality)
			emit(this.room, 'quality', {peer: remote, ...remote.quality});
		for (const {track, source} of remote.tracks.values())
			if (track)
				emit(this.room, 'track', {peer: remote, track, stream: remote.stream, source});
	}

	hasTrackOf(id) {
		return [...this.remotes.get(id)?.tracks.values() ?? []].some(t => t.track);
	}

	dropRemote(id) {
		this.remotes.get(id)?.close();
		this.remotes.delete(id);
	}

	know(t) {
		const remote = this.remoteOf(t.peer);
		remote.tracks.set(t.id, {...remote.tracks.get(t.id), ...t});
		if (remote.there)
			emit(this.room, 'trackinfo', {...remote.tracks.get(t.id), peer: remote});
	}

	update(id, change) {
		for (const remote of this.remotes.values())
			if (remote.tracks.has(id))
				emit(this.room, 'trackinfo', {...Object.assign(remote.tracks.get(id), change), peer: remote});
	}

	/* A track has come: the newest offer says whose it is. */
	arrived(track, mid) {
		const info = this.sections.get(mid);
		if (!info)
			return;
		const remote = this.remoteOf(info.peer);
		const known = {...remote.tracks.get(info.id), ...info, track};
		remote.tracks.set(info.id, known);
		remote.stream.addTrack(track);
		if (remote.there)
			emit(this.room, 'track', {peer: remote, track, stream: remote.stream, source: info.source});
		if (track.muted) // a direct link stays until this one really brings something
			track.addEventListener('unmute', () => this.room.flows(remote.id), {once: true});
		else
			this.room.flows(remote.id);
	}

	dropTrack(remote, id) {
		const t = remote?.tracks.get(id);
		if (t?.track)
			remote.stream.removeTrack(t.track);
		remote?.tracks.delete(id);
	}

	gone() {
		const there = new Set([...this.sections.values()].map(t => t.id));
		for (const remote of this.remotes.values())
			for (const [id, t] of remote.tracks)
				if (t.track && !there.has(id))
					this.dropTrack(remote, id);
	}

	/* The server sends what is shown, no more: elements that play a participant's stream tell the size. */
	lookAtSizes() {
		for (const remote of this.remotes.values()) {
			const element = this.room.elementOf?.(remote.id);
			for (const [id, t] of remote.tracks) {
				if (t.kind !== 'video' || !t.track || !element)
					continue;
				const ratio = globalThis.devicePixelRatio ?? 1;
				const hidden = globalThis.document?.hidden || element.clientWidth === 0;
				const now = `${Math.round(element.clientWidth * ratio)}x${Math.round(element.clientHeight * ratio)} ${hidden}`;
				if (now === t.shown)
					continue;
				t.shown = now;
				this.room.socket.send({type: 'layers', track: id, width: Math.round(element.clientWidth * ratio),
					height: Math.round(element.clientHeight * ratio), hidden: Boolean(hidden)});
			}
		}
	}

	get connections() {
		return [this.publish, this.subscribe];
	}

	/*
	 * A path that has died is seen here seconds before the browser says it. To the publishing connection the server sends
	 * reports all the time; who is silent in the other may just have nothing to say, unless both are, or the signalling is.
	 */
	async watch() {
		if (this.looking || globalThis.navigator?.onLine === false)
			return;
		this.looking = true;
		const connections = this.connections;
		const sums = await Promise.all(connections.map(c => bytesReceived(c.pc)));
		this.looking = false;
		const now = performance.now(), [published, subscribed] = connections.map((c, i) => c.pulse.look(sums[i], now));
		if (this.closed)
			return;
		if (published || subscribed && this.publish.pulse.isWeak)
			this.room.networkChanged(() => this.room.socket.renew(), 'stalled');
		else if (subscribed && !await this.room.socket.answers(DOUBT_WITHIN_MS))
			this.leftBehind();
	}

	/* The server has followed what is published, and knows nothing of where the rest should go. */
	leftBehind() {
		if (this.closed)
			return;
		this.room.socket.renew();
		this.subscribe.restart('stalled');
	}

	/*
	 * A socket that outlives the change goes on sending, and the server follows it to the new address faster than any restart
	 * (core/session/rtc_roam.c). On the connection that only receives, little is sent that could be followed.
	 */
	async moved(reason) {
		const publish = this.publish;
		this.subscribe.restart(reason);
		if (peerConnectionClass(this.room) === this.room.RTCPeerConnection)
			return publish.restart(reason);
		await wait(FOLLOW_FROM_MS);
		const before = await bytesReceived(publish.pc);
		await wait(FOLLOW_MS - FOLLOW_FROM_MS);
		return await bytesReceived(publish.pc) === before && publish.restart(reason);
	}

	changed() {
		emit(this.room, 'state', this.room.state);
		for (const remote of this.remotes.values())
			if (remote.there)
				emit(this.room, 'peerstate', {peer: remote, state: remote.state});
	}

	get states() {
		return this.connections.map(c => c.pc.connectionState);
	}

	restart(reason) {
		this.connections.forEach(c => c.restart(reason));
	}

	close() {
		this.closed = true;
		clearInterval(this.looker);
		clearInterval(this.watcher);
		this.publish.close();
		this.subscribe.close();
		for (const id of [...this.remotes.keys()])
			this.dropRemote(id);
	}
}
