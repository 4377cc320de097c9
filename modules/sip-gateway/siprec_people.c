/*
 * sip-gateway/siprec_people.c: whose speech is in which of a recorder's two streams, and who these
 * people are (RFC 7865).
 *
 * Between two parties each stream is what one of them says. With something of this node's, the
 * first is what the caller says and the second what the caller hears: of a room that is the mix of
 * everybody else, who are told as participants that send this stream, as they come and go; of an
 * echo, music or an announcement it is this node under the number that was called.
 */
#include "siprec_impl.h"

#include <sluice/crypto.h>

#include <stdio.h>

int siprec_draw_id(char dst[SIPREC_ID + 1])
{
	uint8_t random[16];
	int rc = sl_random(random, sizeof random);

	if (rc == 0)
		dst[sl_base64_encode(dst, random, sizeof random)] = '\0';
	return rc;
}

uint64_t siprec_unix_ms(const struct siprec *r)
{
	const struct stack_io *io = r->call->stack->io;

	return io->unix_ms(io->arg);
}

/* ---- who is told of */

/* Those who left first are told of no more when there are too many. NULL: all are there */
static struct siprec_person *new_place(struct siprec_view *v)
{
	unsigned at = 0;

	if (v->n_people < SIPREC_PEOPLE)
		return &v->people[v->n_people++];
	while (at < SIPREC_PEOPLE && v->people[at].to_ms == 0)
		at++;
	if (at == SIPREC_PEOPLE)
		return NULL;
	memmove(&v->people[at], &v->people[at + 1], (SIPREC_PEOPLE - 1 - at) * sizeof v->people[0]);
	return &v->people[SIPREC_PEOPLE - 1];
}

static struct siprec_person *new_person(struct siprec *r, unsigned stream)
{
	struct siprec_person *who = new_place(&r->view);

	if (!who)
		return NULL;
	*who = (struct siprec_person){.stream = stream, .from_ms = siprec_unix_ms(r)};
	if (siprec_draw_id(who->id) < 0)
		sl_log(SL_LOG_ERROR, "sip-gateway", "no random numbers");
	return who;
}

static void party_comes(struct siprec *r, unsigned stream, const struct party *p)
{
	struct siprec_person *who = new_person(r, stream);
	struct sl_str host = r->call->stack->conf->realm;

	if (!who)
		return;
	if (p->trunk)
		host = p->trunk->conf->domain.len ? p->trunk->conf->domain : p->trunk->conf->server;
	(void)snprintf(who->aor, sizeof who->aor, "sip:%s@%.*s", p->name, SL_FMT(host));
	(void)sl_str_copy(who->name, sizeof who->name, sl_str_c(p->display));
}

static void people_leave(struct siprec *r, unsigned stream)
{
	for (unsigned i = 0; i < r->view.n_people; i++) {
		struct siprec_person *who = &r->view.people[i];

		if (who->stream == stream && who->to_ms == 0)
			who->to_ms = siprec_unix_ms(r);
	}
}

/* ---- what the caller is with, when that is this node */

static const struct dial_target *builtin_of(const struct call *c)
{
	return c->builtin && c->next_target > 0 ? &c->plan.targets[c->next_target - 1] : NULL;
}

static bool is_in_room(const struct call *c)
{
	const struct dial_target *t = builtin_of(c);

	return t && t->kind == DIAL_ROOM;
}

/* An announcement may be followed by a room, whose people are others. */
uint64_t siprec_what_is_heard(const struct call *c)
{
	const struct dial_target *t = builtin_of(c);

	return t ? sl_hash(t->name, strlen(t->name)) ^ (unsigned)t->kind : 0;
}

void siprec_watch_room(struct siprec *r)
{
	if (is_in_room(r->call))
		party_leg_tell(r->call->a, WIRE_LEG_PEOPLE, 0,
			       sl_str_c(builtin_of(r->call)->name));
}

