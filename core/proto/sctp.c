/*
 * proto/sctp.c: the seam of usrsctp: associations as sockets of its family AF_CONN, whose address
 * is a number of ours.
 *
 * The library is told packets and time and called for everything else, so that it calls back only
 * to send: sockets do not block, and are read to the end after each input and each run of its
 * timers. Its one thread (for work that data channels never cause) gets no signals. The number that
 * is an association's address is never used again, so that what the library still has to say about
 * one that is gone reaches nobody. With its own names (sctp_close among them) ours do not collide,
 * because neither the binary nor a test program exports them.
 */
#include "proto/sctp_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <usrsctp.h>

enum {
	PORT = 5000,
	MAX_MESSAGE_UNSAID = 65536, /* RFC 8841 section 6.1 */
	MAX_BUFFERED = 1024 * 1024,
	SEND_SPACE = 512 * 1024, /* two messages of the largest size */
	RECEIVE_SPACE = 256 * 1024,
	SCRATCH = 64 * 1024,
	TICK_MS = 10,
	RTO_INITIAL_MS = 500,
	RTO_MIN_MS = 300,     /* above the peer's delayed SACK */
	RTO_MAX_MS = 3000,    /* soon back after an outage that ICE has overcome */
	MAX_RETRANSMITS = 30, /* ICE knows sooner when the path is gone */
	INIT_ATTEMPTS = 20,
	INIT_MAX_MS = 2000,
	INITIAL_WINDOW = 10, /* packets, RFC 6928 */
	COMMON_HEADER = 12,
	SLOT_BITS = 24,
};

/* One per process, as the library is. */
static struct {
	bool started;
	uint64_t now_ms;
	uint64_t serial; /* of addresses */
	struct sctp **slots;
	uint32_t n_slots, n_used;
	struct sctp *ready, **last_ready; /* with something to read */
	bool reading;
	struct sctp *doomed; /* freed by a callback, while it is being read */
	uint8_t *scratch;
} lib;

uint64_t sctp_lib_now_ms(void)
{
	return lib.now_ms;
}

/* ---- addresses: serial number and slot */

static int slot_take(struct sctp *s)
{
	uint32_t n = lib.n_slots ? lib.n_slots * 2 : 64;
	struct sctp **more;

	for (uint32_t i = 0; i < lib.n_slots; i++) {
		if (!lib.slots[i]) {
			lib.slots[i] = s;
			s->slot = i;
			return 0;
		}
	}
	if (n > 1u << SLOT_BITS)
		return -SL_EFULL;
	more = realloc(lib.slots, n * sizeof *more);
	if (!more)
		return -SL_ENOMEM;
	memset(more + lib.n_slots, 0, (n - lib.n_slots) * sizeof *more);
	s->slot = lib.n_slots;
	more[s->slot] = s;
	lib.slots = more;
	lib.n_slots = n;
	return 0;
}

static struct sctp *by_address(const void *address)
{
	uintptr_t number = (uintptr_t)address;
	uint32_t slot = (uint32_t)(number & ((1u << SLOT_BITS) - 1));
	struct sctp *s = slot < lib.n_slots ? lib.slots[slot] : NULL;

	return s && s->address == address ? s : NULL;
}

/* ---- the library's process-wide state */

static int on_output(void *address, void *packet, size_t len, uint8_t tos, uint8_t set_df)
{
	struct sctp *s = by_address(address);

	(void)tos;
	(void)set_df;
	if (s)
		s->io->send(s->ctx, packet, len);
	return 0;
}

static void restrict_library(void)
{
	usrsctp_sysctl_set_sctp_blackhole(2); /* no answer to packets of no association */
	usrsctp_sysctl_set_sctp_ecn_enable(0);
	usrsctp_sysctl_set_sctp_asconf_enable(0);
	usrsctp_sysctl_set_sctp_auth_enable(0);
	usrsctp_sysctl_set_sctp_nrsack_enable(0);
	usrsctp_sysctl_set_sctp_pktdrop_enable(0);
	usrsctp_sysctl_set_sctp_initial_cwnd(INITIAL_WINDOW);
	usrsctp_sysctl_set_sctp_max_chunks_on_queue(4096); /* small messages fill SEND_SPACE, too */
}

