/*
 * recorder/container.c: see container.h. The walks over unfinished files read sizes and nothing
 * else; they are what recovery believes.
 */
#include "container.h"

#include "ebml.h"

#define BIT(id) (1u << SL_CODEC_##id)
#define WEBM (BIT(OPUS) | BIT(VP8) | BIT(VP9) | BIT(AV1))

/* ---- Matroska: the segment holds its clusters, which are whole or cut off */

static size_t matroska_length(const uint8_t *p, size_t len)
{
	struct sl_reader r = sl_reader(p, len);
	struct ebml segment, e;
	size_t good = 0;

	if (!ebml_find(r, EBML_SEGMENT, &segment))
		return 0;
	while (ebml_next(&segment.in, &e))
		if (e.id == EBML_CLUSTER || good > 0)
			good = (size_t)(segment.in.p - p);
	return good;
}

/* ---- MP4: boxes; a fragment is its moof and the mdat behind it */

static size_t mp4_length(const uint8_t *p, size_t len)
{
	struct sl_reader r = sl_reader(p, len);
	size_t good = 0;

	while (r.end - r.p >= 8) {
		const uint8_t *box = r.p;
		uint64_t size = sl_read_u32(&r);
		uint32_t type = sl_read_u32(&r);

		if (size == 1)
			size = sl_read_u64(&r);
		if (r.failed || size < (uint64_t)(r.p - box) || size > (uint64_t)(r.end - box))
			break;
		r.p = box + size;
		if (type == 0x6d646174 /* mdat */)
			good = (size_t)(r.p - p);
	}
	return good;
}

/* ---- Ogg: pages (RFC 3533 section 6) */

enum { OGG_HEADS = 2 }; /* pages before the first sound of Opus */

static size_t ogg_length(const uint8_t *p, size_t len)
{
	unsigned n_pages = 0;
	size_t at = 0;

	while (len - at >= 27 && memcmp(p + at, "OggS", 4) == 0) {
		size_t n = p[at + 26], size = 27 + n;

		if (size > len - at)
			break;
		for (size_t i = 0; i < n; i++)
			size += p[at + 27 + i];
		if (size > len - at)
			break;
		at += size;
		n_pages++;
	}
	return n_pages > OGG_HEADS ? at : 0;
}

/* ---- WAV: any number of whole samples is as good; its head says how many there are */

static uint32_t get_little32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_little32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* Where a chunk stands; 0: not in these bytes, or not with so many bytes of its own */
static size_t wav_chunk(const uint8_t *p, size_t len, const char *name, size_t least)
{
	size_t at = 12;

	if (len < 12 || memcmp(p, "RIFF", 4) != 0 || memcmp(p + 8, "WAVE", 4) != 0)
		return 0;
	while (len - at >= 8 && memcmp(p + at, name, 4) != 0) {
		uint32_t size = get_little32(p + at + 4);

		if (size > len - at - 8 || memcmp(p + at, "data", 4) == 0)
			return 0;
		at += 8 + size + (size & 1);
		if (at > len)
			return 0;
	}
	return len - at >= 8 + least ? at : 0;
}

static size_t wav_block(const uint8_t *p, size_t len)
{
	size_t fmt = wav_chunk(p, len, "fmt ", 16);
	size_t align = fmt ? p[fmt + 20] | (size_t)p[fmt + 21] << 8 : 0;

	return align ? align : 1;
}

static size_t wav_length(const uint8_t *p, size_t len)
{
	size_t data = wav_chunk(p, len, "data", 1);

	return data ? len - (len - data - 8) % wav_block(p, len) : 0;
}

bool container_set_lengths(const struct container *c, uint8_t *head, size_t len, uint64_t bytes)
{
	size_t data = wav_chunk(head, len, "data", 0), fact = wav_chunk(head, len, "fact", 4);

	if (c != &containers[CONTAINER_WAV] || !data || bytes > UINT32_MAX)
		return false;
	put_little32(head + 4, (uint32_t)bytes - 8);
	put_little32(head + data + 4, (uint32_t)(bytes - data - 8));
	if (fact)
		put_little32(head + fact + 8,
			     (uint32_t)((bytes - data - 8) / wav_block(head, len)));
	return true;
}

/* ---- pcapng: blocks, in this machine's order */

static size_t pcapng_length(const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (len - at >= 12) {
		uint32_t size;

		memcpy(&size, p + at + 4, sizeof size);
		if (size < 12 || size % 4 != 0 || size > len - at)
			break;
		at += size;
	}
	return at;
}

const struct container containers[N_CONTAINERS] = {
	[CONTAINER_MATROSKA] = {"matroska", "matroska", "mkv",
				WEBM | BIT(H264) | BIT(H265) | BIT(PCMU) | BIT(PCMA) | BIT(G722) |
					BIT(L16),
				true, matroska_length},
	[CONTAINER_MP4] = {"mp4", "mp4", "mp4",
			   BIT(OPUS) | BIT(H264) | BIT(H265) | BIT(AV1) | BIT(VP9), true,
			   mp4_length},
	[CONTAINER_OGG] = {"ogg", "ogg", "ogg", BIT(OPUS), false, ogg_length},
	[CONTAINER_WAV] = {"wav", "wav", "wav", BIT(PCMU) | BIT(PCMA) | BIT(L16), false,
			   wav_length},
	[CONTAINER_PCAPNG] = {"pcapng", "", "pcapng", UINT32_MAX, false, pcapng_length},
};

const struct container *container_for(enum container_id wanted, unsigned codec)
{
	return &containers[container_takes(&containers[wanted], codec) ? wanted
								       : CONTAINER_MATROSKA];
}

bool container_is_webm(unsigned codec)
{
	return WEBM >> codec & 1;
}

static bool ends_with(struct sl_str s, struct sl_str tail)
{
	return s.len >= tail.len && memcmp(s.p + s.len - tail.len, tail.p, tail.len) == 0;
}

static struct sl_str without(struct sl_str s, struct sl_str tail)
{
	return ends_with(s, tail) ? (struct sl_str){s.p, s.len - tail.len} : s;
}

const struct container *container_of_file(struct sl_str name)
{
	name = without(without(name, SL_STR(".part")), SL_STR(".sealed"));
	if (ends_with(name, SL_STR(".webm")))
		return &containers[CONTAINER_MATROSKA];
	for (unsigned i = 0; i < N_CONTAINERS; i++) {
		struct sl_str suffix = sl_str_c(containers[i].suffix);

		if (name.len > suffix.len && ends_with(name, suffix) &&
		    name.p[name.len - suffix.len - 1] == '.')
			return &containers[i];
	}
	return NULL;
}
