/*
 * recorder/notify.c: what becomes of recordings, told: to the bus of this process, to the module
 * webhooks, and to storage, and what storage says of it to the log.
 */
#include "writer.h"

#include <sluice/webhook.h>
#include <stdio.h>

int notify_open(struct writer *w)
{
	return sl_webhooks_open(w->w, &w->webhooks);
}

void notify_free(struct writer *w)
{
	sl_webhooks_close(w->webhooks);
}

/* ---- events */

void notify(struct writer *w, const struct notice *n)
{
	char name[32];
	struct sl_buf b;
	struct sl_bus_event ev = {.kind = SL_EV_USER, .name = name};

	(void)snprintf(name, sizeof name, "recorder.%s", n->what);
	sl_buf_init(&b, 0);
	sl_buf_printf(&b, "{\"event\":\"%s\",\"recording\":", n->what);
	sl_buf_json(&b, n->id);
	sl_buf_str(&b, SL_STR(",\"room\":"));
	sl_buf_json(&b, n->room);
	sl_buf_str(&b, SL_STR(",\"dir\":"));
	sl_buf_json(&b, n->dir);
	sl_buf_str(&b, n->members.len > 0 ? SL_STR(",") : SL_STR(""));
	sl_buf_str(&b, n->members);
	sl_buf_str(&b, SL_STR("}"));
	ev.text = sl_buf_view(&b);
	if (sl_buf_ok(&b) == 0) {
		sl_bus_publish(w->w, &ev);
		(void)sl_webhooks_send(
			w->webhooks, &(struct sl_webhook_event){.name = sl_str_c(name),
								.key = n->id,
								.json = ev.text}); /* said there */
	}
	sl_buf_free(&b);
}

/* ---- uploads */

static void touch(void *arg, const char *dir)
{
	upload_touch(arg, dir);
}

void notify_upload(struct writer *w, const char *dir)
{
	if (w->upload)
		disk_then(w->disk, touch, w->upload, dir);
}

static void tell(struct writer *w, const struct upload_told *t)
{
	const char *slash = strrchr(t->dir, '/');
	const struct notice n = {.what = "uploaded",
				 .id = sl_str_c(slash ? slash + 1 : t->dir),
				 .room = sl_str_c(t->room),
				 .dir = sl_str_c(t->dir)};

	if (t->news == UPLOAD_FAILED) {
		sl_log(SL_LOG_WARN, "recorder", "upload: %s; it is tried again", t->why);
		return;
	}
	sl_log(SL_LOG_INFO, "recorder", "all of %s is uploaded", t->dir);
	notify(w, &n);
}

void notify_tick(struct writer *w)
{
	struct upload_told told;

	if (!w->upload)
		return;
	upload_count(w->upload, w->m);
	while (upload_take(w->upload, &told))
		tell(w, &told);
}