int sctp_start(void)
{
	sigset_t all, before;

	if (lib.started)
		return 0;
	lib.scratch = malloc(SCRATCH);
	if (!lib.scratch)
		return -SL_ENOMEM;
	lib.last_ready = &lib.ready;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	usrsctp_init_nothreads(0, on_output, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	restrict_library();
	lib.started = true;
	return 0;
}

void sctp_stop(void)
{
	if (!lib.started || lib.n_used > 0)
		return;
	if (usrsctp_finish() < 0)
		return; /* it still holds something; the process ends anyway */
	lib.started = false;
	free(lib.slots);
	free(lib.scratch);
	lib.slots = NULL;
	lib.scratch = NULL;
	lib.n_slots = 0;
}

/* ---- one socket */

static int set(struct sctp *s, int level, int name, const void *value, size_t len)
{
	return usrsctp_setsockopt(s->so, level, name, value, (socklen_t)len) < 0 ? -SL_ESYS : 0;
}

static struct sockaddr_conn address_of(const struct sctp *s, uint16_t port)
{
	return (struct sockaddr_conn){
		.sconn_family = AF_CONN,
		.sconn_port = htons(port),
		.sconn_addr = s->address,
	};
}

static int subscribe(struct sctp *s)
{
	static const uint16_t types[] = {SCTP_ASSOC_CHANGE, SCTP_STREAM_RESET_EVENT,
					 SCTP_PARTIAL_DELIVERY_EVENT, SCTP_SHUTDOWN_EVENT};
	struct sctp_event event = {.se_assoc_id = SCTP_ALL_ASSOC, .se_on = 1};
	int rc = 0;

	for (size_t i = 0; i < SL_ARRAY_LEN(types) && rc == 0; i++) {
		event.se_type = types[i];
		rc = set(s, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event);
	}
	return rc;
}

static int set_sizes(struct sctp *s)
{
	const struct sctp_initmsg init = {
		.sinit_num_ostreams = SCTP_STREAMS,
		.sinit_max_instreams = SCTP_STREAMS,
		.sinit_max_attempts = INIT_ATTEMPTS,
		.sinit_max_init_timeo = INIT_MAX_MS,
	};
	const struct sctp_rtoinfo rto = {
		.srto_initial = RTO_INITIAL_MS, .srto_min = RTO_MIN_MS, .srto_max = RTO_MAX_MS};
	const struct sctp_assocparams assoc = {.sasoc_asocmaxrxt = MAX_RETRANSMITS};
	const int out = SEND_SPACE, in = RECEIVE_SPACE;
	int rc = set(s, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init);

	if (rc == 0)
		rc = set(s, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto);
	if (rc == 0)
		rc = set(s, IPPROTO_SCTP, SCTP_ASSOCINFO, &assoc, sizeof assoc);
	if (rc == 0)
		rc = set(s, SOL_SOCKET, SO_SNDBUF, &out, sizeof out);
	if (rc == 0)
		rc = set(s, SOL_SOCKET, SO_RCVBUF, &in, sizeof in);
	return rc;
}

static int set_manners(struct sctp *s)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	const struct sctp_assoc_value reset = {.assoc_id = SCTP_ALL_ASSOC,
					       .assoc_value = SCTP_ENABLE_RESET_STREAM_REQ};
	const int on = 1, one_by_one = 0;
	int rc = set(s, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);

	if (rc == 0)
		rc = set(s, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on);
	if (rc == 0)
		rc = set(s, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on);
	if (rc == 0)
		rc = set(s, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, &one_by_one, sizeof one_by_one);
	if (rc == 0)
		rc = set(s, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, &reset, sizeof reset);
	return rc;
}

/* No heartbeats, since ICE watches the path; no search for its MTU, since DTLS sets it. A path that
 * the library gives up before the association would never be tried again without heartbeats. */
static int set_path(struct sctp *s)
{
	const struct sockaddr_conn peer = address_of(s, s->opts.remote_port);
	struct sctp_paddrparams path = {
		.spp_flags = SPP_PMTUD_DISABLE | SPP_HB_DISABLE,
		.spp_pathmtu = SCTP_MAX_PACKET - COMMON_HEADER,
		.spp_pathmaxrxt = MAX_RETRANSMITS + 1,
	};

	memcpy(&path.spp_address, &peer, sizeof peer);
	return set(s, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof path);
}

static void on_upcall(struct socket *so, void *arg, int flags);

