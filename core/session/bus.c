/*
 * session/bus.c: events of this process and the named interfaces.
 *
 * Events are synchronous calls of the EVENT hooks, in order; a handler that publishes again is
 * called depth-first. Interfaces are a short list: they are looked up at start only.
 */
#include <sluice/bus.h>

#include "session/registry.h"

void sl_bus_publish(struct sl_worker *w, const struct sl_bus_event *ev)
{
	const struct hook_chain *chain = &w->registry->events;

	for (unsigned i = 0; i < chain->n; i++)
		if (chain->calls[i].fn.event(chain->calls[i].ctx, ev) == SL_DONE)
			return;
}

bool sl_bus_is_heard(const struct sl_worker *w)
{
	return w->registry->events.n > 0;
}

static struct iface *find(const struct registry *r, const char *name, unsigned version)
{
	for (struct iface *i = r->ifaces; i; i = i->next)
		if (i->version == version && strcmp(i->name, name) == 0)
			return i;
	return NULL;
}

int sl_iface_provide(struct sl_worker *w, const char *name, unsigned version, const void *table,
		     void *self)
{
	struct registry *r = w->registry;
	struct iface *i;

	if (find(r, name, version))
		return -SL_EEXIST;
	i = sl_pool_alloc(r->pool, sizeof *i);
	if (!i)
		return -SL_ENOMEM;
	*i = (struct iface){
		.next = r->ifaces, .name = name, .version = version, .table = table, .self = self};
	r->ifaces = i;
	return 0;
}

const void *sl_iface_get(const struct sl_worker *w, const char *name, unsigned version,
			 void **ret_self)
{
	const struct iface *i = find(w->registry, name, version);

	if (!i)
		return NULL;
	if (ret_self)
		*ret_self = i->self;
	return i->table;
}

const struct sl_meter *sl_worker_meters(const struct sl_worker *w, const char *module)
{
	const struct module *m = registry_find(w->registry, module);

	return m ? m->meters : NULL;
}

const void *sl_listener_conf(const struct sl_worker *w, const struct sl_listener *l,
			     const char *module)
{
	int i = registry_index(w->registry, module);

	return i < 0 ? NULL : l->confs[i];
}
