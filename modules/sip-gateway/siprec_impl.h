/*
 * sip-gateway/siprec_impl.h: what the files of a call's recorder share.
 *
 *     siprec.c         which calls, which recorder, its life
 *     siprec_say.c     what it is told and what it asks
 *     siprec_people.c  whose speech is in which stream, and who they are
 *     siprec_body.c    the bodies as text, without state
 */
#ifndef SIP_SIPREC_IMPL_H
#define SIP_SIPREC_IMPL_H

#include "siprec.h"

/* ---- siprec_say.c */
void siprec_forget_texts(struct siprec *r);
/* Of a leg of the recorder that is there now; NULL: of one of before */
struct siprec *siprec_of(const struct party *p, unsigned *ret_stream);
/* Both legs are asked for offers; what comes is sent. */
void siprec_ask_offers(struct siprec *r);

/* ---- siprec_people.c */
SL_MUST_CHECK int siprec_draw_id(char dst[SIPREC_ID + 1]);
uint64_t siprec_unix_ms(const struct siprec *r);
/* Who talks now; true: the recorder has to be told */
bool siprec_take_sources(struct siprec *r);
/* Tells what the caller hears of this node from what it has heard before; 0: nothing */
uint64_t siprec_what_is_heard(const struct call *c);
/* What its legs copy from now on */
void siprec_command_legs(struct siprec *r);
/* The call's room tells who is in it, from the beginning. */
void siprec_watch_room(struct siprec *r);

#endif
