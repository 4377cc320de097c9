/*
 * Fuzz target: the STUN reader on any bytes. What it accepts must be walkable within the message,
 * and a message rebuilt from its attributes must be accepted with the same attributes.
 */
#include <sluice/crypto.h>
#include <sluice/stun.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_values(const struct sl_stun_msg *m, const struct sl_stun_attr *a)
{
	struct sl_addr addr;
	uint32_t v;

	if (sl_stun_get_addr(m, a, &addr) == 0)
		sl_assert(addr.family == 4 || addr.family == 6);
	if (sl_stun_get_xor_addr(m, a, &addr) == 0)
		sl_assert(addr.family == 4 || addr.family == 6);
	if (sl_stun_get_u32(a, &v) == 0)
		sl_assert(a->len == 4);
}

static void rebuild(const struct sl_stun_msg *m)
{
	static uint8_t copy[70000];
	struct sl_stun_attr a = {0}, b = {0};
	struct sl_stun_writer w;
	struct sl_stun_msg again;
	size_t len;

	sl_stun_begin(&w, copy, sizeof copy, m->class_, m->method, m->txid);
	while (sl_stun_next(m, &a))
		sl_stun_put(&w, a.type, a.data, a.len);
	sl_assert(sl_stun_finish(&w, &len) == 0);
	sl_assert(len == m->len && sl_stun_parse(&again, copy, len) == 0);
	sl_assert(again.method == m->method && again.class_ == m->class_);
	a = (struct sl_stun_attr){0};
	while (sl_stun_next(m, &a)) {
		sl_assert(sl_stun_next(&again, &b));
		sl_assert(a.type == b.type && a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_stun_attr a = {0};
	struct sl_stun_msg m;
	uint16_t unknown[8];

	if (sl_stun_parse(&m, data, size) < 0)
		return 0;
	sl_assert(m.len == size);
	while (sl_stun_next(&m, &a)) {
		sl_assert(a.data >= data + SL_STUN_HEADER && a.data + a.len <= data + size);
		read_values(&m, &a);
	}
	sl_assert(sl_stun_check_integrity(&m, SL_STR("VOkJxbRl1RmTxUk/WvJxBt")) <= 0);
	sl_assert(sl_stun_check_fingerprint(&m) <= 0);
	(void)sl_stun_find_str(&m, SL_STUN_USERNAME);
	sl_assert(sl_stun_unknown(&m, NULL, 0, unknown, 8) <= 8);
	rebuild(&m);
	return 0;
}
