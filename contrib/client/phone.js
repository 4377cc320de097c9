/*
 * phone.js: a telephone in a browser, without SIP: calls through a Sluice server to whatever its dial plan leads to.
 *
 *     import {Phone} from '/phone.js';
 *     const phone = new Phone({user: '1001', password: 'secret'});
 *     phone.addEventListener('incoming', e => e.detail.accept());
 *     const call = phone.call('1002');
 *     call.addEventListener('stream', e => audio.srcObject = e.detail);
 *
 * Phone: the connection to the server, over as many sockets as it takes, registration, and the calls there are. Call: phone-call.js. The
 * messages are described in modules/sip-gateway/README.md.
 *
 * Events, with detail: 'state' ('connecting', 'ready', 'registering', 'registered', 'closed'), 'registration' {ok, user, pbx, reason}, 'incoming' (Call),
 * 'message' {from, name, text, call}, 'presence' {user, open, activity, note}, 'lamp' {user, state, calls}, 'voicemail' {user, waiting, new, old}, 'calls' (all of them), 'recording' (state), 'trouble' (sentence), 'closed' (reason).
 */
import {Socket, defaultSignalUrl} from '/sluice.js';
import {Call} from '/phone-call.js';

export {Call};

const REMEMBER = 200; // messages whose refusal can be told to their call
const MICROPHONE = {echoCancellation: true, noiseSuppression: true, autoGainControl: true};
const CAMERA = {width: {ideal: 1280}, height: {ideal: 720}, frameRate: {ideal: 30}};

const emit = (target, type, detail) => target.dispatchEvent(new CustomEvent(type, {detail}));
const randomName = () => [...crypto.getRandomValues(new Uint8Array(9))].map(b => b.toString(16).padStart(2, '0')).join('');

/* Sentences for people about getUserMedia. */
export function explainMicrophone(error) {
	if (!globalThis.navigator?.mediaDevices)
		return 'Browsers open the microphone on https:// and on localhost only.';
	if (error.name === 'NotAllowedError')
		return 'The microphone was not permitted.';
	if (error.name === 'NotFoundError' || error.name === 'OverconstrainedError')
		return 'No microphone was found.';
	return `The microphone cannot be used: ${error.message}`;
}

/* The same of the camera */
export function explainCamera(error) {
	if (!globalThis.navigator?.mediaDevices)
		return 'Browsers open the camera on https:// and on localhost only.';
	if (error.name === 'NotAllowedError')
		return 'The camera was not permitted.';
	if (error.name === 'NotFoundError' || error.name === 'OverconstrainedError')
		return 'No camera was found.';
	return `The camera cannot be used: ${error.message}`;
}

export class Phone extends EventTarget {
	/*
	 * user, password: an extension of the node; with pbx (and auth_user, display): a subscriber of that PBX. token: a JWT, which may say
	 * the same. None of them: an anonymous telephone, which calls what is open to everybody. stream: what to send in calls, instead of
	 * the microphone, and, where it has video, of the camera.
	 */
	constructor(options = {}) {
		super();
		const {room = `phone-${randomName()}`, name = options.user || 'phone', signal = defaultSignalUrl(), token = null, stream = null,
			RTCPeerConnection = globalThis.RTCPeerConnection, WebSocket} = options;
		Object.assign(this, {stream, RTCPeerConnection, calls: [], iceServers: [], registration: null, sent: new Map(), texts: new Map(), watched: new Map(), watching: new Map(), presence: null, voicemail: null, early: [], joined: false, input: null, lens: null, recording: 'off'});
		this.account = options.user || token ? this.accountOf(options) : null;
		this.socket = new Socket({url: signal, room, name, token, ...(WebSocket && {WebSocket})});
		this.listen();
		if (this.account)
			this.register().catch(() => { /* 'registration' tells */ });
	}

	get state() {
		if (this.socket.state === 'closed')
			return 'closed';
		if (this.socket.state !== 'open')
			return 'connecting';
		if (this.asked)
			return 'registering';
		return this.registration?.ok ? 'registered' : 'ready';
	}

