/*
 * bench/sfu_load.c: group calls: participants that join rooms over the WebSocket, publish synthetic
 * sound and pictures, and take whatever the others publish; of Sluice, or of Janus' VideoRoom.
 *
 * Each has up to two connections, with the core's engines on plain UDP sockets: ICE, DTLS, SRTP,
 * descriptions, reports, transport-wide feedback. Payloads carry the time when they were sent. What
 * arrives is counted and told in feedback without being decrypted; only every n-th packet of a
 * stream is opened, for its time and to know that it can be, so that one core of load is enough for
 * one core of server. It prints "ready" when all are connected, "start" and "end" around the
 * measured time, and one line of JSON. The parts are in load/.
 *
 *     sfu_load PORT [NAME=VALUE]...         options: the table `options` below
 */
#include "bench/load/load.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SETUP_S = 60 };

struct load_options opts = {.participants = 3,
			    .publishers = 1,
			    .rooms = 1,
			    .audio = 1,
			    .packets = 4,
			    .fps = 30,
			    .layers = 1,
			    .open = 16,
			    .joins = 1000,
			    .seconds = 2,
			    .warmup_ms = 1000,
			    .feedback = 1};
struct load load;

static const struct {
	const char *name;
	unsigned *value, max;
	const char *doc;
} options[] = {
	{"janus", &opts.janus, 1, "1: the server is Janus, whose rooms 1, 2, ... are there"},
	{"away", &opts.away, 1, "1: media by this host's first address beside loopback, as for Janus"},
	{"room", &opts.room, UINT32_MAX, "rooms are load-THIS-0, -1, ...; 0: this process' id"},
	{"participants", &opts.participants, 100000, "of all rooms together"},
	{"publishers", &opts.publishers, 100000, "of each room; the others only listen"},
	{"rooms", &opts.rooms, 100000, "participants are dealt to them one by one"},
	{"audio", &opts.audio, 1, "whether publishers send sound, 50 packets of 160 bytes a second"},
	{"packets", &opts.packets, 64, "of 1200 bytes in a frame of the largest encoding; 0: none"},
	{"fps", &opts.fps, 10000, "frames a second; 0: tracks without a picture"},
	{"layers", &opts.layers, 3, "encodings of a picture; 0: no video track"},
	{"open", &opts.open, 65535, "each so many packets of a stream, one is decrypted"},
	{"loss", &opts.loss, 999,
	 "of 1000 packets that reach listeners, so many are thrown away, and asked for again"},
	{"joins", &opts.joins, 100000, "a second"},
	{"seconds", &opts.seconds, 3600, "that are measured; 0: idle until standard input ends"},
	{"warmup", &opts.warmup_ms, 600000, "milliseconds between ready and start"},
	{"poll", &opts.poll_us, 10000,
	 "microseconds between readings of media sockets, so that sends wake nobody; 0: at once"},
	{"gro", &opts.gro, 1, "1: segmented messages are taken whole, as a network card does"},
	{"feedback", &opts.feedback, 1,
	 "transport-wide, of pictures; 0: the server has only reports to find its rate by"},
	{"pid", &opts.pid, UINT32_MAX, "the server's, whose CPU and that of its children is told"},
};

/* ---- for all parts */

void die(const char *what)
{
	fprintf(stderr, "sfu_load: %s: %s\n", what, strerror(errno));
	exit(2);
}

void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "sfu_load: %s: %s\n", what, sl_strerror(rc));
	exit(2);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t now_ms(void)
{
	return now_ns() / 1000000;
}

uint64_t roll(void) /* xorshift: the same throws in each run */
{
	static uint64_t dice = 88172645463325252;

	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice;
}

void watch(int fd, struct source *s, void (*ready)(void *), void *self)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};

	*s = (struct source){ready, self};
	if (epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

void say(const struct party *p, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);

	if (!text)
		die("message");
	ws_say(&p->ws, text, strlen(text));
	free(text);
	json_decref(message);
}

