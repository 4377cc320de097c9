/*
 * tests/unit/test_stream.c: the life of plain stream connections over loopback.
 */
#include "lib/test.h"

#include "lib/shm.h"
#include "lib/stream_app.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

TEST(first_bytes_are_shown_and_still_there_for_the_taker)
{
	struct app a = {.echo = true};
	char text[16];
	int fd;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "hello");
	NET_UNTIL(&a.t, a.n_bytes == 5);
	CHECK(strcmp(a.peeked, "hello") == 0);
	CHECK_INT(a.n_preread, 1);
	CHECK_INT(recv(fd, text, sizeof text, 0), 5);
	CHECK_INT(test_count(&a.t, NET_connections), 1);
	CHECK_INT(net_n_conns(a.t.net), 1);
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.why, SL_CLOSE_PEER);
	CHECK_INT(a.n_closing, 1);
	CHECK_INT(a.n_logged, 1);
	CHECK_INT(net_n_conns(a.t.net), 0);
	CHECK_INT(test_count(&a.t, NET_stream_bytes_in), 5);
	CHECK_INT(test_count(&a.t, NET_stream_bytes_out), 5);
	test_net_close(&a.t);
}

TEST(a_handler_that_wants_more_is_asked_once_per_arrival)
{
	struct app a = {.want = 10};
	int fd;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "abc");
	NET_UNTIL(&a.t, a.n_preread == 1);
	for (unsigned i = 0; i < 20; i++)
		CHECK_INT(loop_tick(a.t.worker.loop, 0), 0);
	CHECK_INT(a.n_preread, 1); /* the same bytes do not wake the loop again */
	say(fd, "defg");
	NET_UNTIL(&a.t, a.n_preread == 2);
	CHECK_INT(a.last_peek, 7);
	say(fd, "hijklm");
	NET_UNTIL(&a.t, a.n_bytes == 13);
	say(fd, "n"); /* the mark is gone */
	NET_UNTIL(&a.t, a.n_bytes == 14);
	close(fd);
	test_net_close(&a.t);
}

TEST(a_peer_that_leaves_in_the_middle_is_noticed)
{
	struct app a = {.want = 10};
	int fd;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "abc");
	NET_UNTIL(&a.t, a.n_preread == 1);
	close(fd);
	NET_UNTIL(&a.t, a.n_logged == 1);
	CHECK_INT(a.n_preread, 1);
	CHECK_INT(net_n_conns(a.t.net), 0);
	fd = connect_app(&a);
	NET_UNTIL(&a.t, net_n_conns(a.t.net) == 1);
	close(fd); /* without a word */
	NET_UNTIL(&a.t, net_n_conns(a.t.net) == 0);
	test_net_close(&a.t);
}

TEST(who_says_nothing_is_closed_in_time)
{
	struct app a = {0};
	int fd;

	open_app(&a);
	a.t.listeners[0].preread_timeout_ms = 10000;
	fd = connect_app(&a);
	NET_UNTIL(&a.t, net_n_conns(a.t.net) == 1);
	pass_ms(&a, 9999);
	CHECK_INT(net_n_conns(a.t.net), 1);
	pass_ms(&a, 1);
	CHECK_INT(net_n_conns(a.t.net), 0);
	CHECK_INT(test_count(&a.t, NET_preread_timeouts), 1);
	CHECK(ended(fd));
	close(fd);
	test_net_close(&a.t);
}

TEST(what_nobody_wants_is_closed_and_counted)
{
	struct app a = {0};
	int fd;

	open_app(&a);
	a.answer = SL_DECLINED;
	fd = connect_app(&a);
	say(fd, "??");
	NET_UNTIL(&a.t, test_count(&a.t, NET_connections_unclaimed) == 1);
	settle(&a);
	CHECK(ended(fd));
	CHECK_INT(a.n_closed, 0);
	close(fd);
	test_net_close(&a.t);
}