static int open_socket(struct sctp *s)
{
	struct sockaddr_conn ours = address_of(s, s->opts.local_port);
	struct sockaddr_conn theirs = address_of(s, s->opts.remote_port);
	int rc;

	s->so = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	if (!s->so)
		return -SL_ESYS;
	if (usrsctp_set_non_blocking(s->so, 1) < 0)
		return -SL_ESYS;
	rc = set_sizes(s);
	if (rc == 0)
		rc = set_manners(s);
	if (rc == 0)
		rc = subscribe(s);
	if (rc < 0)
		return rc;
	if (usrsctp_set_upcall(s->so, on_upcall, s->address) < 0 ||
	    usrsctp_bind(s->so, (struct sockaddr *)&ours, sizeof ours) < 0)
		return -SL_ESYS;
	if (usrsctp_connect(s->so, (struct sockaddr *)&theirs, sizeof theirs) < 0 &&
	    errno != EINPROGRESS)
		return -SL_ESYS;
	return set_path(s);
}

static void take_defaults(struct sctp_opts *o)
{
	if (o->local_port == 0)
		o->local_port = PORT;
	if (o->remote_port == 0)
		o->remote_port = PORT;
	if (o->max_message == 0)
		o->max_message = MAX_MESSAGE_UNSAID;
	if (o->max_message > SCTP_MAX_MESSAGE)
		o->max_message = SCTP_MAX_MESSAGE;
	if (o->max_buffered == 0)
		o->max_buffered = MAX_BUFFERED;
}

int sctp_new(struct sctp **ret_s, const struct sctp_opts *o, const struct sctp_io *io, void *ctx)
{
	struct sctp *s;
	int rc;

	if (!sl_check(lib.started))
		return -SL_EBUG;
	s = calloc(1, sizeof *s);
	if (!s)
		return -SL_ENOMEM;
	s->opts = *o;
	take_defaults(&s->opts);
	s->io = io;
	s->ctx = ctx;
	s->count = o->counters ? o->counters : &s->own_count;
	s->n_streams = SCTP_STREAMS;
	rc = slot_take(s);
	if (rc < 0) {
		free(s);
		return rc;
	}
	lib.n_used++;
	s->address = (void *)(uintptr_t)(++lib.serial << SLOT_BITS | s->slot);
	usrsctp_register_address(s->address);
	rc = open_socket(s);
	if (rc < 0) {
		sctp_free(s);
		return rc;
	}
	*ret_s = s;
	return 0;
}

static void say_nothing(void *ctx, const uint8_t *packet, size_t len)
{
	(void)ctx;
	(void)packet;
	(void)len;
}

static void open_nothing(void *ctx, const struct sctp_channel *c)
{
	(void)ctx;
	(void)c;
}

static void tell_nothing(void *ctx, uint16_t stream)
{
	(void)ctx;
	(void)stream;
}

static void read_nothing(void *ctx, uint16_t stream, bool text, const uint8_t *data, size_t len)
{
	(void)text;
	(void)stream;
	say_nothing(ctx, data, len);
}

static const struct sctp_io silent = {.send = say_nothing,
				      .opened = open_nothing,
				      .closed = tell_nothing,
				      .message = read_nothing,
				      .writable = tell_nothing};

static void unlist(struct sctp *s)
{
	struct sctp **at = &lib.ready;

	if (!s->ready)
		return;
	while (*at != s)
		at = &(*at)->next_ready;
	*at = s->next_ready;
	if (!*at)
		lib.last_ready = at;
	s->ready = false;
}

static void destroy(struct sctp *s)
{
	if (s->so)
		usrsctp_close(s->so);
	usrsctp_deregister_address(s->address);
	sctp_channels_free(s);
	free(s->part);
	free(s);
}

void sctp_free(struct sctp *s)
{
	if (!s)
		return;
	lib.slots[s->slot] = NULL; /* what the library says from now on is lost */
	lib.n_used--;
	unlist(s);
	if (!lib.reading) {
		destroy(s);
		return;
	}
	s->dead = true;
	s->io = &silent;
	s->count = &s->own_count;
	s->next_ready = lib.doomed;
	lib.doomed = s;
}

/* ---- sending */

