/*
 * phone-page.js: the phone page: account, pad, calls, devices, quality, log; beside it, people. All that concerns calls themselves is in phone.js.
 *
 * ?number=&autostart=1&video=1&user=&password=&pbx=&token=&signal= start it without clicks; window.sluice.stats() tells how it goes, from the moment
 * that this file has run.
 */
import {Phone} from '/phone.js';
import * as log from '/phone-log.js';
import * as people from '/phone-people.js';
import * as sound from '/phone-sound.js';

const query = new URLSearchParams(location.search);
const $ = id => document.getElementById(id);
const cards = new Map(); // Call -> article
const LETTERS = {1: '', 2: 'ABC', 3: 'DEF', 4: 'GHI', 5: 'JKL', 6: 'MNO', 7: 'PQRS', 8: 'TUV', 9: 'WXYZ', '*': '', 0: '+', '#': ''};
const STATES = {calling: 'Calling…', ringing: 'Ringing…', early: 'Ringing…', answering: 'Answering…', up: '', ended: 'Ended'};
const ENDED_FOR_MS = 6000; // how long it says why a call has ended

let problem = null;
let current = null; // the call that keys are for

const phone = new Phone({
	user: query.get('user'), password: query.get('password'), pbx: query.get('pbx'), token: query.get('token'),
	...(query.get('signal') && {signal: query.get('signal')}),
});

/* ---- for tests and for the curious */

async function stats() {
	const all = await phone.stats(), call = all.calls.find(c => c.state === 'up') ?? all.calls[0];
	return {
		framesDecoded: 0, audioPackets: 0, bytesReceived: 0, bytesSent: 0, packetsLost: 0, rtt: null, pairs: [], peers: [], times: {},
		...call, state: call?.state === 'up' ? 'connected' : call?.state ?? all.state, problem, sounds: sound.isPlaying(), phone: all,
	};
}

window.sluice = {stats, phone, call: dial, get calls() { return phone.calls; }, hangUp: () => current?.hangUp()};

function say(sentence) {
	$('said').textContent = sentence;
}

function showProblem(sentence) {
	problem = sentence;
	$('problem').textContent = sentence ?? '';
	$('problem').hidden = !sentence;
}

/* ---- account */

function showState() {
	const r = phone.registration;
	$('state').dataset.state = phone.state;
	$('state').textContent = phone.state === 'registered' ? `${r.user}${r.pbx ? ` at ${r.pbx}` : ''}`
		: phone.state === 'ready' ? 'ready – dial echo to hear yourself' : phone.state;
	$('unregister').hidden = phone.state !== 'registered';
	if (phone.socket.server && !phone.socket.server.phone)
		showProblem('This server has no telephones: its configuration does not name the module sip-gateway.');
}

async function register(options) {
	try {
		await (options ? phone.register(options) : phone.unregister());
		showProblem(null);
		openSettings(false);
	} catch (error) {
		showProblem(error.message);
	}
}

function openSettings(open) {
	$('account').hidden = !open;
	$('settings').setAttribute('aria-expanded', String(open));
	if (open)
		$('register').user.focus();
}

/* ---- devices */

async function listDevices() {
	const devices = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [];
	for (const [select, kind] of [[$('microphone'), 'audioinput'], [$('camera'), 'videoinput'], [$('speaker'), 'audiooutput']]) {
		const chosen = select.value, known = devices.filter(d => d.kind === kind && d.deviceId && d.deviceId !== 'default');
		select.replaceChildren(select.options[0], ...known.map((d, i) => new Option(d.label || `${select.id} ${i + 1}`, d.deviceId)));
		select.value = known.some(d => d.deviceId === chosen) ? chosen : '';
	}
	$('speaker-label').hidden = !('setSinkId' in HTMLMediaElement.prototype);
}

function playOn(element) {
	if (element.setSinkId)
		element.setSinkId($('speaker').value).catch(error => showProblem(`The speaker cannot be used: ${error.message}`));
}

/* ---- calls */

function dial(number, {video = false} = {}) {
	const wanted = (number ?? $('number').value).trim();
	if (!wanted)
		return null;
	showProblem(null);
	const call = phone.call(wanted, {video});
	show(call);
	$('number').value = '';
	return call;
}

