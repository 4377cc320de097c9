/*
 * proto/jsep_impl.h: what the parts of JSEP share. Nobody else includes it.
 *
 *     jsep.c            transceivers, states, taking back
 *     jsep_codec.c      codecs that outlive a description
 *     jsep_read.c       what a section of a description says
 *     jsep_agree.c      what that means, given what we can and want
 *     jsep_transport.c  ICE, DTLS and SCTP parameters, read and written
 *     jsep_remote.c     descriptions of the peer
 *     jsep_local.c      descriptions of ours: payload types, extension ids, mids
 *     jsep_write.c      sections as text
 */
#ifndef PROTO_JSEP_IMPL_H
#define PROTO_JSEP_IMPL_H

#include "proto/jsep.h"

enum {
	JSEP_MAX_TYPE = 16,
	JSEP_MAX_PROTO = 24,
	JSEP_FOREIGN = UINT8_MAX, /* an extension that is not ours */
	JSEP_MAX_SEEN = 8,	  /* rids and SSRC groups of a section that are looked at */
};

struct section {
	struct jsep_media m; /* first: the caller's pointer is ours */
	char type[JSEP_MAX_TYPE + 1], proto[JSEP_MAX_PROTO + 1]; /* of the m-line */
	bool placed;						 /* stands in a description */
	bool fresh;	/* came into its place with the description that is being negotiated */
	bool stopped;	/* the caller's */
	bool simulcast; /* the rids are alternatives of one source */
	bool old_sctp;	/* "DTLS/SCTP 5000", as before RFC 8841 */
	uint8_t said;	/* direction in our newest description */
	uint8_t may; /* what the peer's offer leaves of what is wanted; all when we have offered */
	uint64_t told;		   /* hash of what we last said of what we send there */
	struct jsep_codec *codecs; /* owned: m.codecs */
	struct jsep_codec *prefs;  /* owned; the caller's wish, NULL: the caps */
	unsigned n_prefs;
	bool prefs_new;		/* not in a description yet */
	struct section *before; /* owned; what a rollback brings back: fresh: what had the place;
				   else: what this one was */
};

struct jsep {
	const struct jsep_caps *caps;
	enum jsep_state state;
	struct section **sections; /* the first n_placed have m-lines */
	unsigned n, n_placed, cap;
	unsigned n_placed_before; /* a rollback leaves as many */
	uint64_t id, version;	  /* of o= */
	unsigned next_mid;
	uint32_t sound_hz; /* of jsep_limit_sound; 0: no limit */
	/* What either side has ever called an extension: browsers refuse an id that changes its
	 * meaning, even when the sections that used it are gone, or the offer was taken back.
	 * Extension + 1, or JSEP_FOREIGN, by id. */
	uint8_t heard[UINT8_MAX + 1];
	struct sl_pool *offer_pool; /* holds their offer and its text until it is answered */
	struct sl_sdp offer;
	char their_setup[9];
	bool their_group;      /* the offer has a BUNDLE group */
	const unsigned *group; /* its sections, in its order; in offer_pool */
	unsigned n_group;
};

static inline struct section *section_of(struct jsep_media *m)
{
	return (struct section *)m;
}

/* ---- jsep.c */
/* Fills *e; -SL_EPARSE */
SL_PRINTF(3, 4)
int jsep_refuse(struct sl_sdp_error *e, unsigned line, const char *fmt, ...);
struct section *section_new(void);
void section_free(struct section *s);
int section_set_codecs(struct section *s, const struct jsep_codec *codecs, unsigned n);
/* Without before and prefs; NULL: no memory */
struct section *section_clone(const struct section *s);
/* s becomes what from is, but for what the caller has set; from is freed. */
void section_adopt(struct section *s, struct section *from);
/* Copies the caller's fields; prefs are lent. */
void section_inherit(struct section *s, const struct section *from);
/* Room for n pointers */
int jsep_reserve(struct jsep *j, unsigned n);
/* Whether the section is not the first of the BUNDLE group. That one stands for the transport: browsers
 * refuse an offer without a group, and others cannot follow when it moves. It is made inactive instead
 * of rejected. */
bool jsep_can_do_without(const struct jsep *j, const struct section *s);
/* Both sides have agreed: nothing to take back any more, and what was given up goes. */
void jsep_settle(struct jsep *j);
uint64_t section_hash(const struct section *s);

/* ---- jsep_codec.c */
bool codec_matches(const struct jsep_codec *own, const struct sl_sdp_format *f);
/* The same number may stand for both in one group. */
bool codec_is_same(const struct jsep_codec *a, const struct jsep_codec *b);
/* Copies parameters but those that hold for one direction only. */
void codec_set_params(struct jsep_codec *c, struct sl_str params);

/* ---- jsep_read.c */
struct seen_rid {
	struct sl_str id, rest; /* rest: restrictions */
	bool sends;
};
struct seen { /* a section of a description */
	const struct sl_sdp_media *view;
	enum sl_media_kind kind;
	bool usable; /* kind and protocol are ours */
	bool off;    /* port 0 */
	bool mux, rsize, xr, mixed, has_simulcast;
	enum sl_sdp_direction direction;
	struct sl_str mid, simulcast, stream, track;
	struct sl_sdp_format formats[SL_SDP_MAX_FORMATS];
	unsigned n_formats;
	uint8_t feedback[SL_SDP_MAX_FORMATS], feedback_all; /* by pt, enum jsep_feedback */
	uint8_t ext[SL_N_RTP_EXT], ext_direction[SL_N_RTP_EXT];
	uint8_t ext_by_id[UINT8_MAX + 1]; /* extension + 1, or JSEP_FOREIGN */
	struct seen_rid rids[JSEP_MAX_SEEN];
	unsigned n_rids;
	struct jsep_ssrc pairs[JSEP_MAX_SEEN]; /* FID */
	unsigned n_pairs;
	uint32_t sim[JSEP_MAX_RIDS], first_ssrc;
	unsigned n_sim;
	uint16_t sctp_port;
	size_t max_message;
	bool old_sctp;
};
void jsep_read_section(struct seen *ret_seen, const struct sl_sdp *sdp, unsigned i);

/* ---- jsep_agree.c */
/* Codecs (none: nothing in common), extensions and streams of an offered section. ids: extension +
 * 1 by id, of all sections of the description. -SL_ENOMEM */
int jsep_agree(struct jsep *j, struct section *s, const struct seen *seen,
	       uint8_t ids[UINT8_MAX + 1]);
/* s: as we offered it */
int jsep_agree_answer(struct section *s, const struct seen *seen);

/* ---- jsep_transport.c */
/* Of section i; -SL_EPARSE */
int jsep_read_transport(struct jsep_transport *ret_t, const struct sl_sdp *sdp, unsigned i,
			struct sl_sdp_error *e);
bool jsep_has_ufrag(const struct sl_sdp *sdp, unsigned i);
void jsep_write_transport(struct sl_buf *b, const struct jsep_transport *t, const char *setup);
void jsep_write_candidates(struct sl_buf *b, const struct jsep_transport *t);

/* ---- jsep_write.c */
struct writing {
	const struct jsep *j;
	const struct jsep_transport *local;
	const char *setup;
	struct sl_buf *b;
};
/* The newest description: every section that has a place */
int jsep_write(const struct writing *w);

#endif
