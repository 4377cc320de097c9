/*
 * http/host.c: libwebsockets inside a worker: one context, its virtual hosts, and its libuv loop
 * nested into ours.
 *
 * libwebsockets has no listening socket here: connections come by adoption. It runs on libuv by its
 * event plugin, and libuv runs on our loop: its poll descriptor is watched, its time-out is asked.
 * libuv tells the kernel about changed interest only when it runs, so whoever changes something
 * from outside its callbacks posts a run (host_kick).
 *
 * The descriptor limit per thread stays 0, or the library looks descriptors up by walking a list.
 */
#include <stdlib.h>
#include "http.h"

/* What the library calls errors is mostly what clients do, so it is for debugging once it runs. */
static bool starting;

static void on_log(int level, const char *line)
{
	struct sl_str text = sl_str_trim(sl_str_c(line));

	if (starting && level == LLL_ERR)
		sl_log(SL_LOG_ERROR, "http", "libwebsockets: %.*s", SL_FMT(text));
	else
		sl_log(SL_LOG_DEBUG, "http", "libwebsockets: %.*s", SL_FMT(text));
}

static int nested_timeout_ms(void *arg)
{
	struct http *h = arg;

	uv_update_time(&h->uv);
	return uv_backend_timeout(&h->uv);
}

void host_run(struct http *h)
{
	(void)uv_run(&h->uv, UV_RUN_NOWAIT); /* tells only whether handles are left */
}

static void nested_run(void *arg)
{
	host_run(arg);
}

static void on_kick(struct sl_post *p)
{
	host_run(p->arg);
}

void host_kick(struct http *h)
{
	sl_post(h->w->loop, &h->kick);
}

/* Heartbeats are ours (ws.c), so the library's are off. */
static const lws_retry_bo_t no_heartbeat;

static unsigned seconds(uint64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

static void fill_info(struct http *h, struct lws_context_creation_info *info)
{
	*info = (struct lws_context_creation_info){
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = h->protocols,
		.retry_and_idle_policy = &no_heartbeat,
		.keepalive_timeout = (int)seconds(h->conf->keepalive_timeout),
		.timeout_secs = seconds(h->conf->request_timeout),
		.timeout_secs_ah_idle = seconds(h->conf->request_timeout),
		.user = h,
	};
}

static int open_context(struct http *h)
{
	struct lws_context_creation_info info;
	void *loops[] = {&h->uv};

	fill_info(h, &info);
	info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
		       LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		       LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
		       LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
	info.foreign_loops = loops;
	info.pt_serv_buf_size = 16384;
	info.max_http_header_data2 = (unsigned)h->conf->max_header;
	info.uid = (uid_t)-1;
	info.gid = (gid_t)-1;
	h->lws = lws_create_context(&info);
	return h->lws ? 0 : -SL_ENOMEM;
}

static int open_plain(struct http *h)
{
	struct lws_context_creation_info info;

	fill_info(h, &info);
	info.vhost_name = "plain";
	h->plain = lws_create_vhost(h->lws, &info);
	return h->plain ? 0 : -SL_ENOMEM;
}

static int open_tls(struct http *h, const struct sl_listener *l)
{
	struct tls_vhost *t = &h->tls[h->n_tls];
	struct lws_context_creation_info info;

	fill_info(h, &info);
	info.vhost_name = l->name;
	info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		       LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX |
		       LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
	info.alpn = "http/1.1";
	info.user = (void *)(uintptr_t)l->tls; /* client.c hands it to tls_prepare */
	t->listener = l;
	t->vhost = lws_create_vhost(h->lws, &info);
	if (!t->vhost)
		return -SL_ENOMEM;
	h->n_tls++;
	return 0;
}

static int open_vhosts(struct http *h)
{
	const struct sl_listener *const *listeners;
	unsigned n = sl_listeners(h->w, &listeners);

	h->tls = calloc(n + 1, sizeof *h->tls);
	if (!h->tls || open_plain(h) < 0)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < n; i++)
		if (!listeners[i]->udp && listeners[i]->tls &&
		    sl_listener_conf(h->w, listeners[i], "http") && open_tls(h, listeners[i]) < 0)
			return -SL_ENOMEM;
	return 0;
}

static int open_library(struct http *h)
{
	int rc;

	lws_set_log_level(sl_log_level >= SL_LOG_DEBUG ? LLL_ERR | LLL_WARN | LLL_NOTICE : LLL_ERR,
			  on_log);
	starting = true;
	rc = open_context(h);
	if (rc == 0)
		rc = open_vhosts(h);
	starting = false;
	if (rc < 0)
		sl_log(SL_LOG_ALERT, "http",
		       "cannot start libwebsockets; is its libuv plugin (libwebsockets-evlib-uv) "
		       "installed?");
	return rc;
}

int host_open(struct http *h, lws_callback_function *callback)
{
	int rc;

	/* tx: one write is one system call, whatever its size. rx: holds control frames only. */
	h->protocols[0] = (struct lws_protocols){.name = "",
						 .callback = callback,
						 .rx_buffer_size = 1024,
						 .tx_packet_size = 1 << 20};
	h->protocols[1] = h->protocols[0];
	h->protocols[1].name = h->subprotocol;
	h->sweep = (struct sl_timer){.fn = clients_sweep, .arg = h};
	h->kick = (struct sl_post){.fn = on_kick, .arg = h};
	h->scratch = malloc(LWS_PRE + SCRATCH_BYTES);
	if (!h->scratch || uv_loop_init(&h->uv) != 0)
		return -SL_ENOMEM;
	h->uv_open = true;
	h->nested = (struct sl_nested){.ev.fd = uv_backend_fd(&h->uv),
				       .timeout_ms = nested_timeout_ms,
				       .run = nested_run,
				       .arg = h};
	rc = open_library(h);
	if (rc == 0)
		rc = sl_nested_add(h->w->loop, &h->nested);
	if (rc == 0)
		host_kick(h);
	return rc;
}

/* libuv closes handles in a later turn, and the library wants to be asked again after that. */
static void close_library(struct http *h)
{
	lws_context_destroy(h->lws);
	for (int i = 0; i < 100 && uv_loop_alive(&h->uv); i++)
		host_run(h);
	lws_context_destroy(h->lws);
	h->lws = NULL;
}

static void close_loop(struct http *h)
{
	sl_nested_del(h->w->loop, &h->nested);
	if (h->lws)
		close_library(h);
	for (int i = 0; i < 100 && uv_loop_alive(&h->uv); i++)
		host_run(h);
	(void)uv_loop_close(&h->uv); /* the process ends */
}

void host_close(struct http *h)
{
	sl_post_cancel(h->w->loop, &h->kick);
	sl_timer_cancel(h->w->loop, &h->sweep);
	if (h->uv_open)
		close_loop(h);
	free(h->tls);
	free(h->scratch);
}

struct lws_vhost *host_vhost(const struct http *h, const struct sl_listener *l)
{
	for (unsigned i = 0; i < h->n_tls; i++)
		if (h->tls[i].listener == l)
			return h->tls[i].vhost;
	return NULL;
}
