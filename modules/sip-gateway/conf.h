/*
 * sip-gateway/conf.h: what the operator sets, as the directives fill it, and the module's counters.
 */
#ifndef SIP_CONF_H
#define SIP_CONF_H

#include <sluice/conf.h>
#include <sluice/metric.h>
#include <sluice/module.h>
#include <sluice/regex.h>
#include "leg.h"

/* In the order of `algorithm_names`. */
enum sip_algorithm { SIP_MD5, SIP_SHA256, SIP_SHA512_256, SIP_N_ALGORITHMS };
extern const char *const sip_algorithm_names[];

enum sip_profile { SIP_PROFILE_AUTO, SIP_PROFILE_RTP, SIP_PROFILE_SDES, SIP_PROFILE_WEBRTC };

enum { SIPREC_AUTO, SIPREC_ON, SIPREC_OFF }; /* of users, trunks, routes */
enum { SIPREC_ALWAYS, SIPREC_CHOSEN };

struct user_conf { /* users */
	struct sl_str name, password, display;
	int32_t profile; /* enum sip_profile */
	int32_t siprec;
	bool video;
	int64_t max_contacts, max_calls, max_cps;
};

enum trunk_transport { TRUNK_AUTO, TRUNK_UDP, TRUNK_TCP, TRUNK_TLS };
struct trunk_conf {			    /* trunks */
	struct sl_str name, server, domain; /* server: host or host:port */
	int32_t transport;		    /* enum trunk_transport */
	uint64_t failover;
	bool verify, redirects;
	struct sl_str user, auth_user, password;
	bool registers, accounts;
	uint64_t expires, options_interval;
	int32_t profile;
	bool video;
	struct sl_list codecs;	/* int32_t: index of codec_names */
	struct sl_list allow;	/* struct sl_cidr: where its calls come from */
	struct sl_addr address; /* of server, when it is a literal; by check */
	int64_t max_calls, max_cps;
	struct sl_list headers; /* struct sl_str: "Name: value" */
	int32_t siprec;
	struct sl_str cert, key; /* PEM: ours for it alone; empty: as `tls` says */
};
/* Its host alone, as a certificate has to name it */
struct sl_str trunk_conf_host(const struct trunk_conf *t);
enum { SIP_MAX_REDIRECTS = 10 }; /* that a call may follow */
/* May calls of this trunk come from there? */
bool trunk_conf_has(const struct trunk_conf *t, const struct sl_addr *remote);

struct route_conf { /* routes */
	struct sl_str name;
	struct sl_regex *match, *from;
	struct sl_str trunk; /* source: a trunk's name, "users", "anyone" or empty: any */
	struct sl_str to;    /* "user:$1", "trunk:pstn/+$1", "echo", "reject:603" ... */
	bool early_media;    /* announcements come before the answer */
	int32_t siprec;
	struct sl_list headers; /* struct sl_str */
	struct sl_list pass;	/* struct sl_str: names */
	struct sl_str header;
	struct sl_regex *value;
	struct sl_list days;  /* int32_t: from Monday */
	struct sl_list hours; /* struct sl_str */
};

struct sip_conf {
	struct sl_str realm, websocket, user_agent, records, sounds, music;
	struct sl_list users, trunks, routes;
	struct sl_list algorithms; /* int32_t: enum sip_algorithm */
	struct sl_addr advertise;
	uint64_t min_expires, max_expires, nonce_lifetime;
	int64_t max_bindings, max_calls, max_cps, max_redirects;
	uint64_t max_delay, ring_timeout, session_expires, idle_timeout, block_time, max_duration;
	struct sl_regex *scanners;
	int64_t rate, burst, auth_failures, max_texts, max_watches, max_watches_user;
	uint64_t max_text;
	bool browsers;
	struct sl_list codecs;
	struct sl_list nameservers; /* struct sl_addr */
	struct tls_conf {	    /* tls: of connections that we make */
		struct sl_str authorities, cert, key;
	} tls;
	struct hep_conf { /* hep */
		struct sl_addr server;
		int64_t id;
		struct sl_str password;
		bool rtcp;
	} hep;
	struct siprec_conf {	       /* siprec */
		struct sl_list trunks; /* struct sl_str */
		struct sl_str to;
		int32_t when;
		bool required;
	} siprec;
	struct legs_conf media;
};
extern const struct sl_directive sip_directives[];
int sip_conf_check(struct sl_conf *c, void *conf);
const struct user_conf *sip_conf_user(const struct sip_conf *c, struct sl_str name);
const struct trunk_conf *sip_conf_trunk(const struct sip_conf *c, struct sl_str name);

