/*
 * one-track.js: a file of many tracks as a file of one, since elements of pages play the first of each kind: what belongs to the others is named
 * anew, in place, as what players pass over.
 *
 *     onlyTrack(bytes, index);                            // Uint8Array of WebM, Matroska or fragmented MP4, from 0; changes it
 */
import {DOWN, ID, number, unsigned} from '/webm.js';

const VOID = 0xec; // RFC 8794 section 11.3.2
const MASTERS = new Set([...DOWN].filter(id => id !== ID.track && id !== ID.group)); // these two are taken as a whole

/* ---- Matroska: tracks are numbered from 1 in their order; both kinds of blocks begin with the number, and all three identities are one byte */

function numberOfTrack(entry) {
	for (let at = 0; at < entry.length;) {
		const id = number(entry, at, true), size = number(entry, at + id.length), from = at + id.length + size.length;
		if (id.value === ID.number)
			return unsigned(entry.subarray(from, from + size.value));
		at = from + size.value;
	}
	return 0;
}

function numberOfGroup(group) {
	for (let at = 0; at < group.length;) {
		const id = number(group, at, true), size = number(group, at + id.length), from = at + id.length + size.length;
		if (id.value === ID.block)
			return group[from] & 0x7f;
		at = from + size.value;
	}
	return 0;
}

const numberOf = {[ID.track]: numberOfTrack, [ID.group]: numberOfGroup, [ID.simple]: block => block[0] & 0x7f};

function onlyOfMatroska(bytes, wanted) {
	for (let at = 0; at < bytes.length;) {
		const id = number(bytes, at, true), size = number(bytes, at + id.length), from = at + id.length + size.length;
		if (!(from <= bytes.length))
			return; // cut off
		if (MASTERS.has(id.value)) {
			at = from;
			continue;
		}
		if (size.unknown || from + size.value > bytes.length)
			return;
		const told = numberOf[id.value]?.(bytes.subarray(from, from + size.value));
		if (told && told !== wanted)
			bytes[at] = VOID;
		at = from + size.value;
	}
}

/* ---- MP4: boxes; offsets in a fragment count from its beginning, and stay right */

const INSIDE = new Set(['moov', 'moof', 'mvex']);
const FREE = [0x66, 0x72, 0x65, 0x65];

/* The track that a box is about: trak has it in its tkhd, traf in its tfhd, trex at once; 0: none */
function trackOfBox(view, type, from) {
	if (type === 'trex')
		return view.getUint32(from + 4);
	if (type === 'traf') // tfhd is its first
		return view.getUint32(from + 12);
	if (type !== 'trak')
		return 0;
	return view.getUint8(from + 8) === 1 ? view.getUint32(from + 28) : view.getUint32(from + 20); // tkhd, of either version
}

function onlyOfMp4(bytes, wanted, at = 0, end = bytes.length) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	while (at + 8 <= end) {
		const size = view.getUint32(at), type = new TextDecoder('latin1').decode(bytes.subarray(at + 4, at + 8));
		if (size < 8 || at + size > end)
			return;
		const told = trackOfBox(view, type, at + 8);
		if (told && told !== wanted)
			bytes.set(FREE, at + 4);
		else if (INSIDE.has(type))
			onlyOfMp4(bytes, wanted, at + 8, at + size);
		at += size;
	}
}

export function onlyTrack(bytes, index) {
	if (bytes[0] === 0x1a)
		onlyOfMatroska(bytes, index + 1);
	else
		onlyOfMp4(bytes, index + 1);
	return bytes;
}
