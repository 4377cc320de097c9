/*
 * sip-gateway/wire.h: what the two halves of this module say to each other, over the channel "sip".
 *
 * The workers' half has sockets and media, the stack's half has dialogs. Whole SIP messages go both
 * ways with the flow they came by; media legs are commanded by number, a number being the stack's
 * choice and unique beside its process. Every function reads or writes one message; a message that
 * does not read to its end exactly is a bug of this node and is dropped.
 */
#ifndef SIP_WIRE_H
#define SIP_WIRE_H

#include <sluice/addr.h>
#include <sluice/buf.h>
#include <sluice/bus.h>

enum wire_type {
	/* workers to stack */
	WIRE_RECEIVED = 1, /* when it was passed on (u64, ms), flow, message */
	WIRE_FLOW_GONE,	   /* flow: its connection has ended */
	WIRE_LEG_REPLY,	   /* struct wire_reply */
	WIRE_LEG_EVENT,	   /* struct wire_leg_event */
	WIRE_SIGNAL,	   /* struct wire_signal: what a browser says */
	WIRE_PEER_LEFT,	   /* struct wire_signal; json: the reason, as it is */
	WIRE_LISTENER,	   /* transport (u8) and address of a listener: where we can be reached */
	WIRE_WORKER_GONE,  /* u32: owner word of a worker that is not there any more */
	WIRE_WORKER_UP,	   /* u32: our owner word; who had the slot before is not there any more */
	WIRE_KEPT,	   /* u32: a process that has died; what it wanted to be kept */
	WIRE_KEPT_SPARE,   /* u32: as above; u32: the worker that has died beside it; the same */
	/* stack to workers */
	WIRE_SEND = 32,	   /* flow, message */
	WIRE_CLOSE,	   /* flow */
	WIRE_SUSPECT,	   /* flow: its source has failed to authenticate */
	WIRE_LEG,	   /* struct wire_leg: a command */
	WIRE_SIGNAL_SEND,  /* struct wire_signal: to a browser */
	WIRE_ASK_LISTENER, /* empty */
	WIRE_RECORD,	   /* JSON of a call that is over, for the bus */
	WIRE_KEEP,	   /* u64: a number; bytes for the process that follows if this one dies */
	WIRE_FORGET,	   /* u64 */
	WIRE_KEEP_SPARE,   /* u64: a number; u32: the worker that keeps it, too; bytes for the
			      process that follows if both die */
	/* stack to stack */
	WIRE_BINDING = 64, /* location.h: a registration for the process that follows */
	WIRE_BROWSER,	   /* browser_pass.c: a client without SIP, for the same */
	WIRE_TRUNK,	   /* trunk.c: one that lives */
	WIRE_WATCH,	   /* watch.c: a subscription */
	WIRE_FOLLOW,	   /* follow.c: what a client wants to know at its PBX */
	WIRE_MAILBOX,	   /* presence.c: messages that wait for a user */
	WIRE_PUBLICATION,  /* publish.c: what a user says of itself */
	WIRE_CALL,	   /* move.c: u32: our owner word; a call that is the reader's from now on */
	WIRE_ASK_CALL,	   /* u64: comes back; how a call is named (u8), and its name */
	WIRE_CALL_ASKED,   /* u64: as asked; u8: it has been given */
};

enum sip_transport { SIP_UDP, SIP_TCP, SIP_TLS, SIP_WS, SIP_WSS, SIP_N_TRANSPORTS };
/* As Via says it: "UDP" */
const char *sip_transport_name(unsigned transport);
/* As a parameter of our URIs, with its semicolon: ";transport=tcp"; of UDP: "" */
const char *sip_transport_param(unsigned transport);

/* The way to a peer: a connection of one worker, or a remote address on a UDP listener. */
struct sip_flow {
	uint32_t worker;   /* owner word; 0: any */
	uint32_t conn;	   /* number in that worker; 0: a datagram, or a connection to be made */
	uint16_t listener; /* index; of a connection to be made: none */
	uint8_t transport; /* enum sip_transport */
	struct sl_addr remote, local;
	uint32_t peer; /* of a connection to be made: wire_peer of the trunk's name; 0: none */
	bool tcp_when_large; /* a long datagram had better be a stream; the stack's own */
};
static inline bool sip_flow_is_reliable(const struct sip_flow *f)
{
	return f->transport != SIP_UDP;
}
/* How the halves call a trunk; over reloads, too. Never 0 */
uint32_t wire_peer(struct sl_str trunk);
/* The same connection, or the same two addresses */
bool sip_flow_same(const struct sip_flow *a, const struct sip_flow *b);

void wire_put_flow(struct sl_buf *b, const struct sip_flow *f);
void wire_get_flow(struct sl_reader *r, struct sip_flow *ret_flow);
void wire_put_addr(struct sl_buf *b, const struct sl_addr *a);
void wire_get_addr(struct sl_reader *r, struct sl_addr *ret_addr);

