/*
 * phone-call.js: one call of a Phone: its connection to the server, and what is said about it. phone.js makes them.
 *
 * Events, with detail: 'state' (state), 'stream' (MediaStream to play), 'video' {local, remote} (MediaStream, or null), 'held' and 'remoteheld' (bool), 'digit' {digit, ms},
 * 'transfer' {status, reason}, 'restart' (reason), 'trouble' (sentence), 'ended' {status, reason, cause}.
 */
import {Pulse, peerConnectionClass} from '/media.js';
import {compare, measure} from '/quality.js';

const GATHER_MS = 300; // candidates that come later are learned by the server from the checks themselves
const RESTART_AFTER_MS = 500; // of a connection that says disconnected
const RESTART_PAUSE_MS = 2000;
const GIVE_UP_MS = 30000; // without a path: nobody hears anything any more
const WATCH_MS = 150;
const TONE_MS = 160, GAP_MS = 70;

const emit = (target, type, detail) => target.dispatchEvent(new CustomEvent(type, {detail}));

const hasVideo = sdp => /^m=video [1-9]/m.test(sdp) || /^m=video [^]*^a=bundle-only/m.test(sdp);

async function bytesReceived(pc) {
	let sum = 0;
	(await pc.getStats().catch(() => [])).forEach(s => sum += s.type === 'candidate-pair' ? s.bytesReceived ?? 0 : 0);
	return sum;
}

export class Call extends EventTarget {
	constructor(phone, {id, direction, number, name = ''}) {
		super();
		Object.assign(this, {phone, id, direction, number, name, state: direction === 'in' ? 'ringing' : 'calling', held: false, remoteHeld: false,
			muted: false, camera: false, offersVideo: false, local: null, remote: null, restarts: 0, restartedAt: -Infinity, begunAt: Date.now(), upAt: null, endedAt: null, end: null, stream: null});
		this.pulse = new Pulse({every: WATCH_MS, steady: 10});
		this.queue = Promise.resolve(); // one description after the other
	}

	get isOver() {
		return this.state === 'ended';
	}

	/* Takes an incoming call. stream: what to send; default: the phone's microphone. video: with the camera, where the call has video; what
	 * comes is shown in any case. */
	async accept({stream, video = false} = {}) {
		if (this.state !== 'ringing' || this.direction !== 'in')
			return;
		this.setState('answering');
		await this.attempt(async () => {
			await this.open({stream, video: video && this.offersVideo});
			await this.pc.setRemoteDescription({type: 'offer', sdp: this.offered});
			await this.pc.setLocalDescription();
			await this.gathered();
			this.say({type: 'accept', sdp: this.pc.localDescription.sdp});
			this.setState('up');
			this.showVideo();
		});
	}

	/* Busy keeps other devices of the same user ringing. */
	reject({busy = false} = {}) {
		if (this.isOver)
			return;
		this.say({type: 'hangup', ...(busy && {status: 486})});
		this.finish({status: busy ? 486 : 603, reason: 'You declined.'});
	}

	hangUp() {
		if (this.isOver)
			return;
		if (this.direction === 'in' && this.state === 'ringing') {
			this.reject();
			return;
		}
		this.say({type: 'hangup'});
		this.finish({status: this.upAt ? 200 : 487, reason: this.upAt ? 'You hung up.' : 'You took the call back.'});
	}

	/* The other side hears music meanwhile. */
	hold(on = true) {
		if (this.state === 'up')
			this.say({type: 'hold_call', on});
	}

	resume() {
		this.hold(false);
	}

	mute(on = true) {
		this.muted = on;
		for (const track of this.tracks ?? [])
			track.enabled = !on;
		emit(this, 'muted', on);
	}

	/* The camera on or off, in a call that is up. Off: nothing is sent, and the other side is told. Rejects with a sentence. */
	async setCamera(on = true) {
		if (this.state !== 'up' || on === this.camera)
			return;
		const track = on ? await this.film() : null;
		if (this.isOver)
			return;
		let mine = this.videoSection();
		if (!mine && on)
			mine = this.pc.addTransceiver('video', {direction: 'sendrecv'});
		if (!mine)
			return;
		await mine.sender.replaceTrack(track);
		mine.direction = on ? 'sendrecv' : 'recvonly';
		if (!on)
			this.dropVideo();
		this.showVideo();
		await this.then(() => this.renew());
	}

	/* by: 'media' (RFC 4733), 'message', or what is there. Each digit of 0-9, *, #, A-D. */
	dtmf(digits, {by} = {}) {
		const sender = this.pc?.getSenders().find(s => s.dtmf?.canInsertDTMF);
		if (by !== 'message' && sender)
			sender.dtmf.insertDTMF(sender.dtmf.toneBuffer + digits, TONE_MS, GAP_MS);
		else if (by !== 'media')
			this.say({type: 'dtmf', digits});
	}