void refused(const json_t *message)
{
	fputs("sfu_load: refused: ", stderr);
	(void)json_dumpf(message, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	load.errors++;
}

void settled(struct party *p)
{
	const struct connection *wanted = p->publishes ? p->pub : p->sub;

	if (p->done || !wanted || !wanted->secured)
		return;
	p->done = true;
	p->setup_us = (uint32_t)((now_ns() - p->began_ns) / 1000);
	load.done++;
}

/* ---- the run */

static const struct dialogue *dialogue(void)
{
	return opts.janus ? &room_janus : &room_sluice;
}

static void on_text(struct ws *w, const uint8_t *text, size_t len)
{
	json_t *m = json_loadb((const char *)text, len, 0, NULL);

	if (!m)
		die("a message that is no JSON");
	dialogue()->text(w->arg, m);
	json_decref(m);
}

static void on_web(void *self)
{
	struct party *p = self;

	if (ws_read(&p->ws, MSG_DONTWAIT, on_text))
		dialogue()->opened(p);
}

static void begin(struct party *p)
{
	p->began_ns = now_ns();
	p->ws.arg = p;
	ws_connect(&p->ws, opts.port, dialogue()->path, dialogue()->protocol, WS_BYTES);
	watch(p->ws.fd, &p->source, on_web, p);
}

/* Publishers first, so that who listens finds what there is. */
static void begin_some(uint64_t since_ns)
{
	uint64_t due = (now_ns() - since_ns) * opts.joins / 1000000000 + 1;

	for (; load.begun < opts.participants && load.begun < due; load.begun++) {
		struct party *p = &load.parties[load.begun];

		p->number = load.begun;
		p->publishes = p->number / opts.rooms < opts.publishers;
		begin(p);
	}
}

static void tick(const struct party *p, uint64_t now)
{
	struct connection *const both[] = {p->pub, p->sub};

	for (unsigned i = 0; i < 2; i++) {
		if (!both[i])
			continue;
		connection_tick(both[i], now);
		report_tick(both[i], now);
	}
}

/* In turn, whether or not something is there; returns when it is time again. */
static uint64_t poll_all(uint64_t now)
{
	static uint64_t next_ns;

	if (opts.poll_us == 0)
		return UINT64_MAX;
	if (now < next_ns)
		return next_ns;
	next_ns = now + opts.poll_us * UINT64_C(1000);
	for (unsigned i = 0; i < load.begun; i++) {
		if (load.parties[i].pub)
			connection_read(load.parties[i].pub);
		if (load.parties[i].sub)
			connection_read(load.parties[i].sub);
	}
	return next_ns;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void pump(void)
{
	static uint64_t next_tick_ms;
	uint64_t next = earlier(publish_all(), poll_all(now_ns())), now = now_ns();
	struct timespec wait = {.tv_nsec = next > now ? (long)(next - now) : 0};
	struct epoll_event ready[256];
	int n = epoll_pwait2(load.epoll_fd, ready, 256, &wait, NULL);

	for (int i = 0; i < n; i++) {
		struct source *s = ready[i].data.ptr;

		s->ready(s->self);
	}
	now = now_ms();
	if (now < next_tick_ms)
		return;
	next_tick_ms = now + TICK_NS / 1000000;
	for (unsigned i = 0; i < load.begun; i++)
		tick(&load.parties[i], now);
}

static void pump_until(uint64_t end_ns)
{
	while (now_ns() < end_ns)
		pump();
}

static void set_up(void)
{
	uint64_t since = now_ns();

	while (load.done < opts.participants) {
		begin_some(since);
		pump();
		if (load.errors == 0 && now_ns() - since < SETUP_S * UINT64_C(1000000000))
			continue;
		fprintf(stderr, "sfu_load: %u of %u participants connected, %u errors\n", load.done,
			opts.participants, load.errors);
		exit(1);
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorts; 0 of nothing. */
static uint32_t permille(uint32_t *values, size_t n, size_t which)
{
	qsort(values, n, sizeof *values, by_size);
	return n > 0 ? values[(n - 1) * which / 1000] : 0;
}

/* Of what is listened to: lost at first, and which part of it came again. */
static void count_lost(uint64_t *ret_lost, uint64_t *ret_recovered)
{
	*ret_lost = *ret_recovered = 0;
	for (unsigned i = 0; i < opts.participants; i++) {
		struct connection *c = load.parties[i].sub;

		for (unsigned k = 0; c && k < c->n_streams; k++) {
			struct rtp_recv_stats s;

			rtp_recv_get_stats(c->streams[k].recv, &s);
			*ret_lost += s.lost;
			*ret_recovered += s.recovered;
		}
	}
}

/* Clock ticks that one process has used, user and system. */
static uint64_t ticks_of(unsigned long pid)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024];
	const char *rest = NULL;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%lu/stat", pid);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof line, f))
		rest = strrchr(line, ')');
	if (rest)
		(void)sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			     &user, &system);
	if (f)
		fclose(f);
	return user + system;
}

static double server_cpu(void)
{
	uint64_t ticks = opts.pid ? ticks_of(opts.pid) : 0;
	unsigned long child;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%u/task/%u/children", opts.pid, opts.pid);
	f = opts.pid ? fopen(path, "re") : NULL;
	while (f && fscanf(f, "%lu", &child) == 1)
		ticks += ticks_of(child);
	if (f)
		fclose(f);
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct measured {
	double seconds, server_s, generator_s;
	uint64_t lost, recovered;
};

static void tell(const struct measured *m)
{
	uint32_t *setup = calloc(opts.participants, sizeof *setup);
	size_t n = opts.participants;

	if (!setup)
		die("memory");
	for (unsigned i = 0; i < n; i++)
		setup[i] = load.parties[i].setup_us;
	printf("{\"participants\":%u,\"setup_ms_p50\":%u,\"setup_ms_p99\":%u,\"setup_ms_max\":%u,"
	       "\"errors\":%u,",
	       opts.participants, permille(setup, n, 500) / 1000, permille(setup, n, 990) / 1000,
	       permille(setup, n, 1000) / 1000, load.errors);
	printf("\"seconds\":%.3f,\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"lost\":%" PRIu64 ",\"asked\":%" PRIu64 ",\"recovered\":%" PRIu64
	       ",\"key_frames\":%" PRIu64 ",",
	       m->seconds, load.sent, load.received, load.bytes, m->lost, load.asked, m->recovered,
	       load.key_frames);
	printf("\"opened\":%" PRIu64 ",\"not_opened\":%" PRIu64
	       ",\"delay_us_p50\":%u,\"delay_us_p99\":%u,\"delay_us_max\":%u,",
	       load.opened, load.not_opened, permille(load.delays, load.n_delays, 500),
	       permille(load.delays, load.n_delays, 990),
	       permille(load.delays, load.n_delays, 1000));
	printf("\"server_cpu_s\":%.2f,\"server_us_per_packet\":%.3f,\"generator_cpu_s\":%.2f}\n",
	       m->server_s, load.received ? m->server_s * 1e6 / (double)load.received : 0.0,
	       m->generator_s);
	free(setup);
}

static void measure(void)
{
	struct measured m = {.server_s = -server_cpu(), .generator_s = -own_cpu()};
	uint64_t start = now_ns(), lost, recovered;

	count_lost(&lost, &recovered);
	puts("start");
	load.measuring = true;
	pump_until(start + opts.seconds * UINT64_C(1000000000));
	load.measuring = false;
	puts("end");
	m.seconds = (double)(now_ns() - start) / 1e9;
	m.server_s += server_cpu();
	m.generator_s += own_cpu();
	count_lost(&m.lost, &m.recovered);
	m.lost -= lost;
	m.recovered -= recovered;
	tell(&m);
}

/* Reports and consent go on; media, if any, too. */
static void idle(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char c;

	do
		pump();
	while (poll(&in, 1, 0) == 0 || read(STDIN_FILENO, &c, 1) > 0);
}
static void usage(void)
{
	fputs("usage: sfu_load PORT [NAME=VALUE]...\n", stderr);
	for (unsigned i = 0; i < SL_ARRAY_LEN(options); i++)
		fprintf(stderr, "  %-13s %s (%u)\n", options[i].name, options[i].doc,
			*options[i].value);
	exit(2);
}

static unsigned number(struct sl_str text, unsigned max)
{
	uint64_t n;

	if (sl_str_u64(text, &n) < 0 || n > max)
		usage();
	return (unsigned)n;
}

static void set_option(struct sl_str text)
{
	struct sl_str name = sl_str_split(&text, '=');

	for (unsigned i = 0; i < SL_ARRAY_LEN(options); i++)
		if (sl_str_eq(name, sl_str_c(options[i].name))) {
			*options[i].value = number(text, options[i].max);
			return;
		}
	usage();
}

int main(int argc, char **argv)
{
	if (argc < 2)
		usage();
	opts.port = number(sl_str_c(argv[1]), 65535);
	for (int i = 2; i < argc; i++)
		set_option(sl_str_c(argv[i]));
	if (opts.rooms == 0 || opts.joins == 0 || opts.open == 0 || (opts.packets == 0 && opts.fps > 0))
		usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load.parties = calloc(opts.participants, sizeof *load.parties);
	load.delays = calloc(MAX_DELAYS, sizeof *load.delays);
	if (load.epoll_fd < 0 || !load.parties || !load.delays)
		die("start");
	must(sl_dtls_ctx_new(SL_DTLS_SRTP, &load.dtls), "certificate");
	set_up();
	puts("ready");
	if (opts.seconds == 0) {
		idle();
		return 0;
	}
	pump_until(now_ns() + opts.warmup_ms * UINT64_C(1000000));
	measure();
	return 0;
}
