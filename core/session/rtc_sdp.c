/*
 * session/rtc_sdp.c: descriptions of a connection.
 *
 * Offer and answer are proto/jsep's; here they get this connection's transport, and what they agree
 * on goes to rtc_media.c, which makes sections of it. A description that is refused leaves
 * everything as it was.
 */
#include "session/rtc_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum { ERR_BYTES = 160 };

/* ---- our transport */

static void put_candidates(const struct sl_rtc *c, struct jsep_transport *t)
{
	struct ice_candidate list[JSEP_MAX_CANDIDATES];
	unsigned n = ice_local_candidates(c->ice, list, SL_ARRAY_LEN(list));

	for (unsigned i = 0; i < n; i++)
		(void)ice_candidate_format(t->candidates[i], &list[i]);
	t->n_candidates = n;
	t->end_of_candidates = true;
}

static void describe_transport(const struct sl_rtc *c, struct jsep_transport *t)
{
	*t = (struct jsep_transport){.lite = c->host->conf->ice == RTC_ICE_LITE, .trickle = true};
	(void)snprintf(t->ufrag, sizeof t->ufrag, "%s", ice_ufrag(c->ice));
	(void)snprintf(t->password, sizeof t->password, "%s", ice_password(c->ice));
	(void)snprintf(t->fingerprint, sizeof t->fingerprint, "sha-256 %s",
		       sl_dtls_fingerprint(c->host->dtls));
	if (c->data_wanted) {
		t->sctp_port = 5000;
		t->max_message = SCTP_MAX_MESSAGE;
	}
	put_candidates(c, t);
}

/* ---- the peer's transport */

static int add_candidate(struct sl_rtc *c, struct sl_str text)
{
	struct ice_candidate candidate;
	int rc = ice_candidate_parse(&candidate, text);

	if (rc == 0)
		rc = ice_add_remote(c->ice, &candidate, rtc_now_ms(c));
	if (rc < 0)
		rtc_count(c, RTC_bad_candidates);
	return rc;
}

static int take_transport(struct sl_rtc *c, const struct jsep_transport *t, bool answering,
			  char *ret_err)
{
	int rc;

	if (t->ufrag[0] == '\0') /* nothing of it was accepted, and so nothing has a transport */
		return 0;
	rc = rtc_path_secure(c, t);

	if (rc < 0) {
		(void)snprintf(ret_err, ERR_BYTES, "%s",
			       rc == -SL_EEXIST
				       ? "the certificate cannot change within a connection"
				       : "a=fingerprint is missing, malformed or too weak");
		return rc;
	}
	/* Their restart is ours as well (RFC 8445 section 2.4): our answer has new credentials. */
	if (answering && c->remote_ufrag != 0 && c->remote_ufrag != rtc_hash(t->ufrag))
		(void)ice_restart(c->ice, rtc_now_ms(c)); /* fails without random numbers only */
	c->remote_ufrag = rtc_hash(t->ufrag);
	c->sctp_remote_port = t->sctp_port;
	c->sctp_max_message = t->max_message;
	rc = ice_set_remote(c->ice, sl_str_c(t->ufrag), sl_str_c(t->password), t->lite,
			    rtc_now_ms(c));
	if (rc < 0) {
		(void)snprintf(ret_err, ERR_BYTES,
			       "a=ice-ufrag or a=ice-pwd is missing or malformed");
		return rc;
	}
	for (unsigned i = 0; i < t->n_candidates; i++)
		(void)add_candidate(c, sl_str_c(t->candidates[i])); /* counted; others may do */
	if (t->end_of_candidates)
		ice_end_of_candidates(c->ice, rtc_now_ms(c));
	return 0;
}

int sl_rtc_candidate(struct sl_rtc *c, struct sl_str candidate)
{
	int rc = 0;

	if (candidate.len == 0)
		ice_end_of_candidates(c->ice, rtc_now_ms(c));
	else
		rc = add_candidate(c, candidate);
	rtc_touch(c);
	return rc;
}

/* ---- descriptions */

