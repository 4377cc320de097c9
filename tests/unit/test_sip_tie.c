/*
 * What hangs on connections and clients: each is told of its end once, whatever the others do
 * meanwhile, and nothing is left over.
 */
#include "lib/test.h"

#include "modules/sip-gateway/tie.h"

enum { MANY = 100 };

struct thing {
	struct tie way;
	unsigned n_ended;
	struct thing *cuts;  /* another that goes with it */
	struct tie_to again; /* it is tied there anew */
};

static struct sl_htab all;
static struct thing things[MANY];

static const struct sip_flow one = {.worker = 7, .conn = 1, .transport = SIP_TCP};
static const struct sip_flow two = {.worker = 7, .conn = 2, .transport = SIP_WS};
static const struct sip_flow far = {.worker = 8, .conn = 1, .transport = SIP_TCP};
static const struct sip_flow udp = {.worker = 7,
				    .transport = SIP_UDP,
				    .remote = {.family = 4, .port = 5060, .ip = {192, 0, 2, 1}}};
static const struct sip_flow made = {.transport = SIP_TCP,
				     .remote = {.family = 4, .port = 5060, .ip = {192, 0, 2, 1}}};

static void on_end(struct tie *way)
{
	struct thing *x = SL_CONTAINER(way, struct thing, way);

	x->n_ended++;
	if (x->cuts)
		tie_cut(&all, &x->cuts->way);
	if (x->again.kind)
		tie_set(&all, &x->way, x->again);
}

static void begin(void)
{
	sl_htab_free(&all);
	memset(things, 0, sizeof things);
	for (unsigned i = 0; i < MANY; i++)
		things[i].way.fn = on_end;
}

static unsigned ended(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MANY; i++)
		n += things[i].n_ended;
	return n;
}

TEST(what_hangs_on_a_connection_is_told_once)
{
	begin();
	for (unsigned i = 0; i < MANY; i++)
		tie_set(&all, &things[i].way, tie_to_conn(i % 2 ? &one : &two));
	tie_set(&all, &things[1].way, tie_to_conn(&far));
	CHECK_INT(all.count, 3);
	tie_ended(&all, tie_to_conn(&one));
	CHECK_INT(ended(), MANY / 2 - 1);
	CHECK_INT(things[1].n_ended, 0);
	tie_ended(&all, tie_to_conn(&one));
	CHECK_INT(ended(), MANY / 2 - 1);
	tie_ended(&all, tie_to_conn(&two));
	tie_ended(&all, tie_to_conn(&far));
	CHECK_INT(ended(), MANY);
	CHECK_INT(all.count, 0);
}

TEST(who_is_cut_hears_nothing)
{
	begin();
	for (unsigned i = 0; i < 3; i++)
		tie_set(&all, &things[i].way, tie_to_peer(42));
	CHECK_INT(tie_count(&all, tie_to_peer(42), on_end), 3);
	tie_cut(&all, &things[1].way);
	tie_cut(&all, &things[1].way);
	CHECK_INT(tie_count(&all, tie_to_peer(42), on_end), 2);
	tie_ended(&all, tie_to_peer(42));
	CHECK_INT(things[0].n_ended + things[2].n_ended, 2);
	CHECK_INT(things[1].n_ended, 0);
	CHECK_INT(all.count, 0);
}

TEST(an_end_may_take_others_along_and_begin_anew)
{
	begin();
	for (unsigned i = 0; i < 4; i++)
		tie_set(&all, &things[i].way, tie_to_conn(&one));
	things[3].cuts = &things[0]; /* the newest is told first */
	things[2].again = tie_to_conn(&one);
	things[1].again = tie_to_conn(&two);
	tie_ended(&all, tie_to_conn(&one));
	CHECK_INT(things[0].n_ended, 0);
	CHECK_INT(things[2].n_ended, 1);
	CHECK_INT(all.count, 2);
	tie_ended(&all, tie_to_conn(&one));
	CHECK_INT(things[2].n_ended, 2);
	things[1].again.kind = things[2].again.kind = TIE_NOTHING;
	tie_ended(&all, tie_to_conn(&one));
	tie_ended(&all, tie_to_conn(&two));
	CHECK_INT(all.count, 0);
}

TEST(a_worker_takes_its_connections_and_nobody_elses)
{
	begin();
	tie_set(&all, &things[0].way, tie_to_conn(&one));
	tie_set(&all, &things[1].way, tie_to_conn(&two));
	tie_set(&all, &things[2].way, tie_to_conn(&far));
	tie_set(&all, &things[3].way, tie_to_peer((uint64_t)7 << 32 | 1));
	tie_set(&all, &things[4].way, tie_to_remote(&made));
	things[0].cuts = &things[1];
	things[1].cuts = &things[0];
	things[0].again = things[1].again = tie_to_conn(&far);
	tie_worker_ended(&all, 7);
	CHECK_INT(things[0].n_ended + things[1].n_ended, 1);
	CHECK_INT(ended(), 1);
	tie_ended(&all, tie_to_conn(&far));
	CHECK_INT(things[2].n_ended, 1);
	for (unsigned i = 0; i < 5; i++)
		tie_cut(&all, &things[i].way);
	CHECK_INT(all.count, 0);
}

TEST(datagrams_hang_on_nothing)
{
	begin();
	tie_set(&all, &things[0].way, tie_to_conn(&udp));
	tie_set(&all, &things[1].way, tie_to_remote(&udp));
	tie_set(&all, &things[2].way, tie_to_peer(0));
	tie_set(&all, &things[3].way, tie_to_conn(&made));
	CHECK_INT(all.count, 0);
	tie_set(&all, &things[3].way, tie_to_remote(&made));
	tie_set(&all, &things[3].way, tie_to_remote(&made));
	CHECK_INT(all.count, 1);
	tie_ended(&all, tie_to_remote(&made));
	CHECK_INT(things[3].n_ended, 1);
	sl_htab_free(&all);
}

TEST_MAIN()
