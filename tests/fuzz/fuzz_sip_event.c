/*
 * Fuzz target: bodies of SIP events: what is read is within its bounds, and what is written of it
 * is read again as the same. The first byte chooses the kind.
 */
#include <sluice/err.h>
#include "modules/sip-gateway/event_body.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MANY = 64 * 1024 };

static void must(bool good)
{
	if (!good)
		abort();
}

static void try_summary(struct sl_str body)
{
	struct event_summary a, b;
	struct sl_buf text;

	if (event_summary_parse(body, &a) < 0)
		return;
	sl_buf_init(&text, MANY);
	event_summary_put(&text, &a);
	must(event_summary_parse(sl_buf_view(&text), &b) == 0);
	must(a.waiting == b.waiting && a.fresh == b.fresh && a.old == b.old);
	sl_buf_free(&text);
}

static void try_presence(struct sl_str body)
{
	struct event_presence a, b;
	struct sl_buf text;

	if (event_presence_parse(body, &a) < 0)
		return;
	sl_buf_init(&text, MANY);
	event_presence_put(&text, SL_STR("sip:a@b"), &a);
	must(event_presence_parse(sl_buf_view(&text), &b) == 0);
	must(a.open == b.open && strcmp(a.activity, b.activity) == 0);
	sl_buf_free(&text);
}

static void try_dialogs(struct sl_str body)
{
	static struct event_dialogs a, b;
	struct sl_buf text;

	if (event_dialogs_parse(body, &a) < 0)
		return;
	must(a.n <= EVENT_MAX_DIALOGS);
	sl_buf_init(&text, MANY);
	event_dialogs_put(&text, SL_STR("sip:a@b"), SL_STR("b"), &a);
	must(event_dialogs_parse(sl_buf_view(&text), &b) == 0 && a.n == b.n);
	for (unsigned i = 0; i < a.n; i++)
		must(a.all[i].state == b.all[i].state && a.all[i].initiator == b.all[i].initiator);
	sl_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_str body = {(const char *)data + 1, size - 1};

	if (size == 0)
		return 0;
	if (data[0] % EVENT_N == EVENT_PRESENCE)
		try_presence(body);
	else if (data[0] % EVENT_N == EVENT_DIALOG)
		try_dialogs(body);
	else
		try_summary(body);
	return 0;
}
