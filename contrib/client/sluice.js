/*
 * sluice.js: calls through a Sluice server, as one ES module without dependencies.
 *
 *     import {join} from '/sluice.js';
 *     const room = join({room: 'tea', name: 'Ada', stream: await navigator.mediaDevices.getUserMedia({audio: true, video: true})});
 *     room.addEventListener('track', e => video.srcObject = e.detail.stream);
 *
 * Socket: the WebSocket, its liveness, and resuming: every message arrives in order and once, over as many connections as
 * it takes. Link: one RTCPeerConnection to one other peer: perfect negotiation with the role the server gave, trickled
 * candidates, ICE restarts. Room: both together, and media.js when the server carries the media of the room. The protocol is
 * described in modules/signaling-ws/README.md.
 */

import {Media} from '/media.js';

const VERSION = 1;
const PING_AFTER_MS = 10000; // of silence
const PING_MEDIA_AFTER_MS = 3000; // where the server carries the media and follows them to another address: the socket stays behind
const PONG_WITHIN_MS = 4000;
const PROBE_WITHIN_MS = 1000; // when the network is known to have changed
const CONNECT_WITHIN_MS = 6000;
const RENEW_WITHIN_MS = 300; // in a network that has just come up, what is sent first is often lost; longer with each attempt
const RENEW_PAUSE_MS = 50;
const ACK_AFTER_MS = 200;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 10000;
const OFFER_FALLBACK_MS = 2000; // the polite side offers if the other does not
const RESTART_PAUSE_MS = 4000; // no second ICE restart before the first had its chance
const SUSPECT_MS = 1000; // connected, but no media comes in: is the signalling alive?
const STALL_MS = 2000; // and then: another path
const WATCH_MS = 500;
const STATS_WITHIN_MS = 2000; // some browsers never answer for a connection that is closed meanwhile

/* Errors after which trying again would change nothing. */
const FINAL = new Set(['forbidden', 'bad_room', 'bad_name', 'bad_version', 'kicked', 'replaced', 'room_full']);

const emit = (target, type, detail) => target.dispatchEvent(new CustomEvent(type, {detail}));