static int refuse(struct sl_rtc *c, const struct sl_sdp_error *e, char *ret_err, int rc)
{
	rtc_count(c, RTC_bad_descriptions);
	if (e->line > 0)
		(void)snprintf(ret_err, ERR_BYTES, "line %u: %s", e->line, e->text);
	else
		(void)snprintf(ret_err, ERR_BYTES, "%s", e->text);
	return rc;
}

int sl_rtc_offer(struct sl_rtc *c, bool restart, struct sl_buf *ret_sdp)
{
	struct jsep_transport t;
	int rc = 0;

	if (jsep_get_state(c->jsep) != JSEP_STABLE)
		return -SL_EAGAIN;
	if (restart)
		rc = ice_restart(c->ice, rtc_now_ms(c));
	if (rc == 0)
		rc = rtc_name(c);
	if (rc < 0)
		return rc;
	rtc_video_apply_all(c);
	describe_transport(c, &t);
	rc = jsep_offer(c->jsep, &t, ret_sdp);
	if (rc < 0)
		return rc;
	c->negotiating_told = false;
	rtc_touch(c);
	return 0;
}

int sl_rtc_accept(struct sl_rtc *c, struct sl_str answer, char *ret_err)
{
	struct jsep_transport *t = malloc(sizeof *t);
	struct sl_sdp_error e = {0};
	int rc;

	if (!t)
		return -SL_ENOMEM;
	rc = jsep_remote_answer(c->jsep, answer, t, &e);
	if (rc < 0)
		rc = refuse(c, &e, ret_err, rc);
	else
		rc = take_transport(c, t, false, ret_err);
	free(t);
	if (rc == 0)
		rc = rtc_sections_agree(c);
	rtc_touch(c);
	return rc;
}

/* Without two_way, what we send has sections of its own, made by sl_rtc_add. */
static enum jsep_direction want(void *ctx, struct jsep_media *m)
{
	struct sl_rtc *c = ctx;

	if (!c->two_way || rtc_draw_ssrcs(c, m) < 0)
		return JSEP_RECV;
	if (m->kind == SL_MEDIA_VIDEO)
		rtc_video_apply(c, m);
	/* One stream: a browser lines up the sound and pictures of it. */
	(void)snprintf(m->stream, sizeof m->stream, "%08x", c->ssrc);
	(void)snprintf(m->track, sizeof m->track, "%08x", m->ours.media);
	(void)snprintf(m->cname, sizeof m->cname, "%08x", c->ssrc);
	return m->kind == SL_MEDIA_VIDEO ? (enum jsep_direction)m->wanted : JSEP_SENDRECV;
}

static int write_answer(struct sl_rtc *c, struct sl_buf *ret_sdp)
{
	struct jsep_transport t;
	int rc = rtc_name(c);

	if (rc < 0)
		return rc;
	describe_transport(c, &t);
	return jsep_answer(c->jsep, &t, ret_sdp);
}

int sl_rtc_answer(struct sl_rtc *c, struct sl_str offer, struct sl_buf *ret_sdp, char *ret_err)
{
	struct jsep_transport *t = malloc(sizeof *t);
	struct sl_sdp_error e = {0};
	int rc;

	if (!t)
		return -SL_ENOMEM;
	if (jsep_get_state(c->jsep) == JSEP_HAVE_LOCAL_OFFER) {
		free(t);
		return -SL_EAGAIN;
	}
	rtc_video_apply_all(c);
	rc = jsep_remote_offer(c->jsep, offer, want, c, t, &e);
	if (rc < 0)
		rc = refuse(c, &e, ret_err, rc);
	else
		rc = take_transport(c, t, true, ret_err);
	if (rc == 0)
		rc = write_answer(c, ret_sdp);
	free(t);
	if (rc == 0)
		rc = rtc_sections_agree(c);
	else
		jsep_rollback(c->jsep);
	rtc_touch(c);
	return rc;
}

void sl_rtc_rollback(struct sl_rtc *c)
{
	jsep_rollback(c->jsep);
	c->negotiating_told = false;
	rtc_touch(c);
}
