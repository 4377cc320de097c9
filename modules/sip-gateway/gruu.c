/*
 * sip-gateway/gruu.c: addresses of one device (RFC 5627): the user's own, with the instance that it
 * has registered. Public ones only: what they hide, the device has told itself.
 */
#include "dialplan.h"
#include "stack.h"

/* `"<urn:uuid:...>"`, as it was registered, without what is around it; empty: none that an address
 * could have */
static struct sl_str urn_of(struct sl_str instance)
{
	const char *end = instance.len ? memrchr(instance.p, '#', instance.len) : NULL;
	struct sl_str urn = {instance.p, end ? (size_t)(end - instance.p) : 0};

	while (urn.len > 0 && strchr("\"<", urn.p[0]))
		urn = (struct sl_str){urn.p + 1, urn.len - 1};
	while (urn.len > 0 && strchr("\">", urn.p[urn.len - 1]))
		urn.len--;
	for (size_t i = 0; i < urn.len; i++)
		if ((unsigned char)urn.p[i] <= ' ' || strchr("\"<>;,?@=&\\\x7f", urn.p[i]))
			return SL_STR_NULL;
	return sl_str_starts(urn, SL_STR("urn:")) ? urn : SL_STR_NULL;
}

void gruu_put(struct sl_buf *b, const struct binding *x)
{
	struct sl_str urn = urn_of(x->instance);

	if (urn.len == 0)
		return;
	sl_buf_printf(b, ";+sip.instance=\"<%.*s>\";pub-gruu=\"sip:%.*s@%.*s;gr=%.*s\"",
		      SL_FMT(urn), SL_FMT(x->user->conf->name), SL_FMT(x->stack->conf->realm),
		      SL_FMT(urn));
}

void gruu_aim(struct dial_result *r, struct sl_str uri)
{
	struct sl_str urn;

	if (!sip_param(uri, "gr", &urn) || urn.len == 0)
		return;
	for (unsigned i = 0; i < r->n_targets; i++)
		if (r->targets[i].kind == DIAL_USER &&
		    sl_str_eq(sl_str_c(r->targets[i].name), sip_user_of(uri)))
			(void)sl_str_copy(r->targets[i].device, DIAL_DEVICE, urn);
}

bool gruu_is(const struct binding *b, const char *device)
{
	return !device[0] || sl_str_eq_nocase(urn_of(b->instance), sl_str_c(device));
}