#define SIP_METERS(X)                                                                              \
	X(CONNECTIONS, connections, GAUGE, "Open streams and WebSockets that carry SIP.")          \
	X(MESSAGES_IN, messages_in, COUNTER, "SIP messages received.")                             \
	X(MESSAGES_OUT, messages_out, COUNTER, "SIP messages sent.")                               \
	X(MALFORMED, malformed, COUNTER, "What claimed to be SIP and was not; dropped.")           \
	X(UNSENT, unsent, COUNTER, "SIP messages that could not be sent.")                         \
	X(UNDELIVERED, undelivered, COUNTER, "SIP messages while no process of the stack ran.")    \
	X(SCANNERS, scanners, COUNTER, "Messages of scanners and of blocked sources; no answer.")  \
	X(RATE_LIMITED, rate_limited, COUNTER, "Requests over the rate of their source; dropped.") \
	X(AUTH_FAILURES, auth_failures, COUNTER, "Wrong passwords and unknown users.")             \
	X(REPLAYS, replays, COUNTER, "Credentials that had been used before; asked for again.")     \
	X(BLOCKED, blocked, COUNTER, "Sources that were blocked for guessing.")                    \
	X(LEGS, legs, GAUGE, "Media legs.")                                                        \
	X(MEDIA_LEFT_OUT, media_left_out_ms, COUNTER,                                              \
	  "Time for which no sound was made, in ms: the worker had stood still for longer than "   \
	  "500 ms.")                                                                               \
	X(DIGITS_DROPPED, digits_dropped, COUNTER,                                                  \
	  "Digits of a party that said more than 30 in a second.")                                 \
	X(BINDINGS, bindings, GAUGE, "Contacts that are registered.")                              \
	X(REGISTRATIONS, registrations, COUNTER, "REGISTER requests that were granted.")           \
	X(CHALLENGES, challenges, COUNTER, "Requests that were asked for credentials.")            \
	X(CALLS, calls, GAUGE, "Calls that are up or being set up.")                               \
	X(CALLS_TOTAL, calls_begun, COUNTER, "Calls that have begun.")                             \
	X(CALLS_ANSWERED, calls_answered, COUNTER, "Calls that were answered.")                    \
	X(MEDIA_RESTARTS, media_restarts, COUNTER,                                                  \
	  "Calls whose media was made anew because its worker had died.")                          \
	X(CALLS_REFUSED, calls_refused, COUNTER, "Calls refused for a limit.")                     \
	X(TEXTS, texts, COUNTER, "Texts (MESSAGE) that somebody has taken.")                       \
	X(TEXTS_REFUSED, texts_refused, COUNTER, "Texts that nobody took, or that were refused.")  \
	X(WATCHES, watches, GAUGE, "Subscriptions to presence, calls and mailboxes of users.")     \
	X(RETRANSMISSIONS, retransmissions, COUNTER, "Messages sent again over UDP.")              \
	X(FORGOTTEN, forgotten, COUNTER, "Answered requests forgotten early, for too many.")        \
	X(TIMEOUTS, timeouts, COUNTER, "Requests that nobody answered.")                           \
	X(TRUNKS_UP, trunks_up, GAUGE, "Trunks that answer, or are registered where they should.") \
	X(RECORDERS, recorders, GAUGE, "Calls that a recorder listens to (SIPREC).")               \
	X(RECORDED, recorded, COUNTER, "Recording sessions that have begun (SIPREC).")             \
	X(UNRECORDED, unrecorded, COUNTER, "Times that no recorder took a call (SIPREC).")         \
	X(MIRRORED, mirrored, COUNTER, "Messages and records told to a collector (HEP).")          \
	X(MIRROR_LOST, mirror_lost, COUNTER, "Such that the kernel or their length kept back.")

enum sip_meter {
#define X(id, name, kind, help) M_##id,
	SIP_METERS(X)
#undef X
		N_METERS
};
extern const struct sl_metric sip_metrics[];

#endif