	/* As another one, or again. Resolves when the server has agreed; rejects with its sentence. */
	register(options) {
		if (options)
			this.account = this.accountOf(options);
		this.say({type: 'register', ...this.account});
		return this.expectRegistration();
	}

	unregister() {
		this.account = null;
		this.say({type: 'register', on: false});
		return this.expectRegistration();
	}

	/* A call begins; it says what becomes of it. video: with the camera, as far as the other side has video, too. */
	call(number, {stream, video = false} = {}) {
		const call = this.add(new Call(this, {id: randomName(), direction: 'out', number: number.trim()}));
		call.dial({stream, video});
		return call;
	}

	/* A text for a number. Resolves when somebody has taken it; rejects with the server's sentence. */
	sendMessage(number, text) {
		const ref = randomName();
		return new Promise((resolve, reject) => {
			this.texts.set(ref, {resolve, reject});
			this.say({type: 'text', number: number.trim(), text, ref});
		});
	}

	/* What package ('presence', 'dialog') tells of a number comes as events 'presence' and 'lamp'. Rejects with the server's sentence. */
	subscribe(number, what = 'presence') {
		number = number.trim();
		this.watched.set(`${what} ${number}`, {number, what});
		return this.watch(number, what);
	}

	unsubscribe(number, what = 'presence') {
		number = number.trim();
		if (this.watched.delete(`${what} ${number}`))
			this.say({type: 'watch', number, package: what, on: false});
	}

	/* What this user is doing: {open, activity, note}; nothing: as its calls tell. */
	setPresence({open, activity, note} = {}) {
		this.presence = {...(open !== undefined && {open}), ...(activity && {activity}), ...(note && {note})};
		this.say({type: 'presence', ...this.presence});
	}

	/* Hangs up, and leaves. */
	close() {
		for (const call of [...this.calls])
			call.hangUp();
		this.socket.close();
	}

	/* Which microphone calls use from now on; null: the browser's choice. */
	async useInput(deviceId) {
		this.input = deviceId || null;
		if (!this.calls.length || this.stream)
			return;
		this.dropMicrophone();
		const stream = await this.microphone();
		await Promise.all(this.calls.map(call => call.replaceStream(stream)));
	}

	/* Which camera, in the same way */
	async useCamera(deviceId) {
		this.lens = deviceId || null;
		const watched = this.calls.filter(call => call.camera);
		if (!watched.length || this.stream?.getVideoTracks().length)
			return;
		this.dropCamera();
		await this.cameraOn();
		await Promise.all(watched.map(call => call.replaceCamera()));
	}

	async stats() {
		const calls = await Promise.all(this.calls.map(call => call.stats()));
		return {state: this.state, socket: this.socket.state, registration: this.registration, reconnects: Math.max(0, this.socket.connects - 1),
			recording: this.recording, calls};
	}

	/* -- below: for Call */

	/* A peer that has just joined begins anew, and what was sent before it did is not for it: so it waits here. */
	say(message, call) {
		if (!this.joined) {
			this.early.push({message, call});
			return;
		}
		if (call)
			this.sent.set(this.socket.nextId, call);
		if (this.sent.size > REMEMBER)
			this.sent.delete(this.sent.keys().next().value);
		this.socket.send(message);
	}

	/* One for all calls, closed when the last one ends, so that the browser's light says the truth. */
	async microphone() {
		if (this.stream)
			return this.stream;
		const audio = {...MICROPHONE, ...(this.input && {deviceId: {exact: this.input}})};
		try {
			if (!navigator.mediaDevices)
				throw new TypeError('no media devices');
			this.opening ??= navigator.mediaDevices.getUserMedia({audio});
			return await this.opening;
		} catch (error) {
			this.opening = null;
			throw Object.assign(error, {sentence: explainMicrophone(error)});
		}
	}

