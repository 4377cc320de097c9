/*
 * recorder/ebml.h: the elements that Matroska and WebM consist of (RFC 8794): each is its identity,
 * its length, and what is in it, which may be others. Read from bytes that may end anywhere.
 * Sans-I/O.
 */
#ifndef RECORDER_EBML_H
#define RECORDER_EBML_H

#include <sluice/buf.h>

/* Matroska's (RFC 9559), as they are written: with the mark that tells how long they are */
enum {
	EBML_SEGMENT = 0x18538067,
	EBML_TRACKS = 0x1654ae6b,
	EBML_TRACK = 0xae,
	EBML_NUMBER = 0xd7,
	EBML_UID = 0x73c5,
	EBML_CLUSTER = 0x1f43b675,
	EBML_SIMPLE = 0xa3,
	EBML_GROUP = 0xa0,
	EBML_BLOCK = 0xa1,
	EBML_TAGS = 0x1254c367,
	EBML_TAG = 0x7373,
	EBML_TARGETS = 0x63c0,
	EBML_TAG_UID = 0x63c5,
	EBML_CRC = 0xbf,
	EBML_VOID = 0xec,
};

struct ebml {
	const uint8_t *begin; /* where its identity stands */
	uint32_t id;
	struct sl_reader in;
};

/* The next one that is there as a whole; of a segment what there is of it. false: there is none */
bool ebml_next(struct sl_reader *r, struct ebml *ret_element);
/* The first of this identity. false: there is none, or it is cut off */
bool ebml_find(struct sl_reader r, uint32_t id, struct ebml *ret_element);
/* What the first element of this identity within says; 0: there is none */
uint64_t ebml_number_within(const struct ebml *e, uint32_t id);
/* A length, or the number of a track before a block: 1 to 8 bytes; else r fails */
uint64_t ebml_read_number(struct sl_reader *r);

#endif
