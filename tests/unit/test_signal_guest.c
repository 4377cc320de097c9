/*
 * test_signal_guest.c: modules in the rooms: each hears its own messages and of everybody's coming
 * and going, and may bring peers that have no client.
 */
#include "lib/test.h"
#include "signal_world.h"

struct module {
	char heard[128]; /* "+name" joined, "-name" left, "!type" */
	uint64_t last;	 /* id of the newest that joined */
	unsigned n_left_here;
};

static struct world world;
static struct client a, b;
static struct module first, second;

static void note(struct module *m, char what, struct sl_str text)
{
	size_t n = strlen(m->heard);

	(void)snprintf(m->heard + n, sizeof m->heard - n, "%c%.*s", what, SL_FMT(text));
}

static void on_joined(void *arg, const struct sl_signal_peer *p)
{
	((struct module *)arg)->last = p->id;
	note(arg, '+', p->name);
}

static void on_left(void *arg, const struct sl_signal_peer *p, const char *reason)
{
	(void)reason;
	((struct module *)arg)->n_left_here += p->here;
	note(arg, '-', p->name);
}

static int on_message(void *arg, const struct sl_signal_peer *p, struct sl_str type,
		      const json_t *msg, const char **ret_sentence)
{
	(void)p;
	note(arg, '!', type);
	*ret_sentence = "not today";
	return json_object_get(msg, "bad") ? -SL_EINVAL : 0;
}

static void on_delivered(void *arg, const struct sl_signal_peer *p, struct sl_str json)
{
	note(arg, '>', p->name);
	note(arg, '=', json);
}

static const struct sl_signal_handler handler = {.joined = on_joined,
						 .left = on_left,
						 .message = on_message,
						 .delivered = on_delivered};
static const char *const calls[] = {"call", "hangup", NULL};
static const char *const records[] = {"record", NULL};

static struct hub *hub(unsigned worker)
{
	return &world.workers[worker].hub;
}

static int listen_for(struct hub *h, const char *const *types, const char *hello, struct module *m)
{
	return guest_iface.listen(h, types, sl_str_c(hello), &handler, m);
}

static void setup(unsigned n_workers)
{
	first = second = (struct module){0};
	world_init(&world, n_workers);
	CHECK_INT(listen_for(hub(0), calls, "{\"sip\":1}", &first), 0);
	CHECK_INT(listen_for(hub(0), records, "{\"record\":true}", &second), 0);
	client_open(&world, &a, 0);
	client_open(&world, &b, n_workers - 1);
}

static void teardown(void)
{
	client_free(&a);
	client_free(&b);
	world_free(&world);
}

static int enter(unsigned worker, const char *name, uint64_t *ret_id)
{
	const struct sl_signal_entry e = {
		.room = SL_STR("tea"), .name = sl_str_c(name), .grants = SL_MAY_SUBSCRIBE};

	return guest_iface.enter(hub(worker), &e, ret_id);
}

TEST(each_module_hears_its_messages)
{
	setup(1);
	client_join(&a, "tea", "ann");
	client_send(&a, "{\"type\":\"record\",\"id\":9}");
	CHECK(client_gets(&a, "ack"));
	client_send(&a, "{\"type\":\"call\",\"id\":10,\"bad\":1}");
	CHECK(client_gets_error(&a, "refused"));
	client_send(&a, "{\"type\":\"fax\",\"id\":11}");
	CHECK(client_gets_error(&a, "unknown_type"));
	CHECK_STR(sl_str_c(first.heard), "+ann!call");
	CHECK_STR(sl_str_c(second.heard), "+ann!record");
	teardown();
}

TEST(who_leaves_was_here_for_one_worker_only)
{
	struct module other = {0};

	setup(2);
	CHECK_INT(listen_for(hub(1), calls, "{}", &other), 0);
	client_join(&a, "tea", "ann");
	world_run(&world);
	client_send(&a, "{\"type\":\"leave\"}");
	world_run(&world);
	CHECK_STR(sl_str_c(first.heard), "+ann-ann");
	CHECK_STR(sl_str_c(other.heard), "+ann-ann");
	CHECK_INT(first.n_left_here, 1);
	CHECK_INT(other.n_left_here, 0);
	teardown();
}

TEST(hello_says_what_all_modules_say)
{
	json_t *hello;

	setup(1);
	client_send(&a, "{\"type\":\"hello\",\"version\":1}");
	hello = client_next(&a);
	CHECK_INT(json_integer_value(json_object_get(hello, "sip")), 1);
	CHECK(json_is_true(json_object_get(hello, "record")));
	json_decref(hello);
	teardown();
}

