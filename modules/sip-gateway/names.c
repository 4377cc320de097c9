/*
 * sip-gateway/names.c: questions of locate.h, put to DNS by c-ares.
 *
 * The library has sockets of its own, which it names as it opens and closes them, and one time-out.
 * Records are read by its parsers; what they found is copied into views for the time of a call.
 */
#include "names.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sluice/log.h>

enum { MAX_SOCKETS = 16, MAX_RECORDS = 16, TIMEOUT_MS = 2000, TRIES = 2, TTL_MAX_S = 86400 };
enum { TYPE_SRV = 33, TYPE_NAPTR = 35, CLASS_IN = 1 };

struct names {
	struct sl_loop *loop;
	void (*about_to_tell)(void *arg);
	void *arg;
	ares_channel channel;
	struct sl_event sockets[MAX_SOCKETS]; /* fn NULL: unused */
	struct sl_timer timer;
	bool ends;
	bool asked_now; /* within names_find: who asks knows what time it is */
};

struct search {
	struct names *names;
	struct locate locate;
	locate_fn *fn;
	void *arg;
};

/* ---- the library's sockets and time-out */

static void arm(struct names *n)
{
	struct timeval room, *next = ares_timeout(n->channel, NULL, &room);

	if (next)
		sl_timer_set(n->loop, &n->timer,
			     (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1);
	else
		sl_timer_cancel(n->loop, &n->timer);
}

static void on_timer(struct sl_timer *t)
{
	struct names *n = t->arg;

	ares_process_fd(n->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(n);
}

static void on_socket(struct sl_event *ev, unsigned ready)
{
	struct names *n = ev->arg;
	bool reads = ready & (SL_READ | SL_ERROR | SL_HANGUP), writes = ready & SL_WRITE;

	ares_process_fd(n->channel, reads ? ev->fd : ARES_SOCKET_BAD,
			writes ? ev->fd : ARES_SOCKET_BAD);
	arm(n);
}

static struct sl_event *socket_of(struct names *n, int fd)
{
	struct sl_event *unused = NULL;

	for (unsigned i = 0; i < MAX_SOCKETS; i++) {
		if (n->sockets[i].fn && n->sockets[i].fd == fd)
			return &n->sockets[i];
		if (!n->sockets[i].fn && !unused)
			unused = &n->sockets[i];
	}
	return unused;
}

/* One that cannot be watched answers nothing: its time-out tells. */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct names *n = arg;
	struct sl_event *ev = socket_of(n, fd);
	unsigned wanted = (readable ? SL_READ : 0u) | (writable ? SL_WRITE : 0u);

	if (!ev)
		return;
	if (wanted == 0) {
		sl_event_del(n->loop, ev);
		*ev = (struct sl_event){0};
		return;
	}
	if (!ev->fn)
		*ev = (struct sl_event){.fd = fd, .fn = on_socket, .arg = n};
	if (sl_event_set(n->loop, ev, wanted) < 0) {
		sl_event_del(n->loop, ev);
		*ev = (struct sl_event){0};
	}
}

/* ---- answers */

static void ask(struct search *s);

static struct sl_str text_of(const void *z)
{
	return sl_str_c(z ? z : "");
}

/* Nobody wants to know any more. */
static bool is_over(struct search *s, int status)
{
	if (!s->names->ends && status != ARES_EDESTRUCTION)
		return false;
	free(s);
	return true;
}

static void on_naptr(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct locate_naptr records[MAX_RECORDS];
	struct ares_naptr_reply *list = NULL;
	struct search *s = arg;
	unsigned n = 0;

	(void)timeouts;
	if (is_over(s, status))
		return;
	if (status == ARES_SUCCESS && ares_parse_naptr_reply(answer, len, &list) != ARES_SUCCESS)
		list = NULL;
	for (const struct ares_naptr_reply *r = list; r && n < MAX_RECORDS; r = r->next)
		records[n++] = (struct locate_naptr){.order = r->order,
						     .preference = r->preference,
						     .flags = text_of(r->flags),
						     .service = text_of(r->service),
						     .replacement = text_of(r->replacement)};
	locate_naptr(&s->locate, records, n);
	if (list)
		ares_free_data(list);
	ask(s);
}

static void on_srv(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct locate_srv records[MAX_RECORDS];
	struct ares_srv_reply *list = NULL;
	struct search *s = arg;
	unsigned n = 0;

	(void)timeouts;
	if (is_over(s, status))
		return;
	if (status == ARES_SUCCESS && ares_parse_srv_reply(answer, len, &list) != ARES_SUCCESS)
		list = NULL;
	for (const struct ares_srv_reply *r = list; r && n < MAX_RECORDS; r = r->next)
		records[n++] = (struct locate_srv){.priority = r->priority,
						   .weight = r->weight,
						   .port = r->port,
						   .target = text_of(r->host)};
	locate_srv(&s->locate, records, n);
	if (list)
		ares_free_data(list);
	ask(s);
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
	struct sl_addr addrs[MAX_RECORDS] = {0};
	struct search *s = arg;
	uint32_t ttl = TTL_MAX_S;
	unsigned n = 0;

	(void)timeouts;
	if (is_over(s, status))
		return;
	for (const struct ares_addrinfo_node *a = found ? found->nodes : NULL; a && n < MAX_RECORDS;
	     a = a->ai_next) {
		if (sl_addr_from_sockaddr(&addrs[n], a->ai_addr) < 0)
			continue;
		n++;
		if (a->ai_ttl >= 0 && (uint32_t)a->ai_ttl < ttl)
			ttl = (uint32_t)a->ai_ttl;
	}
	locate_addresses(&s->locate, addrs, n, ttl);
	if (found)
		ares_freeaddrinfo(found);
	ask(s);
}

/* ---- questions */

static void ask(struct search *s)
{
	const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
						  .ai_socktype = SOCK_DGRAM};
	ares_channel channel = s->names->channel;
	const char *name;

	switch (locate_next(&s->locate, &name)) {
	case LOCATE_NAPTR:
		ares_query(channel, name, CLASS_IN, TYPE_NAPTR, on_naptr, s);
		break;
	case LOCATE_SRV:
		ares_query(channel, name, CLASS_IN, TYPE_SRV, on_srv, s);
		break;
	case LOCATE_ADDRESSES:
		ares_getaddrinfo(channel, name, NULL, &hints, on_addresses, s);
		break;
	case LOCATE_DONE:
		if (!s->names->asked_now)
			s->names->about_to_tell(s->names->arg);
		s->fn(s->arg, &s->locate.hops);
		free(s);
		break;
	}
}

