/*
 * Fuzz target: whatever DNS says, the walk from a name to its servers ends after a bounded number
 * of questions, with hops that have a transport, an address and a port.
 */
#include <sluice/buf.h>
#include <sluice/err.h>
#include "modules/sip-gateway/locate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MANY = 20 };

static struct sl_str read_text(struct sl_reader *r)
{
	return sl_read_bytes(r, sl_read_u8(r));
}

static unsigned count_of(struct sl_reader *r)
{
	return sl_read_u8(r) % MANY;
}

static void tell_naptr(struct locate *l, struct sl_reader *r)
{
	struct locate_naptr records[MANY];
	unsigned n = count_of(r);

	for (unsigned i = 0; i < n; i++) {
		records[i].order = sl_read_u16(r);
		records[i].preference = sl_read_u16(r);
		records[i].flags = sl_read_u8(r) & 1 ? SL_STR("s") : read_text(r);
		records[i].service = sl_read_u8(r) & 1 ? SL_STR("SIP+D2T") : read_text(r);
		records[i].replacement = read_text(r);
	}
	locate_naptr(l, records, n);
}

static void tell_srv(struct locate *l, struct sl_reader *r)
{
	struct locate_srv records[MANY];
	unsigned n = count_of(r);

	for (unsigned i = 0; i < n; i++) {
		records[i].priority = sl_read_u16(r);
		records[i].weight = sl_read_u16(r);
		records[i].port = sl_read_u16(r);
		records[i].target = read_text(r);
	}
	locate_srv(l, records, n);
}

static void tell_addresses(struct locate *l, struct sl_reader *r)
{
	struct sl_addr addrs[MANY] = {0};
	unsigned n = count_of(r);

	for (unsigned i = 0; i < n; i++) {
		struct sl_str ip = sl_read_bytes(r, 4);

		addrs[i].family = 4;
		if (ip.len == 4)
			memcpy(addrs[i].ip, ip.p, 4);
	}
	locate_addresses(l, addrs, n, sl_read_u32(r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_reader r = sl_reader(data, size);
	struct locate_want want;
	unsigned n_questions = 0;
	const char *name = NULL;
	static struct locate l;

	if (locate_read(&want, read_text(&r)) < 0)
		return 0;
	want.transport = (int)(sl_read_u8(&r) % 4) - 1;
	want.secure = want.transport == SIP_TLS;
	locate_begin(&l, &want);
	for (; n_questions <= 2 * LOCATE_MAX_QUESTIONS; n_questions++) {
		enum locate_question q = locate_next(&l, &name);

		if (q == LOCATE_DONE)
			break;
		sl_assert(name && name[0]);
		if (q == LOCATE_NAPTR)
			tell_naptr(&l, &r);
		else if (q == LOCATE_SRV)
			tell_srv(&l, &r);
		else
			tell_addresses(&l, &r);
	}
	sl_assert(n_questions <= LOCATE_MAX_QUESTIONS && l.hops.n <= LOCATE_MAX_HOPS);
	for (unsigned i = 0; i < l.hops.n; i++)
		sl_assert(l.hops.hop[i].transport <= SIP_TLS && l.hops.hop[i].addr.family);
	return 0;
}
