/*
 * proto/jsep.c: transceivers and the states of negotiation (RFC 8829 section 3.2).
 *
 * sections[] holds the m-lines in order and behind them what was added and not offered yet. A
 * description in negotiation changes sections at once and leaves in section.before what a rollback
 * needs; jsep_settle drops that. What the caller has set is never taken back.
 */
#include "proto/jsep_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int jsep_refuse(struct sl_sdp_error *e, unsigned line, const char *fmt, ...)
{
	va_list args;

	e->line = line;
	va_start(args, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, args);
	va_end(args);
	return -SL_EPARSE;
}

struct section *section_new(void)
{
	return calloc(1, sizeof(struct section));
}

void section_free(struct section *s)
{
	if (!s)
		return;
	section_free(s->before); /* one level: nothing is kept of what was before that */
	free(s->codecs);
	free(s->prefs);
	free(s);
}

static int copy_codecs(struct jsep_codec **ret_copy, const struct jsep_codec *codecs, unsigned n)
{
	struct jsep_codec *copy = n > 0 ? malloc(n * sizeof *copy) : NULL;

	if (n > 0 && !copy)
		return -SL_ENOMEM;
	if (n > 0)
		memcpy(copy, codecs, n * sizeof *copy);
	*ret_copy = copy;
	return 0;
}

int section_set_codecs(struct section *s, const struct jsep_codec *codecs, unsigned n)
{
	struct jsep_codec *copy;
	int err = copy_codecs(&copy, codecs, n);

	if (err < 0)
		return err;
	free(s->codecs);
	s->m.codecs = s->codecs = copy;
	s->m.n_codecs = n;
	return 0;
}

void section_inherit(struct section *s, const struct section *from)
{
	s->m.user = from->m.user;
	s->m.wanted = from->m.wanted;
	s->m.ours = from->m.ours;
	s->m.limit_bps = from->m.limit_bps;
	memcpy(s->m.stream, from->m.stream, sizeof s->m.stream);
	memcpy(s->m.track, from->m.track, sizeof s->m.track);
	memcpy(s->m.cname, from->m.cname, sizeof s->m.cname);
	s->stopped = from->stopped;
	s->prefs = from->prefs;
	s->n_prefs = from->n_prefs;
	s->prefs_new = from->prefs_new;
}

struct section *section_clone(const struct section *s)
{
	struct section *copy = section_new();

	if (!copy)
		return NULL;
	*copy = *s;
	copy->before = NULL;
	copy->prefs = NULL;
	copy->n_prefs = 0;
	copy->codecs = NULL;
	if (section_set_codecs(copy, s->codecs, s->m.n_codecs) == 0)
		return copy;
	section_free(copy);
	return NULL;
}

void section_adopt(struct section *s, struct section *from)
{
	struct section old = *s;

	*s = *from;
	section_inherit(s, &old);
	s->before = old.before;
	free(old.codecs);
	free(from); /* its codecs are s's now, and its prefs were lent */
}

/* What a peer knows of what we send there: when it changes, an offer is due. */
uint64_t section_hash(const struct section *s)
{
	struct {
		struct jsep_ssrc ours;
		char stream[65], track[65], cname[33];
	} said = {.ours = s->m.ours};

	if (!(s->m.wanted & JSEP_SEND))
		return 0;
	sl_str_copy(said.stream, sizeof said.stream, sl_str_c(s->m.stream));
	sl_str_copy(said.track, sizeof said.track, sl_str_c(s->m.track));
	sl_str_copy(said.cname, sizeof said.cname, sl_str_c(s->m.cname));
	return sl_hash(&said, sizeof said);
}

int jsep_reserve(struct jsep *j, unsigned n)
{
	struct section **sections;

	if (n <= j->cap)
		return 0;
	sections = realloc(j->sections, n * sizeof *sections);
	if (!sections)
		return -SL_ENOMEM;
	j->sections = sections;
	j->cap = n;
	return 0;
}

int jsep_new(struct jsep **ret_j, const struct jsep_caps *caps)
{
	struct jsep *j = calloc(1, sizeof *j);

	if (!j)
		return -SL_ENOMEM;
	j->caps = caps;
	*ret_j = j;
	return 0;
}

void jsep_free(struct jsep *j)
{
	if (!j)
		return;
	for (unsigned i = 0; i < j->n; i++)
		section_free(j->sections[i]);
	free(j->sections);
	sl_pool_destroy(j->offer_pool);
	free(j);
}

enum jsep_state jsep_get_state(const struct jsep *j)
{
	return j->state;
}

unsigned jsep_count(const struct jsep *j)
{
	return j->n;
}

struct jsep_media *jsep_at(struct jsep *j, unsigned index)
{
	return index < j->n ? &j->sections[index]->m : NULL;
}

/* Was in an offer of ours that was taken back, and is not wanted any more. */
static bool is_dead(const struct section *s)
{
	return s->stopped && !s->placed;
}

static bool has_data(const struct jsep *j)
{
	for (unsigned i = 0; i < j->n; i++) {
		const struct section *s = j->sections[i];

		if (s->m.kind == SL_MEDIA_DATA && !s->m.rejected && !is_dead(s))
			return true;
	}
	return false;
}

static const char *const types[] = {"audio", "video", "application"};

static struct section *section_of_ours(enum sl_media_kind kind, enum jsep_direction wanted)
{
	struct section *s = section_new();

	if (!s)
		return NULL;
	s->m.kind = kind;
	s->m.wanted = wanted;
	sl_str_copy(s->type, sizeof s->type, sl_str_c(types[kind]));
	sl_str_copy(s->proto, sizeof s->proto,
		    kind == SL_MEDIA_DATA ? SL_STR("UDP/DTLS/SCTP") : SL_STR("UDP/TLS/RTP/SAVPF"));
	return s;
}