/* A name for people as the user part of an address (RFC 3261 section 25.1) */
static void name_as_user(char *dst, size_t size, struct sl_str name, struct sl_str host)
{
	size_t n = (size_t)snprintf(dst, size, "sip:");

	for (size_t i = 0; i < name.len && n + 4 + host.len + 2 < size; i++) {
		unsigned char c = (unsigned char)name.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			     (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';

		n += (size_t)snprintf(dst + n, size - n, plain ? "%c" : "%%%02X", c);
	}
	(void)snprintf(dst + n, size - n, "@%.*s", SL_FMT(host));
}

static void node_comes(struct siprec *r, unsigned stream)
{
	static const char *const names[] = {
		[DIAL_ECHO] = "echo", [DIAL_MUSIC] = "music", [DIAL_ANNOUNCEMENT] = "announcement"};
	const struct dial_target *t = builtin_of(r->call);
	const char *name = t && t->kind < SL_ARRAY_LEN(names) ? names[t->kind] : NULL;
	struct siprec_person *who = name ? new_person(r, stream) : NULL;

	if (who) {
		name_as_user(who->aor, sizeof who->aor, sl_str_c(r->call->called),
			     r->call->stack->conf->realm);
		(void)sl_str_copy(who->name, sizeof who->name, sl_str_c(name));
	}
	siprec_watch_room(r);
}

/* ---- people of a room */

static void member_comes(struct siprec *r, uint64_t member, struct sl_str name)
{
	struct siprec_person *who = new_person(r, 1);

	if (!who)
		return;
	who->member = member;
	name_as_user(who->aor, sizeof who->aor, name, r->call->stack->conf->realm);
	(void)sl_str_copy(who->name, sizeof who->name, name);
}

/* "id name", one a line: the next; false: that was the last */
static bool next_member(struct sl_str *list, uint64_t *ret_id, struct sl_str *ret_name)
{
	uint8_t id[8];
	size_t n;

	while (list->len > 0) {
		struct sl_str line = sl_str_split(list, '\n'), hex = sl_str_split(&line, ' ');

		if (sl_hex_decode(id, sizeof id, hex, &n) < 0 || n != sizeof id)
			continue;
		*ret_id = sl_get64(id);
		*ret_name = line;
		return true;
	}
	return false;
}

static bool lists(struct sl_str list, uint64_t member)
{
	struct sl_str name;
	uint64_t id;

	while (next_member(&list, &id, &name))
		if (id == member)
			return true;
	return false;
}

static bool is_known(const struct siprec_view *v, uint64_t member)
{
	for (unsigned i = 0; i < v->n_people; i++)
		if (v->people[i].member == member && v->people[i].to_ms == 0)
			return true;
	return false;
}

/* Who is not listed any more has left. */
static bool members_leave(struct siprec *r, struct sl_str list)
{
	bool changed = false;

	for (unsigned i = 0; i < r->view.n_people; i++) {
		struct siprec_person *who = &r->view.people[i];

		if (!who->member || who->to_ms || lists(list, who->member))
			continue;
		who->to_ms = siprec_unix_ms(r);
		changed = true;
	}
	return changed;
}

void siprec_people(struct call *c, struct sl_str list)
{
	struct siprec *r = c->siprec;
	struct sl_str rest = list, name;
	bool changed;
	uint64_t id;

	if (!r || c->over || !r->source[1].heard || !is_in_room(c))
		return;
	changed = members_leave(r, list);
	while (next_member(&rest, &id, &name)) {
		if (is_known(&r->view, id))
			continue;
		member_comes(r, id, name);
		changed = true;
	}
	if (changed && !r->unwritten)
		siprec_say(r);
}

/* ---- streams */

static bool is_same(const struct siprec_source *a, const struct siprec_source *b)
{
	return a->party == b->party && a->heard == b->heard && a->what == b->what;
}

/* What there is to be recorded of a call; returns how many. */
static unsigned sources_of(const struct call *c, struct siprec_source list[SIPREC_STREAMS])
{
	unsigned n = 0;

	if (c->a)
		list[n++] = (struct siprec_source){.party = c->a};
	if (c->a && c->builtin)
		list[n++] = (struct siprec_source){
			.party = c->a, .heard = true, .what = siprec_what_is_heard(c)};
	else if (c->b)
		list[n++] = (struct siprec_source){.party = c->b};
	return n;
}

static bool is_among(const struct siprec_source *s, const struct siprec_source *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (is_same(s, &list[i]))
			return true;
	return false;
}

/* What is heard is the second stream always, so that a room's people know theirs. */
static bool come(struct siprec *r, const struct siprec_source *s)
{
	unsigned i = s->heard || r->source[0].party ? 1 : 0;

	if (is_among(s, r->source, SIPREC_STREAMS) || r->source[i].party)
		return false;
	r->source[i] = *s;
	if (s->heard)
		node_comes(r, i);
	else
		party_comes(r, i, s->party);
	return true;
}

/* Who stays while the other leaves for something of this node's may have been the second. */
static void make_first(struct siprec *r)
{
	for (unsigned i = 0; i < r->view.n_people; i++)
		if (r->view.people[i].to_ms == 0)
			r->view.people[i].stream ^= 1;
	r->source[0] = r->source[1];
	r->source[1] = (struct siprec_source){0};
}

/* Streams keep their people; who is new takes the place of who has left. */
bool siprec_take_sources(struct siprec *r)
{
	const struct call *c = r->call;
	struct siprec_source list[SIPREC_STREAMS];
	unsigned n = sources_of(c, list);
	bool held = (c->a && c->a->held) || (c->b && c->b->held), changed = held != r->view.held;

	r->view.held = held;
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		if (!r->source[i].party || is_among(&r->source[i], list, n))
			continue;
		r->source[i] = (struct siprec_source){0};
		people_leave(r, i);
		changed = true;
	}
	if (c->builtin && !r->source[0].party && r->source[1].party)
		make_first(r);
	for (unsigned i = 0; i < n; i++)
		changed |= come(r, &list[i]);
	return changed;
}

static uint32_t leg_of(const struct siprec *r, unsigned stream)
{
	const struct siprec_source *s = &r->source[stream];

	return s->party ? span_leg(r->leg[stream], s->party) : 0;
}

/* What nobody hears is not recorded either. */
void siprec_command_legs(struct siprec *r)
{
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		uint32_t leg = leg_of(r, i);
		bool silent = leg == 0 || r->view.held;

		party_leg_tell(r->leg[i], WIRE_LEG_DIRECTION,
			       silent ? SL_SDP_INACTIVE : SL_SDP_SENDONLY, SL_STR_NULL);
		if (leg)
			party_leg_copy(r->leg[i], leg, r->source[i].heard);
	}
}
