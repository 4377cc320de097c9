/*
 * Fuzz target: descriptions of telephones, taken by a plain leg and answered. First byte: with keys
 * or without, RTCP on a port of its own or not, one codec of ours or all; then pieces that a zero
 * byte ends: 'o' has us offer, 'a' and text is their offer, any other and text their answer. Whatever
 * has come, what we say can be read, answers every section, and is never without keys where they are
 * wanted; what cannot be read has a sentence. Everything is bound to loopback, so that no address in
 * there is ever reached.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sluice/pool.h>
#include <sluice/sdp.h>
#include "../lib/net.h"
#include "modules/sip-gateway/leg.h"
#include "session/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECES = 16, METERS = 128 };

static struct test_net net;
static struct sl_addr loopback;
static struct legs_conf conf = {
	.complexity = SL_STR_INIT("0"), .delay_max = 200, .ports = {42000, 42999}};

/* A process with one module, whose counters nobody reads. */
static uint64_t counted[1024];
static struct sl_meter meters[METERS];
static struct module module = {.def = {.name = "sip-gateway"}, .meters = meters};
static struct registry registry = {.modules = &module, .n_modules = 1};

static void open_net(void)
{
	if (net.net)
		return;
	for (unsigned i = 0; i < METERS; i++)
		meters[i].word = counted;
	test_net_open(&net);
	net.worker.registry = &registry;
	loopback = test_addr("127.0.0.1:0");
	conf.addresses = (struct sl_list){.items = &loopback, .n = 1};
}

static void check_ours(struct sl_str text, bool keyed, struct sl_str theirs)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_sdp ours, other;
	struct sl_sdp_error e = {0};
	struct sl_str unused;

	sl_assert(pool && sl_sdp_parse(&ours, pool, sl_pool_str(pool, text), &e) == 0);
	for (unsigned i = 0; i < ours.n_media; i++)
		sl_assert(!keyed || ours.media[i].port == 0 ||
			  sl_sdp_attr(&ours, &ours.media[i], "crypto", &unused));
	if (theirs.len > 0) {
		sl_assert(sl_sdp_parse(&other, pool, sl_pool_str(pool, theirs), &e) == 0);
		sl_assert(other.n_media == ours.n_media);
	}
	sl_pool_destroy(pool);
}

static void say(struct leg *l, char verb, struct sl_str text, bool keyed)
{
	char why[LEG_ERR];
	struct sl_buf b;
	int rc;

	sl_buf_init(&b, 64 * 1024);
	memset(why, 'x', sizeof why);
	if (verb == 'o')
		rc = leg_offer(l, false, &b);
	else if (verb == 'a')
		rc = leg_answer(l, text, &b, why);
	else
		rc = leg_accept(l, text, why);
	if (rc == 0 && (verb == 'o' || verb == 'a'))
		check_ours(sl_buf_view(&b), keyed, verb == 'a' ? text : SL_STR_NULL);
	if (verb != 'o')
		sl_assert(memchr(why, '\0', sizeof why));
	if (verb != 'o' && (rc == -SL_EPARSE || rc == -SL_EUNSUPP))
		sl_assert(why[0] || rc == -SL_EUNSUPP);
	sl_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_reader r = sl_reader(data, size);
	unsigned first = sl_read_u8(&r);
	struct leg_opts o = {.profile = first & 1 ? LEG_SDES : LEG_RTP, .no_mux = first & 2};
	struct legs *all;
	struct leg *l;

	open_net();
	if (first & 4)
		o.codecs[o.n_codecs++] = SL_CODEC_PCMU;
	sl_assert(legs_open(&net.worker, &conf, &all) == 0 && leg_open(all, &o, &l) == 0);
	for (unsigned i = 0; i < PIECES && r.p < r.end; i++) {
		const uint8_t *end = memchr(r.p, '\0', (size_t)(r.end - r.p));
		struct sl_str piece = {(const char *)r.p, (size_t)((end ? end : r.end) - r.p)};

		r.p = end ? end + 1 : r.end;
		if (piece.len > 0)
			say(l, piece.p[0], (struct sl_str){piece.p + 1, piece.len - 1},
			    o.profile == LEG_SDES);
	}
	legs_close(all);
	return 0;
}
