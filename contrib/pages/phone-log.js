/*
 * phone-log.js: the calls of before, kept in this browser alone.
 */
const KEY = 'sluice-calls', MOST = 50;

let calls = [];
try {
	calls = JSON.parse(localStorage.getItem(KEY) ?? '[]');
} catch { /* without storage, or with what somebody else put there: as long as the page lives */ }

function keep() {
	try {
		localStorage.setItem(KEY, JSON.stringify(calls));
	} catch { /* kept by this page only */ }
}

export function add({direction, number, name, begunAt, upAt, endedAt, end}) {
	calls.unshift({direction, number, name, begunAt, seconds: upAt ? Math.round((endedAt - upAt) / 1000) : null, reason: end.reason});
	calls.length = Math.min(calls.length, MOST);
	keep();
}

export function clear() {
	calls = [];
	keep();
}

export const duration = seconds => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;

function when(ms) {
	const date = new Date(ms), today = new Date().toDateString() === date.toDateString();
	return today ? date.toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'}) : date.toLocaleDateString([], {day: 'numeric', month: 'short'});
}

function entry(call, redial) {
	const item = document.createElement('li'), button = document.createElement('button'), arrow = document.createElement('span'),
		who = document.createElement('span'), how = document.createElement('small'), time = document.createElement('time');
	const missed = call.direction === 'in' && call.seconds === null;
	arrow.textContent = call.direction === 'in' ? '↙' : '↗';
	arrow.setAttribute('aria-label', missed ? 'missed' : call.direction === 'in' ? 'incoming' : 'outgoing');
	arrow.setAttribute('role', 'img');
	arrow.className = missed ? 'missed' : '';
	who.textContent = call.name || call.number;
	how.textContent = call.seconds === null ? call.reason : duration(call.seconds);
	who.append(how);
	time.textContent = when(call.begunAt);
	time.dateTime = new Date(call.begunAt).toISOString();
	button.type = 'button';
	button.title = `Call ${call.number}`;
	button.append(arrow, who, time);
	button.addEventListener('click', () => redial(call.number));
	item.append(button);
	return item;
}

export function show(list, redial) {
	list.replaceChildren(...calls.map(call => entry(call, redial)));
	return calls.length;
}