/* One talks at a time: who takes one call puts the others on hold. */
function takeOver(call) {
	for (const other of phone.calls)
		if (other !== call && other.state === 'up' && !other.held)
			other.hold();
	current = call;
}

function bell() {
	const ringing = phone.calls.filter(c => c.state === 'ringing');
	const talks = phone.calls.some(c => c.state === 'up' && !c.held);
	sound.play(ringing.some(c => c.direction === 'in') ? talks ? 'waiting' : 'bell' : ringing.some(c => c.direction === 'out') ? 'ringback' : null);
	document.title = ringing.some(c => c.direction === 'in') ? '☎ Incoming call – Sluice' : 'Phone – Sluice';
}

function refresh(call) {
	const card = cards.get(call), has = action => card.querySelector(`[data-do="${action}"]`);
	const incoming = call.direction === 'in' && call.state === 'ringing', up = call.state === 'up';
	card.dataset.state = call.state;
	card.dataset.held = String(call.held || call.remoteHeld);
	card.querySelector('.call-state').textContent = call.end ? call.end.reason : incoming ? 'Incoming call' : call.held ? 'On hold'
		: call.remoteHeld ? 'The other side holds the call' : STATES[call.state];
	for (const action of ['accept', 'reject'])
		has(action).hidden = !incoming;
	has('accept-video').hidden = !incoming || !call.offersVideo;
	has('camera').setAttribute('aria-pressed', String(call.camera));
	has('camera').textContent = call.camera ? 'Camera off' : 'Camera';
	for (const action of ['mute', 'camera', 'hold', 'transfer'])
		has(action).hidden = !up;
	has('hangup').hidden = incoming || call.isOver;
	has('hold').setAttribute('aria-pressed', String(call.held));
	has('hold').textContent = call.held ? 'Resume' : 'Hold';
	has('mute').setAttribute('aria-pressed', String(call.muted));
	card.querySelector('form').hidden ||= !up;
	bell();
}

function refreshOthers() {
	for (const [call, card] of cards) {
		const others = phone.calls.filter(c => c !== call && c.state === 'up' && call.state === 'up');
		card.querySelector('.others').replaceChildren(...others.map(other => {
			const button = document.createElement('button');
			button.type = 'button';
			button.textContent = `Connect with ${other.name || other.number}`;
			button.addEventListener('click', () => transfer(call, other));
			return button;
		}));
	}
}

function tell(call, sentence) {
	const p = cards.get(call)?.querySelector('.trouble');
	if (!p)
		return;
	p.textContent = sentence ?? '';
	p.hidden = !sentence;
}

function transfer(call, to) {
	tell(call, 'Transferring…');
	call.transfer(to).then(() => tell(call, null), error => tell(call, error.message));
}

const actions = {
	accept: call => {
		takeOver(call);
		call.accept();
	},
	'accept-video': call => {
		takeOver(call);
		call.accept({video: true});
	},
	camera: call => call.setCamera(!call.camera).catch(error => tell(call, error.sentence ?? error.message)),
	reject: call => call.reject(),
	hangup: call => call.hangUp(),
	mute: call => call.mute(!call.muted),
	hold: call => {
		if (call.held)
			takeOver(call);
		call.hold(!call.held);
	},
	transfer: call => {
		const form = cards.get(call).querySelector('form'), button = cards.get(call).querySelector('[data-do="transfer"]');
		form.hidden = !form.hidden;
		button.setAttribute('aria-expanded', String(!form.hidden));
		if (!form.hidden)
			form.to.focus();
	},
};

function ended(call, end) {
	refresh(call);
	tell(call, null);
	if (call.upAt)
		sound.ended();
	log.add(call);
	showLog();
	say(`${call.name || call.number}: ${end.reason}`);
	if (end.status === 0)
		showProblem(end.reason);
	if (current === call)
		current = phone.calls.find(c => c.state === 'up') ?? null;
	refreshOthers();
	setTimeout(() => drop(call), ENDED_FOR_MS);
}

function drop(call) {
	cards.get(call)?.remove();
	cards.delete(call);
}

