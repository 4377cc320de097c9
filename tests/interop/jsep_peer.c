/*
 * The engine of offers and answers as a program, for scripts that negotiate with foreign ones: one
 * JSON object a line in, one out.
 *
 *     {"do": "add", "kind": "audio"|"video"|"data", "wanted": 0..3, "rids": ["l", "h"],
 *      "only": "VP8"}
 *     {"do": "stop"|"want", "at": 0, "wanted": 0..3}
 *     {"do": "offer"|"answer"}  {"do": "offered"|"answered", "sdp": ...}  {"do": "rollback"}
 *
 * The reply: error (a code's sentence), text (of a refused description), sdp, remote, state,
 * sections.
 */
#include <sluice/json.h>
#include "proto/rtc_caps.h"

#include <stdio.h>
#include <stdlib.h>

static struct jsep *j;
static struct jsep_transport local = {.ufrag = "peerAbcd",
				      .password = "0123456789abcdefghijklmn",
				      .trickle = true,
				      .end_of_candidates = true,
				      .candidates = {"1 1 udp 2130706431 192.0.2.1 3478 typ host"},
				      .n_candidates = 1},
			     remote;
static enum jsep_direction on_wish = JSEP_RECV;
static uint32_t next_ssrc = 1000;

static enum jsep_direction want(void *ctx, struct jsep_media *m)
{
	(void)ctx;
	(void)m;
	return on_wish;
}

static unsigned get_uint(const json_t *in, const char *key)
{
	return (unsigned)json_integer_value(json_object_get(in, key));
}

static int prefer(struct jsep_media *m, struct sl_str name)
{
	const struct jsep_codec *list = m->kind == SL_MEDIA_AUDIO ? rtc_caps.audio : rtc_caps.video;

	while (list->id != sl_codec_by_name(name))
		list++;
	return jsep_prefer(j, m, list, 1);
}

static int add(const json_t *in)
{
	static const char *const kinds[] = {"audio", "video", "data"};
	const json_t *rids = json_object_get(in, "rids");
	const char *kind = json_string_value(json_object_get(in, "kind"));
	struct jsep_media *m;
	unsigned k = 0;
	int err;

	while (k < SL_MEDIA_DATA && strcmp(kind, kinds[k]) != 0)
		k++;
	err = jsep_add(j, (enum sl_media_kind)k, (enum jsep_direction)get_uint(in, "wanted"), &m);
	if (err < 0)
		return err;
	m->ours = (struct jsep_ssrc){next_ssrc, next_ssrc + 1};
	next_ssrc += 2;
	snprintf(m->stream, sizeof m->stream, "stream");
	snprintf(m->track, sizeof m->track, "track%u", m->ours.media);
	snprintf(m->cname, sizeof m->cname, "peer");
	for (; m->n_rids < json_array_size(rids) && m->n_rids < JSEP_MAX_RIDS; m->n_rids++)
		snprintf(m->rids[m->n_rids], sizeof m->rids[0], "%s",
			 json_string_value(json_array_get(rids, m->n_rids)));
	if (json_object_get(in, "only"))
		return prefer(m, sl_json_get_str(in, "only"));
	return 0;
}

static json_t *tell_codecs(const struct jsep_media *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->n_codecs; i++) {
		const struct jsep_codec *c = &m->codecs[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:i, s:i, s:s, s:i}", "name",
						sl_codec_name(c->id), "pt", c->pt, "rtx", c->rtx_pt,
						"params", c->params, "feedback", c->feedback));
	}
	return list;
}

