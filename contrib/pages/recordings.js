/*
 * recordings.js: the page of recordings: the list, a player with a strip for each track. How tracks are kept together is in playback.js.
 *
 * ?token=&room=&id=&api= start it without typing; window.sluice tells how it goes. The token is kept for this tab, and is sent in a header only.
 */
import {PEAKS_PER_S, Playback} from '/playback.js';
import {OTHER_KEY, readKey} from '/sealed.js';
import {Watch, readMaster} from '/watch.js';

const query = new URLSearchParams(location.search);
const $ = id => document.getElementById(id);
const API = query.get('api') ?? '/recordings';

let token = query.get('token') ?? load('token');
let playback = null;
let current = null; // id
let next = null; // of the list
let seeking = false;
let key = null; // to sealed recordings: stays in this page's memory
let watching = [];

window.sluice = {
	get playback() { return playback; },
	get watching() { return watching; },
	stats: () => ({playing: Boolean(playback && !playback.paused), time: playback?.time ?? 0, duration: playback?.duration ?? 0,
		offsets: playback?.tracks.filter(t => t.kind === 'video').map(t => t.offset) ?? [], trouble: $('trouble').textContent}),
};

function load(key) {
	try {
		return sessionStorage.getItem(key);
	} catch {
		return null; // without storage it is typed again
	}
}

function keep(key, value) {
	try {
		sessionStorage.setItem(key, value);
	} catch { /* the same */ }
}

/* ---- the server */

async function ask(path) {
	const response = await fetch(API + path, {headers: token ? {Authorization: `Bearer ${token}`} : {}});
	if (response.ok)
		return response;
	const told = await response.json().catch(() => ({}));
	throw Object.assign(new Error(told.error ?? `the server says ${response.status}`), {status: response.status});
}

function showProblem(sentence) {
	$('problem').textContent = sentence ?? '';
	$('problem').hidden = !sentence;
}

/* ---- the list */

const clock = s => `${Math.floor(s / 3600)}:${String(Math.floor(s / 60) % 60).padStart(2, '0')}:${String(Math.floor(s) % 60).padStart(2, '0')}`;

function addRow(r) {
	const item = document.createElement('li'), button = document.createElement('button');
	const room = document.createElement('strong'), when = document.createElement('small'), who = document.createElement('small');
	button.type = 'button';
	button.dataset.id = r.id;
	room.textContent = r.room;
	when.textContent = `${new Date(r.started_unix_ms).toLocaleString()}, ${clock(r.duration_ms / 1000)}, ${(r.bytes / 1e6).toFixed(1)} MB${r.running ? ', running' : ''}`;
	who.textContent = r.participants.join(', ');
	button.append(room, when, who);
	button.addEventListener('click', () => open(r.id));
	item.append(button);
	$('list').append(item);
}

async function list(after) {
	const asked = new URLSearchParams({limit: 50, ...($('room').value && {room: $('room').value}), ...(after && {after})});
	try {
		const page = await (await ask(`?${asked}`)).json();
		if (!after)
			$('list').replaceChildren();
		page.recordings.forEach(addRow);
		next = page.next;
		if (!page.recordings.length && next) // none of those that were looked at are for this token
			return await list(next);
		$('more').hidden = !next;
		$('sign-in').hidden = true;
		$('state').textContent = $('list').children.length ? '' : 'There are none.';
		showProblem(null);
	} catch (error) {
		const denied = error.status === 401 || error.status === 403;
		$('sign-in').hidden = !denied;
		showProblem(denied && !token ? null : error.message);
	}
}

/* ---- one recording */

function describe(manifest) {
	$('name').textContent = manifest.room;
	$('about').textContent = `${new Date(manifest.started_unix_ms).toLocaleString()} – ${manifest.participants.map(p => p.name).join(', ')}`;
	document.title = `${manifest.room} – Recordings – Sluice`;
	for (const button of $('list').querySelectorAll('button'))
		button.setAttribute('aria-current', String(button.dataset.id === current));
}

function addTile(track) {
	const figure = document.createElement('figure'), caption = document.createElement('figcaption');
	figure.className = 'tile away';
	caption.textContent = track.source === 'screen' ? `${track.person}: screen` : track.person;
	figure.append(caption);
	track.attach(figure);
	$('screen').append(figure);
}

function addStrip(track) {
	const strip = $('track-template').content.cloneNode(true).firstElementChild;
	const mute = strip.querySelector('.mute'), canvas = strip.querySelector('canvas');
	strip.querySelector('.who').textContent = `${track.person} (${track.source}, ${track.codec})`;
	mute.textContent = 'Mute';
	mute.hidden = track.kind !== 'audio';
	mute.setAttribute('aria-label', `Mute ${track.person}`);
	mute.addEventListener('click', () => {
		track.silent = !track.silent;
		mute.setAttribute('aria-pressed', String(track.silent));
	});
	if (mute.hidden)
		mute.replaceWith(document.createElement('span'));
	canvas.addEventListener('click', event => playback.seek(event.offsetX / canvas.clientWidth * playback.duration));
	track.canvas = canvas;
	$('tracks').append(strip);
	draw(track);
}

