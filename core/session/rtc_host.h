/*
 * session/rtc_host.h: what the WebRTC connections of one worker have in common, as the process and
 * the packet path see it.
 */
#ifndef SESSION_RTC_HOST_H
#define SESSION_RTC_HOST_H

#include <sluice/bus.h>
#include <sluice/conf.h>
#include <sluice/conn.h>
#include <sluice/dtls.h>
#include <sluice/hash.h>
#include <sluice/loop.h>
#include <sluice/metric.h>
#include <sluice/packet.h>
#include <sluice/pool.h>
#include <sluice/rtc.h>
#include <sluice/worker.h>
#include "proto/ice.h"

enum { RTC_ICE_FULL, RTC_ICE_LITE };

struct webrtc_block { /* `webrtc` of the main scope */
	struct sl_list listeners, external; /* names; addresses */
	int32_t ice;
	int64_t max_bitrate, start_bitrate; /* kbit/s */
	int64_t max_connections;	    /* per worker; 0: no limit */
};
extern const struct sl_directive rtc_directives[];

/* X(name, kind, help) */
#define RTC_METERS(X)                                                                              \
	X(connections, GAUGE, "WebRTC connections open")                                           \
	X(opened, COUNTER, "WebRTC connections opened")                                            \
	X(refused, COUNTER, "WebRTC connections refused by max_connections or for want of memory") \
	X(connected, COUNTER, "WebRTC connections that came up")                                   \
	X(failed, COUNTER, "WebRTC connections that failed")                                       \
	X(bad_descriptions, COUNTER, "descriptions refused")                                       \
	X(bad_candidates, COUNTER, "candidates refused")                                           \
	X(checks_refused, COUNTER, "connectivity checks dropped: not authentic")                   \
	X(dtls_refused, COUNTER, "connections ended by DTLS: fingerprint, alert or silence")       \
	X(dtls_waited, COUNTER, "DTLS datagrams that waited for a later tick: many shake hands")   \
	X(dtls_dropped, COUNTER, "DTLS datagrams dropped because too many waited")                 \
	X(taken_over, COUNTER, "paths that became another connection's: a port given anew")        \
	X(followed, COUNTER, "peers whose media came from a new address, and were asked there")    \
	X(unvalidated, COUNTER, "datagrams dropped: no check had come along their way")            \
	X(rtp_in, COUNTER, "RTP packets received")                                                 \
	X(rtp_in_bytes, COUNTER, "bytes of RTP received")                                          \
	X(rtp_out, COUNTER, "RTP packets sent")                                                    \
	X(rtp_out_bytes, COUNTER, "bytes of RTP sent")                                             \
	X(rtp_unauthentic, COUNTER, "RTP and RTCP packets dropped: not authentic")                 \
	X(rtp_replayed, COUNTER, "RTP packets dropped: seen before")                               \
	X(rtp_malformed, COUNTER, "RTP and RTCP packets dropped: malformed")                       \
	X(rtp_unknown, COUNTER, "RTP packets dropped: of no section")                              \
	X(rtp_early, COUNTER, "RTP packets dropped: before there were keys")                       \
	X(nacks_in, COUNTER, "retransmissions asked of us")                                        \
	X(nacks_out, COUNTER, "retransmissions asked of peers")                                    \
	X(retransmitted, COUNTER, "packets sent again")                                            \
	X(recovered, COUNTER, "lost packets that came again")                                      \
	X(byes, COUNTER, "streams that peers have ended by BYE")                                   \
	X(rembs_out, COUNTER, "estimates told to peers that have no transport-wide feedback")       \
	X(key_frames_asked, COUNTER, "key frames asked of peers")                                  \
	X(key_frame_requests, COUNTER, "key frames asked of us")                                   \
	X(pacer_dropped, COUNTER, "packets dropped because the pacer's queue was too long")        \
	X(repeats_held, COUNTER, "retransmissions not made because the path was full")             \
	X(numbers_reused, COUNTER, "packets not sent: their sequence number was used before")      \
	X(no_packet, COUNTER, "packets not sent: the worker's packets are all in use")             \
	X(tcp_taken, COUNTER, "TCP connections bound to a WebRTC connection by their first check")    \
	X(tcp_passed, COUNTER, "TCP connections handed to the worker that their first check names")   \
	X(tcp_refused, COUNTER, "TCP connections closed: their first check names or proves nobody")   \
	X(tcp_dropped, COUNTER, "messages dropped because a client over TCP does not read")           \
	X(data_in, COUNTER, "data channel messages received")                                      \
	X(data_out, COUNTER, "data channel messages sent")