int jsep_add(struct jsep *j, enum sl_media_kind kind, enum jsep_direction wanted,
	     struct jsep_media **ret_media)
{
	struct section *s;

	if (kind == SL_MEDIA_DATA && !j->caps->data)
		return -SL_EUNSUPP;
	if (kind == SL_MEDIA_DATA && has_data(j))
		return -SL_EEXIST;
	if (j->n >= SL_SDP_MAX_MEDIA)
		return -SL_ELIMIT;
	/* A rollback may put one more behind for each place that was used anew. */
	if (jsep_reserve(j, j->n + j->n_placed + 1) < 0)
		return -SL_ENOMEM;
	s = section_of_ours(kind, kind == SL_MEDIA_DATA ? JSEP_SENDRECV : wanted);
	if (!s)
		return -SL_ENOMEM;
	j->sections[j->n++] = s;
	*ret_media = &s->m;
	return 0;
}

static unsigned index_of(const struct jsep *j, const struct section *s)
{
	unsigned i = 0;

	while (i < j->n && j->sections[i] != s)
		i++;
	return i;
}

static void take_out(struct jsep *j, unsigned i)
{
	j->n--;
	memmove(j->sections + i, j->sections + i + 1, (j->n - i) * sizeof *j->sections);
}

void jsep_stop(struct jsep *j, struct jsep_media *m)
{
	struct section *s = section_of(m);

	m->wanted = JSEP_INACTIVE;
	s->stopped = true;
	if (s->placed)
		return;
	take_out(j, index_of(j, s));
	section_free(s);
}

void jsep_limit_sound(struct jsep *j, uint32_t hz)
{
	j->sound_hz = hz;
}

int jsep_prefer(struct jsep *j, struct jsep_media *m, const struct jsep_codec *codecs, unsigned n)
{
	struct section *s = section_of(m);
	struct jsep_codec *prefs;
	int err;

	(void)j; /* prefs are the section's alone */
	if (n == 0 || n > JSEP_MAX_CODECS)
		return -SL_EINVAL;
	err = copy_codecs(&prefs, codecs, n);
	if (err < 0)
		return err;
	free(s->prefs);
	s->prefs = prefs;
	s->n_prefs = n;
	s->prefs_new = true;
	return 0;
}

bool jsep_can_do_without(const struct jsep *j, const struct section *s)
{
	unsigned i = 0;

	while (j->sections[i] != s && (!j->sections[i]->placed || j->sections[i]->m.rejected))
		i++;
	return j->sections[i] != s;
}

/* RFC 8829 section 4.1.2's "negotiation needed", for one section */
static bool has_news(const struct jsep *j, const struct section *s)
{
	if (!s->placed)
		return !s->stopped;
	if (s->m.rejected)
		return false;
	if (s->stopped)
		return s->said != JSEP_INACTIVE || jsep_can_do_without(j, s);
	if (s->m.kind == SL_MEDIA_DATA)
		return false;
	if (s->prefs_new || s->told != section_hash(s))
		return true;
	/* Who offered is content when the answer has narrowed it to just what is wanted. */
	return s->said != (s->m.wanted & s->may) && s->m.direction != s->m.wanted;
}

bool jsep_needs_offer(const struct jsep *j)
{
	for (unsigned i = 0; i < j->n; i++)
		if (has_news(j, j->sections[i]))
			return true;
	return false;
}

static void end_negotiation(struct jsep *j)
{
	for (unsigned i = 0; i < j->n_placed; i++) {
		struct section *s = j->sections[i];

		section_free(s->before);
		s->before = NULL;
		s->fresh = false;
	}
	sl_pool_destroy(j->offer_pool);
	j->offer_pool = NULL;
	j->state = JSEP_STABLE;
}

void jsep_settle(struct jsep *j)
{
	end_negotiation(j);
	for (unsigned i = j->n; i-- > j->n_placed;) {
		struct section *s = j->sections[i];

		if (!is_dead(s))
			continue;
		take_out(j, i);
		section_free(s);
	}
}

/* It waits again, and will be offered under other numbers. When it was stopped meanwhile, it stays
 * for the caller's pointer until the next description is agreed upon. */
static void unplace(struct section *s)
{
	s->placed = s->fresh = s->m.rejected = false;
	s->m.mid[0] = '\0';
	free(s->codecs);
	s->m.codecs = s->codecs = NULL;
	s->m.n_codecs = 0;
	s->prefs_new = false;
}

/* Ours that stood behind all others is in its place as a waiting one already; ours that had a
 * rejected one's place goes to the end, where there was room for it before. */
static void take_back_fresh(struct jsep *j, unsigned i, bool ours)
{
	struct section *s = j->sections[i], *before = s->before;

	s->before = NULL;
	if (before)
		j->sections[i] = before;
	else if (!ours)
		take_out(j, i);
	if (!ours) {
		section_free(s);
		return;
	}
	unplace(s);
	if (before)
		j->sections[j->n++] = s;
}

static void take_back(struct jsep *j, unsigned i, bool ours)
{
	struct section *s = j->sections[i], *before = s->before;

	if (s->fresh) {
		take_back_fresh(j, i, ours);
		return;
	}
	s->before = NULL;
	if (!before)
		return;
	s->prefs_new = before->prefs_new;
	section_adopt(s, before);
}

void jsep_rollback(struct jsep *j)
{
	bool ours = j->state == JSEP_HAVE_LOCAL_OFFER;

	if (j->state == JSEP_STABLE)
		return;
	/* From behind, since places may go. */
	for (unsigned i = j->n_placed; i-- > 0;)
		take_back(j, i, ours);
	j->n_placed = j->n_placed_before;
	end_negotiation(j);
}
