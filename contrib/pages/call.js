/*
 * call.js: the call page: preview, join, tiles, controls and the panel. All that concerns the call itself is in sluice.js.
 *
 * ?room=&name=&autostart=1&policy=relay|all&signal=&token= start it without clicks; window.sluice.stats() tells how it goes,
 * from the moment that this file has run.
 */
import {join} from '/sluice.js';

const query = new URLSearchParams(location.search);
const $ = id => document.getElementById(id);
const form = $('ready').querySelector('form');
const tiles = new Map(); // peer id -> figure
const openedAt = performance.now();

let stream = null;
let room = null;
let mediaMs = null;
let problem = null;
let before = null; // figures of the last look, for rates

/* ---- for tests and for the curious */

async function stats() {
	if (room)
		return {...await room.stats(), media: mediaMs, problem};
	return {state: problem ? 'failed' : stream ? 'ready' : 'idle', problem, room: query.get('room'), pairs: [], peers: [], times: {},
		media: mediaMs, framesDecoded: 0, bytesReceived: 0, bytesSent: 0, packetsLost: 0, rtt: null};
}

window.sluice = {stats, start, hangUp, get room() { return room; }};

/* ---- media */

async function openMedia() {
	stream ??= await navigator.mediaDevices.getUserMedia({
		audio: {echoCancellation: true, noiseSuppression: true},
		video: {width: {ideal: 1280}, height: {ideal: 720}, frameRate: {ideal: 30}},
	});
	mediaMs ??= Math.round(performance.now() - openedAt);
	$('preview').srcObject = stream;
}

function explain(error) {
	if (!navigator.mediaDevices)
		return 'Browsers open camera and microphone on https:// and on localhost only.';
	if (error.name === 'NotAllowedError')
		return 'Camera and microphone were not permitted; you can still join and watch.';
	if (error.name === 'NotFoundError')
		return 'No camera or microphone was found; you can still join and watch.';
	return `Camera and microphone cannot be used: ${error.message}`;
}

async function preview() {
	try {
		if (!navigator.mediaDevices)
			throw new TypeError('no media devices');
		await openMedia();
	} catch (error) {
		problem = explain(error);
		$('problem').textContent = problem;
		$('problem').hidden = false;
		$('self').hidden = true;
	}
}

function toggle(button, kind) {
	const off = button.getAttribute('aria-pressed') !== 'true';

	button.setAttribute('aria-pressed', String(off));
	for (const track of stream?.getTracks().filter(t => t.kind === kind) ?? []) {
		track.enabled = !off;
		room?.media?.publish.mute(track, off);
	}
	if (kind === 'video')
		$('self').classList.toggle('off', off);
}

/* ---- tiles */

function tileOf(peer) {
	let tile = tiles.get(peer.id);
	if (tile)
		return tile;
	tile = document.createElement('figure');
	tile.className = 'tile';
	const video = document.createElement('video');
	video.autoplay = video.playsInline = true;
	const caption = document.createElement('figcaption');
	const who = document.createElement('span'), how = document.createElement('span');
	who.textContent = peer.name || 'guest';
	how.className = 'how';
	caption.append(who, how);
	tile.append(video, caption);
	tiles.set(peer.id, tile);
	$('remotes').append(tile);
	arrange();
	return tile;
}

/* As many columns as make the tiles largest, taken as 4:3. */
function arrange() {
	const {clientWidth: width, clientHeight: height} = $('remotes');
	const size = columns => Math.min(width / columns, height / Math.ceil(tiles.size / columns) * 4 / 3);
	let best = 1;
	for (let columns = 2; columns <= tiles.size; columns++)
		if (size(columns) > size(best))
			best = columns;
	$('remotes').style.setProperty('--columns', best);
}

function dropTile(peer) {
	tiles.get(peer.id)?.remove();
	tiles.delete(peer.id);
	arrange();
}