TEST(a_stolen_descriptor_belongs_to_the_thief)
{
	struct app a = {.steal = true};
	char text[16];
	int fd;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "GET /");
	NET_UNTIL(&a.t, a.stolen >= 0);
	settle(&a);
	CHECK_INT(net_n_conns(a.t.net), 0);
	CHECK_INT(test_count(&a.t, NET_connections_stolen), 1);
	CHECK_INT(a.n_logged, 0);
	CHECK_INT(recv(a.stolen, text, sizeof text, 0), 5); /* nothing was consumed */
	CHECK_INT(send(a.stolen, "200", 3, 0), 3);
	CHECK_INT(recv(fd, text, sizeof text, 0), 3);
	close(a.stolen);
	close(fd);
	test_net_close(&a.t);
}

static int refuse(void *ctx, struct sl_conn *c)
{
	(void)c;
	return *(int *)ctx;
}

TEST(a_module_may_refuse_at_the_door)
{
	static const int answers[] = {SL_AGAIN, SL_DROP,
				      -SL_EDENIED}; /* at the first, nobody would resume */

	for (unsigned i = 0; i < SL_ARRAY_LEN(answers); i++) {
		struct app a = {0};
		int answer = answers[i], fd;
		struct hook_call call = {.fn.conn = refuse, .ctx = &answer};

		open_app(&a);
		if (i == 0)
			a.t.listeners[0].accept = (struct hook_chain){1, &call};
		else
			a.t.listeners[0].access = (struct hook_chain){1, &call};
		fd = connect_app(&a);
		NET_UNTIL(&a.t, test_count(&a.t, NET_connections_refused) == 1);
		CHECK_INT(net_n_conns(a.t.net), 0);
		CHECK(ended(fd));
		close(fd);
		test_net_close(&a.t);
	}
}

struct asked { /* a handler of CONN_ACCESS that wants to think */
	struct sl_conn *c;
	int n;
};

static int suspend(void *ctx, struct sl_conn *c)
{
	struct asked *a = ctx;

	a->c = c;
	a->n++;
	return SL_AGAIN;
}

TEST(a_suspended_connection_goes_on_behind_the_handler_that_resumes_it)
{
	struct app a = {0};
	struct asked first = {0}, second = {0};
	const struct hook_call calls[] = {{.fn.conn = suspend, .ctx = &first},
					  {.fn.conn = suspend, .ctx = &second}};
	int fd;

	open_app(&a);
	a.t.listeners[0].access = (struct hook_chain){2, calls};
	fd = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, first.n == 1);
	settle(&a);
	CHECK_INT(second.n, 0);
	CHECK_INT(a.n_preread, 0);
	sl_conn_resume(first.c, SL_OK);
	CHECK_INT(second.n, 1);
	CHECK_INT(first.n, 1);
	sl_conn_resume(second.c, SL_OK);
	NET_UNTIL(&a.t, a.n_bytes == 1);
	close(fd);
	test_net_close(&a.t);
}

TEST(a_suspended_connection_can_be_refused_and_runs_out_of_time)
{
	struct app a = {0};
	struct asked asked = {0};
	const struct hook_call call = {.fn.conn = suspend, .ctx = &asked};
	int fds[2];

	open_app(&a);
	a.t.listeners[0].access = (struct hook_chain){1, &call};
	a.t.listeners[0].preread_timeout_ms = 10000;
	fds[0] = connect_app(&a);
	NET_UNTIL(&a.t, asked.n == 1);
	sl_conn_resume(asked.c, -SL_EDENIED);
	NET_UNTIL(&a.t, test_count(&a.t, NET_connections_refused) == 1);
	fds[1] = connect_app(&a);
	NET_UNTIL(&a.t, asked.n == 2);
	pass_ms(&a, 10001);
	CHECK_INT(net_n_conns(a.t.net), 0);
	close(fds[0]);
	close(fds[1]);
	test_net_close(&a.t);
}

TEST(the_limit_of_connections_holds)
{
	struct app a = {0};
	int fds[5];

	open_app(&a);
	a.t.listeners[0].max_conns = 3;
	for (unsigned i = 0; i < 5; i++)
		fds[i] = connect_app(&a);
	NET_UNTIL(&a.t, test_count(&a.t, NET_connections_accepted) == 5);
	CHECK_INT(net_n_conns(a.t.net), 3);
	CHECK_INT(test_count(&a.t, NET_connections_over_limit), 2);
	for (unsigned i = 0; i < 5; i++)
		close(fds[i]);
	NET_UNTIL(&a.t, net_n_conns(a.t.net) == 0);
	fds[0] = connect_app(&a);
	say(fds[0], "x");
	NET_UNTIL(&a.t, a.n_bytes == 1);
	close(fds[0]);
	test_net_close(&a.t);
}