enum rtc_meter {
#define X(name, kind, help) RTC_##name,
	RTC_METERS(X)
#undef X
		RTC_N_METERS
};
extern const struct sl_metric rtc_metrics[];

struct rtc_base { /* a place to be reached at */
	struct sl_addr addr, told;
	uint32_t via; /* position among the worker's listeners */
	bool tcp;
};

struct rtc_place { /* where a worker can be handed a connection */
	uint32_t owner; /* 0: not known */
	struct sl_pass_place place;
};

struct turn;
struct rtc_turn_list {
	struct turn *first, *last;
};
struct rtc_turns { /* of handshakes; W: rtc_turns.c */
	struct rtc_turn_list begun, fresh;
	unsigned n;
	uint64_t used_us; /* in this tick */
	unsigned n_over;  /* since memory was given back */
	struct sl_slab *slab;
	struct sl_post end; /* of the tick */
	struct sl_timer quiet;
};

enum { RTC_N_STRANGERS = 128 };
struct rtc_stranger {
	uint64_t hash, until_ms;
};
struct rtc_roam { /* peers at new addresses; W: rtc_roam.c */
	uint64_t paced_ms;
	struct rtc_stranger strangers[RTC_N_STRANGERS]; /* by hash of the address */
};

struct rtc_host {
	struct sl_worker *w;
	const struct webrtc_block *conf;
	const struct sl_meter *meters;
	struct sl_dtls_ctx *dtls; /* made with the first connection */
	struct sl_htab by_ufrag;
	struct rtc_base bases[ICE_MAX_LOCAL];
	unsigned n_bases;
	uint16_t ports[SL_RTC_PORTS]; /* of UDP bases, once a module uses them */
	struct sl_rtc *first, *closed; /* closed: until the tick ends */
	struct sl_post reap;
	unsigned n_connections, n_data; /* n_data: with data channels */
	struct sl_timer sctp_timer;
	struct ice_counters ice;
	struct sl_slab *paced; /* struct rtc_paced */
	struct rtc_turns turns;
	struct rtc_roam roam;
	struct rtc_tcp *unbound; /* TCP connections that are nobody's yet */
	uint32_t n_tcp; /* connections taken so far */
	struct sl_pass *pass;
	struct sl_channel *channel;
	struct rtc_place *places; /* by slot; NULL: this process is alone */
	unsigned n_places;
};

/* Sets w->rtc. meters: one per row of rtc_metrics. */
int rtc_host_open(struct sl_worker *w, const struct webrtc_block *conf, const struct sl_meter *meters,
		  struct rtc_host **ret_host);
/* Closes what is left; accepts NULL */
void rtc_host_close(struct rtc_host *h);
/* The net layer's question about a Binding request without flow: SL_DONE: taken. */
int rtc_host_check(void *host, struct sl_packet *p);
/* Its question about RTP and RTCP without flow: of a peer that has moved? SL_DONE: it was, or others are
 * asked. */
int rtc_host_stray(void *host, struct sl_packet *p);
/* Its question about a stream's first bytes. SL_DONE: taken, or handed to another worker. */
int rtc_tcp_check(void *host, struct sl_conn *conn);

#endif