function showTrack({peer, stream: remote}) {
	const video = tileOf(peer).querySelector('video');
	if (video.srcObject !== remote)
		video.srcObject = remote;
	video.play().catch(() => { /* some browsers want a click first: any will do */
		document.addEventListener('click', () => video.play(), {once: true});
	});
}

/* Why no picture moves on a tile: the worst reason is told. */
function showHow(tile, news) {
	Object.assign(tile.dataset, news);
	tile.querySelector('.how').textContent = tile.dataset.link || tile.dataset.picture || '';
}

function showPeerState({peer, state}) {
	const tile = tileOf(peer), link = state === 'connected' ? '' : state;
	tile.classList.toggle('away', link !== '');
	showHow(tile, {link});
}

function showPicture({peer, kind, muted, paused}) {
	const tile = kind === 'video' && tileOf(peer);
	if (!tile)
		return;
	tile.classList.toggle('still', Boolean(muted || paused));
	showHow(tile, {picture: muted ? 'camera off' : paused ? 'paused: the line is too slow' : ''});
}

const WORDS = {up: 'from there', down: 'to there'};
const percent = v => `${(100 * v).toFixed(1)} %`;

/* Three bars on a tile; what is behind them shows where the pointer rests. */
function showQuality({peer, quality, score, ...ways}) {
	const tile = peer ? tileOf(peer) : $('self'), caption = tile.querySelector('figcaption');
	let bars = caption.querySelector('.line');
	if (!bars) {
		bars = document.createElement('span');
		bars.className = 'line';
		bars.setAttribute('role', 'img');
		caption.append(bars);
	}
	bars.dataset.quality = quality;
	bars.setAttribute('aria-label', `line: ${quality}`);
	bars.title = [`line: ${quality} (${score} of 100)`, ...Object.entries(WORDS).filter(([k]) => ways[k]).map(([k, word]) =>
		`${word}: loss ${percent(ways[k].loss)}, round trip ${ways[k].rtt} ms, ${kbps(ways[k].got / 1000)} of ${kbps(ways[k].wanted / 1000)}`)].join('\n');
}

/* ---- the call */

function showState(state) {
	$('state').textContent = state;
	$('state').dataset.state = state;
	$('notice').textContent = state === 'waiting' ? 'Nobody else is here yet.' : state === 'closed' ? 'The call is over.' : 'Joining…';
	$('copy').hidden = state !== 'waiting';
}

function showRecording(state) {
	$('recording').hidden = state === 'off';
	$('recording').dataset.state = state;
	$('recording').textContent = state === 'paused' ? 'Recording paused' : 'Recording';
}

function listen() {
	const on = (type, fn) => room.addEventListener(type, e => fn(e.detail));
	on('state', showState);
	on('joined', ({peer}) => tileOf(peer));
	on('left', ({peer}) => dropTile(peer));
	on('track', showTrack);
	on('trackinfo', showPicture);
	on('peerstate', showPeerState);
	on('quality', showQuality);
	on('speakers', peers => tiles.forEach((tile, id) => tile.classList.toggle('speaking', peers.includes(id))));
	room.elementOf = id => tiles.get(id)?.querySelector('video');
	on('recording', showRecording);
	on('trouble', t => console.warn('sluice:', t.code ?? t.peer ?? '', t.message));
	on('closed', reason => {
		if (reason !== 'left')
			problem = `The server ended the call: ${reason}`;
		$('notice').textContent = problem ?? 'The call is over.';
	});
}

function start() {
	const name = form.name.value || 'guest', roomName = form.room.value;

	if (room || !roomName)
		return;
	room = join({
		room: roomName, name, stream, policy: query.get('policy') === 'relay' ? 'relay' : 'all',
		...(query.get('signal') && {signal: query.get('signal')}), token: query.get('token'),
	});
	listen();
	document.title = `${roomName} – Sluice`;
	$('ready').hidden = true;
	$('bar').hidden = false;
	showState('joining');
}

function hangUp() {
	room?.leave();
	for (const track of stream?.getTracks() ?? [])
		track.stop();
	$('self').hidden = true;
}

/* ---- panel */

