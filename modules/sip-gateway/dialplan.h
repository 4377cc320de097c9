/*
 * sip-gateway/dialplan.h: where a call goes: routes of the configuration, read from above; pure.
 */
#ifndef SIP_DIALPLAN_H
#define SIP_DIALPLAN_H

#include "conf.h"

enum dial_kind {
	DIAL_USER,
	DIAL_TRUNK,
	DIAL_ECHO,
	DIAL_MUSIC,
	DIAL_REJECT,
	DIAL_ROOM,
	DIAL_ANNOUNCEMENT, /* and then the next target */
	DIAL_CONTACT, /* never by a route: a client by its contact at a PBX */
};
const char *dial_kind_name(unsigned kind);

/* A browser is a stranger who has been let into a room: what is built in is there for it. */
enum dial_source { DIAL_FROM_STRANGER, DIAL_FROM_BROWSER, DIAL_FROM_USER, DIAL_FROM_TRUNK };

struct dial_call {
	struct sl_str called, caller; /* user parts */
	enum dial_source source;
	struct sl_str trunk; /* of DIAL_FROM_TRUNK */
	struct sl_str head;  /* of its INVITE; empty: it has none */
	uint64_t unix_s;     /* 0: now */
};

enum { DIAL_MAX_TARGETS = 8, DIAL_TEXT = 256, DIAL_DEVICE = 128 };

struct dial_target {
	enum dial_kind kind;
	unsigned status;	/* DIAL_REJECT */
	uint16_t weight;	/* among its neighbours that have one; 0: none */
	char name[DIAL_TEXT];	/* user, trunk, room or file */
	char number[DIAL_TEXT]; /* DIAL_TRUNK: the user part there */
	char device[DIAL_DEVICE]; /* DIAL_USER: the one of its devices that is meant; empty: all */
};

struct dial_result {
	const struct route_conf *route; /* NULL: none matched, and the built-in rules did */
	size_t index;			/* of route */
	struct dial_target targets[DIAL_MAX_TARGETS];
	unsigned n_targets;
};

/* -SL_ENOENT: nobody there; -SL_EDENIED: there is somebody, but not for this caller */
SL_MUST_CHECK int dialplan_route(const struct sip_conf *conf, const struct dial_call *call,
				 struct dial_result *ret_result);
/* Puts targets with weights into the order of this call. */
void dial_share(struct dial_result *r);
extern const char *const dial_day_names[]; /* from Monday */
/* "08:00-18:00", in minutes of the day */
SL_MUST_CHECK int dial_read_hours(struct sl_str text, unsigned *ret_from, unsigned *ret_to);
/* What the route wants beside numbers and sources, and does not have; NULL: nothing */
const char *dial_unfit(const struct route_conf *r, const struct dial_call *call);
/* May a header go from one side of a call to the other? Not those that make a message or a dialog
 */
bool dial_may_pass(struct sl_str header);
/* Is it for calls from there at all? */
bool dialplan_source_fits(const struct route_conf *r, const struct dial_call *call);
/* Why the route does not take the call; NULL: it does. */
const char *dialplan_why_not(const struct route_conf *r, const struct dial_call *call);
/* Each file that a route announces; name is borrowed from the configuration. */
void dialplan_each_sound(const struct sip_conf *conf, void (*fn)(void *arg, struct sl_str name),
			 void *arg);
/* Is `to` well-formed, and are its users and trunks there? err: a sentence */
SL_MUST_CHECK int dialplan_check(const struct sip_conf *conf, const struct route_conf *r, char *err,
				 size_t err_len);

#endif
