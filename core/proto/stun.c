/*
 * proto/stun.c: reading STUN messages (RFC 8489 sections 5, 14).
 *
 * A view over the caller's bytes: sl_stun_parse checks header, cookie and the bounds of every
 * attribute once; all later reads rely on it. Nothing is copied and nothing is remembered between
 * messages. What follows MESSAGE-INTEGRITY is not covered by it, so lookups end there
 * (section 14.5). The writer is stun_write.c.
 */
#include <sluice/stun.h>

#include <sluice/buf.h>
#include <sluice/crypto.h>

enum {
	ATTR_HEADER = 4,
	SHA1_BYTES = 20,
	SHA256_BYTES = 32,
	FINGERPRINT_BYTES = 4,
	FINGERPRINT_XOR = 0x5354554e,
	FAMILY_IPV4 = 1,
	FAMILY_IPV6 = 2,
};

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* The message type interleaves class and method bits (section 5, figure 3). */
static uint16_t method_of(uint16_t type)
{
	return (uint16_t)((type & 0x000f) | (type & 0x00e0) >> 1 | (type & 0x3e00) >> 2);
}

static uint8_t class_of(uint16_t type)
{
	return (uint8_t)((type & 0x0010) >> 4 | (type & 0x0100) >> 7);
}

static bool attributes_fit(const uint8_t *p, size_t len)
{
	while (len > 0) {
		size_t need;

		if (len < ATTR_HEADER)
			return false;
		need = ATTR_HEADER + padded(sl_get16(p + 2));
		if (need > len)
			return false;
		p += need;
		len -= need;
	}
	return true;
}

int sl_stun_parse(struct sl_stun_msg *ret_msg, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint16_t type;

	if (len < SL_STUN_HEADER || (p[0] & 0xc0) || sl_get32(p + 4) != SL_STUN_COOKIE)
		return -SL_EPARSE;
	if (len % 4 != 0 || SL_STUN_HEADER + (size_t)sl_get16(p + 2) != len)
		return -SL_EPARSE;
	if (!attributes_fit(p + SL_STUN_HEADER, len - SL_STUN_HEADER))
		return -SL_EPARSE;
	type = sl_get16(p);
	*ret_msg = (struct sl_stun_msg){
		.raw = p,
		.len = (uint32_t)len,
		.method = method_of(type),
		.class_ = class_of(type),
		.txid = p + 8,
	};
	return 0;
}

bool sl_stun_next(const struct sl_stun_msg *msg, struct sl_stun_attr *attr)
{
	const uint8_t *end = msg->raw + msg->len;
	const uint8_t *p = attr->data ? attr->data + padded(attr->len) : msg->raw + SL_STUN_HEADER;

	if (p >= end)
		return false;
	attr->type = sl_get16(p);
	attr->len = sl_get16(p + 2);
	attr->data = p + ATTR_HEADER;
	return true;
}

static bool ends_trust(uint16_t type)
{
	return type == SL_STUN_MESSAGE_INTEGRITY || type == SL_STUN_MESSAGE_INTEGRITY_SHA256 ||
	       type == SL_STUN_FINGERPRINT;
}

bool sl_stun_find(const struct sl_stun_msg *msg, uint16_t type, struct sl_stun_attr *ret_attr)
{
	struct sl_stun_attr a = {0};
	bool trusted = true;

	while (sl_stun_next(msg, &a)) {
		if (a.type == type && (trusted || ends_trust(type))) {
			*ret_attr = a;
			return true;
		}
		trusted = trusted && !ends_trust(a.type);
	}
	return false;
}

struct sl_str sl_stun_find_str(const struct sl_stun_msg *msg, uint16_t type)
{
	struct sl_stun_attr a;

	if (!sl_stun_find(msg, type, &a))
		return SL_STR_NULL;
	return (struct sl_str){(const char *)a.data, a.len};
}

