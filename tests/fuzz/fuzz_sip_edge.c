/*
 * Fuzz target: any bytes as SIP, as a datagram and as a stream in pieces. What is taken has its six
 * fields within the bytes; framing makes progress, never beyond what is there, and pieces are
 * framed as the whole is.
 */
#include <sluice/err.h>
#include "modules/sip-gateway/digest.h"
#include "modules/sip-gateway/preparse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_within(struct sl_str part, struct sl_str all)
{
	sl_assert(part.len == 0 || (part.p >= all.p && part.p + part.len <= all.p + all.len));
}

static void try_values(struct sl_str message)
{
	struct sl_str rest = message, name, value, item, v;
	struct digest d;

	while (sip_header_next(&rest, &name, &value)) {
		is_within(name, message);
		is_within(value, message);
		if (digest_parse(&d, value) == 0)
			is_within(d.nonce, message);
		is_within(sip_user_of(sip_uri_of(value)), message);
		is_within(sip_hostport_of(sip_uri_of(value)), message);
		if (sip_param(value, "tag", &v))
			is_within(v, message);
		while (sip_list_next(&value, &item))
			is_within(item, message);
	}
}

static void try_message(struct sl_str message)
{
	struct sip_peek m;

	if (sip_peek(&m, message) < 0)
		return;
	sl_assert(m.head_len + m.body_len <= message.len);
	sl_assert(m.from.len > 0 && m.to.len > 0 && m.call_id.len > 0 && m.method.len > 0);
	sl_assert((m.status == 0) == (m.uri.len > 0));
	is_within(m.branch, message);
	is_within(m.from_tag, message);
	is_within(m.to_user, message);
	is_within(m.user_agent, message);
	try_values(message);
}

/* Where the first frame ends must not depend on how much lies behind it. */
static void try_stream(struct sl_str stream)
{
	while (stream.len > 0) {
		enum sip_frame_kind kind, again;
		size_t n, m;

		if (sip_frame(stream, &kind, &n) < 0 || kind == SIP_FRAME_NEED_MORE)
			return;
		sl_assert(n > 0 && n <= stream.len);
		if (kind == SIP_FRAME_MESSAGE) {
			sl_assert(sip_frame((struct sl_str){stream.p, n}, &again, &m) == 0);
			sl_assert(again == kind && m == n);
			try_message((struct sl_str){stream.p, n});
		}
		stream.p += n;
		stream.len -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sl_str bytes = {(const char *)data, size};

	(void)sip_judge(bytes); /* ends, within the bytes */
	try_message(bytes);
	try_stream(bytes);
	return 0;
}