static json_t *tell_section(const struct jsep_media *m)
{
	json_t *rids = json_array(), *ssrcs = json_array(), *exts = json_object();

	for (unsigned i = 0; i < m->n_rids; i++)
		json_array_append_new(rids, json_string(m->rids[i]));
	for (unsigned i = 0; i < m->n_theirs; i++)
		json_array_append_new(ssrcs, json_pack("[I, I]", (json_int_t)m->theirs[i].media,
						       (json_int_t)m->theirs[i].rtx));
	for (unsigned i = 0; i < SL_N_RTP_EXT; i++)
		if (m->ext.id[i])
			json_object_set_new(exts, sl_rtp_ext_uri(i), json_integer(m->ext.id[i]));
	return json_pack("{s:s, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:s, s:s}", "mid", m->mid,
			 "kind", m->kind, "direction", m->direction, "rejected", m->rejected,
			 "codecs", tell_codecs(m), "rids", rids, "ssrcs", ssrcs, "exts", exts,
			 "stream", m->their_stream, "track", m->their_track);
}

static json_t *tell_all(void)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < jsep_count(j); i++)
		json_array_append_new(list, tell_section(jsep_at(j, i)));
	return json_pack("{s:i, s:b, s:o, s:{s:s, s:s, s:s, s:i, s:i, s:b, s:b}}", "state",
			 jsep_get_state(j), "needs_offer", jsep_needs_offer(j), "sections", list,
			 "remote", "ufrag", remote.ufrag, "fingerprint", remote.fingerprint,
			 "setup", remote.setup, "candidates", (int)remote.n_candidates, "sctp_port",
			 remote.sctp_port, "trickle", remote.trickle, "lite", remote.lite);
}

static int run(const json_t *in, struct sl_buf *sdp, struct sl_sdp_error *e)
{
	struct sl_str verb = sl_json_get_str(in, "do"), text = sl_json_get_str(in, "sdp");
	struct jsep_media *m = jsep_at(j, get_uint(in, "at"));

	if (sl_str_eq(verb, SL_STR("add")))
		return add(in);
	if (sl_str_eq(verb, SL_STR("offer")))
		return jsep_offer(j, &local, sdp);
	if (sl_str_eq(verb, SL_STR("answer")))
		return jsep_answer(j, &local, sdp);
	if (sl_str_eq(verb, SL_STR("answered")))
		return jsep_remote_answer(j, text, &remote, e);
	if (sl_str_eq(verb, SL_STR("rollback")))
		jsep_rollback(j);
	if (sl_str_eq(verb, SL_STR("stop")))
		jsep_stop(j, m);
	if (sl_str_eq(verb, SL_STR("want")))
		m->wanted = (uint8_t)get_uint(in, "wanted");
	if (!sl_str_eq(verb, SL_STR("offered")))
		return 0;
	if (json_object_get(in, "wanted"))
		on_wish = (enum jsep_direction)get_uint(in, "wanted");
	return jsep_remote_offer(j, text, want, NULL, &remote, e);
}

static void reply(int err, const struct sl_buf *sdp, const struct sl_sdp_error *e)
{
	json_t *out = tell_all();
	struct sl_buf b;

	if (err < 0)
		json_object_set_new(out, "error", json_string(sl_strerror(err)));
	if (e->text[0])
		json_object_set_new(out, "text", json_sprintf("line %u: %s", e->line, e->text));
	if (sdp->len > 0)
		json_object_set_new(out, "sdp", json_stringn((const char *)sdp->p, sdp->len));
	sl_buf_init(&b, 0);
	sl_json_dump(out, &b);
	printf("%.*s\n", SL_FMT(sl_buf_view(&b)));
	fflush(stdout);
	sl_buf_free(&b);
	json_decref(out);
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (argc != 2 || jsep_new(&j, &rtc_caps) < 0)
		return 2;
	snprintf(local.fingerprint, sizeof local.fingerprint, "sha-256 %s", argv[1]);
	while ((n = getline(&line, &cap, stdin)) > 0) {
		json_t *in = sl_json_parse((struct sl_str){line, (size_t)n}, 4, NULL, 0);
		struct sl_sdp_error e = {0};
		struct sl_buf sdp;

		if (!in)
			return 2;
		sl_buf_init(&sdp, 0);
		reply(run(in, &sdp, &e), &sdp, &e);
		sl_buf_free(&sdp);
		json_decref(in);
	}
	free(line);
	jsep_free(j);
	return 0;
}