int names_find(struct names *n, const struct locate_want *want, locate_fn *fn, void *arg)
{
	struct search *s = calloc(1, sizeof *s);

	if (!s)
		return -SL_ENOMEM;
	*s = (struct search){.names = n, .fn = fn, .arg = arg};
	locate_begin(&s->locate, want);
	n->asked_now = true;
	ask(s);
	n->asked_now = false;
	arm(n);
	return 0;
}

/* ---- life */

static int set_servers(struct names *n, const struct sl_list *servers)
{
	struct ares_addr_port_node nodes[8] = {0};
	size_t count = servers->n < SL_ARRAY_LEN(nodes) ? servers->n : SL_ARRAY_LEN(nodes);

	for (size_t i = 0; i < count; i++) {
		const struct sl_addr *a = SL_LIST_AT(*servers, struct sl_addr, i);

		nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
		nodes[i].family = a->family == 4 ? AF_INET : AF_INET6;
		nodes[i].udp_port = nodes[i].tcp_port = a->port ? a->port : NS_DEFAULTPORT;
		memcpy(&nodes[i].addr, a->ip, a->family == 4 ? 4 : 16);
	}
	return count == 0 || ares_set_servers_ports(n->channel, nodes) == ARES_SUCCESS ? 0
										       : -SL_ENOMEM;
}

int names_new(const struct names_opts *opts, struct names **ret_names)
{
	struct names *n = calloc(1, sizeof *n);
	struct ares_options o = {.timeout = TIMEOUT_MS, .tries = TRIES};
	int rc = ARES_ENOMEM;

	if (!n)
		return -SL_ENOMEM;
	n->loop = opts->loop;
	n->about_to_tell = opts->about_to_tell;
	n->arg = opts->arg;
	n->timer = (struct sl_timer){.fn = on_timer, .arg = n};
	o.sock_state_cb = on_state;
	o.sock_state_cb_data = n;
	if (ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS)
		rc = ares_init_options(&n->channel, &o,
				       ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					       ARES_OPT_SOCK_STATE_CB);
	if (rc != ARES_SUCCESS) {
		free(n);
		return -SL_ENOMEM;
	}
	if (set_servers(n, opts->servers) < 0) {
		names_free(n);
		return -SL_ENOMEM;
	}
	*ret_names = n;
	return 0;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	n->ends = true;
	ares_destroy(n->channel);
	sl_timer_cancel(n->loop, &n->timer);
	free(n);
}