	/* Its track; one for all calls, and closed when none of them shows it any more. */
	async cameraOn() {
		const [own] = this.stream?.getVideoTracks() ?? [];
		if (own)
			return own;
		const video = {...CAMERA, ...(this.lens && {deviceId: {exact: this.lens}})};
		try {
			if (!navigator.mediaDevices)
				throw new TypeError('no media devices');
			this.filming ??= navigator.mediaDevices.getUserMedia({video});
			return (await this.filming).getVideoTracks()[0];
		} catch (error) {
			this.filming = null;
			throw Object.assign(error, {sentence: explainCamera(error)});
		}
	}

	cameraOff() {
		if (!this.calls.some(call => call.camera))
			this.dropCamera();
	}

	/* The server is reached by its own address; relays matter only where UDP is not let through. */
	relays() {
		return this.iceServers.map(s => ({...s, urls: [s.urls].flat().filter(url => url.startsWith('turns:') || url.endsWith('transport=tcp'))}))
			.filter(s => s.urls.length > 0);
	}

	/* -- below: private */

	accountOf({user, password, pbx, auth_user, display}) {
		return Object.fromEntries(Object.entries({user, password, pbx, auth_user, display}).filter(([, v]) => v));
	}

	expectRegistration() {
		this.asked?.reject(new Error('Another registration was begun.'));
		return new Promise((resolve, reject) => {
			this.asked = {resolve, reject};
			this.changed();
		});
	}

	listen() {
		const on = (type, fn) => this.socket.addEventListener(type, e => fn(e.detail));
		on('open', m => this.welcomed(m));
		on('message', m => this.heard(m));
		on('reset', () => this.lost());
		on('state', () => this.changed());
		on('trouble', m => this.refused(m));
		on('closed', reason => {
			for (const call of [...this.calls])
				call.finish({status: 0, reason: 'The server has closed the connection.'});
			this.forgetTexts('The server has closed the connection.');
			this.unlisten.abort();
			emit(this, 'closed', reason);
		});
		this.listenToNetwork();
	}

	listenToNetwork() {
		this.unlisten = new AbortController();
		const listen = (target, type, fn) => target?.addEventListener?.(type, fn, {signal: this.unlisten.signal});
		listen(globalThis, 'online', () => this.networkChanged(() => this.socket.renew()));
		listen(globalThis.navigator?.connection, 'change', () => this.networkChanged(() => this.socket.probe()));
		listen(globalThis, 'pagehide', () => this.close());
	}

	/* Between two networks there is none, and what is gathered then would lead nowhere: 'online' follows. */
	networkChanged(reviveSocket) {
		if (globalThis.navigator?.onLine === false)
			return;
		reviveSocket();
		for (const call of this.calls)
			call.restart('network');
	}

	welcomed(m) {
		const early = this.early;
		this.iceServers = m.iceServers;
		this.joined = true;
		this.early = [];
		if (m.recording)
			this.setRecording(m.recording);
		if (this.wasLost && this.account)
			this.say({type: 'register', ...this.account});
		this.wasLost = false;
		for (const {message, call} of early)
			if (!call?.isOver)
				this.say(message, call);
		this.changed();
	}

	/* The server does not know us any more: what it had of us is gone. */
	lost() {
		this.wasLost = this.forgotten = true;
		this.joined = false;
		this.registration = null;
		this.forgetTexts('The server has lost this message.');
		for (const call of [...this.calls])
			call.finish({status: 481, reason: 'The server has lost this call.'});
	}

