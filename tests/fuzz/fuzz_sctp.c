/*
 * Fuzz target: what a peer behind DTLS may send: SCTP packets, and DCEP messages within them.
 *
 * The input is a list of records {what, place, length, bytes} for an association that is up and has a channel: chunks
 * under the right ports, verification tag and checksum, where the word at `place` becomes a transmission sequence number
 * near the expected one; DCEP and other messages that the peer's library sends properly; our own calls; time. Whatever
 * happens, memory stays bounded and all is given back.
 */
#include "sim/sctp_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_CHUNKS = 1100 };

static struct sworld world;
static struct snode *a = &world.nodes[0], *b = &world.nodes[1];

static void forge(struct snode *to, uint8_t place, const uint8_t *chunks, size_t len)
{
	uint8_t copy[MAX_CHUNKS];
	size_t at = place % 32 * 4u;

	if (len > MAX_CHUNKS)
		len = MAX_CHUNKS;
	memcpy(copy, chunks, len);
	if (place < 128 && at + 4 <= len)
		sl_put32(copy + at, to->acknowledged + sl_get32(copy + at) % 8);
	snode_forge(to, copy, len);
}

static void message(uint8_t place, const uint8_t *p, size_t len)
{
	static const uint8_t ppids[] = {50, 51, 53, 56, 57, 52, 54, 0};
	const struct sctp_fate fate = {.ordered = !(place & 8), .max_retransmits = -1, .lifetime_ms = -1};

	(void)sctp_lib_send(a->s, place >> 4, ppids[place & 7], &fate, p, len);
}

static void call(uint8_t place, const uint8_t *p, size_t len)
{
	const struct sctp_channel c = {
		.stream = place & 8 ? place >> 4 : 65535,
		.ordered = place & 1,
		.negotiated = place & 2,
		.max_retransmits = place & 4 ? 1 : -1,
		.max_lifetime_ms = -1,
		.label = {(const char *)p, len},
	};
	uint16_t stream;

	if (len > 0 && p[0] & 1)
		(void)sctp_close(b->s, place >> 4);
	else if (len > 0 && p[0] & 2)
		(void)sctp_send(b->s, place >> 4, place & 1, p, len);
	else
		(void)sctp_open(b->s, &c, &stream);
}

static void record(uint8_t what, uint8_t place, const uint8_t *p, size_t len)
{
	switch (what % 6) {
	case 0:
	case 1:
		forge(what & 1 ? a : b, place, p, len);
		break;
	case 2:
		message(place, p, len);
		break;
	case 3:
		call(place, p, len);
		break;
	case 4:
		sctp_input(b->s, p, len);
		break;
	default:
		snet_pass(&world, place * 4u);
	}
	sl_assert(b->s->buffered <= b->s->opts.max_buffered + SCTP_MAX_MESSAGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sctp_channel c = {
		.stream = 65535, .ordered = true, .max_retransmits = -1, .max_lifetime_ms = -1};
	uint16_t stream;

	sworld_init(&world, 1);
	world.delay_ms = 1;
	sworld_start(&world);
	snet_pass(&world, 20);
	(void)sctp_open(a->s, &c, &stream);
	snet_pass(&world, 250); /* SACKs may be delayed */
	while (size >= 4) {
		size_t len = sl_get16(data + 2) % 4096;

		if (len > size - 4)
			len = size - 4;
		record(data[0], data[1], data + 4, len);
		data += 4 + len;
		size -= 4 + len;
	}
	snet_pass(&world, 500);
	sworld_stop(&world);
	return 0;
}