int sctp_lib_send(struct sctp *s, uint16_t stream, uint32_t ppid, const struct sctp_fate *fate,
		  const void *data, size_t len)
{
	struct sctp_sendv_spa spa = {
		.sendv_flags = SCTP_SEND_SNDINFO_VALID,
		.sendv_sndinfo = {.snd_sid = stream,
				  .snd_flags = fate->ordered ? 0 : SCTP_UNORDERED,
				  .snd_ppid = htonl(ppid)},
	};

	if (s->dead)
		return -SL_ECLOSED;
	if (fate->max_retransmits >= 0) {
		spa.sendv_flags |= SCTP_SEND_PRINFO_VALID;
		spa.sendv_prinfo.pr_policy = SCTP_PR_SCTP_RTX;
		spa.sendv_prinfo.pr_value = (uint32_t)fate->max_retransmits;
	} else if (fate->lifetime_ms >= 0) {
		spa.sendv_flags |= SCTP_SEND_PRINFO_VALID;
		spa.sendv_prinfo.pr_policy = SCTP_PR_SCTP_TTL;
		spa.sendv_prinfo.pr_value = (uint32_t)fate->lifetime_ms;
	}
	if (usrsctp_sendv(s->so, data, len, NULL, 0, &spa, sizeof spa, SCTP_SENDV_SPA, 0) >= 0)
		return 0;
	if (errno == EWOULDBLOCK || errno == EAGAIN || errno == ENOBUFS)
		return -SL_EAGAIN;
	return errno == EMSGSIZE ? -SL_ELIMIT : -SL_ECLOSED;
}

int sctp_lib_reset(struct sctp *s, uint16_t stream)
{
	_Alignas(struct sctp_reset_streams)
		uint8_t bytes[sizeof(struct sctp_reset_streams) + sizeof(uint16_t)] = {0};
	struct sctp_reset_streams *ask = (struct sctp_reset_streams *)bytes;

	ask->srs_flags = SCTP_STREAM_RESET_OUTGOING;
	ask->srs_number_streams = 1;
	ask->srs_stream_list[0] = stream;
	if (usrsctp_setsockopt(s->so, IPPROTO_SCTP, SCTP_RESET_STREAMS, bytes, sizeof bytes) == 0)
		return 0;
	return errno == EAGAIN || errno == EALREADY || errno == EBUSY ? -SL_EAGAIN : -SL_EUNSUPP;
}

/* ---- what it tells */

static void end(struct sctp *s, const char *why)
{
	if (s->dead)
		return;
	s->dead = true;
	s->up = false;
	sctp_channels_down(s);
	if (s->io->down)
		s->io->down(s->ctx, why);
}

static void association_changed(struct sctp *s, const struct sctp_assoc_change *c)
{
	unsigned n = c->sac_outbound_streams < c->sac_inbound_streams ? c->sac_outbound_streams
								      : c->sac_inbound_streams;

	switch (c->sac_state) {
	case SCTP_COMM_UP:
		s->up = true;
		if (s->io->up)
			s->io->up(s->ctx);
		sctp_channels_up(s, n);
		break;
	case SCTP_RESTART:
		end(s, "the peer has begun its association anew");
		break;
	case SCTP_CANT_STR_ASSOC:
		end(s, "the peer does not answer");
		break;
	default:
		end(s, c->sac_state == SCTP_COMM_LOST ? "the association was aborted or timed out"
						      : "the peer has shut the association down");
	}
}

static void reset_one(struct sctp *s, uint16_t flags, uint16_t stream)
{
	if (flags & SCTP_STREAM_RESET_INCOMING_SSN)
		sctp_channel_in_reset(s, stream);
	/* Denied or failed is an end as well: there is nothing more to be had from this peer. */
	if (flags & SCTP_STREAM_RESET_OUTGOING_SSN)
		sctp_channel_out_reset(s, stream);
}

static void streams_reset(struct sctp *s, const struct sctp_stream_reset_event *e)
{
	size_t n = (e->strreset_length - sizeof *e) / sizeof(uint16_t);

	for (size_t i = 0; i < n; i++)
		reset_one(s, e->strreset_flags, e->strreset_stream_list[i]);
	for (unsigned i = 0; n == 0 && i < SCTP_STREAMS; i++) /* none named: all */
		reset_one(s, e->strreset_flags, (uint16_t)i);
}

static void part_drop(struct sctp *s)
{
	free(s->part);
	s->part = NULL;
	s->part_len = s->part_cap = 0;
	s->skipping = false;
}

static void notified(struct sctp *s, const union sctp_notification *n, size_t len)
{
	if (len < sizeof n->sn_header || n->sn_header.sn_length != len)
		return;
	switch (n->sn_header.sn_type) {
	case SCTP_ASSOC_CHANGE:
		association_changed(s, &n->sn_assoc_change);
		break;
	case SCTP_STREAM_RESET_EVENT:
		streams_reset(s, &n->sn_strreset_event);
		break;
	case SCTP_PARTIAL_DELIVERY_EVENT: /* the rest will never come */
		part_drop(s);
		break;
	case SCTP_SHUTDOWN_EVENT:
		end(s, "the peer has shut the association down");
		break;
	default:
		break;
	}
}

