/*
 * An ICE agent with SCTP right on top of it, as a program, for scripts that speak with foreign ones: a UDP socket on
 * loopback, words a line in, words a line out. DTLS is left out: what is no STUN is SCTP, or is sent back.
 *
 *     ice_peer controlling|controlled|lite
 *
 *     > remote UFRAG PASSWORD full|lite     < local UFRAG PASSWORD CANDIDATE
 *     > candidate TEXT                      < state NAME
 *     > restart                             < selected ADDRESS
 *     > sctp client|server                  < up          < down WHY
 *     > open LABEL [unordered]              < opened STREAM LABEL
 *     > text STREAM WORDS                   < message STREAM text|binary LENGTH CRC
 *     > bytes STREAM LENGTH                 < buffered STREAM LENGTH, when it is writable again
 *     > close STREAM                        < closed STREAM
 *     > quit                                < error CODE, to what failed
 *
 * bytes sends the numbers 0, 1, 2 ... modulo 251.
 */
#include <sluice/crypto.h>
#include "proto/ice.h"
#include "proto/sctp.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BYTES = 300000 };

static struct ice_agent *ice;
static struct sctp *sctp;
static struct sl_addr local;
static int udp;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void send_to(const struct sl_addr *to, const void *data, size_t len)
{
	struct sockaddr_storage sa;
	unsigned sa_len = sl_addr_to_sockaddr(&sa, to);

	(void)sendto(udp, data, len, 0, (struct sockaddr *)&sa, sa_len); /* what is lost is repeated */
}

/* ---- what the engines say */

static void on_ice_send(void *ctx, const struct ice_path *path, const uint8_t *data, size_t len)
{
	(void)ctx;
	send_to(&path->remote, data, len);
}

static void on_path(void *ctx, const struct ice_path *path)
{
	(void)ctx;
	(void)path;
}

static void on_selected(void *ctx, const struct ice_path *path)
{
	char text[SL_ADDR_STRLEN];

	(void)ctx;
	printf("selected %s\n", path ? sl_addr_format(text, &path->remote) : "nothing");
}

static void on_state(void *ctx, enum ice_state state, const char *why)
{
	(void)ctx;
	printf("state %s %s\n", ice_state_name(state), why);
}

static const struct ice_io ice_io = {on_ice_send, on_path, on_path, on_selected, on_state};

static void on_sctp_send(void *ctx, const uint8_t *packet, size_t len)
{
	const struct ice_path *path = ice_selected(ice);

	(void)ctx;
	if (path)
		send_to(&path->remote, packet, len);
}

static void on_up(void *ctx)
{
	(void)ctx;
	printf("up\n");
}

static void on_down(void *ctx, const char *why)
{
	(void)ctx;
	printf("down %s\n", why);
}

static void on_opened(void *ctx, const struct sctp_channel *c)
{
	(void)ctx;
	printf("opened %u %.*s\n", c->stream, SL_FMT(c->label));
}

static void on_closed(void *ctx, uint16_t stream)
{
	(void)ctx;
	printf("closed %u\n", stream);
}

static void on_message(void *ctx, uint16_t stream, bool text, const uint8_t *data, size_t len)
{
	(void)ctx;
	printf("message %u %s %zu %u\n", stream, text ? "text" : "binary", len, (unsigned)sl_crc32(data, len));
}

static void on_writable(void *ctx, uint16_t stream)
{
	(void)ctx;
	printf("buffered %u %zu\n", stream, sctp_buffered(sctp, stream));
}

static const struct sctp_io sctp_io = {on_sctp_send, on_up,	 on_down,    on_opened,
				       on_closed,    on_message, on_writable};

/* ---- what the script says */

static void fine(int rc)
{
	if (rc < 0)
		printf("error %s\n", sl_strerror(rc));
}

static void begin_sctp(const char *role)
{
	const struct sctp_opts o = {.client = strcmp(role, "client") == 0, .max_message = SCTP_MAX_MESSAGE};

	fine(sctp_start());
	fine(sctp_new(&sctp, &o, &sctp_io, NULL));
}

static void open_channel(const char *label, bool ordered)
{
	const struct sctp_channel c = {
		.stream = 65535,
		.ordered = ordered,
		.max_retransmits = -1,
		.max_lifetime_ms = -1,
		.label = sl_str_c(label),
	};
	uint16_t stream;

	fine(sctp_open(sctp, &c, &stream));
}

static void send_bytes(unsigned stream, size_t len)
{
	static uint8_t bytes[MAX_BYTES];

	for (size_t i = 0; i < len && i < MAX_BYTES; i++)
		bytes[i] = (uint8_t)(i % 251);
	fine(sctp_send(sctp, (uint16_t)stream, false, bytes, len));
}

