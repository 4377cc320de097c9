/*
 * net/meters.c: the metric table of the net layer.
 *
 * The process layer gives it to the metrics segment as module "core" and hands the meters back in
 * struct net_conf.
 */
#include "net/meters.h"

#include "net/net.h"

const struct sl_metric net_metrics[] = {
#define X(kind_, name_, unit_, help_)                                                              \
	{.name = #name_, .unit = unit_, .help = help_, .kind = SL_M_##kind_},
	NET_METERS(X)
#undef X
		SL_METRICS_END,
};
