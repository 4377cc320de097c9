/*
 * sluice/webhook.h: events for the module webhooks, from processes where it does not run.
 *
 * In workers that module hears every event of the bus that has a name and a JSON object for its
 * text; nothing else is to be done. A module with a process of its own opens a sender:
 *
 *     sl_webhooks_open(w, &sender);
 *     sl_webhooks_send(sender, &(struct sl_webhook_event){.name = SL_STR("recorder.started"), ...});
 *
 * An event is kept until that module's process says that it has it, over its crashes and reloads;
 * where the module does not run at all, the latest few are kept in vain.
 */
#ifndef SLUICE_WEBHOOK_H
#define SLUICE_WEBHOOK_H

#include <sluice/buf.h>
#include <sluice/bus.h>

#define SL_WEBHOOK_MODULE "webhooks"
#define SL_WEBHOOK_CHANNEL "webhooks"

/* Messages of the channel: strings are lstr */
enum sl_webhook_message {
	SL_WEBHOOK_EVENT = 1, /* u64 number, name, key, u64 unix_ms, json: to the module's process */
	SL_WEBHOOK_TAKEN,     /* u64 number: from there */
};

struct sl_webhook_event {
	uint64_t number;    /* W: the sender; grows, and names the event wherever it is */
	uint64_t unix_ms;   /* W: the sender; when it was */
	struct sl_str name; /* "recorder.finished" */
	struct sl_str key;  /* events of one key reach a receiver in their order */
	struct sl_str json; /* an object */
};

struct sl_webhooks;
SL_API SL_MUST_CHECK int sl_webhooks_open(struct sl_worker *w, struct sl_webhooks **ret_sender);
/* Accepts NULL. What was not taken is sent once more, and forgotten. */
SL_API void sl_webhooks_close(struct sl_webhooks *s);
/* Copies. false: something was lost for it: too many wait, it is longer than 60 000 bytes, or memory
 * is out */
SL_API bool sl_webhooks_send(struct sl_webhooks *s, const struct sl_webhook_event *e);
/* EVENT without a module's process: reads the message; -SL_EPARSE */
SL_API SL_MUST_CHECK int sl_webhook_read(struct sl_str message, struct sl_webhook_event *ret_event);

#endif