static void take_candidate(const char *text)
{
	struct ice_candidate c;
	int rc = ice_candidate_parse(&c, sl_str_c(text));

	fine(rc < 0 ? rc : ice_add_remote(ice, &c, now_ms()));
}

static bool obey(char *line)
{
	char word[4][300] = {{0}};
	int n = sscanf(line, "%299s %299s %299s %299s", word[0], word[1], word[2], word[3]);
	char *rest = strchr(line, ' ');
	unsigned stream = (unsigned)strtoul(word[1], NULL, 10);

	line[strcspn(line, "\n")] = '\0';
	if (n < 1 || strcmp(word[0], "quit") == 0)
		return false;
	if (strcmp(word[0], "remote") == 0)
		fine(ice_set_remote(ice, sl_str_c(word[1]), sl_str_c(word[2]), strcmp(word[3], "lite") == 0,
				    now_ms()));
	else if (strcmp(word[0], "candidate") == 0)
		take_candidate(rest + 1);
	else if (strcmp(word[0], "restart") == 0)
		fine(ice_restart(ice, now_ms()));
	else if (strcmp(word[0], "sctp") == 0)
		begin_sctp(word[1]);
	else if (strcmp(word[0], "open") == 0)
		open_channel(word[1], strcmp(word[2], "unordered") != 0);
	else if (strcmp(word[0], "text") == 0)
		fine(sctp_send(sctp, (uint16_t)stream, true, word[2], strlen(word[2])));
	else if (strcmp(word[0], "bytes") == 0)
		send_bytes(stream, strtoul(word[2], NULL, 10));
	else if (strcmp(word[0], "close") == 0)
		fine(sctp_close(sctp, (uint16_t)stream));
	return true;
}

/* ---- the loop */

static void receive(void)
{
	uint8_t data[2048];
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof sa;
	ssize_t n = recvfrom(udp, data, sizeof data, 0, (struct sockaddr *)&sa, &sa_len);
	struct ice_path path = {.local = local};
	struct sl_stun_msg msg;

	if (n <= 0 || sl_addr_from_sockaddr(&path.remote, (struct sockaddr *)&sa) < 0)
		return;
	if (sl_stun_parse(&msg, data, (size_t)n) == 0)
		(void)ice_input(ice, &path, &msg, now_ms());
	else if (!ice_may_receive(ice, &path, now_ms()))
		printf("unvalidated\n");
	else if (sctp)
		sctp_input(sctp, data, (size_t)n);
	else
		send_to(&path.remote, data, (size_t)n);
}

static void run(void)
{
	struct pollfd fds[] = {{.fd = udp, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	char line[1000];

	for (;;) {
		uint64_t now = now_ms(), due = ice_tick(ice, now), data_due = sctp_tick(now);
		uint64_t at = data_due < due ? data_due : due;

		fflush(stdout);
		(void)poll(fds, 2, at <= now ? 0 : at - now > 1000 ? 1000 : (int)(at - now));
		if (fds[0].revents)
			receive();
		if (fds[1].revents && (!fgets(line, sizeof line, stdin) || !obey(line)))
			return;
	}
}

static int bind_udp(void)
{
	struct sockaddr_storage sa;
	struct sl_addr any;
	socklen_t len = sizeof sa;
	unsigned sa_len;

	sl_assert(sl_addr_parse(&any, SL_STR("127.0.0.1")) == 0);
	sa_len = sl_addr_to_sockaddr(&sa, &any);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	if (udp < 0 || bind(udp, (struct sockaddr *)&sa, sa_len) < 0 ||
	    getsockname(udp, (struct sockaddr *)&sa, &len) < 0)
		return -SL_ESYS;
	return sl_addr_from_sockaddr(&local, (struct sockaddr *)&sa);
}

int main(int argc, char **argv)
{
	struct ice_opts o = {.slot = 1};
	struct ice_candidate c;
	char text[ICE_CANDIDATE_TEXT];

	setvbuf(stdin, NULL, _IONBF, 0); /* poll sees what is left */
	if (argc != 2 || bind_udp() < 0 || sl_random(&o.tie_breaker, sizeof o.tie_breaker) < 0)
		return 1;
	o.controlling = strcmp(argv[1], "controlling") == 0;
	o.lite = strcmp(argv[1], "lite") == 0;
	if (ice_new(&ice, &o, &ice_io, NULL) < 0 || ice_add_local(ice, &local, NULL, 0, ICE_UDP) < 0)
		return 1;
	(void)ice_local_candidates(ice, &c, 1);
	(void)ice_candidate_format(text, &c);
	printf("local %s %s candidate:%s\n", ice_ufrag(ice), ice_password(ice), text);
	run();
	sctp_free(sctp);
	sctp_stop();
	ice_free(ice);
	return 0;
}
