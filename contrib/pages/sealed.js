/*
 * sealed.js: opens sealed files of recordings where the key is, in the browser: the server cannot (modules/recorder/envelope.h has the format).
 *
 *     const key = await readKey(pem);                     // the private key: X25519 or RSA, PKCS #8 in PEM form, as openssl genpkey writes it
 *     const bytes = await unseal(key, sealed);            // Uint8Array both; throws an Error whose message is a sentence
 */
const MAGIC = 'SLSEAL1\n';
const X25519 = 1, RSA = 2; // how the file's own key is wrapped
const LAST = 1 << 30, TAG = 16, MAX_PIECE = 512 << 10;
export const OTHER_KEY = 'it is sealed for another key';
const INFO = new TextEncoder().encode('sluice recording');

function fromBase64(text) {
	return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0));
}

function join(...parts) {
	const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	parts.reduce((at, p) => (all.set(p, at), at + p.length), 0);
	return all;
}

export async function readKey(pem) {
	const body = /-----BEGIN PRIVATE KEY-----([^-]+)-----END PRIVATE KEY-----/.exec(pem)?.[1].replace(/\s/g, '');
	if (!globalThis.crypto?.subtle)
		throw new Error('browsers have keys on https:// and on localhost only');
	if (!body)
		throw new Error('this is no private key in PEM form without a password');
	const der = fromBase64(body);
	try {
		const own = await crypto.subtle.importKey('pkcs8', der, {name: 'X25519'}, true, ['deriveBits']);
		return {wrap: X25519, own, public: fromBase64((await crypto.subtle.exportKey('jwk', own)).x)};
	} catch { /* another kind */ }
	try {
		return {wrap: RSA, own: await crypto.subtle.importKey('pkcs8', der, {name: 'RSA-OAEP', hash: 'SHA-256'}, false, ['decrypt'])};
	} catch {
		throw new Error('keys are X25519 or RSA');
	}
}

async function unwrapX25519(key, wrapped) {
	const theirs = wrapped.subarray(0, 32);
	const peer = await crypto.subtle.importKey('raw', theirs, {name: 'X25519'}, false, []);
	const shared = await crypto.subtle.deriveBits({name: 'X25519', public: peer}, key.own, 256);
	const material = await crypto.subtle.importKey('raw', shared, 'HKDF', false, ['deriveKey']);
	const kek = await crypto.subtle.deriveKey({name: 'HKDF', hash: 'SHA-256', salt: join(theirs, key.public), info: INFO}, material,
		{name: 'AES-GCM', length: 256}, false, ['decrypt']);
	return crypto.subtle.decrypt({name: 'AES-GCM', iv: new Uint8Array(12)}, kek, wrapped.subarray(32));
}

async function openHead(key, head, wrap, wrapped) {
	try {
		if (wrap !== key.wrap)
			throw new Error();
		const raw = await (wrap === X25519 ? unwrapX25519(key, wrapped) : crypto.subtle.decrypt({name: 'RSA-OAEP'}, key.own, wrapped));
		return {key: await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']), digest: new Uint8Array(await crypto.subtle.digest('SHA-256', head))};
	} catch {
		throw new Error(OTHER_KEY);
	}
}

/* The n-th piece: its number is the nonce, and is authenticated with the head and whether it is the last. */
function openPiece(file, n, last, sealed) {
	const nonce = new Uint8Array(12), told = new Uint8Array(41);
	new DataView(nonce.buffer).setBigUint64(4, BigInt(n));
	told.set(file.digest);
	new DataView(told.buffer).setBigUint64(32, BigInt(n));
	told[40] = Number(last);
	return crypto.subtle.decrypt({name: 'AES-GCM', iv: nonce, additionalData: told}, file.key, sealed).catch(() => {
		throw new Error('it is not what was sealed');
	});
}

/* What a crash has cut off ends with its last whole piece. */
export async function unseal(key, bytes) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	if (bytes.length < 12 || new TextDecoder('latin1').decode(bytes.subarray(0, 8)) !== MAGIC)
		throw new Error('it is not sealed as it should be');
	const begin = 12 + view.getUint16(10), texts = [];
	const file = await openHead(key, bytes.subarray(0, begin), bytes[8], bytes.subarray(12, begin));
	for (let at = begin, n = 0, last = false; !last && at + 4 <= bytes.length; n++) {
		const word = view.getUint32(at), length = word & ~LAST, end = at + 4 + length + TAG;
		if (length > MAX_PIECE || end > bytes.length)
			break;
		last = (word & LAST) !== 0;
		texts.push(new Uint8Array(await openPiece(file, n, last, bytes.subarray(at + 4, end))));
		at = end;
	}
	return join(...texts);
}
