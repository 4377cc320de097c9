/*
 * recorder/container.h: the kinds of files, one row each, and which codecs they take.
 */
#ifndef RECORDER_CONTAINER_H
#define RECORDER_CONTAINER_H

#include <sluice/rtp.h>

enum container_id {
	CONTAINER_MATROSKA, /* .webm where the codecs permit, else .mkv */
	CONTAINER_MP4,	    /* fragmented */
	CONTAINER_OGG,
	CONTAINER_WAV,
	CONTAINER_PCAPNG, /* packets instead of frames */
	N_CONTAINERS
};
struct container {
	const char *name; /* as in the configuration */
	const char *format, *suffix;
	uint32_t codecs; /* bit 1 << enum sl_codec_id */
	bool many;	 /* several streams in a file */
	/* Bytes up to which a file that was never closed can be used: whole clusters, fragments,
	 * pages, blocks. At most len; 0: nothing that could be played is there yet. */
	size_t (*good_length)(const uint8_t *p, size_t len);
};
extern const struct container containers[N_CONTAINERS];

static inline bool container_takes(const struct container *c, unsigned codec)
{
	return c->codecs >> codec & 1;
}
/* Writes into the first bytes of a file how long it is, which it says nowhere else and had not said
 * yet; one channel. false: nothing is to be said */
bool container_set_lengths(const struct container *c, uint8_t *head, size_t len, uint64_t bytes);
/* What a stream goes into when the wanted one cannot take it: Matroska takes everything. */
const struct container *container_for(enum container_id wanted, unsigned codec);
/* WebM's codecs; else it is Matroska proper. */
bool container_is_webm(unsigned codec);
/* By a file's name, ".part" and encryption left aside; NULL: none of ours */
const struct container *container_of_file(struct sl_str name);

#endif
