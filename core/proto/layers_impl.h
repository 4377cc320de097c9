/*
 * proto/layers_impl.h: what the files of the layer selection share.
 *
 *     layers.c          a subscriber's stream: runs of one encoding, timestamps, what goes out
 *     layers_pick.c     which frames of a run are forwarded
 *     layers_refs.c     the same by what VP9's frames refer to
 *     layers_numbers.c  numbers without gaps: sequence numbers, picture ids
 *     layers_write.c    payload descriptors written anew
 *
 * A run is a stretch of one encoding, from a key frame on. Within it, numbers going out follow those
 * that came, less what was dropped.
 */
#ifndef PROTO_LAYERS_IMPL_H
#define PROTO_LAYERS_IMPL_H

#include <sluice/layers.h>

/* ---- numbers */

enum {
	NUMBERS_SEQS = 512,	/* packets back whose numbers are known */
	NUMBERS_PICTURES = 128,
};
struct numbers {
	uint64_t first, highest; /* that came */
	uint16_t out;		 /* the last given */
	unsigned size;		 /* of slots, a power of two */
	uint32_t *slots;	 /* state << 16 | number given; the caller's memory */
};
/* in is the first and gets the number out. */
void numbers_begin(struct numbers *n, uint64_t in, uint16_t out);
/*
 * SL_OK: *ret_out is its number. SL_DROP: it has none. SL_AGAIN: it was missing, a number was kept
 * for it, and it is not wanted: *ret_out is left over. SL_DONE: it has had *ret_out before.
 * -SL_ENOENT: too old. -SL_ELIMIT: too far ahead.
 */
int numbers_take(struct numbers *n, uint64_t in, bool wanted, uint16_t *ret_out);

/* ---- runs */

enum { PICK_FRAMES = 32, PICK_DROPPED = 512, PICK_HISTORY = 16 };

struct selection {	  /* what is taken */
	uint64_t seq;	  /* from this packet on, and in all of its picture */
	uint32_t ts;
	uint8_t spatial, temporal; /* up to these; with a descriptor: those of the target */
	uint8_t target;		   /* decode target */
};

struct pick_frame { /* a decision, for the frame's other packets */
	uint64_t id;
	bool known, forward;
};

enum { REFS_PICTURES = 128 }; /* as far as a reference reaches */

struct refs {		/* what became of pictures, by spatial layers; neither: not seen yet */
	uint64_t first; /* of the run */
	uint64_t newest;
	uint64_t joined_temporal, joined_spatial; /* picture with which a layer was, last */
	uint8_t sent[REFS_PICTURES], dropped[REFS_PICTURES];
};

struct run {
	uint8_t encoding, codec;
	struct selection sel;			/* for the newest packets, */
	struct selection history[PICK_HISTORY]; /* and for late ones; a ring */
	unsigned n_history;
	uint32_t ts_offset;
	/* The newest picture */
	bool in_picture, marker_sent;
	uint32_t ts;
	uint8_t seen_spatial, made_spatial; /* highest layer in it; in it or the one before */
	/* Frames */
	struct pick_frame frames[PICK_FRAMES];
	unsigned next_frame;
	/* By descriptor */
	bool described;
	uint32_t intact; /* targets of which nothing has been dropped */
	bool stuck;	 /* a lower spatial layer is wanted, and is not intact */
	uint64_t first_number, highest_number;
	uint64_t dropped[PICK_DROPPED / 64], sent[PICK_DROPPED / 64]; /* neither: not seen yet */
	uint16_t number_offset;
	uint32_t mask_told; /* of active targets; 0: none yet */
	unsigned mask_left; /* frames that are still to say it */
	struct refs refs; /* VP9 that tells them */
	/* VP8, VP9 */
	uint64_t picture;     /* highest, unwrapped */
	uint16_t picture_offset; /* VP9 */
	uint8_t tl0_offset, key_offset;
};

/* A run with its numbers. The one before is kept: late packets of it may still fill its gaps. */
struct stretch {
	bool used;
	struct run run;
	struct numbers seqs, pictures;
	uint32_t seq_slots[NUMBERS_SEQS], picture_slots[NUMBERS_PICTURES];
};

struct sl_layers {
	uint32_t clock_hz;
	struct sl_layers_target target;
	bool started; /* something has been sent */
	bool running; /* the current stretch goes on */
	bool broken;  /* it goes on with a key frame only */
	/* Made with the first packet, and with the first switch: until then, one that is not used
	 * and must not be written. A track that stands still takes neither. */
	struct stretch *now, *before;
	bool seen[SL_RTC_MAX_ENCODINGS];
	uint64_t highest[SL_RTC_MAX_ENCODINGS]; /* sequence numbers seen */
	bool has_clock[SL_RTC_MAX_ENCODINGS], has_anchor;
	struct sl_rtc_clock clocks[SL_RTC_MAX_ENCODINGS];
	struct sl_rtc_clock anchor; /* ts: of what goes out */
	/* The last of what went out */
	uint16_t last_seq; /* given or kept */
	uint32_t last_ts;
	uint64_t last_ns;
	uint16_t last_number; /* of the descriptor's frames */
	uint8_t last_tl0, last_key;
};

/* Is the packet's frame forwarded? newest: no later packet of the encoding has been seen. */
void pick_begin(struct sl_layers *l, const struct sl_layers_packet *p);
bool pick(struct sl_layers *l, const struct sl_layers_packet *p, bool newest);
/* The same for a late packet, by what was selected at its time. */
bool pick_late(struct run *run, const struct sl_layers_packet *p);
/* Does the picture end here for this subscriber? */
bool pick_ends(const struct run *run, const struct sl_layers_packet *p);

/* The run begins with this picture. */
void refs_begin(struct refs *r, uint64_t picture);
/* A key frame's lowest layer has been selected. */
void refs_key(struct refs *r, const struct sl_frame_info *i, uint64_t picture);
/* As pick, for a frame other than that */
bool refs_pick(struct sl_layers *l, const struct sl_frame_info *i, uint64_t picture);
/* selected: its layers were, at its time */
bool refs_pick_late(struct refs *r, const struct sl_frame_info *i, uint64_t picture, bool selected);

/* Its picture id, unwrapped */
uint64_t picture_of(const struct run *run, const struct sl_frame_info *info);
/* Ids of a run's first packet follow those before it. */
void write_begin(struct sl_layers *l, const struct sl_layers_packet *p);
/* Accounts for the packet's picture, and fills patch and descriptor of out where it is forwarded.
 * false: its picture is too far from the others. */
bool write_ids(struct sl_layers *l, struct stretch *st, const struct sl_layers_packet *p,
	       bool forward, struct sl_rtp_out *out);

#endif
