/*
 * sip-gateway/aux.c: the stack in its process: the channel to workers, the clock, names of hosts.
 *
 * Names are looked up by a thread, one at a time: getaddrinfo() blocks, and has no other form that
 * works everywhere. It touches nothing but its own request; what it found comes back over a pipe.
 */
#include "aux.h"

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "stack.h"

enum { MAX_LISTENERS = 8 };

struct aux {
	struct sl_worker *w;
	const struct sip_conf *conf;
	struct sl_channel *channel;
	struct stack *stack;
	struct stack_io io;
	struct sl_timer timer;
	struct sl_post post;
	struct sl_addr listeners[MAX_LISTENERS]; /* UDP, of the workers */
	unsigned n_listeners;
	struct sl_event answers;
	int pipe[2];
	uint32_t turn; /* of workers */
	bool holds;    /* counted in w->n_holds */
	struct sl_timer settle;
};

/* ---- what the stack asks for */

static int on_tell(void *arg, uint32_t worker, enum wire_type type, const struct sl_buf *msg)
{
	struct aux *a = arg;
	const struct iovec iov = {msg->p, msg->len};
	uint32_t any;

	if (worker) {
		int rc = sl_channel_send(a->channel, worker, (uint16_t)type, &iov, 1);

		/* A datagram can leave from any worker, a connection is where it is. */
		if (rc != -SL_ENOENT || type != WIRE_SEND || sl_get32(msg->p + 4) != 0)
			return rc;
	}
	if (sl_worker_current(a->w, &any, 1) == 0)
		return -SL_ENOENT;
	return sl_channel_send(a->channel, any, (uint16_t)type, &iov, 1);
}

static uint32_t on_worker(void *arg, uint32_t wanted)
{
	struct aux *a = arg;
	uint32_t all[256];
	unsigned n = sl_worker_current(a->w, all, SL_ARRAY_LEN(all));

	for (unsigned i = 0; i < n; i++)
		if (all[i] == wanted)
			return wanted;
	return n > 0 ? all[a->turn++ % n] : 0;
}

/* The kernel's choice of our address on the way there. */
static int probe_local(const struct sl_addr *remote, struct sl_addr *ret_local)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_addr_to_sockaddr(&sa, remote);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = -SL_ESYS;

	if (fd < 0)
		return -SL_ESYS;
	if (connect(fd, (struct sockaddr *)&sa, len) == 0) {
		len = sizeof sa;
		if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
			rc = sl_addr_from_sockaddr(ret_local, (struct sockaddr *)&sa);
	}
	close(fd);
	return rc;
}

static int on_local(void *arg, const struct sl_addr *remote, struct sl_addr *ret_local)
{
	struct aux *a = arg;

	for (unsigned i = 0; i < a->n_listeners; i++) {
		const struct sl_addr *l = &a->listeners[i];

		if (l->family != remote->family)
			continue;
		*ret_local = *l;
		if (sl_addr_classify(l) == SL_ADDR_UNSPECIFIED) {
			if (probe_local(remote, ret_local) < 0)
				return -SL_ESYS;
			ret_local->port = l->port;
		}
		return 0;
	}
	return -SL_ENOENT;
}

/* The file is opened for each record, so that it may be moved away at any time. A line is written
 * in one piece; the page cache takes it, so that the stack does not wait. */
static void append(const struct aux *a, struct sl_str json)
{
	const struct iovec line[] = {{(void *)json.p, json.len}, {(void *)"\n", 1}};
	int fd = open(a->conf->records.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0 || writev(fd, line, 2) != (ssize_t)json.len + 1)
		sl_log(SL_LOG_ERROR, "sip-gateway", "cannot write a call record to %s: %m",
		       a->conf->records.p);
	if (fd >= 0)
		close(fd);
}

/* Hooks run in workers only: one of them publishes it on its bus. */
static void on_record(void *arg, struct sl_str json)
{
	struct aux *a = arg;
	const struct iovec iov = {(void *)json.p, json.len};
	uint32_t any;

	if (a->conf->records.len > 0)
		append(a, json);
	if (a->channel && sl_worker_current(a->w, &any, 1) > 0 &&
	    sl_channel_send(a->channel, any, WIRE_RECORD, &iov, 1) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "a call record was not published");
}

static uint64_t on_unix_ms(void *arg)
{
	(void)arg;
	return sl_clock_unix_ns() / SL_NS_PER_MS;
}

/* ---- names of hosts */

struct lookup {
	int fd;
	struct trunk *trunk;
	uint16_t port;
	char host[256];
	struct sl_addr found;
};

static void *look_up(void *arg)
{
	struct lookup *l = arg;
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	struct addrinfo *list = NULL;

	if (getaddrinfo(l->host, NULL, &hints, &list) == 0 && list &&
	    sl_addr_from_sockaddr(&l->found, list->ai_addr) == 0)
		l->found.port = l->port;
	if (list)
		freeaddrinfo(list);
	if (write(l->fd, &l, sizeof l) != (ssize_t)sizeof l)
		free(l); /* the process ends */
	return NULL;
}

static void on_found(struct sl_event *ev, unsigned ready)
{
	struct aux *a = ev->arg;
	struct lookup *l;

	(void)ready;
	if (read(ev->fd, &l, sizeof l) != (ssize_t)sizeof l)
		return;
	trunk_resolved(l->trunk, &l->found);
	free(l);
	sl_post(a->w->loop, &a->post);
}