TEST(what_is_not_used_up_comes_again_with_more_behind_it)
{
	struct app a = {0};
	int fd;

	open_app(&a);
	a.uses = 0;
	fd = connect_app(&a);
	say(fd, "abc");
	NET_UNTIL(&a.t, a.n_inputs == 1);
	CHECK_INT(a.last_len, 3);
	say(fd, "def");
	NET_UNTIL(&a.t, a.n_inputs == 2);
	CHECK_INT(a.last_len, 6);
	CHECK_INT(a.conn->io->in.len, 6);
	a.uses = 4;
	say(fd, "g");
	NET_UNTIL(&a.t, a.n_inputs == 3);
	CHECK_INT(a.conn->io->in.len, 3);
	a.uses = -1;
	say(fd, "h");
	NET_UNTIL(&a.t, a.n_inputs == 4);
	CHECK_INT(a.last_len, 4);
	CHECK(!a.conn->io->in.p); /* an idle connection holds nothing */
	close(fd);
	test_net_close(&a.t);
}

TEST(more_input_than_may_be_held_closes)
{
	struct app a = {.ops.max_input = 100};
	char text[200];
	int fd;

	open_app(&a);
	a.uses = 0;
	memset(text, 'x', sizeof text);
	fd = connect_app(&a);
	CHECK_INT(send(fd, text, 60, 0), 60);
	NET_UNTIL(&a.t, a.n_inputs == 1);
	CHECK_INT(a.n_closed, 0);
	CHECK_INT(send(fd, text, 60, 0), 60);
	NET_UNTIL(&a.t, a.n_inputs == 2);
	CHECK_INT(a.last_len, 100);
	settle(&a);
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.why, SL_CLOSE_LIMIT);
	test_net_close(&a.t);
}

TEST(an_input_error_closes_after_what_was_answered)
{
	struct app a = {0};
	int fd;

	open_app(&a);
	a.input_fails = 1;
	fd = connect_app(&a);
	say(fd, "nonsense");
	NET_UNTIL(&a.t, a.n_inputs == 1);
	settle(&a);
	CHECK(ended(fd));
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.why, SL_CLOSE_ERROR);
	test_net_close(&a.t);
}

/* Reads all there is and turns the loop, until `until` bytes or the end. */
static size_t drain(struct app *a, int fd, size_t until)
{
	static char sink[65536];
	size_t total = 0;

	for (unsigned idle = 0; idle < 200 && total < until;) {
		ssize_t n = recv(fd, sink, sizeof sink, 0);

		if (n == 0)
			break;
		idle = n > 0 ? 0 : idle + 1;
		total += n > 0 ? (size_t)n : 0;
		test_tick(&a->t);
	}
	return total;
}

TEST(output_is_bounded_and_drained_is_said)
{
	static char block[10000];
	struct app a = {.ops.max_output = 50000};
	size_t written = 0;
	int fd, rc = 0;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, a.conn != NULL);
	for (unsigned i = 0; i < 100000 && rc == 0; i++) {
		rc = sl_conn_write(a.conn, block, sizeof block);
		written += rc == 0 ? sizeof block : 0;
		if (i % 3 == 0)
			test_tick(&a.t);
	}
	CHECK_INT(rc, -SL_EFULL);
	CHECK(sl_conn_queued(a.conn) > 40000 && sl_conn_queued(a.conn) <= 50000);
	CHECK_INT(a.n_drained, 0);
	CHECK_INT(drain(&a, fd, written), written);
	settle(&a);
	CHECK_INT(a.n_drained, 1);
	CHECK_INT(sl_conn_queued(a.conn), 0);
	CHECK_INT(a.conn->ev.wanted, SL_READ);
	CHECK_INT(sl_conn_write(a.conn, block, 60000), -SL_EFULL); /* would never fit */
	close(fd);
	test_net_close(&a.t);
}

