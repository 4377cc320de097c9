/*
 * sip-gateway/watch_pass.c: subscriptions that outlive this process: handed on like registrations
 * when another follows, and kept by a worker in case this one is killed.
 */
#include "event.h"

#include <stdlib.h>

static void put(const struct watch *w, struct sl_buf *b)
{
	uint64_t now = stack_now(w->stack);

	sl_buf_lstr(b, w->of->conf->name);
	sl_buf_u8(b, (uint8_t)w->package);
	sl_buf_lstr(b, sl_str_c(w->id));
	sl_buf_lstr(b, w->by ? w->by->conf->name : SL_STR_NULL);
	sl_buf_u64(b, w->peer);
	sl_buf_u64(b, w->expires_ms > now ? w->expires_ms - now : 0);
	sl_buf_u32(b, w->version);
	event_path_put(&w->path, b);
}

void watch_keep(struct watch *w)
{
	struct stack *s = w->stack;

	if (w->peer || w->reason)
		return; /* clients register anew, and say so again */
	stack_keep_begin(s, &w->kept, w->path.flow.worker, KEPT_WATCH);
	put(w, &s->out);
	stack_keep_end(s, &w->kept);
}

static struct watch *read_watch(struct stack *s, struct sl_reader *r, uint64_t *ret_life,
				struct user **ret_by)
{
	struct user *of = stack_user(s, sl_read_lstr(r));
	unsigned package = sl_read_u8(r);
	struct watch *w = package < EVENT_N ? watch_new(s, of, (enum event_package)package) : NULL;
	int rc;

	if (!w)
		return NULL;
	(void)sl_str_copy(w->id, sizeof w->id, sl_read_lstr(r));
	*ret_by = stack_user(s, sl_read_lstr(r));
	w->peer = sl_read_u64(r);
	*ret_life = sl_read_u64(r);
	w->version = sl_read_u32(r);
	rc = event_path_get(&w->path, r);
	if (!w->peer ? rc == 0 : w->path.tag[0] && !r->failed)
		return w;
	event_path_free(&w->path);
	free(w);
	return NULL;
}

/* Of a user that is not there any more: its watcher hears that nothing will come. */
static void say_no_resource(struct watch *w)
{
	struct stack *s = w->stack;

	if (w->peer ||
	    sl_htab_insert(&s->watches, &w->node, sl_hash(w->path.tag, strlen(w->path.tag))) < 0) {
		event_path_free(&w->path);
		free(w);
		return;
	}
	s->n_watches++;
	sl_gauge_add(&s->m[M_WATCHES], 1);
	watch_end(w, "noresource");
}

void watch_take(struct stack *s, struct sl_reader *r, uint64_t ago_ms)
{
	struct user *by = NULL;
	uint64_t life = 0;
	struct watch *w = read_watch(s, r, &life, &by);

	if (!w)
		return;
	if (!w->of) {
		say_no_resource(w);
		return;
	}
	if (watch_by_tag(s, sl_str_c(w->path.tag)) || (!w->peer && life <= ago_ms)) {
		event_path_free(&w->path);
		free(w);
		return;
	}
	if (watch_enter(w, by) < 0)
		return;
	if (!w->peer && watch_set_expiry(w, life - ago_ms) < 0)
		watch_end(w, "timeout");
	else
		watch_tell(w);
}

/* From now on they are the other's. */
void watches_export(struct stack *s, uint32_t to)
{
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(&s->watches); n; n = next) {
		struct watch *w = SL_CONTAINER(n, struct watch, node);

		next = sl_htab_next(&s->watches, n);
		if (w->reason)
			continue;
		sl_buf_reset(&s->out);
		put(w, &s->out);
		if (sl_buf_ok(&s->out) == 0)
			(void)s->io->tell(s->io->arg, to, WIRE_WATCH,
					  &s->out); /* lost: its next refresh is 481 */
		watch_free(w);
	}
}
