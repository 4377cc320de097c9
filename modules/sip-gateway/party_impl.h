/*
 * sip-gateway/party_impl.h: what the files of a party that speaks SIP share.
 */
#ifndef SIP_PARTY_IMPL_H
#define SIP_PARTY_IMPL_H

#include "call.h"

/* ---- party.c */
/* An answer makes its dialog, or moves its target. */
void party_dialog_from_response(struct party *p, const struct sip_msg *m);
/* b: a whole request, taken. NULL: out of memory, as if it had been lost for good */
struct ctrans *party_send(struct party *p, struct sl_buf *b, const char *branch, ctrans_fn *fn);

/* ---- party_caller.c */
void party_reply(struct party *p, unsigned status, struct sl_str sdp);

/* ---- party_callee.c */
void party_put_recording_lines(const struct party *p, struct sl_buf *b);
const char *party_body_type(const struct party *p);
void party_send_ack(struct party *p, uint32_t cseq);
/* status: why the call ends */
void party_say_bye(struct party *p, unsigned status);

#endif
