/*
 * phone-sound.js: what a telephone sounds like, made by WebAudio: the bell, the tone that says it rings there, keys, and the end of a call.
 * Nothing sounds before the page has been touched, since browsers do not let it.
 */

const ROWS = [697, 770, 852, 941], COLUMNS = [1209, 1336, 1477, 1633];
const KEYS = ['123A', '456B', '789C', '*0#D'];

let context = null;
let playing = null; // {stop}

const audio = () => context ??= new AudioContext();

/* Frequencies together for a while, softly begun and ended so that nothing clicks. */
function sound(frequencies, at, seconds, volume, target) {
	const gain = audio().createGain();
	gain.gain.setValueAtTime(0, at);
	gain.gain.linearRampToValueAtTime(volume / frequencies.length, at + 0.01);
	gain.gain.setValueAtTime(volume / frequencies.length, at + seconds - 0.02);
	gain.gain.linearRampToValueAtTime(0, at + seconds);
	gain.connect(target);
	for (const frequency of frequencies) {
		const source = audio().createOscillator();
		source.frequency.value = frequency;
		source.connect(gain);
		source.start(at);
		source.stop(at + seconds);
	}
}

/* Plays the pattern [[frequencies, from, seconds], ...] every `period` seconds until it is stopped. */
function repeat(name, pattern, period, volume) {
	const out = audio().createGain();
	out.connect(audio().destination);
	const round = () => {
		audio().resume().catch(() => { /* not touched yet: silent */ });
		for (const [frequencies, from, seconds] of pattern)
			sound(frequencies, audio().currentTime + from, seconds, volume, out);
	};
	round();
	const timer = setInterval(round, period * 1000);
	playing = {name, stop: () => {
		clearInterval(timer);
		out.disconnect();
	}};
}

const warble = Array.from({length: 10}, (_, i) => [[i % 2 ? 587 : 784], i * 0.1, 0.1]);

const patterns = {
	bell: () => repeat('bell', warble.concat(warble.map(([f, t, s]) => [f, t + 1.2, s])), 4, 0.25),
	waiting: () => repeat('waiting', [[[425], 0, 0.15]], 4, 0.08),
	ringback: () => repeat('ringback', [[[425], 0, 1]], 5, 0.08),
};

/* 'bell', 'waiting' (it rings while one talks), 'ringback', or null */
export function play(name) {
	if (playing?.name === name)
		return;
	playing?.stop();
	playing = null;
	navigator.vibrate?.(name === 'bell' ? [400, 200, 400, 1500, 400, 200, 400] : 0);
	if (name)
		patterns[name]();
}

export function key(digit) {
	const row = KEYS.findIndex(keys => keys.includes(digit));
	if (row < 0)
		return;
	audio().resume().catch(() => { /* silent */ });
	sound([ROWS[row], COLUMNS[KEYS[row].indexOf(digit)]], audio().currentTime, 0.14, 0.15, audio().destination);
}

export function ended() {
	sound([425], audio().currentTime, 0.2, 0.08, audio().destination);
	sound([425], audio().currentTime + 0.35, 0.2, 0.08, audio().destination);
}

export const isPlaying = () => playing?.name ?? null;