/* ws(s)://host/signal of the page's own server. */
export function defaultSignalUrl(location = globalThis.location) {
	return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/signal`;
}

/* ---- Socket: events 'open' (welcome), 'message', 'reset' (joined anew: all peers are new), 'state', 'closed' */

export class Socket extends EventTarget {
	constructor({url, room, name, token, WebSocket = globalThis.WebSocket}) {
		super();
		Object.assign(this, {url, room, name, token, WebSocket});
		this.state = 'connecting';
		this.resumeToken = null;
		this.seq = 0; // last number received
		this.acked = 0; // last number acknowledged
		this.nextId = 1;
		this.unacked = []; // {id, text}: resent after a resume
		this.attempts = 0;
		this.hurried = false; // the network has changed
		this.connects = 0;
		this.timers = {};
		this.pongDue = Infinity;
		this.pingAfter = PING_AFTER_MS;
		this.heardAt = 0;
		this.connect();
	}

	/* Numbered and kept until the server has accepted it. */
	send(message) {
		const id = this.nextId++;
		this.unacked.push({id, message});
		if (this.state === 'open')
			this.transmit({...message, id});
	}

	close() {
		if (this.state === 'closed')
			return;
		this.transmit({type: 'leave', id: this.nextId++});
		this.end('left');
	}

	/* The network may have changed under us: an old connection can hang for minutes without an error. */
	probe() {
		if (this.state === 'open')
			this.ping(PROBE_WITHIN_MS);
		else if (this.state === 'waiting')
			this.connect();
	}

	/* Does the server say anything within so many milliseconds? */
	async answers(within) {
		const asked = performance.now();
		this.transmit({type: 'ping'});
		await new Promise(resolve => setTimeout(resolve, within));
		return this.heardAt >= asked;
	}

	/* The network was away: the connection of before seldom lives on, and a new one resumes within a round trip or two. */
	renew() {
		if (this.state === 'closed')
			return;
		this.attempts = 0;
		this.hurried = true;
		this.connect();
	}

	/* -- below: private */

	setState(state) {
		if (this.state === state)
			return;
		this.state = state;
		emit(this, 'state', state);
	}

	setTimer(name, ms, fn) {
		clearTimeout(this.timers[name]);
		this.timers[name] = setTimeout(fn, ms);
	}

	transmit(message) {
		if (this.ws?.readyState !== 1)
			return;
		if (this.seq > this.acked) {
			if (message.type !== 'hello' && message.type !== 'join' && message.type !== 'resume')
				message = {...message, ack: this.seq};
			this.acked = this.seq;
			clearTimeout(this.timers.ack);
		}
		this.ws.send(JSON.stringify(message));
	}

	connect() {
		const url = new URL(this.url, globalThis.location?.href);
		url.protocol = url.protocol.replace('http', 'ws');
		if (this.token)
			url.searchParams.set('token', this.token);
		this.retire();
		this.setState('connecting');
		const ws = new this.WebSocket(url);
		this.ws = ws;
		this.connects++;
		ws.onopen = () => this.greet();
		ws.onmessage = e => ws === this.ws && this.heard(JSON.parse(e.data));
		ws.onclose = e => ws === this.ws && this.lost(e);
		this.setTimer('connect', this.patience(RENEW_WITHIN_MS, CONNECT_WITHIN_MS), () => this.lost({code: 0}));
	}

	/* How long an attempt may take: first, doubled with each one, where the network has changed; at most as long as any other. */
	patience(first, most) {
		return this.hurried ? Math.min(most, first * 2 ** this.attempts) : most;
	}

	/* Nothing that the old connection still says or does counts. */
	retire() {
		const old = this.ws;
		this.ws = null;
		this.pongDue = Infinity;
		for (const name of Object.keys(this.timers))
			clearTimeout(this.timers[name]);
		try {
			old?.close(4900, 'retired'); // any code of ours: the peer stays resumable
		} catch { /* it was closed already */ }
	}

	greet() {
		this.ws.send(JSON.stringify({type: 'hello', version: VERSION}));
		if (this.resumeToken)
			this.ws.send(JSON.stringify({type: 'resume', token: this.resumeToken, seq: this.seq}));
		else
			this.sendJoin();
	}

	sendJoin() {
		this.ws.send(JSON.stringify({type: 'join', room: this.room, name: this.name}));
	}

	lost({code, reason}) {
		if (this.state === 'closed')
			return;
		if (FINAL.has(reason))
			return this.end(reason);
		this.retire();
		this.setState('waiting');
		const ms = this.hurried && this.attempts < 3 ? RENEW_PAUSE_MS : Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.attempts);
		this.attempts++;
		this.setTimer('retry', ms * (0.5 + Math.random() / 2), () => this.connect());
		emit(this, 'lost', {code, reason});
	}

	end(reason) {
		const ws = this.ws;
		this.ws = null;
		for (const name of Object.keys(this.timers))
			clearTimeout(this.timers[name]);
		this.setState('closed');
		ws?.close(1000, 'left');
		emit(this, 'closed', reason);
	}

	/* The earliest of several deadlines counts. */
	ping(within) {
		const due = performance.now() + within;
		this.transmit({type: 'ping'});
		if (this.pongDue <= due)
			return;
		this.pongDue = due;
		this.setTimer('pong', within, () => this.lost({code: 0, reason: 'silent'}));
	}

	heard(m) {
		clearTimeout(this.timers.pong);
		this.pongDue = Infinity;
		this.heardAt = performance.now();
		this.setTimer('ping', this.pingAfter, () => this.ping(PONG_WITHIN_MS));
		if (m.seq !== undefined) {
			if (m.seq <= this.seq)
				return;
			this.seq = m.seq;
			this.setTimer('ack', ACK_AFTER_MS, () => this.transmit({type: 'ack', seq: this.seq}));
		}
		switch (m.type) {
		case 'welcome': return this.welcome(m);
		case 'ack': return void (this.unacked = this.unacked.filter(u => u.id !== m.id));
		case 'error': return this.refused(m);
		case 'moved': return this.move(m);
		case 'reconnect': return this.setTimer('move', Math.random() * m.within, () => this.connect());
		case 'hello': this.server = m; return;
		case 'pong': return;
		default: emit(this, 'message', m);
		}
	}

	/* A moderator has put us into another room; what is given with it opens that one, where our token does not. */
	move({room, token}) {
		this.room = room;
		this.forget();
		emit(this, 'moved', room);
		if (!token)
			return this.sendJoin();
		this.token = token;
		return this.connect();
	}

	/* The peer of before is gone, with what it had not heard or said. */
	forget() {
		this.resumeToken = null;
		this.seq = this.acked = 0;
		this.unacked = [];
		clearTimeout(this.timers.ack);
	}

	welcome(m) {
		clearTimeout(this.timers.connect);
		this.attempts = 0;
		this.hurried = false;
		this.resumeToken = m.token;
		if (!m.resumed) { // what was meant for peers of before has no receiver any more
			this.unacked = [];
			this.seq = this.acked = 0;
		}
		this.unacked = this.unacked.filter(u => u.id > m.last);
		this.setState('open');
		emit(this, 'open', m);
		for (const {id, message} of this.unacked)
			this.transmit({...message, id});
	}

	refused(m) {
		if (m.code === 'resume_failed') {
			this.forget();
			emit(this, 'reset');
			return this.sendJoin();
		}
		if (m.id !== undefined)
			this.unacked = this.unacked.filter(u => u.id !== m.id);
		emit(this, 'trouble', m);
		if (FINAL.has(m.code) && m.id === undefined)
			this.end(m.code);
	}
}

/* ---- Link: one other peer */

const ufragOf = sdp => /^a=ice-ufrag:(.*)$/m.exec(sdp ?? '')?.[1];

export class Link extends EventTarget {
	constructor(room, info, {cameLater}) {
		super();
		Object.assign(this, {room, info, id: info.id, name: info.name, polite: info.polite});
		this.candidates = {local: [], remote: 0};
		this.restarts = 0;
		this.restartedAt = -Infinity;
		this.queue = Promise.resolve(); // what the peer says, one after the other
		this.streams = new Set();
		this.pc = new room.RTCPeerConnection(room.configuration());
		this.listen();
		for (const track of room.stream?.getTracks() ?? [])
			this.pc.addTrack(track, room.stream);
		if (!room.stream)
			for (const kind of ['audio', 'video'])
				this.pc.addTransceiver(kind, {direction: 'recvonly'});
		this.chooseFirst(cameLater);
		this.watcher = setInterval(() => this.watch(), WATCH_MS);
	}

	/*
	 * Both have something to send, and both would offer at once. So the polite side waits for the other's offer; and where
	 * the other knows no roles, whoever came later offers, as tutorials do it.
	 */
	chooseFirst(cameLater) {
		const waits = this.info.version === 0 ? cameLater : this.polite;
		this.mayOffer = !waits;
		if (waits)
			this.fallback = setTimeout(() => this.allowOffer(), OFFER_FALLBACK_MS);
	}

	allowOffer() {
		clearTimeout(this.fallback);
		if (this.mayOffer)
			return;
		this.mayOffer = true;
		if (this.offerWanted)
			this.offer();
	}

	listen() {
		const pc = this.pc;
		pc.onnegotiationneeded = () => this.offer();
		pc.onicecandidate = ({candidate}) => {
			if (!candidate?.candidate)
				return;
			this.candidates.local.push({type: candidate.type, protocol: candidate.protocol, address: candidate.address});
			this.room.mark('firstCandidate');
			this.say({type: 'candidate', candidate: candidate.toJSON()});
		};
		pc.ontrack = ({track, streams}) => {
			const stream = streams[0] ?? new MediaStream([track]);
			this.streams.add(stream);
			if (!this.room.media?.hasTrackOf(this.id)) // what comes through the server has overtaken it: that is here to stay
				emit(this.room, 'track', {peer: this, track, stream});
		};
		pc.oniceconnectionstatechange = () => this.iceChanged();
		pc.onconnectionstatechange = () => {
			if (pc.connectionState === 'connected')
				this.room.mark('connected');
			emit(this.room, 'peerstate', {peer: this, state: pc.connectionState});
		};
	}

	say(message) {
		if (!this.closed)
			this.room.socket.send({...message, to: this.id});
	}

	async offer() {
		this.offerWanted = !this.mayOffer;
		if (!this.mayOffer || this.closed)
			return;
		try {
			this.makingOffer = true;
			await this.pc.setLocalDescription();
			this.room.mark('offer');
			this.say({type: this.pc.localDescription.type, sdp: this.pc.localDescription.sdp});
		} catch (error) {
			emit(this.room, 'trouble', {peer: this.id, message: String(error)});
		} finally {
			this.makingOffer = false;
		}
	}

	/* A message of the peer. */
	hear(m) {
		this.queue = this.queue.then(() => this.take(m)).catch(error => {
			if (!this.closed)
				emit(this.room, 'trouble', {peer: this.id, message: String(error)});
		});
	}

	take(m) {
		if (this.closed)
			return undefined;
		if (m.type === 'candidate')
			return this.takeCandidate(m);
		const sdp = m.sdp ?? m[m.type] ?? m.description;
		return this.takeDescription(typeof sdp === 'string' ? {type: m.type, sdp} : sdp);
	}

	async takeCandidate({candidate, sdpMid, sdpMLineIndex}) {
		if (!candidate)
			return;
		this.candidates.remote++;
		try {
			await this.pc.addIceCandidate(typeof candidate === 'string' ? {candidate, sdpMid, sdpMLineIndex} : candidate);
		} catch (error) {
			if (!this.ignoreOffer)
				throw error;
		}
	}

	/* Perfect negotiation: of two offers that cross, the polite side takes its own back. */
	async takeDescription(description) {
		const pc = this.pc, isOffer = description.type === 'offer';
		const ready = !this.makingOffer && (pc.signalingState === 'stable' || this.settingAnswer);
		this.ignoreOffer = isOffer && !ready && !this.polite;
		if (this.ignoreOffer)
			return;
		const ufrag = ufragOf(pc.remoteDescription?.sdp);
		if (isOffer && ufrag && ufrag !== ufragOf(description.sdp))
			this.restartedAt = performance.now(); // the other side restarts: no need to do it, too
		this.settingAnswer = !isOffer;
		try {
			await pc.setRemoteDescription(description);
		} finally {
			this.settingAnswer = false;
		}
		this.room.mark(isOffer ? 'remoteOffer' : 'remoteAnswer');
		this.mayOffer = true;
		clearTimeout(this.fallback);
		if (!isOffer)
			return;
		await pc.setLocalDescription();
		this.room.mark('answer');
		this.say({type: 'answer', sdp: pc.localDescription.sdp});
	}

	/* -- ICE */

	iceChanged() {
		const state = this.pc.iceConnectionState;
		clearTimeout(this.suspicion);
		if (state === 'checking')
			this.room.mark('checking');
		if (state === 'connected' || state === 'completed')
			this.room.mark('iceConnected');
		/* One side is enough; the polite one is slower, so that restarts seldom cross. */
		if (state === 'failed')
			this.suspicion = setTimeout(() => this.restart('failed'), this.polite ? 1000 : 0);
		if (state === 'disconnected')
			this.suspicion = setTimeout(() => this.restart('disconnected'), this.polite ? 1500 : 500);
		emit(this.room, 'peerstate', {peer: this, state: this.pc.connectionState});
	}

	/* A restart that is under way, of either side, is given time. */
	restart(reason) {
		const now = performance.now();
		if (this.closed || now - this.restartedAt < RESTART_PAUSE_MS || !this.pc.remoteDescription)
			return;
		this.restartedAt = now;
		this.restarts++;
		this.heardAt = null;
		this.room.socket.probe();
		emit(this.room, 'restart', {peer: this, reason});
		this.pc.restartIce();
	}

	/*
	 * A browser notices a dead path after several seconds; media that stops coming says it earlier. It is counted over all
	 * paths, for the two ends need not use the same. What stays silent after a restart is no reason for another.
	 */
	async watch() {
		if (this.closed || this.pc.connectionState !== 'connected')
			return;
		const received = await packetsReceived(this.pc);
		const now = performance.now();
		if (received !== this.received) {
			this.received = received;
			this.heardAt = received > 0 ? now : null;
		} else if (this.heardAt !== null && now - this.heardAt >= STALL_MS) {
			this.restart('stalled');
		} else if (this.heardAt !== null && now - this.heardAt >= SUSPECT_MS) {
			this.room.socket.probe();
		}
	}

	configure() {
		try {
			this.pc.setConfiguration(this.room.configuration());
		} catch { /* what cannot be changed stays for the next connection */ }
	}

	close() {
		this.closed = true;
		clearTimeout(this.fallback);
		clearTimeout(this.suspicion);
		clearInterval(this.watcher);
		this.pc.close();
	}
}

Link.prototype.heardAt = null; // when media last came in; null: nothing yet since the last restart

/* ---- Statistics */

async function selectedPair(pc) {
	const report = new Map();
	(await Promise.race([pc.getStats(), new Promise(resolve => setTimeout(resolve, STATS_WITHIN_MS, []))])).forEach(s => report.set(s.id, s));
	let pair = null;
	for (const s of report.values())
		if (s.type === 'transport' && s.selectedCandidatePairId)
			pair = report.get(s.selectedCandidatePairId) ?? pair;
	if (!pair) // Firefox
		for (const s of report.values())
			if (s.type === 'candidate-pair' && s.selected)
				pair = s;
	return {report, pair};
}

async function packetsReceived(pc) {
	let sum = 0;
	(await pc.getStats()).forEach(s => sum += s.type === 'inbound-rtp' ? s.packetsReceived ?? 0 : 0);
	return sum;
}

const describe = c => c ? {
	type: c.candidateType, protocol: c.protocol, relayProtocol: c.relayProtocol ?? null,
	address: c.address ?? c.ip ?? null, port: c.port ?? null, url: c.url ?? null,
} : null;

/* What of all streams goes into one number each. */
function addStream(sum, s) {
	if (s.type === 'inbound-rtp') {
		sum.bytesReceived += s.bytesReceived ?? 0;
		sum.packetsReceived += s.packetsReceived ?? 0;
		sum.packetsLost += s.packetsLost ?? 0;
		sum.framesDecoded += s.framesDecoded ?? 0;
		sum.framesPerSecond = Math.max(sum.framesPerSecond, s.framesPerSecond ?? 0);
		sum.jitter = Math.max(sum.jitter, s.jitter ?? 0);
		if (s.kind === 'audio')
			sum.audioPackets += s.packetsReceived ?? 0;
		if (s.frameWidth)
			sum.frameSize = `${s.frameWidth}x${s.frameHeight}`;
	} else if (s.type === 'outbound-rtp') {
		sum.bytesSent += s.bytesSent ?? 0;
		sum.packetsSent += s.packetsSent ?? 0;
	}
}

const noStreams = () => ({bytesReceived: 0, bytesSent: 0, packetsReceived: 0, packetsSent: 0, packetsLost: 0,
	framesDecoded: 0, framesPerSecond: 0, audioPackets: 0, jitter: 0, frameSize: null});

async function linkStats(link) {
	const {report, pair} = await selectedPair(link.pc);
	const sum = noStreams();
	for (const s of report.values())
		addStream(sum, s);
	return {
		id: link.id, name: link.name, polite: link.polite, state: link.pc.connectionState, ice: link.pc.iceConnectionState,
		restarts: link.restarts, localCandidates: link.candidates.local, remoteCandidates: link.candidates.remote,
		pair: pair ? {local: describe(report.get(pair.localCandidateId)), remote: describe(report.get(pair.remoteCandidateId)),
			rtt: pair.currentRoundTripTime ?? null, bytesSent: pair.bytesSent, bytesReceived: pair.bytesReceived} : null,
		...sum,
	};
}

/* A participant whose media come through the server, in the words of a link. */
async function remoteStats(remote) {
	const {tracks, quality} = await remote.stats();
	const {report, pair} = await selectedPair(remote.media.subscribe.pc);
	const sum = noStreams();
	for (const s of Object.values(tracks))
		addStream(sum, s);
	return {
		id: remote.id, name: remote.name, polite: remote.polite, state: remote.state, through: 'server',
		ice: remote.media.subscribe.pc.iceConnectionState, restarts: remote.media.subscribe.restarts, localCandidates: [], remoteCandidates: 0,
		pair: pair ? {local: describe(report.get(pair.localCandidateId)), remote: describe(report.get(pair.remoteCandidateId)),
			rtt: pair.currentRoundTripTime ?? null, bytesSent: pair.bytesSent, bytesReceived: pair.bytesReceived} : null,
		...sum, quality, tracks,
	};
}

/* ---- Room: events 'state', 'joined', 'left', 'track', 'peerstate', 'quality', 'message', 'recording', 'restart', 'trouble', 'closed' */

export class Room extends EventTarget {
	constructor(options) {
		super();
		const {room, name = 'guest', stream = null, signal = defaultSignalUrl(), token = null, policy = 'all',
			RTCPeerConnection = globalThis.RTCPeerConnection, WebSocket} = options;
		Object.assign(this, {name: room, stream, policy, RTCPeerConnection});
		this.links = new Map();
		this.iceServers = [];
		this.startedAt = performance.now();
		this.times = {};
		this.total = {restarts: 0};
		this.recording = 'off';
		this.socket = new Socket({url: signal, room, name, token, ...(WebSocket && {WebSocket})});
		this.listenToSocket();
		this.listenToNetwork();
	}

	get state() {
		if (this.socket.state === 'closed')
			return 'closed';
		const states = [...this.links.values()].map(l => l.pc.connectionState).concat(this.media?.remotes.size ? this.media.states : []);
		if (states.includes('connected'))
			return 'connected';
		if (states.length > 0)
			return 'connecting';
		return this.socket.state === 'open' ? 'waiting' : 'joining';
	}

	/* To one peer, or to all. data: anything JSON can say. */
	message(data, to) {
		this.socket.send({type: 'message', data, ...(to && {to})});
	}

	/* Another camera or screen: no new negotiation as long as the kinds are the same. */
	async replaceTrack(track) {
		for (const pc of [...this.links.values(), ...(this.media ? [this.media.publish] : [])].map(l => l.pc))
			for (const sender of pc.getSenders())
				if (sender.track?.kind === track.kind)
					await sender.replaceTrack(track);
	}

	leave() {
		this.closeMedia('leave');
		this.dropLinks('leave');
		this.socket.close();
	}

	/* One JSON object, also before anything is connected. */
	async stats() {
		const peers = await Promise.all([...[...this.links.values()].map(linkStats), ...[...this.media?.remotes.values() ?? []].filter(r => r.there).map(remoteStats)]);
		const sum = noStreams();
		for (const p of peers)
			for (const key of Object.keys(sum))
				sum[key] = typeof sum[key] === 'number' ? sum[key] + p[key] : sum[key] ?? p[key];
		if (sum.framesDecoded > 0)
			this.mark('firstFrame');
		const pairs = peers.filter(p => p.pair).map(p => ({peer: p.id, ...p.pair}));
		const rtts = pairs.map(p => p.rtt).filter(r => r !== null);
		return {
			state: this.state, socket: this.socket.state, room: this.name, self: this.self ?? null, policy: this.policy,
			...sum, pairs, rtt: rtts.length ? Math.max(...rtts) : null, times: {...this.times},
			through: this.media ? 'server' : 'direct', recording: this.recording, speakers: this.media?.speakers ?? [], quality: this.media?.quality ?? null,
			restarts: this.total.restarts, reconnects: Math.max(0, this.socket.connects - 1), peers,
			iceServers: this.iceServers.map(s => s.urls).flat(),
		};
	}

	/* -- below: private */

	/* The first time that something happened, in ms since join(). */
	mark(step) {
		this.times[step] ??= Math.round(performance.now() - this.startedAt);
	}

	/* Relays, for a server that is not to be reached by UDP; it needs no others. */
	relays() {
		return this.iceServers.map(s => ({...s, urls: [s.urls].flat().filter(url => url.startsWith('turns:') || url.endsWith('transport=tcp'))}))
			.filter(s => s.urls.length > 0);
	}

	configuration() {
		return {iceServers: this.iceServers, iceTransportPolicy: this.policy, bundlePolicy: 'max-bundle'};
	}

	listenToSocket() {
		const on = (type, fn) => this.socket.addEventListener(type, e => fn(e.detail));
		on('open', m => this.welcomed(m));
		on('message', m => this.heard(m));
		on('reset', () => {
			this.closeMedia('lost');
			this.dropLinks('lost');
		});
		on('moved', room => {
			this.name = room;
			this.closeMedia('moved');
			this.dropLinks('moved');
			emit(this, 'moved', room);
		});
		on('state', () => emit(this, 'state', this.state));
		on('trouble', m => emit(this, 'trouble', m));
		on('closed', reason => {
			this.closeMedia(reason);
			this.dropLinks(reason);
			this.unlisten.abort();
			emit(this, 'state', 'closed');
			emit(this, 'closed', reason);
		});
		this.addEventListener('peerstate', () => emit(this, 'state', this.state));
		this.addEventListener('restart', () => this.total.restarts++);
	}

	/* The way out changed: look at the signalling first, since a restart goes through it. */
	listenToNetwork() {
		this.unlisten = new AbortController();
		const signal = this.unlisten.signal;
		const listen = (target, type, fn) => target?.addEventListener?.(type, fn, {signal});
		listen(globalThis, 'online', () => this.networkChanged(() => this.socket.renew()));
		listen(globalThis.navigator?.connection, 'change', () => this.networkChanged(() => this.socket.probe()));
		listen(globalThis, 'pagehide', () => this.leave());
	}

	/* Between two networks there is none, and what is gathered then would lead nowhere: 'online' follows. */
	networkChanged(reviveSocket, reason = 'network') {
		if (globalThis.navigator?.onLine === false)
			return;
		reviveSocket();
		if (reason === 'network')
			this.media?.moved(reason);
		else
			this.media?.restart(reason);
		for (const link of this.links.values())
			link.restart(reason);
	}

	welcomed(m) {
		this.mark('welcome');
		this.self = m.self;
		this.setIceServers(m.iceServers);
		if (!m.resumed || m.recording)
			this.setRecording(m.recording ?? 'off');
		if (m.resumed) { // what changed meanwhile follows as messages
			for (const link of this.links.values())
				if (link.pc.connectionState !== 'connected' && link.pc.connectionState !== 'new')
					link.restart('resumed');
			return;
		}
		this.closeMedia('lost');
		this.dropLinks('lost');
		if (m.mode === 'sfu')
			this.openMedia(m.peers);
		else
			for (const info of m.peers)
				this.addLink(info, false);
		emit(this, 'welcome', m);
	}

	setIceServers(servers) {
		this.iceServers = servers;
		for (const link of this.links.values())
			link.configure();
	}

	/* 'on', 'paused' or 'off': does the server record this room? */
	setRecording(state) {
		if (this.recording === state)
			return;
		this.recording = state;
		emit(this, 'recording', state);
	}

	heard(m) {
		switch (m.type) {
		case 'mode': return this.openMedia([...this.links.values()].map(l => l.info));
		case 'joined': return this.media ? this.addRemote(m.peer) : this.addLink(m.peer, true);
		case 'left': return this.dropPeer(m.peer.id, m.reason);
		case 'ice': return this.setIceServers(m.iceServers);
		case 'restart': return this.links.forEach(link => link.restart('server'));
		case 'message': return emit(this, 'message', {from: m.from, data: m.data});
		case 'recording': return this.setRecording(m.state);
		case 'bye': return this.dropLink(m.from, 'bye');
		case 'offer':
			if (!this.media) // who still offers a direct way has not heard of the server's yet
				this.addLink({id: m.from, name: 'guest', version: 0, polite: true}, true); // unless it is there
		// fall through
		case 'answer': case 'candidate': return this.links.get(m.from)?.hear(m);
		default: return this.media?.hear(m); // or of a later version
		}
	}

	/* The room's media go through the server from now on; direct links stay until what replaces them has come. */
	openMedia(peers) {
		if (this.media)
			return;
		this.socket.pingAfter = PING_MEDIA_AFTER_MS;
		this.media = new Media(this, {data: this.socket.server?.sfu?.data ?? false});
		for (const info of peers)
			this.addRemote(info);
	}

	closeMedia(reason) {
		const media = this.media;
		this.media = null;
		this.socket.pingAfter = PING_AFTER_MS;
		for (const remote of media?.remotes.values() ?? [])
			if (remote.there)
				emit(this, 'left', {peer: remote, reason});
		media?.close();
	}

	addRemote(info) {
		const remote = this.media.addRemote(info);
		if (!remote)
			return;
		if (!this.links.has(info.id))
			emit(this, 'joined', {peer: remote});
		this.media.tellTracks(remote);
		emit(this, 'state', this.state);
	}

	/* A participant's media comes from the server: its direct link has done its work. */
	flows(id) {
		const link = this.links.get(id);
		this.links.delete(id);
		link?.close();
		emit(this, 'state', this.state);
	}

	dropPeer(id, reason) {
		const remote = this.media?.remotes.get(id);
		if (!remote)
			return this.dropLink(id, reason);
		this.flows(id);
		this.media.dropRemote(id);
		emit(this, 'left', {peer: remote, reason});
		return emit(this, 'state', this.state);
	}

	addLink(info, cameLater) {
		if (this.links.has(info.id))
			return;
		const link = new Link(this, info, {cameLater});
		this.links.set(info.id, link);
		emit(this, 'joined', {peer: link});
		emit(this, 'state', this.state);
	}

	dropLink(id, reason) {
		const link = this.links.get(id);
		if (!link)
			return;
		this.links.delete(id);
		link.close();
		emit(this, 'left', {peer: link, reason});
		emit(this, 'state', this.state);
	}

	dropLinks(reason) {
		for (const id of [...this.links.keys()])
			this.dropLink(id, reason);
	}
}

/*
 * Joins a room. options: room, name, stream (what to send; none: only receive), policy ('all' or 'relay'), signal (URL of
 * the WebSocket), token (JWT, where the server wants one).
 */
export function join(options) {
	return new Room(options);
}