	heard(m) {
		if (m.type === 'registered')
			return this.registered(m);
		if (m.type === 'ice')
			return void (this.iceServers = m.iceServers);
		if (m.type === 'text')
			return emit(this, 'message', {from: m.from, name: m.display ?? '', text: m.text, call: this.calls.find(c => c.id === m.call) ?? null});
		if (m.type === 'watching')
			return this.watchAnswered(m);
		if (m.type === 'voicemail')
			this.voicemail = m;
		if (m.type === 'presence' || m.type === 'lamp' || m.type === 'voicemail')
			return emit(this, m.type, m);
		if (m.type === 'text_sent')
			return this.textSent(m);
		if (m.type === 'recording')
			return this.setRecording(m.state);
		const call = this.calls.find(c => c.id === m.call);
		if (call)
			return call.hear(m);
		return m.type === 'incoming' ? this.incoming(m) : undefined;
	}

	watch(number, what) {
		return new Promise((resolve, reject) => {
			this.watching.set(`${what} ${number}`, {resolve, reject});
			this.say({type: 'watch', number, package: what});
		});
	}

	watchAnswered(m) {
		const key = `${m.package} ${m.user}`, asked = this.watching.get(key);
		this.watching.delete(key);
		if (!m.ok)
			this.watched.delete(key);
		if (asked)
			return asked[m.ok ? 'resolve' : 'reject'](m.ok ? undefined : Object.assign(new Error(m.reason), {status: m.status}));
		return m.ok ? undefined : emit(this, 'trouble', m.reason);
	}

	/* The server has begun anew, and knows nothing of it any more. */
	sayAgain() {
		for (const {number, what} of this.watched.values())
			this.watch(number, what).catch(() => { /* it is not watched any more */ });
		if (this.presence)
			this.say({type: 'presence', ...this.presence});
	}

	textSent(m) {
		const text = this.texts.get(m.ref);
		this.texts.delete(m.ref);
		text?.[m.ok ? 'resolve' : 'reject'](m.ok ? m.status : Object.assign(new Error(m.reason), {status: m.status}));
	}

	forgetTexts(reason) {
		for (const {reject} of this.texts.values())
			reject(new Error(reason));
		this.texts.clear();
	}

	registered(m) {
		if (m.lost) { // the telephone service has started anew
			this.registration = null;
			this.forgotten = true;
			if (this.account)
				this.say({type: 'register', ...this.account});
			return this.changed();
		}
		this.registration = this.account && (m.user || !m.ok) ? {ok: m.ok, user: m.user ?? this.account.user ?? '', pbx: m.pbx ?? null, reason: m.reason ?? null} : null;
		if (m.ok && this.forgotten) {
			this.forgotten = false;
			this.sayAgain();
		}
		this.asked?.[m.ok ? 'resolve' : 'reject'](m.ok ? this.registration : new Error(m.reason));
		this.asked = null;
		emit(this, 'registration', this.registration);
		return this.changed();
	}

	incoming(m) {
		const call = this.add(new Call(this, {id: m.call, direction: 'in', number: m.from, name: m.display ?? ''}));
		call.hear(m);
		emit(this, 'incoming', call);
	}

	add(call) {
		this.calls.push(call);
		call.addEventListener('ended', () => {
			this.calls = this.calls.filter(c => c !== call);
			this.cameraOff();
			if (this.calls.length === 0)
				this.dropMicrophone();
			emit(this, 'calls', this.calls);
		});
		emit(this, 'calls', this.calls);
		return call;
	}

	dropMicrophone() {
		const opening = this.opening;
		this.opening = null;
		opening?.then(stream => stream.getTracks().forEach(t => t.stop()), () => { /* there was none */ });
	}

	dropCamera() {
		const filming = this.filming;
		this.filming = null;
		filming?.then(stream => stream.getTracks().forEach(t => t.stop()), () => { /* there was none */ });
	}

	refused(m) {
		const call = this.sent.get(m.id);
		this.sent.delete(m.id);
		if (call && call.state === 'calling')
			call.finish({status: 503, reason: m.message});
		else if (call)
			call.problem(m.message);
		emit(this, 'trouble', m.message);
	}

	setRecording(state) {
		this.recording = state;
		emit(this, 'recording', state);
	}

	changed() {
		if (this.told === this.state)
			return;
		this.told = this.state;
		emit(this, 'state', this.state);
	}
}