TEST(messages_of_one_tick_share_a_segment)
{
	struct app a = {0};
	char text[64];
	int fd;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, a.conn != NULL);
	for (unsigned i = 0; i < 5; i++)
		CHECK_INT(sl_conn_write(a.conn, "12345", 5), 0);
	CHECK_INT(sl_conn_queued(a.conn), 25);
	test_tick(&a.t);
	CHECK_INT(recv(fd, text, sizeof text, 0), 25);
	CHECK(!a.conn->io->out.p);
	close(fd);
	test_net_close(&a.t);
}

TEST(a_close_writes_what_is_queued_first)
{
	static char big[200000];
	struct app a = {.ops.max_output = sizeof big};
	int fd, small = 4096;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, a.conn != NULL);
	(void)setsockopt(a.conn->ev.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	CHECK_INT(sl_conn_write(a.conn, big, sizeof big), 0);
	sl_conn_close(a.conn, SL_CLOSE_OURS);
	CHECK_INT(sl_conn_write(a.conn, big, 1), -SL_ECLOSED);
	say(fd, "unread"); /* must not turn the end into a reset */
	CHECK_INT(drain(&a, fd, sizeof big), sizeof big);
	settle(&a);
	CHECK_INT(recv(fd, big, 1, 0), 0); /* a proper end */
	CHECK_INT(a.n_closed, 0);
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.why, SL_CLOSE_OURS);
	CHECK_INT(a.n_inputs, 1); /* input stopped with the close */
	test_net_close(&a.t);
}

TEST(a_close_takes_five_seconds_at_most)
{
	static char big[200000];
	struct app a = {.ops.max_output = sizeof big};
	int fd, small = 4096;

	for (unsigned i = 0; i < 2; i++) { /* a peer that does not read; one that does not close */
		a = (struct app){.ops.max_output = sizeof big};
		open_app(&a);
		fd = connect_app(&a);
		say(fd, "x");
		NET_UNTIL(&a.t, a.conn != NULL);
		(void)setsockopt(a.conn->ev.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
		if (i == 0)
			CHECK_INT(sl_conn_write(a.conn, big, sizeof big), 0);
		sl_conn_close(a.conn, SL_CLOSE_OURS);
		settle(&a);
		pass_ms(&a, 4900);
		CHECK_INT(a.n_closed, 0);
		pass_ms(&a, 200);
		CHECK_INT(a.n_closed, 1);
		CHECK_INT(a.why, SL_CLOSE_OURS);
		close(fd);
		test_net_close(&a.t);
	}
}

TEST(a_handler_may_close_while_it_is_being_called)
{
	struct app a = {.echo = true, .close_in_input = true};
	char text[16];
	int fd;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "bye");
	NET_UNTIL(&a.t, a.n_inputs == 1);
	settle(&a);
	CHECK_INT(recv(fd, text, sizeof text, 0), 3);
	CHECK_INT(recv(fd, text, sizeof text, 0), 0);
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	test_net_close(&a.t);
}

TEST(an_idle_connection_is_closed_and_a_busy_one_is_not)
{
	struct app a = {.ops.idle_timeout_ms = 60000};
	int fd;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, a.n_bytes == 1);
	pass_ms(&a, 50000);
	say(fd, "y");
	NET_UNTIL(&a.t, a.n_bytes == 2);
	pass_ms(&a, 50000);
	CHECK_INT(test_count(&a.t, NET_idle_timeouts), 0);
	pass_ms(&a, 10000);
	CHECK_INT(test_count(&a.t, NET_idle_timeouts), 1);
	settle(&a);
	CHECK(ended(fd));
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.why, SL_CLOSE_TIMEOUT);
	test_net_close(&a.t);
}

TEST(a_reset_ends_it)
{
	struct linger hard = {.l_onoff = 1};
	struct app a = {0};
	int fd;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, a.n_bytes == 1);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.why, SL_CLOSE_ERROR);
	test_net_close(&a.t);
}

TEST(without_descriptors_accepting_pauses_and_goes_on)
{
	struct app a = {0};
	struct rlimit was, low;
	int fd, spare;

	open_app(&a);
	fd = connect_app(&a);
	CHECK_INT(getrlimit(RLIMIT_NOFILE, &was), 0);
	spare = open("/dev/null", O_RDONLY);
	low = (struct rlimit){(rlim_t)spare, was.rlim_max};
	close(spare);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
	test_tick(&a.t);
	test_tick(&a.t);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &was), 0);
	CHECK_INT(test_count(&a.t, NET_accept_pauses), 1);
	pass_ms(&a, 100);
	say(fd, "x");
	NET_UNTIL(&a.t, a.n_bytes == 1);
	close(fd);
	test_net_close(&a.t);
}