TEST(a_type_is_one_modules)
{
	static const char *const both[] = {"fax", "hangup", NULL}, *const more[] = {NULL};

	setup(1);
	CHECK_INT(listen_for(hub(0), both, "{}", &second), -SL_EEXIST);
	while (hub(0)->n_guests < MAX_GUESTS)
		CHECK_INT(listen_for(hub(0), more, "{}", &second), 0);
	CHECK_INT(listen_for(hub(0), more, "{}", &second), -SL_EFULL);
	teardown();
}

TEST(hello_is_not_cut)
{
	static const char *const more[] = {NULL};
	char object[sizeof world.workers[0].hub.hello];

	setup(1);
	memset(object, ' ', sizeof object - 1);
	object[0] = '{';
	object[sizeof object - 2] = '}';
	object[sizeof object - 1] = 0;
	CHECK_INT(listen_for(hub(0), more, object, &second), -SL_EFULL);
	CHECK_STR(sl_str_c(hub(0)->hello), "\"sip\":1,\"record\":true");
	teardown();
}

TEST(a_phone_is_a_peer_on_every_worker)
{
	struct sl_signal_peer p;
	uint64_t id;

	setup(2);
	client_join(&a, "tea", "ann");
	world_run(&world);
	CHECK_INT(enter(1, "desk phone", &id), 0);
	world_run(&world);
	CHECK(client_gets(&a, "joined"));
	CHECK_STR(sl_str_c(first.heard), "+ann+desk phone");
	CHECK(first.last == id);
	CHECK(guest_iface.find(hub(0), id, &p) && !p.here);
	CHECK(guest_iface.find(hub(1), id, &p) && p.here);
	CHECK_INT(p.grants, SL_MAY_SUBSCRIBE);
	CHECK_INT(guest_iface.leave(hub(0), id), -SL_ENOENT); /* not that worker's */
	CHECK_INT(guest_iface.leave(hub(1), id), 0);
	world_run(&world);
	CHECK(client_gets(&a, "left"));
	CHECK_STR(sl_str_c(first.heard), "+ann+desk phone-desk phone");
	teardown();
}

TEST(what_is_said_to_a_phone_is_kept_by_nobody)
{
	uint64_t id;

	setup(1);
	world.conf.mailbox_messages = 4;
	CHECK_INT(enter(0, "desk phone", &id), 0);
	client_join(&a, "tea", "ann");
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(guest_iface.send(hub(0), id, SL_STR("{\"type\":\"x\"}")), 0);
	world_pass(&world, 10 * world.conf.resume_timeout); /* and it does not time out */
	CHECK_STR(sl_str_c(first.heard), "+desk phone+ann");
	teardown();
}

TEST(what_is_written_to_a_phone_is_told_where_it_is)
{
	char said[128];
	uint64_t id;

	setup(2);
	CHECK_INT(enter(0, "desk phone", &id), 0);
	client_join(&b, "tea", "ann");
	world_run(&world);
	(void)snprintf(said, sizeof said,
		       ">desk phone={\"type\":\"message\",\"data\":1,\"from\":\"%016" PRIx64 "\"}",
		       first.last);
	first.heard[0] = '\0';
	client_send(&b, "{\"type\":\"message\",\"data\":1}");
	client_send(&b, "{\"type\":\"bye\"}");
	world_run(&world);
	CHECK_STR(sl_str_c(first.heard), said);
	teardown();
}

TEST(others_may_end_it)
{
	uint64_t id;

	setup(2);
	CHECK_INT(enter(0, "desk phone", &id), 0);
	world_run(&world);
	CHECK_INT(guest_iface.end(hub(1), id, "kicked"), 0);
	world_run(&world);
	CHECK_STR(sl_str_c(first.heard), "+desk phone-desk phone");
	CHECK_INT(guest_iface.leave(hub(0), id), -SL_ENOENT);
	teardown();
}

TEST(names_and_limits_are_those_of_clients)
{
	uint64_t id = 7;

	setup(1);
	CHECK_INT(enter(0, "bad\nname", &id), -SL_EINVAL);
	world.room_limit = 0;
	CHECK_INT(enter(0, "desk phone", &id), -SL_ELIMIT);
	CHECK_INT(id, 7);
	CHECK(!roster_room(&hub(0)->roster, SL_STR("tea")));
	teardown();
}

TEST_MAIN()
