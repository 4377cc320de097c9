/*
 * phone-people.js: who else is there: numbers that are watched, what they do, and what was written. People and texts are kept in this
 * browser alone.
 */
const KEY = 'sluice-people', MOST_TEXTS = 100;
const DOING = {away: 'away', busy: 'busy', 'on-the-phone': 'on the phone', meeting: 'in a meeting', vacation: 'on holiday', meal: 'eating'};
const LAMPS = {trying: 'dialling', early: 'ringing', proceeding: 'dialling', confirmed: 'on the phone'};

const $ = id => document.getElementById(id);
const people = new Map(); // number -> {number, name, texts, unread, presence, lamp, refused}
let phone, call, opened = null; // opened: the number whose texts are shown

/* ---- what is kept */

function load() {
	try {
		for (const {number, name, watched, texts} of JSON.parse(localStorage.getItem(KEY) ?? '[]'))
			people.set(number, {number, name, watched, texts, unread: 0});
	} catch { /* without storage, or with what somebody else put there: as long as the page lives */ }
}

function keep() {
	try {
		localStorage.setItem(KEY, JSON.stringify([...people.values()].map(({number, name, watched, texts}) => ({number, name, watched, texts}))));
	} catch { /* kept by this page only */ }
}

function personOf(number) {
	if (!people.has(number))
		people.set(number, {number, name: '', watched: false, texts: [], unread: 0});
	return people.get(number);
}

/* ---- what is shown */

function make(tag, props = {}, ...children) {
	const element = Object.assign(document.createElement(tag), props);
	element.append(...children);
	return element;
}

/* In one word for its colour, and in words. A call says more than what somebody has published of himself. */
function doing({presence, lamp, refused, watched}) {
	if (refused)
		return ['unknown', refused];
	if (lamp && LAMPS[lamp.state])
		return [lamp.state === 'confirmed' ? 'busy' : 'ringing', LAMPS[lamp.state]];
	if (!presence)
		return ['unknown', watched ? '' : 'not watched'];
	const words = [presence.open ? null : 'not there', DOING[presence.activity] ?? presence.activity, presence.note].filter(Boolean);
	return [presence.open ? presence.activity ? 'away' : 'open' : 'closed', words.join(', ') || 'there'];
}

function rowOf(person) {
	const [state, words] = doing(person), who = person.name || person.number;
	const dial = make('button', {type: 'button', className: 'who-button', title: `Call ${person.number}`}, make('span', {className: 'lamp'}),
		make('span', {}, who, make('small', {textContent: words})));
	const write = make('button', {type: 'button', textContent: person.unread ? `Texts (${person.unread})` : 'Write', title: `Write to ${who}`});
	const forget = make('button', {type: 'button', className: 'icon', textContent: '×', title: `Forget ${who}`, ariaLabel: `Forget ${who}`});
	const row = make('li', {}, dial, write, forget);
	row.dataset.number = person.number;
	row.dataset.state = state;
	dial.addEventListener('click', () => call(person.number));
	write.addEventListener('click', () => open(person.number === opened ? null : person.number));
	write.setAttribute('aria-expanded', String(person.number === opened));
	forget.addEventListener('click', () => remove(person));
	return row;
}

function showTexts() {
	const person = people.get(opened);
	$('texts').hidden = !person;
	if (!person)
		return;
	$('texts-title').textContent = `Texts with ${person.name || person.number}`;
	$('texts-list').replaceChildren(...person.texts.map(({own, text, at, problem}) => {
		const item = make('li', {className: own ? 'own' : ''}, make('p', {textContent: text}), make('time', {
			dateTime: new Date(at).toISOString(), textContent: new Date(at).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'})}));
		if (problem)
			item.append(make('small', {className: 'missed', textContent: problem}));
		return item;
	}));
	$('texts-list').scrollTop = $('texts-list').scrollHeight;
}

function show() {
	$('people').replaceChildren(...[...people.values()].map(rowOf));
	showTexts();
}

function showVoicemail({waiting, new: fresh, old}) {
	$('voicemail').hidden = !waiting && !old;
	$('voicemail').dataset.waiting = Boolean(waiting);
	$('voicemail').textContent = waiting ? `${fresh || ''} new voice message${fresh === 1 ? '' : 's'}`.trim() : `${old} old voice message${old === 1 ? '' : 's'}`;
}

/* ---- what happens */

function open(number) {
	opened = number;
	if (people.has(number))
		people.get(number).unread = 0;
	show();
	if (number)
		$('write').text.focus();
}

async function watch(person) {
	person.watched = true;
	person.refused = null;
	try {
		await phone.subscribe(person.number);
		await phone.subscribe(person.number, 'dialog');
	} catch (error) {
		person.refused = error.message;
	}
	show();
}

function remove(person) {
	phone.unsubscribe(person.number);
	phone.unsubscribe(person.number, 'dialog');
	people.delete(person.number);
	if (opened === person.number)
		opened = null;
	keep();
	show();
}

function addText(person, text) {
	person.texts.push(text);
	person.texts.splice(0, person.texts.length - MOST_TEXTS);
	keep();
	show();
}

async function send(number, text) {
	const one = {own: true, text, at: Date.now()}, person = personOf(number);
	addText(person, one);
	try {
		await phone.sendMessage(number, text);
	} catch (error) {
		one.problem = error.message;
		keep();
		show();
	}
}

function heard({from, name, text}, announce) {
	const person = personOf(from);
	person.name = name || person.name;
	person.unread += from !== opened;
	addText(person, {own: false, text, at: Date.now()});
	announce(`${person.name || from} writes: ${text}`);
}

function told(what, m) {
	const person = people.get(m.user);
	if (person)
		person[what] = m;
	show();
}

/* Watching takes a name; what has been agreed before is asked for again by the client itself. */
function registered(registration) {
	const on = Boolean(registration?.ok);
	for (const id of ['people-form', 'presence-label'])
		$(id).hidden = !on;
	$('people-hint').hidden = on;
	if (on)
		for (const person of people.values())
			if (person.watched && !phone.watched.has(`presence ${person.number}`))
				watch(person);
}

function bind(announce) {
	phone.addEventListener('message', e => heard(e.detail, announce));
	phone.addEventListener('presence', e => told('presence', e.detail));
	phone.addEventListener('lamp', e => told('lamp', e.detail));
	phone.addEventListener('voicemail', e => showVoicemail(e.detail));
	phone.addEventListener('registration', e => registered(e.detail));
	$('people-form').addEventListener('submit', e => {
		e.preventDefault();
		const number = e.target.who.value.trim();
		e.target.reset();
		if (number)
			watch(personOf(number)).then(keep);
	});
	$('presence').addEventListener('change', () => {
		const activity = $('presence').value;
		phone.setPresence(activity ? {open: activity !== 'closed', ...(activity !== 'closed' && {activity})} : {});
	});
	$('write').addEventListener('submit', e => {
		e.preventDefault();
		const text = e.target.text.value.trim();
		e.target.reset();
		if (text && opened)
			send(opened, text);
	});
}

/* dial(number) calls; announce(sentence) says it to who does not see. */
export function begin(aPhone, dial, announce) {
	phone = aPhone;
	call = dial;
	load();
	bind(announce);
	registered(phone.registration);
	show();
}