	/* To a number, or to the other party of another call. Resolves when they talk; rejects with the sentence why not, and the call goes on. */
	transfer(to) {
		if (this.transferring)
			return Promise.reject(new Error('A transfer is under way.'));
		this.say({type: 'transfer', ...(to instanceof Call ? {to_call: to.id} : {number: to})});
		return new Promise((resolve, reject) => this.transferring = {resolve, reject});
	}

	/* Another microphone, at once. */
	async replaceStream(stream) {
		const [track] = stream.getAudioTracks();
		const mine = track.clone();
		mine.enabled = !this.muted;
		await this.pc?.getSenders().find(s => s.track?.kind === 'audio')?.replaceTrack(mine);
		this.stopTracks();
		this.tracks = [mine];
	}

	/* The phone's camera is another one now. */
	async replaceCamera() {
		const track = await this.film();
		await this.videoSection()?.sender.replaceTrack(track);
		this.showVideo();
	}

	/* Since the last look at it */
	async quality() {
		const now = this.pc ? await measure(this.pc) : null, before = this.measured;
		this.measured = now ?? before;
		return now && compare(before, now);
	}

	async stats() {
		const {id, direction, number, state, held, remoteHeld, muted, camera, restarts, end} = this;
		return {id, direction, number, state, held, remoteHeld, muted, camera, restarts, end, connection: this.pc?.connectionState ?? null,
			...(this.pc && await measure(this.pc))};
	}

	/* The network has changed, or the path died: a new way for the sound. The other side of the call does not notice. */
	restart(reason) {
		const now = performance.now();
		if (this.isOver || now - this.restartedAt < RESTART_PAUSE_MS || !this.pc?.remoteDescription)
			return;
		this.restartedAt = now;
		this.restarts++;
		this.pulse.calm();
		if (reason !== 'network') // the renewal goes by the socket, which may be as dead, and hears of it late
			this.phone.socket.probe();
		emit(this, 'restart', reason);
		this.then(() => this.renew({iceRestart: true}));
	}

	/* -- below: for phone.js */

	async dial({stream, video}) {
		await this.attempt(async () => {
			await this.open({stream, video});
			await this.pc.setLocalDescription();
			await this.gathered();
			if (!this.isOver)
				this.say({type: 'call', number: this.number, sdp: this.pc.localDescription.sdp});
		});
	}

	hear(m) {
		switch (m.type) {
		case 'incoming': return void Object.assign(this, {offered: m.sdp, offersVideo: hasVideo(m.sdp)});
		case 'ringing': return void (this.state === 'calling' && this.setState('ringing'));
		case 'progress': return this.answered(m.sdp, 'early');
		case 'accepted': return this.answered(m.sdp, 'up');
		case 'renewed': return this.renewed?.(m.sdp);
		case 'renew': return this.reoffered(m.sdp);
		case 'holding': return this.flag('held', m.on);
		case 'held': return this.flag('remoteHeld', m.on);
		case 'digit': return emit(this, 'digit', {digit: m.digit, ms: m.ms});
		case 'transferred': return this.transferred(m);
		case 'problem': return this.problem(m.reason);
		case 'hangup': return this.finish({status: m.status, reason: m.reason, cause: m.cause ?? null});
		default: // of a later version
		}
	}

	problem(sentence) {
		this.renewed?.(null);
		emit(this, 'trouble', sentence);
	}

	finish(end) {
		if (this.isOver)
			return;
		this.end = end;
		this.endedAt = Date.now();
		clearInterval(this.watcher);
		clearTimeout(this.suspicion);
		clearTimeout(this.hope);
		this.renewed?.(null);
		this.transferring?.[end.status === 200 ? 'resolve' : 'reject'](end.status === 200 ? end : new Error(end.reason));
		this.stopTracks();
		this.dropVideo();
		this.pc?.close();
		this.setState('ended');
		emit(this, 'ended', end);
	}

	/* -- below: private */

	say(message) {
		this.phone.say({call: this.id, ...message}, this);
	}

	setState(state) {
		if (this.state === state || this.isOver)
			return;
		this.state = state;
		if (state === 'up')
			this.upAt ??= Date.now();
		emit(this, 'state', state);
	}

	flag(key, value) {
		this[key] = value;
		emit(this, key.toLowerCase(), value);
	}

	/* What cannot be done here ends the call at both ends, with the reason. */
	async attempt(step) {
		try {
			await step();
		} catch (error) {
			if (this.isOver)
				return;
			this.say({type: 'hangup', status: 480});
			this.finish({status: 0, reason: error.sentence ?? String(error.message ?? error)});
		}
	}

	then(step) {
		this.queue = this.queue.then(() => this.isOver || step()).catch(error => this.isOver || emit(this, 'trouble', String(error)));
		return this.queue;
	}