/* ---- reading */

static int part_add(struct sctp *s, const uint8_t *data, size_t len)
{
	size_t cap = s->part_cap ? s->part_cap : SCRATCH;
	uint8_t *more;

	if (len > SCTP_MAX_MESSAGE - s->part_len)
		return -SL_ELIMIT;
	while (cap < s->part_len + len)
		cap *= 2;
	if (cap > s->part_cap) {
		more = realloc(s->part, cap);
		if (!more)
			return -SL_ENOMEM;
		s->part = more;
		s->part_cap = cap;
	}
	memcpy(s->part + s->part_len, data, len);
	s->part_len += len;
	return 0;
}

static void take_piece(struct sctp *s, const struct sctp_rcvinfo *info, size_t len, bool last)
{
	uint32_t ppid = ntohl(info->rcv_ppid);

	if (last && !s->part && !s->skipping) {
		sctp_channel_message(s, info->rcv_sid, ppid, lib.scratch, len);
		return;
	}
	if (!s->skipping && part_add(s, lib.scratch, len) < 0) {
		part_drop(s);
		s->skipping = true;
		s->count->too_long++;
		sctp_channel_abandon(s, info->rcv_sid);
	}
	if (!last)
		return;
	if (!s->skipping)
		sctp_channel_message(s, info->rcv_sid, ppid, s->part, s->part_len);
	part_drop(s);
}

/* false: nothing more */
static bool read_one(struct sctp *s)
{
	struct sctp_rcvinfo info = {0};
	socklen_t info_len = sizeof info;
	unsigned info_type = 0;
	int flags = 0;
	ssize_t n = usrsctp_recvv(s->so, lib.scratch, SCRATCH, NULL, NULL, &info, &info_len,
				  &info_type, &flags);

	if (n < 0)
		return false;
	if (n == 0) {
		end(s, "the association has ended");
		return false;
	}
	if (flags & MSG_NOTIFICATION)
		notified(s, (const union sctp_notification *)lib.scratch, (size_t)n);
	else if (info_type == SCTP_RECVV_RCVINFO)
		take_piece(s, &info, (size_t)n, flags & MSG_EOR);
	return !s->dead;
}

static void mark_ready(struct sctp *s)
{
	if (s->ready)
		return;
	s->ready = true;
	s->next_ready = NULL;
	*lib.last_ready = s;
	lib.last_ready = &s->next_ready;
}

static void on_upcall(struct socket *so, void *arg, int flags)
{
	struct sctp *s = by_address(arg);

	(void)so;
	(void)flags;
	if (s)
		mark_ready(s);
}

/* Callbacks may lead to more input (of another association, in a test): the outermost call reads.
 */
static void read_all(void)
{
	struct sctp *s;

	if (lib.reading)
		return;
	lib.reading = true;
	while ((s = lib.ready) != NULL) {
		unlist(s);
		while (!s->dead && !s->held && read_one(s))
			;
		sctp_channels_flush(s);
	}
	lib.reading = false;
	while ((s = lib.doomed) != NULL) {
		lib.doomed = s->next_ready;
		destroy(s);
	}
}

void sctp_hold(struct sctp *s, bool held)
{
	s->held = held;
	if (held || s->dead)
		return;
	mark_ready(s);
	read_all();
}

void sctp_input(struct sctp *s, const uint8_t *packet, size_t len)
{
	if (s->dead)
		return;
	if (!sctp_guard(packet, len)) {
		s->count->bad_packet++;
		return;
	}
	usrsctp_conninput(s->address, packet, len, 0);
	mark_ready(s);
	read_all();
}

uint64_t sctp_tick(uint64_t now_ms)
{
	uint64_t elapsed = now_ms - lib.now_ms;

	if (!lib.started || lib.n_used == 0) {
		lib.now_ms = now_ms;
		return UINT64_MAX;
	}
	if (now_ms > lib.now_ms) {
		lib.now_ms = now_ms;
		usrsctp_handle_timers((uint32_t)(elapsed < 60000 ? elapsed : 60000));
		read_all();
	}
	return now_ms + TICK_MS;
}
