/*
 * sip-gateway/aux.c: the stack in its process: the channel to workers, the clock, names of hosts.
 */
#include "aux.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "early.h"
#include "names.h"
#include "stack.h"

/* SETTLE_MS: in which workers tell of their listeners; browsers may come without any */
enum { MAX_LISTENERS = 16, SETTLE_MS = 30 };

struct aux {
	struct sl_worker *w;
	const struct sip_conf *conf;
	struct sl_channel *channel;
	struct stack *stack;
	struct stack_io io;
	struct sl_timer timer;
	struct sl_post post;
	struct listener { /* of the workers */
		uint8_t transport;
		struct sl_addr addr;
	} listeners[MAX_LISTENERS];
	unsigned n_listeners;
	struct names *names;
	uint32_t turn; /* of workers */
	bool holds;    /* counted in w->n_holds */
	bool settled;
	struct sl_timer settle;
	struct early early; /* until then */
};

/* ---- what the stack asks for */

static int on_tell(void *arg, uint32_t worker, enum wire_type type, const struct sl_buf *msg)
{
	struct aux *a = arg;
	const struct iovec iov = {msg->p, msg->len};
	uint32_t all[256];
	unsigned n;

	if (worker) {
		int rc = sl_channel_send(a->channel, worker, (uint16_t)type, &iov, 1);

		/* A datagram can leave from any worker, a connection is where it is. */
		if (rc != -SL_ENOENT || type != WIRE_SEND || sl_get32(msg->p + 4) != 0)
			return rc;
	}
	n = sl_worker_current(a->w, all, SL_ARRAY_LEN(all));
	if (n == 0) /* the whole node drains: what its calls end with leaves by whoever is left */
		n = sl_worker_list(a->w, all, SL_ARRAY_LEN(all));
	for (unsigned i = 0; i < n; i++)
		if (sl_channel_send(a->channel, all[i], (uint16_t)type, &iov, 1) == 0)
			return 0;
	return -SL_ENOENT;
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

static uint32_t on_worker_for(void *arg, uint64_t key)
{
	struct aux *a = arg;
	uint32_t all[256];
	unsigned n = sl_worker_current(a->w, all, SL_ARRAY_LEN(all));

	return n > 0 ? all[key % n] : 0;
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

static const struct listener *find_listener(const struct aux *a, unsigned transport,
					    unsigned family)
{
	for (unsigned i = 0; i < a->n_listeners; i++)
		if (a->listeners[i].transport == transport && a->listeners[i].addr.family == family)
			return &a->listeners[i];
	return NULL;
}

static int on_local(void *arg, unsigned transport, const struct sl_addr *remote,
		    struct sl_addr *ret_local)
{
	struct aux *a = arg;
	const struct listener *l = find_listener(a, transport, remote->family);

	if (!l)
		l = find_listener(a, SIP_UDP, remote->family);
	if (!l)
		return -SL_ENOENT;
	*ret_local = l->addr;
	if (sl_addr_classify(&l->addr) == SL_ADDR_UNSPECIFIED) {
		if (probe_local(remote, ret_local) < 0)
			return -SL_ESYS;
		ret_local->port = l->addr.port;
	}
	return 0;
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

static uint32_t on_newest(void *arg)
{
	const struct aux *a = arg;
	uint32_t owner = sl_aux_owner(a->w, "sip-gateway");

	return owner == sl_worker_owner(a->w) ? 0 : owner;
}

static uint64_t on_unix_ms(void *arg)
{
	(void)arg;
	return sl_clock_unix_ns() / SL_NS_PER_MS;
}

/* `sluice kick`, or the end of a drain's patience */
static void on_evict(void *arg, struct sl_session *s, const char *why)
{
	(void)s;
	(void)why;
	calls_evict(arg);
}

static struct sl_session *on_show(void *arg, struct call *c, struct sl_str label,
				  const struct sl_addr *remote)
{
	struct aux *a = arg;
	const struct sl_session_opts o = {.kind = SL_KIND_SIP,
					  .remote = *remote,
					  .label = label,
					  .evict = on_evict,
					  .arg = c};
	struct sl_session *s;

	return sl_session_open(a->w, &o, &s) == 0 ? s : NULL;
}

/* ---- names of hosts */

static void on_resolve(void *arg, const struct locate_want *want, locate_fn *fn, void *fn_arg)
{
	struct aux *a = arg;
	const struct sip_hops none = {0};

	if (names_find(a->names, want, fn, fn_arg) < 0)
		fn(fn_arg, &none); /* asked again later */
}

static void on_name(void *arg)
{
	struct aux *a = arg;

	(void)stack_run(a->stack, sl_loop_ms(a->w->loop));
	sl_post(a->w->loop, &a->post);
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
	struct listener l = {.transport = sl_read_u8(&r)};

	wire_get_addr(&r, &l.addr);
	for (unsigned i = 0; i < a->n_listeners; i++)
		if (a->listeners[i].transport == l.transport &&
		    sl_addr_eq(&a->listeners[i].addr, &l.addr))
			return;
	if (r.failed || a->n_listeners == MAX_LISTENERS)
		return;
	a->listeners[a->n_listeners++] = l;
	if (!sl_timer_pending(&a->settle) && a->n_listeners == 1)
		sl_timer_set(a->w->loop, &a->settle, 10); /* the others follow at once */
}

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct aux *a = arg;

	if (!a->settled && early_keep(&a->early, m))
		return;
	(void)stack_run(a->stack, sl_loop_ms(a->w->loop));
	if (m->type == WIRE_LISTENER)
		add_listener(a, m->data);
	else
		stack_input(a->stack, m->from, m->type, m->data);
	sl_post(a->w->loop, &a->post);
}

static void on_settled(struct sl_timer *t)
{
	struct aux *a = t->arg;
	uint32_t any;

	if (sl_worker_current(a->w, &any, 1) == 0) { /* this generation does not serve yet */
		sl_timer_set(a->w->loop, &a->settle, 20);
		return;
	}
	if (a->n_listeners > 0)
		trunks_start(a->stack);
	a->settled = true;
	early_give(&a->early, on_message, a);
	sl_post(a->w->loop, &a->post);
}

/* ---- life */

void aux_stop(void *ctx)
{
	struct aux *a = ctx;

	sl_timer_cancel(a->w->loop, &a->timer);
	sl_timer_cancel(a->w->loop, &a->settle);
	sl_post_cancel(a->w->loop, &a->post);
	early_give(&a->early, NULL, NULL);
	stack_free(a->stack);
	if (a->channel)
		sl_channel_close(a->channel);
	names_free(a->names);
	free(a);
}

static int open_parts(struct aux *a)
{
	const struct names_opts o = {.loop = a->w->loop,
				     .servers = &a->conf->nameservers,
				     .about_to_tell = on_name,
				     .arg = a};
	int rc = names_new(&o, &a->names);

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
				  .worker_for = on_worker_for,
				  .local = on_local,
				  .resolve = on_resolve,
				  .record = on_record,
				  .unix_ms = on_unix_ms,
				  .show = on_show,
				  .newest = on_newest,
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
	sl_timer_set(w->loop, &a->settle, SETTLE_MS);
	*ret_ctx = a;
	return 0;
}

int aux_asked(void *ctx, struct sl_str words, struct sl_buf *answer)
{
	struct aux *a = ctx;
	int rc;

	(void)stack_run(a->stack, sl_loop_ms(a->w->loop));
	rc = registrations_asked(a->stack, words, answer);
	sl_post(a->w->loop, &a->post);
	return rc;
}

void aux_drain(void *ctx)
{
	struct aux *a = ctx;

	stack_drain(a->stack, sl_aux_owner(a->w, "sip-gateway"));
}
