/*
 * tests/unit/test_stream_half.c: connections that are paused, that end one direction at a time, and
 * that were never accepted.
 */
#include "lib/test.h"

#include "lib/stream_app.h"

static unsigned n_ends;

static void on_end(void *arg, struct sl_conn *c)
{
	(void)arg;
	(void)c;
	n_ends++;
}

static int begin(struct app *a)
{
	int fd;

	n_ends = 0;
	open_app(a);
	fd = connect_app(a);
	say(fd, "hello");
	while (a->n_bytes < 5)
		test_tick(&a->t);
	return fd;
}

TEST(a_paused_connection_is_shown_nothing_until_it_goes_on)
{
	struct app a = {0};
	int fd = begin(&a);

	sl_conn_pause_input(a.conn);
	say(fd, "more");
	settle(&a);
	CHECK_INT(a.n_bytes, 5);
	sl_conn_resume_input(a.conn);
	NET_UNTIL(&a.t, a.n_bytes == 9);
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	test_net_close(&a.t);
}

TEST(what_was_left_over_is_shown_again_after_a_pause)
{
	struct app a = {0};
	int fd = begin(&a);

	a.uses = 1;
	say(fd, "more");
	NET_UNTIL(&a.t, a.n_bytes == 6);
	sl_conn_pause_input(a.conn);
	a.uses = -1;
	sl_conn_resume_input(a.conn);
	NET_UNTIL(&a.t, a.n_bytes == 9);
	close(fd);
	test_net_close(&a.t);
}

TEST(the_end_of_one_direction_leaves_the_other)
{
	struct app a = {0};
	char text[8];
	int fd = begin(&a);

	sl_conn_on_end(a.conn, on_end);
	CHECK_INT(shutdown(fd, SHUT_WR), 0);
	NET_UNTIL(&a.t, n_ends == 1);
	settle(&a);
	CHECK_INT(a.n_closed, 0);
	CHECK_INT(sl_conn_write(a.conn, "bye", 3), 0);
	sl_conn_end(a.conn);
	CHECK_INT(sl_conn_write(a.conn, "x", 1), -SL_ECLOSED);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.why, SL_CLOSE_PEER);
	CHECK_INT(n_ends, 1);
	CHECK_INT(recv(fd, text, sizeof text, 0), 3);
	CHECK_INT(recv(fd, text, sizeof text, 0), 0);
	close(fd);
	test_net_close(&a.t);
}

TEST(our_end_may_come_first)
{
	struct app a = {0};
	char text[8];
	int fd = begin(&a);

	sl_conn_on_end(a.conn, on_end);
	sl_conn_end(a.conn);
	settle(&a);
	CHECK_INT(recv(fd, text, sizeof text, 0), 0);
	say(fd, "still here");
	NET_UNTIL(&a.t, a.n_bytes == 15);
	close(fd);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(n_ends, 1);
	test_net_close(&a.t);
}

TEST(a_paused_connection_whose_ends_are_over_loses_nothing_and_does_not_spin)
{
	struct app a = {0};
	int fd = begin(&a);

	sl_conn_on_end(a.conn, on_end);
	sl_conn_end(a.conn);
	settle(&a);
	sl_conn_pause_input(a.conn);
	say(fd, "last words");
	close(fd);
	settle(&a);
	CHECK_INT(a.conn->ev.wanted, 0);
	CHECK_INT(a.n_closed, 0);
	sl_conn_resume_input(a.conn);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.n_bytes, 15);
	test_net_close(&a.t);
}

TEST(a_socket_from_elsewhere_becomes_a_connection)
{
	struct app a = {.echo = true};
	struct sl_conn_source from = {.remote = test_addr("192.0.2.1:5")};
	char text[8];
	int pair[2];

	open_app(&a);
	sl_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	from.fd = pair[0];
	from.listener = &a.t.listeners[0].pub;
	CHECK_INT(sl_conn_adopt(&a.t.worker, &from, &a.ops, &a, &a.conn), 0);
	CHECK(sl_conn_listener(a.conn) == from.listener);
	CHECK(sl_addr_eq(sl_conn_remote(a.conn), &from.remote));
	CHECK_INT(net_n_conns(a.t.net), 1);
	say(pair[1], "echo");
	NET_UNTIL(&a.t, a.n_bytes == 4);
	settle(&a);
	CHECK_INT(recv(pair[1], text, sizeof text, 0), 4);
	close(pair[1]);
	NET_UNTIL(&a.t, a.n_closed == 1);
	CHECK_INT(a.n_closing + a.n_logged, 0);
	CHECK_INT(net_n_conns(a.t.net), 0);
	test_net_close(&a.t);
}

TEST_MAIN()