/* Sound is played by the element that shows the pictures, while there are any, so that they are in step. */
function play(call, card) {
	const [audio, remote, local] = ['audio', 'video.remote', 'video.local'].map(name => card.querySelector(name));
	const from = (element, stream) => element.srcObject === stream || (element.srcObject = stream);
	from(local, call.local);
	from(remote, call.remote);
	from(audio, call.remote ? null : call.stream);
	local.hidden = !call.local;
	remote.hidden = !call.remote;
	card.querySelector('.pictures').hidden = !call.local && !call.remote;
	const plays = call.remote ? remote : audio;
	playOn(plays);
	if (plays.srcObject)
		plays.play().catch(() => document.addEventListener('click', () => plays.play(), {once: true}));
}

function show(call) {
	const card = $('call-template').content.firstElementChild.cloneNode(true);
	card.dataset.direction = call.direction;
	card.setAttribute('aria-label', `Call with ${call.name || call.number}`);
	card.querySelector('strong').textContent = call.name || call.number;
	card.querySelector('.number-of').textContent = call.name ? call.number : '';
	card.addEventListener('click', e => actions[e.target.dataset.do]?.(call));
	card.querySelector('form').addEventListener('submit', e => {
		e.preventDefault();
		if (e.target.to.value.trim())
			transfer(call, e.target.to.value.trim());
	});
	[...cards.keys()].filter(other => other.isOver).forEach(drop);
	cards.set(call, card);
	$('calls').append(card);
	const on = (type, fn) => call.addEventListener(type, e => fn(e.detail));
	on('state', state => {
		if (state === 'up') {
			takeOver(call);
			say(`Connected with ${call.name || call.number}`);
			listDevices();
		}
		refresh(call);
		refreshOthers();
	});
	for (const type of ['stream', 'video'])
		on(type, () => {
			play(call, card);
			refresh(call);
		});
	for (const type of ['held', 'remoteheld', 'muted'])
		on(type, () => refresh(call));
	on('trouble', sentence => tell(call, sentence));
	on('ended', end => ended(call, end));
	current ??= call;
	refresh(call);
}

function incoming(call) {
	show(call);
	say(`Incoming call from ${call.name || call.number}`);
	cards.get(call).querySelector('[data-do="accept"]').focus();
}

/* ---- keys */

function press(digit) {
	const button = [...$('pad').children].find(b => b.value === digit);
	button?.classList.add('pressed');
	setTimeout(() => button?.classList.remove('pressed'), 120);
	sound.key(digit);
	if (current?.state === 'up' && !current.held)
		current.dtmf(digit);
	else
		$('number').value += digit;
}

function makePad() {
	$('pad').append(...['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'].map(digit => {
		const button = document.createElement('button'), letters = document.createElement('small');
		button.type = 'button';
		button.value = button.textContent = digit;
		button.setAttribute('aria-label', {'*': 'star', '#': 'hash'}[digit] ?? digit);
		letters.textContent = LETTERS[digit];
		letters.setAttribute('aria-hidden', 'true');
		button.append(letters);
		button.addEventListener('click', () => press(digit));
		return button;
	}));
}