TEST(draining_takes_nobody_new_and_keeps_the_others)
{
	struct app a = {.echo = true};
	char text[16];
	int fd, late;

	open_app(&a);
	fd = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, a.n_bytes == 1);
	late = socket(AF_INET, SOCK_STREAM, 0);
	net_drain(a.t.net);
	{
		struct sockaddr_storage sa;
		unsigned len = sl_addr_to_sockaddr(&sa, &a.t.listeners[0].pub.local);

		CHECK(connect(late, (struct sockaddr *)&sa, len) <
		      0); /* this process was the only one to listen */
	}
	say(fd, "yz");
	NET_UNTIL(&a.t, a.n_bytes == 3);
	settle(&a);
	CHECK_INT(recv(fd, text, sizeof text, 0), 3);
	close(late);
	test_net_close(&a.t); /* ends the connection, and says so */
	close(fd);
}

TEST(a_superseded_worker_leaves_connections_to_the_next_generation)
{
	const struct shm_sizes sizes = {
		.n_slots = 2, .n_sessions = 4, .n_limits = 4, .metric_bytes = 4096, .n_trace = 64};
	struct app a = {.t.worker.generation = 1};
	int fd, next;

	open_app(&a);
	a.t.worker.shm = test_shm(&sizes);
	shm_set_generation(a.t.worker.shm, 1);
	next = dup(a.t.listeners[0].fd); /* the next generation's */
	fd = connect_app(&a);
	NET_UNTIL(&a.t, net_n_conns(a.t.net) == 1);
	close(fd);
	NET_UNTIL(&a.t, net_n_conns(a.t.net) == 0);
	shm_set_generation(a.t.worker.shm, 2); /* and nobody has told this one to drain */
	fd = connect_app(&a);
	CHECK_INT(loop_tick(a.t.worker.loop, 20), 0);
	CHECK_INT(net_n_conns(a.t.net), 0);
	close(fd);
	fd = accept(next, NULL, NULL);
	CHECK(fd >= 0);
	close(fd);
	close(next);
	shm_detach(a.t.worker.shm);
	a.t.worker.shm = NULL;
	test_net_close(&a.t);
}

TEST(a_connection_that_nobody_was_woken_for_is_found)
{
	struct app a = {0};
	int fd;

	open_app(&a);
	sl_event_del(a.t.worker.loop,
		     &a.t.net->streams.acceptors[0].ev); /* as if it went elsewhere */
	fd = connect_app(&a);
	CHECK_INT(loop_tick(a.t.worker.loop, 0), 0);
	CHECK_INT(net_n_conns(a.t.net), 0);
	net_look(a.t.net);
	CHECK_INT(net_n_conns(a.t.net), 1);
	close(fd);
	test_net_close(&a.t);
}

TEST(closing_the_net_ends_all_connections)
{
	struct app a = {0};
	int fd, half;

	open_app(&a);
	fd = connect_app(&a);
	half = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, a.n_bytes == 1 && net_n_conns(a.t.net) == 2);
	test_net_close(&a.t);
	CHECK_INT(a.n_closed, 1);
	CHECK_INT(a.why, SL_CLOSE_DRAIN);
	close(fd);
	close(half);
}

TEST(a_thousand_half_open_connections_do_not_stop_the_next)
{
	static int half[1000];
	struct app a = {0};
	int fd;

	open_app(&a);
	for (unsigned i = 0; i < SL_ARRAY_LEN(half); i++) {
		half[i] = connect_app(&a);
		if (i % 100 == 0)
			test_tick(&a.t);
	}
	fd = connect_app(&a);
	say(fd, "x");
	NET_UNTIL(&a.t, a.n_bytes == 1);
	CHECK_INT(net_n_conns(a.t.net), 1001);
	for (unsigned i = 0; i < SL_ARRAY_LEN(half); i++)
		close(half[i]);
	NET_UNTIL(&a.t, net_n_conns(a.t.net) == 1);
	close(fd);
	test_net_close(&a.t);
}

TEST_MAIN()