static int read_server(struct lookup *l, struct sl_str server)
{
	struct sl_str host = sl_str_split(&server, ':');
	uint64_t port = 5060;

	if (server.len > 0 && (sl_str_u64(server, &port) < 0 || port == 0 || port > 65535))
		return -SL_EPARSE;
	l->port = (uint16_t)port;
	return sl_str_copy(l->host, sizeof l->host, host) < sizeof l->host ? 0 : -SL_ELIMIT;
}

static void on_resolve(void *arg, struct trunk *t)
{
	struct aux *a = arg;
	struct lookup *l = calloc(1, sizeof *l);
	pthread_attr_t detached;
	pthread_t thread;

	if (!l)
		return;
	l->fd = a->pipe[1];
	l->trunk = t;
	if (read_server(l, t->conf->server) < 0 || pthread_attr_init(&detached) != 0) {
		free(l);
		return;
	}
	(void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, look_up, l) != 0)
		free(l); /* asked again when it is probed */
	(void)pthread_attr_destroy(&detached);
}

/* ---- the clock */

static void run(struct aux *a)
{
	uint64_t now = sl_loop_ms(a->w->loop), next = stack_run(a->stack, now);
	bool busy = !stack_is_idle(a->stack);

	if (busy != a->holds) {
		a->w->n_holds += busy ? 1 : -1u;
		a->holds = busy;
	}
	if (next == UINT64_MAX)
		sl_timer_cancel(a->w->loop, &a->timer);
	else
		sl_timer_set(a->w->loop, &a->timer, next > now ? next - now : 0);
}

static void on_timer(struct sl_timer *t)
{
	run(t->arg);
}

static void on_post(struct sl_post *p)
{
	run(p->arg);
}

/* ---- messages */

static void add_listener(struct aux *a, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct sl_addr l;

	wire_get_addr(&r, &l);
	for (unsigned i = 0; i < a->n_listeners; i++)
		if (sl_addr_eq(&a->listeners[i], &l))
			return;
	if (r.failed || a->n_listeners == MAX_LISTENERS)
		return;
	a->listeners[a->n_listeners++] = l;
	if (!sl_timer_pending(&a->settle) && a->n_listeners == 1)
		sl_timer_set(a->w->loop, &a->settle, 10); /* the others follow at once */
}

static void on_settled(struct sl_timer *t)
{
	struct aux *a = t->arg;
	uint32_t any;

	if (sl_worker_current(a->w, &any, 1) == 0) { /* this generation does not serve yet */
		sl_timer_set(a->w->loop, &a->settle, 20);
		return;
	}
	stack_begin(a->stack);
	sl_post(a->w->loop, &a->post);
}

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct aux *a = arg;

	(void)stack_run(a->stack, sl_loop_ms(a->w->loop));
	if (m->type == WIRE_LISTENER)
		add_listener(a, m->data);
	else
		stack_input(a->stack, m->from, m->type, m->data);
	sl_post(a->w->loop, &a->post);
}

/* ---- life */

void aux_stop(void *ctx)
{
	struct aux *a = ctx;

	sl_timer_cancel(a->w->loop, &a->timer);
	sl_timer_cancel(a->w->loop, &a->settle);
	sl_post_cancel(a->w->loop, &a->post);
	stack_free(a->stack);
	if (a->channel)
		sl_channel_close(a->channel);
	sl_event_del(a->w->loop, &a->answers);
	/* The writing end stays open: a look-up may still be under way. */
	if (a->pipe[0] > 0)
		close(a->pipe[0]);
	free(a);
}

static int open_parts(struct aux *a)
{
	int rc;

	if (pipe(a->pipe) < 0)
		return -SL_ESYS;
	a->answers = (struct sl_event){.fd = a->pipe[0], .fn = on_found, .arg = a};
	rc = sl_event_add(a->w->loop, &a->answers, SL_READ);
	if (rc == 0)
		rc = stack_new(a->conf, &a->io, sl_worker_meters(a->w, "sip-gateway"),
			       sl_worker_owner(a->w), a->w->node_key, &a->stack);
	if (rc == 0)
		rc = sl_channel_open(a->w, "sip", on_message, a, &a->channel);
	return rc;
}

int aux_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct aux *a = calloc(1, sizeof *a);
	const struct iovec nothing = {NULL, 0};
	int rc;

	if (!a)
		return -SL_ENOMEM;
	a->w = w;
	a->conf = conf;
	a->io = (struct stack_io){.tell = on_tell,
				  .worker = on_worker,
				  .local = on_local,
				  .resolve = on_resolve,
				  .record = on_record,
				  .unix_ms = on_unix_ms,
				  .arg = a};
	a->timer = (struct sl_timer){.fn = on_timer, .arg = a};
	a->settle = (struct sl_timer){.fn = on_settled, .arg = a};
	a->post = (struct sl_post){.fn = on_post, .arg = a};
	rc = open_parts(a);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "sip-gateway", "the stack cannot start: %s", sl_strerror(rc));
		aux_stop(a);
		return rc;
	}
	(void)stack_run(a->stack, sl_loop_ms(w->loop));
	(void)sl_channel_broadcast(a->channel, WIRE_ASK_LISTENER, &nothing, 1);
	*ret_ctx = a;
	return 0;
}

void aux_drain(void *ctx)
{
	struct aux *a = ctx;

	stack_drain(a->stack, sl_aux_owner(a->w, "sip-gateway"));
}