/* Family, port and IP as they stand; xor_mask: 16 bytes that the writer has mixed in. */
static int read_addr(const struct sl_stun_attr *attr, const uint8_t *xor_mask,
		     struct sl_addr *ret_addr)
{
	struct sl_addr a = {0};
	size_t ip_len;

	if (attr->len < 4)
		return -SL_EPARSE;
	a.family = attr->data[1] == FAMILY_IPV4 ? 4 : attr->data[1] == FAMILY_IPV6 ? 6 : 0;
	ip_len = a.family == 4 ? 4 : 16;
	if (a.family == 0 || attr->len != 4 + ip_len)
		return -SL_EPARSE;
	a.port = sl_get16(attr->data + 2) ^ sl_get16(xor_mask);
	for (size_t i = 0; i < ip_len; i++)
		a.ip[i] = attr->data[4 + i] ^ xor_mask[i];
	*ret_addr = a;
	return 0;
}

/* ::ffff:a.b.c.d is a.b.c.d: else it would pass under every rule about IPv4. */
static void unmap(struct sl_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (a->family != 6 || memcmp(a->ip, mapped, sizeof mapped) != 0)
		return;
	a->family = 4;
	memmove(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

int sl_stun_get_addr(const struct sl_stun_msg *msg, const struct sl_stun_attr *attr,
		     struct sl_addr *ret_addr)
{
	static const uint8_t none[16];
	int err;

	(void)msg; /* only the XOR form needs the transaction id */
	err = read_addr(attr, none, ret_addr);
	if (err == 0)
		unmap(ret_addr);
	return err;
}

int sl_stun_get_xor_addr(const struct sl_stun_msg *msg, const struct sl_stun_attr *attr,
			 struct sl_addr *ret_addr)
{
	int err;

	err = read_addr(attr, msg->raw + 4, ret_addr); /* cookie, then transaction id */
	if (err == 0)
		unmap(ret_addr);
	return err;
}

int sl_stun_get_u32(const struct sl_stun_attr *attr, uint32_t *ret_value)
{
	if (attr->len != 4)
		return -SL_EPARSE;
	*ret_value = sl_get32(attr->data);
	return 0;
}

/*
 * A MAC covers the message up to its attribute, with a header length that ends behind the attribute
 * (sections 14.5, 14.6), whatever follows it. The received bytes stay as they are: the header is
 * hashed from a copy.
 */
static void covered_parts(const struct sl_stun_msg *msg, const struct sl_stun_attr *mac,
			  uint8_t header[SL_STUN_HEADER], struct sl_str ret_parts[2])
{
	size_t covered = (size_t)(mac->data - ATTR_HEADER - msg->raw);

	memcpy(header, msg->raw, SL_STUN_HEADER);
	sl_put16(header + 2, (uint16_t)(covered + ATTR_HEADER + mac->len - SL_STUN_HEADER));
	ret_parts[0] = (struct sl_str){(const char *)header, SL_STUN_HEADER};
	ret_parts[1] =
		(struct sl_str){(const char *)msg->raw + SL_STUN_HEADER, covered - SL_STUN_HEADER};
}

int sl_stun_check_integrity(const struct sl_stun_msg *msg, struct sl_str key)
{
	uint8_t header[SL_STUN_HEADER], mac[SHA1_BYTES];
	struct sl_str parts[2];
	struct sl_stun_attr a;

	if (!sl_stun_find(msg, SL_STUN_MESSAGE_INTEGRITY, &a))
		return -SL_ENOENT;
	if (a.len != SHA1_BYTES)
		return -SL_EAUTH;
	covered_parts(msg, &a, header, parts);
	sl_hmac_sha1_parts(mac, key, parts, 2);
	return sl_mem_eq(mac, a.data, sizeof mac) ? 0 : -SL_EAUTH;
}

int sl_stun_check_integrity_sha256(const struct sl_stun_msg *msg, struct sl_str key)
{
	uint8_t header[SL_STUN_HEADER], mac[SHA256_BYTES];
	struct sl_str parts[2];
	struct sl_stun_attr a;

	if (!sl_stun_find(msg, SL_STUN_MESSAGE_INTEGRITY_SHA256, &a))
		return -SL_ENOENT;
	if (a.len != SHA256_BYTES)
		return -SL_EAUTH;
	covered_parts(msg, &a, header, parts);
	sl_hmac_sha256_parts(mac, key, parts, 2);
	return sl_mem_eq(mac, a.data, sizeof mac) ? 0 : -SL_EAUTH;
}

bool sl_stun_is_signed(const struct sl_stun_msg *msg)
{
	struct sl_stun_attr a;

	return sl_stun_find(msg, SL_STUN_MESSAGE_INTEGRITY, &a) ||
	       sl_stun_find(msg, SL_STUN_MESSAGE_INTEGRITY_SHA256, &a);
}

/* Must be the last attribute, so the header needs no change (section 14.7). */
int sl_stun_check_fingerprint(const struct sl_stun_msg *msg)
{
	struct sl_stun_attr a;
	size_t covered;

	if (!sl_stun_find(msg, SL_STUN_FINGERPRINT, &a))
		return -SL_ENOENT;
	if (a.len != FINGERPRINT_BYTES || a.data + FINGERPRINT_BYTES != msg->raw + msg->len)
		return -SL_EAUTH;
	covered = (size_t)(a.data - ATTR_HEADER - msg->raw);
	if (sl_get32(a.data) != (sl_crc32(msg->raw, covered) ^ FINGERPRINT_XOR))
		return -SL_EAUTH;
	return 0;
}

static bool is_in(uint16_t type, const uint16_t *types, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (types[i] == type)
			return true;
	return false;
}

unsigned sl_stun_unknown(const struct sl_stun_msg *msg, const uint16_t *known, unsigned n_known,
			 uint16_t *ret_types, unsigned max)
{
	struct sl_stun_attr a = {0};
	unsigned n = 0;

	while (n < max && sl_stun_next(msg, &a)) {
		if (a.type < 0x8000 && !is_in(a.type, known, n_known) &&
		    !is_in(a.type, ret_types, n))
			ret_types[n++] = a.type;
		if (ends_trust(a.type))
			break;
	}
	return n;
}

void sl_stun_long_term_key(uint8_t ret_key[16], struct sl_str user, struct sl_str realm,
			   struct sl_str password)
{
	const struct sl_str parts[] = {user, SL_STR(":"), realm, SL_STR(":"), password};

	sl_md5_parts(ret_key, parts, SL_ARRAY_LEN(parts));
}

void sl_stun_long_term_key_sha256(uint8_t ret_key[32], struct sl_str user, struct sl_str realm,
				  struct sl_str password)
{
	const struct sl_str parts[] = {user, SL_STR(":"), realm, SL_STR(":"), password};

	sl_sha256_parts(ret_key, parts, SL_ARRAY_LEN(parts));
}

void sl_stun_userhash(uint8_t ret_hash[32], struct sl_str user, struct sl_str realm)
{
	const struct sl_str parts[] = {user, SL_STR(":"), realm};

	sl_sha256_parts(ret_hash, parts, SL_ARRAY_LEN(parts));
}

const char *sl_stun_reason(unsigned code)
{
	static const struct {
		unsigned code;
		const char *text;
	} reasons[] = {
		{300, "Try Alternate"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{405, "Mobility Forbidden"},
		{420, "Unknown Attribute"},
		{437, "Allocation Mismatch"},
		{438, "Stale Nonce"},
		{440, "Address Family not Supported"},
		{441, "Wrong Credentials"},
		{442, "Unsupported Transport Protocol"},
		{443, "Peer Address Family Mismatch"},
		{446, "Connection Already Exists"},
		{447, "Connection Timeout or Failure"},
		{486, "Allocation Quota Reached"},
		{487, "Role Conflict"},
		{500, "Server Error"},
		{508, "Insufficient Capacity"},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].text;
	return "";
}
