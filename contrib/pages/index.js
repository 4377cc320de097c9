/*
 * index.js: the lobby: a link to a room goes straight to the call, one to a number to the phone; else a room is proposed.
 */
const query = new URLSearchParams(location.search);

if (query.has('number'))
	location.replace(`/phone.html${location.search}`);
else if (query.has('room') || query.has('autostart'))
	location.replace(`/call.html${location.search}`);

const words = ['amber', 'birch', 'cedar', 'delta', 'ember', 'fjord', 'grove', 'heron', 'islet', 'juniper', 'kelp', 'linden',
	'maple', 'north', 'otter', 'pebble', 'quartz', 'river', 'sorrel', 'thistle', 'umber', 'violet', 'willow', 'yarrow'];
const pick = () => words[crypto.getRandomValues(new Uint32Array(1))[0] % words.length];
const form = document.querySelector('form');

form.room.value = `${pick()}-${pick()}-${crypto.getRandomValues(new Uint16Array(1))[0] % 1000}`;
try {
	form.name.value = localStorage.getItem('name') ?? '';
	form.addEventListener('submit', () => localStorage.setItem('name', form.name.value));
} catch { /* without storage the name is typed again */ }
form.name.focus();
