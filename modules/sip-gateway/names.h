/*
 * sip-gateway/names.h: the Domain Name System, asked for servers by c-ares, on the loop of a
 * process.
 */
#ifndef SIP_NAMES_H
#define SIP_NAMES_H

#include <sluice/conf.h>
#include <sluice/loop.h>
#include "locate.h"

struct names;
struct names_opts {
	struct sl_loop *loop;
	const struct sl_list *servers;	  /* struct sl_addr, instead of the system's; port 0: 53 */
	void (*about_to_tell)(void *arg); /* before each answer: what time it is may be old */
	void *arg;
};
SL_MUST_CHECK int names_new(const struct names_opts *o, struct names **ret_names);
/* What is under way is not answered any more. Accepts NULL */
void names_free(struct names *n);
/* fn is called once, perhaps within. -SL_ENOMEM */
SL_MUST_CHECK int names_find(struct names *n, const struct locate_want *want, locate_fn *fn,
			     void *arg);

#endif