const ms = v => v === null || v === undefined ? '–' : `${Math.round(v)} ms`;
const kbps = v => v >= 1000 ? `${(v / 1000).toFixed(2)} Mbit/s` : `${Math.round(v)} kbit/s`;

function fill(dl, rows) {
	dl.replaceChildren(...rows.flatMap(([k, v]) => {
		const dt = document.createElement('dt'), dd = document.createElement('dd');
		dt.textContent = k;
		dd.textContent = v;
		return [dt, dd];
	}));
}

function rateOf(peer, key, seconds) {
	const old = before?.peers.find(p => p.id === peer.id);
	return old ? kbps(Math.max(0, peer[key] - old[key]) * 8 / 1000 / seconds) : '–';
}

const end = c => c ? `${c.type}${c.relayProtocol ? ` (${c.relayProtocol})` : ''} ${c.protocol}` : '–';

function peerFacts(peer, seconds) {
	const box = document.createElement('section'), title = document.createElement('h3'), dl = document.createElement('dl');
	const expected = peer.packetsReceived + peer.packetsLost;
	title.textContent = peer.name || 'guest';
	fill(dl, [
		['state', `${peer.state}${peer.restarts ? `, ${peer.restarts} restarts` : ''}`],
		['here', end(peer.pair?.local)], ['there', end(peer.pair?.remote)],
		['receiving', rateOf(peer, 'bytesReceived', seconds)], ['sending', rateOf(peer, 'bytesSent', seconds)],
		['picture', peer.frameSize ? `${peer.frameSize}, ${Math.round(peer.framesPerSecond)}/s` : '–'],
		['loss', expected ? `${peer.packetsLost} (${(100 * peer.packetsLost / expected).toFixed(2)} %)` : '–'],
		['round trip', peer.pair?.rtt === null || !peer.pair ? '–' : ms(peer.pair.rtt * 1000)],
	]);
	box.append(title, dl);
	return box;
}

const steps = {welcome: 'in the room', firstCandidate: 'first candidate', offer: 'offer', remoteOffer: 'offer received', answer: 'answer',
	remoteAnswer: 'answer received', checking: 'checking', iceConnected: 'path found', connected: 'secured', firstFrame: 'first picture'};

async function look() {
	if (!room)
		return;
	const now = await room.stats(), at = performance.now();
	if (!$('panel').hidden) {
		$('facts').replaceChildren(...now.peers.map(p => peerFacts(p, before ? (at - before.at) / 1000 : 1)));
		fill($('times'), Object.entries(now.times).sort((a, b) => a[1] - b[1]).map(([k, v]) => [steps[k] ?? k, ms(v)]));
	}
	before = {...now, at};
}

/* ---- go */

function bind() {
	form.addEventListener('submit', e => {
		e.preventDefault();
		start();
	});
	$('mic').addEventListener('click', () => toggle($('mic'), 'audio'));
	$('cam').addEventListener('click', () => toggle($('cam'), 'video'));
	$('hangup').addEventListener('click', hangUp);
	$('details').addEventListener('click', () => {
		$('panel').hidden = !$('panel').hidden;
		$('details').setAttribute('aria-pressed', String(!$('panel').hidden));
	});
	$('copy').addEventListener('click', () => {
		const url = new URL(location.href);
		url.search = new URLSearchParams({room: form.room.value});
		navigator.clipboard?.writeText(url.href);
		$('copy').textContent = 'Copied';
	});
	new ResizeObserver(arrange).observe($('remotes'));
	document.addEventListener('keydown', e => {
		const button = {m: 'mic', c: 'cam', d: 'details'}[e.key];
		if (room && button && !e.ctrlKey && !e.metaKey && !e.altKey)
			$(button).click();
	});
}

form.room.value = query.get('room') ?? '';
form.name.value = query.get('name') ?? '';
$('room-title').textContent = query.get('room') ?? 'A room';
bind();
setInterval(look, 1000);
await preview();
if (query.get('autostart') === '1')
	start();