/* ---- media legs */
enum wire_leg_verb {
	WIRE_LEG_OPEN,	 /* a: profile and WIRE_LEG_WITHIN, b: family, list: codecs, text: room of the
			    call, line feed, name */
	WIRE_LEG_OFFER,	 /* a: restart; replied */
	WIRE_LEG_ANSWER, /* text: offer; replied */
	WIRE_LEG_ACCEPT, /* text: answer; replied */
	WIRE_LEG_ROLLBACK,
	WIRE_LEG_BRIDGE, /* a: the other leg */
	WIRE_LEG_UNBRIDGE,
	WIRE_LEG_PLAY, /* a: enum leg_tone */
	WIRE_LEG_ECHO,
	WIRE_LEG_DIRECTION, /* a: enum sl_sdp_direction */
	WIRE_LEG_PREFER,    /* a: the leg whose codecs come first in our next description, and
			       whose video it may have */
	WIRE_LEG_DTMF,	    /* a: ms, text: digits */
	WIRE_LEG_CANDIDATE, /* text */
	WIRE_LEG_ROOM,	    /* text: room, line feed, name in it */
	WIRE_LEG_SOUND,	    /* text: a file of `sounds`; once */
	WIRE_LEG_HEARD,	    /* a: ms, text: digits that its party has sent by signalling */
	WIRE_LEG_SAY,	    /* text: its party writes to the room; replied */
	WIRE_LEG_CLOSE,	    /* text: why; replied with statistics */
	WIRE_LEG_VIDEO,	    /* whose video the next description may have. a: that of a leg; 0, text:
			       what another party offers, empty: none */
	WIRE_LEG_ROOM_VIDEO, /* text: a room whose video the next description may have */
	WIRE_LEG_HEARD_BY,  /* who hears it; as WIRE_LEG_VIDEO */
	WIRE_LEG_KEY_FRAME, /* its party has asked for one by signalling */
	WIRE_LEG_ADOPT,	    /* a, b: a process that has died, and its number of the leg */
	WIRE_LEG_COPY,	    /* a: the leg that is copied, b: WIRE_COPY_ flags */
	WIRE_LEG_PEOPLE,    /* text: its room, whose people are told from now on */
	WIRE_LEG_ORIGIN,    /* text: session and version (o=) of a leg that it takes the place of */
	WIRE_LEG_CALL_ID,   /* text: the Call-ID under which a collector hears of its reports */
};
enum { WIRE_MAX_CODECS = 8 };
/* Its codecs are preferred; what its party hears is copied, not what it says */
enum { WIRE_COPY_PREFER = 1, WIRE_COPY_HEARD = 2 };
/* Its other end is a leg of this host. */
enum { WIRE_LEG_WITHIN = 0x100 };

struct wire_leg {
	uint32_t leg, seq; /* seq: comes back in the reply; 0: no reply is wanted */
	uint8_t verb;
	uint32_t a, b;
	uint8_t n_list, list[WIRE_MAX_CODECS];
	struct sl_str text;
};
void wire_put_leg(struct sl_buf *b, const struct wire_leg *m);
SL_MUST_CHECK int wire_get_leg(struct sl_str data, struct wire_leg *ret_msg);

/* What became of a command: rc as the leg's function returned it; text is a description, the
 * sentence of a refusal, or the statistics as JSON. */
struct wire_reply {
	uint32_t leg, seq;
	int32_t rc;
	struct sl_str text;
};
void wire_put_reply(struct sl_buf *b, const struct wire_reply *m);
SL_MUST_CHECK int wire_get_reply(struct sl_str data, struct wire_reply *ret_msg);

enum wire_leg_event_kind {
	WIRE_EV_STATE,
	WIRE_EV_DTMF,
	WIRE_EV_PLAYED,
	WIRE_EV_NEGOTIATE,
	WIRE_EV_ROOM_ENDED, /* value: enum sl_mixer_end */
	WIRE_EV_CHANGED,    /* the other party is not what it was told: it should be offered anew */
	WIRE_EV_KEY_FRAME,  /* its party has to be asked for one by signalling */
	WIRE_EV_TEXT,	    /* written in its room; text: name, line feed, what */
	WIRE_EV_PEOPLE	    /* all who are in its room but itself; text: lines of id, space, name */
};
struct wire_leg_event {
	uint32_t leg;
	uint8_t kind;	    /* enum wire_leg_event_kind */
	uint32_t value, ms; /* state, or digit with its length */
	struct sl_str text;
};
void wire_put_leg_event(struct sl_buf *b, const struct wire_leg_event *m);
SL_MUST_CHECK int wire_get_leg_event(struct sl_str data, struct wire_leg_event *ret_msg);

/* ---- browsers that signal without SIP */
struct wire_signal {
	uint64_t peer;
	uint32_t worker;       /* owner word of the one that has its socket */
	struct sl_addr remote; /* of that socket; unset: not known */
	struct sl_str room, name;
	struct sl_str claims; /* what its token says of telephony: JSON, or empty */
	struct sl_str json;
};
void wire_put_signal(struct sl_buf *b, const struct wire_signal *m);
/* As the first part of a longer message */
void wire_read_signal(struct sl_reader *r, struct wire_signal *ret_msg);
SL_MUST_CHECK int wire_get_signal(struct sl_str data, struct wire_signal *ret_msg);

/* ---- which process a name belongs to: our tags and branches begin with its owner word */
enum { SIP_NAME_LEN = 24 }; /* 8 of the owner, 16 of chance */
/* NUL-terminated */
SL_MUST_CHECK int sip_name_new(char dst[SIP_NAME_LEN + 1], uint32_t owner);
/* 0: not one of ours */
uint32_t sip_name_owner(struct sl_str name);
/* What stands behind "z9hG4bK"; empty: not of RFC 3261 */
struct sl_str sip_branch_name(struct sl_str branch);

#endif