function onKey(e) {
	if (e.ctrlKey || e.metaKey || e.altKey)
		return;
	const ringing = phone.calls.find(c => c.state === 'ringing' && c.direction === 'in');
	if (e.key === 'Escape')
		return ringing ? ringing.reject() : current?.hangUp();
	if (e.target.matches('input, select, textarea') || (e.key === 'Enter' && e.target.matches('button, a')))
		return undefined;
	if (/^[0-9*#]$/.test(e.key))
		press(e.key);
	else if (e.key === 'Enter')
		ringing ? actions.accept(ringing) : dial();
	else if (e.key === 'v')
		ringing?.offersVideo ? actions['accept-video'](ringing) : current?.state === 'up' ? actions.camera(current) : dial(null, {video: true});
	else if (e.key === 'm' && current)
		actions.mute(current);
	else if (e.key === 'h' && current)
		actions.hold(current);
	else if (e.key === 's')
		openSettings($('account').hidden);
	else
		return undefined;
	return e.preventDefault();
}

/* ---- quality and log */

const ms = v => v === null ? '–' : `${Math.round(v)} ms`;
const percent = v => v === null ? '–' : `${(100 * v).toFixed(1)} %`;
const mos = v => v === null ? '–' : v.toFixed(1);

function picture(q, direction) {
	const t = q.tracks.find(track => track.kind === 'video' && track.direction === direction);
	return t?.frameWidth ? `${t.codec ?? ''} ${t.frameWidth}×${t.frameHeight}, ${Math.round(t.framesPerSecond ?? 0)}/s` : '–';
}

function facts(q) {
	const meter = document.createElement('meter'), list = document.createElement('dl');
	Object.assign(meter, {min: 1, max: 4.5, low: 3.1, high: 3.8, optimum: 4.5, value: q.mosIn ?? 4.5});
	meter.setAttribute('aria-label', 'How good the call sounds');
	const rows = [['opinion (MOS) in', mos(q.mosIn)], ['opinion (MOS) out', mos(q.mosOut)], ['round trip', ms(q.rtt)],
		['loss in, out', `${percent(q.lossIn)}, ${percent(q.lossOut)}`], ['jitter in, out', `${ms(q.jitterIn)}, ${ms(q.jitterOut)}`],
		['picture in', picture(q, 'in')], ['picture out', picture(q, 'out')], ['buffer', ms(q.buffer)], ['made up', percent(q.concealed)], ['codec', q.codec ?? '–'],
		['way', q.pair ? `${q.pair.local ?? ''} ${q.pair.relay ?? q.pair.protocol ?? ''}` : '–']];
	list.append(...rows.flatMap(([k, v]) => {
		const dt = document.createElement('dt'), dd = document.createElement('dd');
		dt.textContent = k;
		dd.textContent = v;
		return [dt, dd];
	}));
	return [meter, list];
}

async function look() {
	for (const [call, card] of cards)
		card.querySelector('time').textContent = call.upAt ? log.duration(Math.round(((call.endedAt ?? Date.now()) - call.upAt) / 1000)) : '';
	const call = current?.state === 'up' ? current : phone.calls.find(c => c.state === 'up');
	const q = await call?.quality();
	if (q)
		$('quality').replaceChildren(...facts(q));
}

function showLog() {
	$('clear').hidden = log.show($('log'), number => dial(number)) === 0;
}

function showRecording(state) {
	$('recording').hidden = state === 'off';
	$('recording').dataset.state = state;
	$('recording').textContent = state === 'paused' ? 'Recording paused' : 'Recording';
}

/* ---- go */

function bind() {
	phone.addEventListener('state', showState);
	phone.addEventListener('registration', e => {
		showState();
		if (e.detail && !e.detail.ok)
			showProblem(e.detail.reason);
	});
	phone.addEventListener('incoming', e => incoming(e.detail));
	phone.addEventListener('recording', e => showRecording(e.detail));
	phone.addEventListener('closed', reason => {
		showState();
		showProblem(`The server has ended the connection (${reason.detail}); reload the page to come back.`);
	});
	$('settings').addEventListener('click', () => openSettings($('account').hidden));
	$('register').addEventListener('submit', e => {
		e.preventDefault();
		const {user, password, pbx} = e.target;
		register({user: user.value.trim(), password: password.value, pbx: pbx.value.trim()});
	});
	$('unregister').addEventListener('click', () => register(null));
	$('dial').addEventListener('submit', e => {
		e.preventDefault();
		dial();
	});
	$('erase').addEventListener('click', () => $('number').value = $('number').value.slice(0, -1));
	$('microphone').addEventListener('change', () => phone.useInput($('microphone').value).catch(error => showProblem(error.sentence ?? error.message)));
	$('camera').addEventListener('change', () => phone.useCamera($('camera').value).catch(error => showProblem(error.sentence ?? error.message)));
	$('call-video').addEventListener('click', () => dial(null, {video: true}));
	$('speaker').addEventListener('change', () => document.querySelectorAll('.talk audio, .talk video.remote').forEach(playOn));
	$('clear').addEventListener('click', () => {
		log.clear();
		showLog();
	});
	navigator.mediaDevices?.addEventListener?.('devicechange', listDevices);
	document.addEventListener('keydown', onKey);
}

makePad();
bind();
people.begin(phone, number => dial(number), say);
showLog();
listDevices();
for (const name of ['user', 'pbx'])
	$('register')[name].value = query.get(name) ?? '';
$('number').value = query.get('number') ?? '';
setInterval(look, 1000);
if (query.get('autostart') === '1' && query.has('number')) {
	if (phone.account)
		await new Promise(resolve => phone.addEventListener('registration', resolve, {once: true}));
	dial(null, {video: query.get('video') === '1'});
} else {
	$('number').focus();
}