/* Where there are files, and of sound how loud it was; white where it was muted */
function draw(track) {
	const {canvas} = track, pen = canvas.getContext('2d'), scale = canvas.width / playback.duration;
	const style = getComputedStyle(canvas), accent = style.getPropertyValue('--accent'), line = style.getPropertyValue('--line');
	pen.clearRect(0, 0, canvas.width, canvas.height);
	for (const piece of track.pieces) {
		pen.fillStyle = track.kind === 'video' ? accent : line;
		const height = track.kind === 'video' ? canvas.height / 3 : canvas.height, image = track.thumbnails?.get(piece);
		pen.fillRect(piece.start * scale, (canvas.height - height) / 2, Math.max(1, (piece.end - piece.start) * scale), height);
		pen.fillStyle = accent;
		if (image)
			pen.drawImage(image, piece.start * scale, 0, canvas.height * image.width / image.height, canvas.height);
		track.peaks?.get(piece)?.forEach((peak, i) => {
			const h = Math.max(1, Math.min(1, peak) * canvas.height);
			pen.fillRect((piece.start + i / PEAKS_PER_S) * scale, (canvas.height - h) / 2, Math.max(1, scale / PEAKS_PER_S), h);
		});
	}
	for (const span of track.mutes)
		pen.clearRect(span.start * scale, 0, (span.end - span.start) * scale, canvas.height);
}

function showTime() {
	if (!seeking)
		$('at').value = playback.time;
	$('clock').textContent = `${clock(playback.time)} / ${clock(playback.duration)}`;
}

function showState() {
	$('play').textContent = playback.paused ? 'Play' : 'Pause';
}

function showTrouble({detail}) {
	$('trouble').textContent = `${detail.file}: ${detail.message}`;
	$('trouble').hidden = false;
	if (detail.message === OTHER_KEY)
		$('unlock').hidden = false;
}

/* ---- while it is recorded */

function stopWatching() {
	watching.forEach(w => w.close());
	watching = [];
	$('live').replaceChildren();
}

function addLive(stream) {
	const figure = document.createElement('figure'), caption = document.createElement('figcaption'), video = document.createElement('video');
	figure.className = 'tile';
	video.controls = video.playsInline = video.autoplay = true;
	video.muted = watching.length > 0; // one is heard, the others by a click
	caption.textContent = stream.name;
	figure.append(video, caption);
	$('live').append(figure);
	const w = new Watch(video, stream, uri => ask(`/${current}/${uri}`));
	w.addEventListener('trouble', ({detail}) => showTrouble({detail: {file: stream.uri, message: detail.message}}));
	watching.push(w);
}

async function watch() {
	stopWatching();
	try {
		readMaster(await (await ask(`/${current}/index.m3u8`)).text()).forEach(addLive);
	} catch (error) {
		showTrouble({detail: {file: 'index.m3u8', message: error.message}});
	}
}

/* ---- sealed ones */

async function takeKey(file) {
	try {
		key = await readKey(await file.text());
		$('unlock').hidden = true;
		await open(current);
	} catch (error) {
		showTrouble({detail: {file: file.name, message: error.message}});
	}
}

function show(recording) {
	playback?.close();
	stopWatching();
	for (const id of ['screen', 'tracks'])
		$(id).replaceChildren();
	$('trouble').hidden = true;
	$('watch').hidden = !(recording.running && recording.notes.some(n => n.type === 'hls'));
	$('unlock').hidden = Boolean(key) || !recording.segments.some(s => s.sealed);
	document.querySelector('main').hidden = false;
	const p = playback = new Playback(recording, async file => (await ask(`/${current}/${encodeURIComponent(file)}`)).blob(), key);
	describe(recording.manifest);
	p.tracks.filter(t => t.kind === 'video').forEach(addTile);
	p.tracks.forEach(addStrip);
	$('at').max = p.duration;
	p.addEventListener('time', showTime);
	p.addEventListener('state', showState);
	p.addEventListener('trouble', showTrouble);
	p.addEventListener('peaks', event => p === playback && draw(event.detail));
	showState();
	p.seek(0);
	if ($('unlock').hidden)
		p.measure();
}

async function open(id) {
	try {
		const recording = await (await ask(`/${encodeURIComponent(id)}`)).json();
		current = id;
		show(recording);
		showProblem(null);
		if (!recording.intact)
			showTrouble({detail: {file: 'journal.jsonl', message: 'its chain is broken: it was changed'}});
	} catch (error) {
		showProblem(error.message);
	}
}

/* ---- controls */

const toggle = () => playback && (playback.paused ? playback.play() : playback.pause());

$('play').addEventListener('click', toggle);
$('watch').addEventListener('click', watch);
$('unlock').key.addEventListener('change', event => event.target.files[0] && takeKey(event.target.files[0]));
$('more').addEventListener('click', () => list(next));
$('at').addEventListener('input', () => { seeking = true; });
$('at').addEventListener('change', () => {
	seeking = false;
	playback?.seek(Number($('at').value));
});
$('find').addEventListener('submit', event => {
	event.preventDefault();
	list();
});
$('sign-in').addEventListener('submit', event => {
	event.preventDefault();
	token = $('sign-in').token.value.trim();
	keep('token', token);
	list();
});
document.addEventListener('keydown', event => {
	if (!playback || event.target.matches('input, button, a') || event.ctrlKey || event.metaKey || event.altKey)
		return;
	if (event.key === ' ')
		toggle();
	else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight')
		playback.seek(playback.time + (event.key === 'ArrowLeft' ? -10 : 10));
	else
		return;
	event.preventDefault();
});

if (query.get('token')) { // it does not stay in the address, which is shown, kept and copied
	keep('token', token);
	const rest = new URLSearchParams(query);
	rest.delete('token');
	history.replaceState(null, '', `${location.pathname}${rest.size ? `?${rest}` : ''}`);
}
$('room').value = query.get('room') ?? '';
list().then(() => query.get('id') && open(query.get('id')));
