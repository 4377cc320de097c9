/*
 * signaling-ws/source.c: numbers of one sender, as they arrive.
 *
 * The list of late ones is nearly always empty, and short otherwise: a gap closes within a round
 * trip between workers, or it is given up after SOURCE_PATIENCE_MS or when too many wait.
 */
#include "source.h"

#include <stdlib.h>

#define LATE_MAX 256

struct source *source_get(struct source **list, uint64_t from)
{
	struct source *s = *list;

	while (s && s->from != from)
		s = s->next;
	if (s)
		return s;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->from = from;
	s->next_number = 1;
	s->next = *list;
	*list = s;
	return s;
}

static void source_free(struct source *s)
{
	for (struct late *l = s->first, *next; l; l = next) {
		next = l->next;
		free(l);
	}
	free(s);
}

void source_drop(struct source **list, uint64_t from)
{
	while (*list && (*list)->from != from)
		list = &(*list)->next;
	if (*list) {
		struct source *s = *list;

		*list = s->next;
		source_free(s);
	}
}

void sources_free(struct source **list)
{
	while (*list) {
		struct source *s = *list;

		*list = s->next;
		source_free(s);
	}
}

/* Its place in the list; *ret_place is the slot that will point at it. */
static bool is_there(struct source *s, uint32_t number, struct late ***ret_place)
{
	struct late **at = &s->first;

	while (*at && (*at)->number < number)
		at = &(*at)->next;
	*ret_place = at;
	return *at && (*at)->number == number;
}

int source_accept(struct source *s, uint32_t number, struct sl_str body, uint64_t now_ms)
{
	struct late **place, *l;

	if (number < s->next_number || is_there(s, number, &place))
		return -SL_EEXIST;
	if (number == s->next_number) {
		s->next_number++;
		return 0;
	}
	l = malloc(sizeof *l + body.len);
	if (!l)
		return -SL_ENOMEM;
	*l = (struct late){.next = *place, .number = number, .len = body.len};
	memcpy(l->body, body.p, body.len);
	if (!s->first)
		s->since_ms = now_ms;
	*place = l;
	s->n_late++;
	return -SL_EAGAIN;
}

/* Giving up a gap moves the number on: what was missing is a double if it comes after all. */
struct late *source_take(struct source *s, uint64_t now_ms)
{
	struct late *l = s->first;

	if (!l)
		return NULL;
	if (l->number != s->next_number && s->n_late <= LATE_MAX &&
	    now_ms < s->since_ms + SOURCE_PATIENCE_MS)
		return NULL;
	s->next_number = l->number + 1;
	s->first = l->next;
	s->n_late--;
	return l;
}