	async open({stream, video}) {
		const source = stream ?? await this.phone.microphone();
		const filmed = video ? await this.film(stream) : null;
		if (this.isOver)
			return;
		this.tracks = source.getAudioTracks().map(t => t.clone());
		const PeerConnection = peerConnectionClass(this.phone);
		this.pc = new PeerConnection({iceServers: this.phone.relays(), bundlePolicy: 'max-bundle'});
		for (const track of this.tracks) {
			track.enabled = !this.muted;
			this.pc.addTrack(track, source);
		}
		if (this.tracks.length === 0)
			this.pc.addTransceiver('audio', {direction: 'recvonly'});
		if (filmed)
			this.pc.addTrack(filmed, source);
		this.pc.ontrack = ({track}) => this.receive(track);
		this.pc.oniceconnectionstatechange = () => this.iceChanged();
		this.watcher = setInterval(() => this.watch(), WATCH_MS);
	}

	/* Sound and pictures are one stream, so that they are played in step. */
	receive(track) {
		const others = this.stream?.getTracks().filter(t => t.kind !== track.kind) ?? [];
		this.stream = new MediaStream([...others, track]);
		emit(this, 'stream', this.stream);
		if (track.kind !== 'video')
			return;
		for (const event of ['mute', 'unmute', 'ended'])
			track.addEventListener(event, () => this.showVideo());
		this.showVideo();
	}

	/* A track of its own for this call */
	async film(stream) {
		const track = stream?.getVideoTracks()[0] ?? await this.phone.cameraOn();
		this.filmed?.stop();
		this.filmed = track.clone();
		this.camera = true;
		return this.filmed;
	}

	dropVideo() {
		this.filmed?.stop();
		this.filmed = null;
		this.camera = false;
		this.phone.cameraOff();
	}

	videoSection() {
		return this.pc?.getTransceivers().find(t => t.receiver.track.kind === 'video' && t.direction !== 'stopped' && t.currentDirection !== 'stopped');
	}

	/* After a description, or when pictures begin or cease to come. */
	showVideo() {
		const section = this.videoSection(), track = section?.receiver.track;
		if (this.camera && !section) {
			this.dropVideo();
			emit(this, 'trouble', 'The other side takes no video.');
		}
		const comes = Boolean(track && !track.muted && /recv/.test(section.currentDirection ?? ''));
		if (this.local?.getVideoTracks()[0] !== (this.filmed ?? undefined))
			this.local = this.filmed ? new MediaStream([this.filmed]) : null;
		this.remote = comes ? this.stream : null;
		emit(this, 'video', {local: this.local, remote: this.remote});
	}

	gathered() {
		const pc = this.pc;
		if (pc.iceGatheringState === 'complete')
			return Promise.resolve();
		return new Promise(resolve => {
			setTimeout(resolve, GATHER_MS);
			pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && resolve());
		});
	}

	answered(sdp, state) {
		this.then(async () => {
			if (sdp && this.pc.signalingState === 'have-local-offer')
				await this.pc.setRemoteDescription({type: 'answer', sdp});
			this.setState(state);
			this.showVideo();
		});
	}

	/* The other side's video has changed. When an offer of this side is under way, that one counts, and the server comes back. */
	reoffered(sdp) {
		this.then(async () => {
			if (this.pc.signalingState !== 'stable')
				return;
			await this.pc.setRemoteDescription({type: 'offer', sdp});
			await this.pc.setLocalDescription();
			this.say({type: 'renewed', sdp: this.pc.localDescription.sdp});
			this.showVideo();
		});
	}

	async renew(how) {
		const pc = this.pc;
		await pc.setLocalDescription(await pc.createOffer(how));
		await this.gathered();
		const answer = new Promise(resolve => {
			this.renewed = resolve;
			this.patience = setTimeout(resolve, GIVE_UP_MS, null);
		});
		this.say({type: 'renew', sdp: pc.localDescription.sdp});
		const sdp = await answer;
		clearTimeout(this.patience);
		this.renewed = null;
		if (this.isOver)
			return;
		await (sdp ? pc.setRemoteDescription({type: 'answer', sdp}) : pc.setLocalDescription({type: 'rollback'}));
		this.showVideo();
	}

	transferred(m) {
		emit(this, 'transfer', {status: m.status, reason: m.reason});
		if (m.status < 200)
			return;
		if (m.status < 300)
			this.transferring?.resolve(m);
		else
			this.transferring?.reject(new Error(m.reason));
		this.transferring = null;
	}

	iceChanged() {
		const state = this.pc.iceConnectionState;
		clearTimeout(this.suspicion);
		if (state === 'connected' || state === 'completed') {
			clearTimeout(this.hope);
			this.hope = null;
		} else if (state === 'failed' || state === 'disconnected') {
			this.suspicion = setTimeout(() => this.restart(state), state === 'failed' ? 0 : RESTART_AFTER_MS);
			this.hope ??= setTimeout(() => this.giveUp(), GIVE_UP_MS);
		}
		emit(this, 'connection', state);
	}

	giveUp() {
		this.say({type: 'hangup'});
		this.finish({status: 408, reason: 'The connection to the server was lost.'});
	}

	async watch() {
		if (this.isOver || this.pc.iceConnectionState === 'new')
			return;
		if (this.pulse.look(await bytesReceived(this.pc), performance.now()))
			this.restart('stalled');
	}

	stopTracks() {
		for (const track of this.tracks ?? [])
			track.stop();
	}
}
