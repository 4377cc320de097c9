/*
 * Fuzz target: whatever a recorder answers, the description in its body is a piece of it, its
 * sections come apart, and what we write ourselves is found again.
 */
#include <stdlib.h>
#include <sluice/buf.h>
#include <sluice/err.h>
#include "modules/sip-gateway/siprec_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_apart(struct sl_str sdp)
{
	for (unsigned i = 0; i < 3; i++) {
		struct sl_buf part;

		sl_buf_init(&part, 1 << 20);
		if (siprec_part(&part, sdp, i) == 0 && part.len > sdp.len)
			abort();
		sl_buf_free(&part);
	}
}

static void join(struct sl_str a, struct sl_str b)
{
	const struct sl_str both[SIPREC_STREAMS] = {a, b};
	struct sl_buf out;

	sl_buf_init(&out, 1 << 20);
	if (siprec_join(&out, both) == 0)
		take_apart(sl_buf_view(&out));
	sl_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_reader r = sl_reader(data, size);
	struct sl_str type = sl_read_bytes(&r, sl_read_u8(&r)), body, sdp;

	if (r.failed)
		return 0;
	body = (struct sl_str){(const char *)r.p, (size_t)(r.end - r.p)};
	sdp = siprec_find_sdp(type, body);
	if (sdp.len > body.len ||
	    (sdp.len > 0 && (sdp.p < body.p || sdp.p + sdp.len > body.p + body.len)))
		abort();
	(void)siprec_asks(type, body);
	take_apart(sdp.len > 0 ? sdp : body);
	join(body, sdp);
	join(body, body);
	return 0;
}
