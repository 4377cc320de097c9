/*
 * recorder/delivery_parts.c: a file that goes into storage in parts, which a crash does not undo: a
 * part that has arrived has a line in ".upload", and is not sent again.
 */
#include "delivery_impl.h"

#include <sluice/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_PARTS = 10000 };

static int note_upload(struct sending *g)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "file", json_string(g->name));
	(void)json_object_set_new(o, "upload", json_string(g->upload));
	(void)json_object_set_new(o, "part_bytes", json_integer((json_int_t)g->part_bytes));
	return delivery_note(g->d, o);
}

static int note_part(struct sending *g, const char *tag)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "file", json_string(g->name));
	(void)json_object_set_new(o, "tag", json_string(tag));
	return delivery_note(g->d, o);
}

static int begin_parts(struct sending *g)
{
	static const struct sigv4_pair query[] = {{SL_STR_INIT("uploads"), SL_STR_INIT("")}};
	const struct s3_request r = {
		.method = "POST",
		.key = sl_str_c(g->key),
		.query = query,
		.n_query = 1,
		.fd = -1,
		.type = shelf_type(sl_str_c(g->name)),
		.more = {{SL_STR("x-amz-checksum-algorithm"), SL_STR("SHA256")},
			 {SL_STR("x-amz-storage-class"), g->d->conf->storage_class}},
		.n_more = 2};
	struct s3_reply reply;
	int rc = s3_do(g->s, &r, &reply);

	if (rc == 0 && !s3_element(sl_buf_view(&reply.body), SL_STR("UploadId"), g->upload,
				   sizeof g->upload)) {
		(void)sl_str_copy(reply.sentence, sizeof reply.sentence,
				  SL_STR("the answer names no upload"));
		rc = -SL_EAGAIN;
	}
	if (rc < 0)
		rc = sending_failed(g, "beginning", &reply, rc);
	s3_reply_free(&reply);
	return rc == 0 ? note_upload(g) : rc;
}

static uint64_t choose_part(const struct sending *g)
{
	uint64_t part = g->d->conf->part;

	while ((g->len + part - 1) / part > MAX_PARTS)
		part *= 2;
	return part;
}

const json_t *sending_parts(const struct sending *g)
{
	return json_object_get(g->d->parts, g->name);
}

static const char *known_tag(const struct sending *g, unsigned i)
{
	return json_string_value(json_array_get(json_object_get(sending_parts(g), "tags"), i));
}

/* Where the last one was, or from the beginning */
static int open_parts(struct sending *g)
{
	const json_t *known = sending_parts(g);
	json_int_t bytes = json_integer_value(json_object_get(known, "part_bytes"));
	int rc = 0;

	g->part_bytes = bytes >= 1 << 20 ? (uint64_t)bytes : choose_part(g);
	if (bytes >= 1 << 20)
		(void)sl_str_copy(g->upload, sizeof g->upload, sl_json_get_str(known, "upload"));
	else
		rc = begin_parts(g);
	if (rc < 0)
		return rc;
	g->n_parts = (unsigned)((g->len + g->part_bytes - 1) / g->part_bytes);
	g->part = calloc(g->n_parts, sizeof *g->part);
	return g->part ? 0 : -SL_EAGAIN;
}

int sending_forget_parts(struct sending *g)
{
	const struct sigv4_pair query[] = {{SL_STR("uploadId"), sl_str_c(g->upload)}};
	const struct s3_request r = {.method = "DELETE",
				     .key = sl_str_c(g->key),
				     .query = query,
				     .n_query = 1,
				     .fd = -1};
	struct s3_reply reply;
	json_t *o = json_object();

	(void)!s3_do(g->s, &r,
		     &reply); /* it may be gone already, and the bucket's rules clean up */
	s3_reply_free(&reply);
	(void)json_object_set_new(o, "file", json_string(g->name));
	(void)json_object_set_new(o, "forget", json_true());
	return delivery_note(g->d, o);
}

/* The server has lost the upload, or does not want these parts. */
static bool is_lost(const struct s3_reply *r)
{
	return r->status == 404 || strcmp(r->code, "NoSuchUpload") == 0 ||
	       strcmp(r->code, "InvalidPart") == 0 || strcmp(r->code, "InvalidPartOrder") == 0 ||
	       strcmp(r->code, "EntityTooSmall") == 0;
}

static int check_part(struct sending *g, unsigned i, const struct s3_reply *r)
{
	char sum[B64], md5[33] = "";

	(void)sl_base64_encode(sum, g->part[i].sha256, 32);
	if (g->part[i].has_md5)
		sl_hex_encode(md5, g->part[i].md5, 16);
	if (r->checksum[0] && strcmp(r->checksum, sum) != 0)
		return sending_mismatch(g, "the digest of a part differs");
	if (!r->tag[0])
		return sending_mismatch(g, "a part has no entity tag");
	return 0; /* tags that are no MD5 are possible; the end is verified as a whole */
}

static int send_part(struct sending *g, unsigned i, uint64_t at, uint64_t len)
{
	char number[12];
	struct sigv4_pair query[] = {{SL_STR("partNumber"), {number, 0}},
				     {SL_STR("uploadId"), sl_str_c(g->upload)}};
	const struct s3_request r = {.method = "PUT",
				     .key = sl_str_c(g->key),
				     .query = query,
				     .n_query = 2,
				     .fd = g->fd,
				     .at = at,
				     .len = len,
				     .sha256 = g->part[i].sha256,
				     .checksum = true};
	struct s3_reply reply;
	int rc;

	query[0].value.len = (size_t)snprintf(number, sizeof number, "%u", i + 1);
	rc = s3_do(g->s, &r, &reply);
	if (rc < 0 && is_lost(&reply))
		(void)!sending_forget_parts(g); /* fails: it is found out again */
	if (rc < 0)
		rc = sending_failed(g, "sending a part of", &reply,
				    is_lost(&reply) ? -SL_EAGAIN : rc);
	else
		rc = check_part(g, i, &reply);
	if (rc == 0)
		rc = note_part(g, reply.tag);
	s3_reply_free(&reply);
	return rc;
}

static int send_parts(struct sending *g)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < g->n_parts; i++) {
		uint64_t at = i * g->part_bytes, left = g->len - at;
		uint64_t len = left < g->part_bytes ? left : g->part_bytes;

		if (digest_file(g->fd, at, len, &g->part[i]) < 0)
			return sending_unread(g);
		if (!known_tag(g, i))
			rc = send_part(g, i, at, len);
	}
	return rc;
}

/* What S3 calls the sum of the parts: the digest of their digests */
static int name_parts(struct sending *g)
{
	struct digest sums, md5s;
	struct digests of_sums, of_md5s;
	char text[B64];
	bool has_md5 = true;

	if (digest_begin(&sums) < 0)
		return -SL_EAGAIN;
	if (digest_begin(&md5s) < 0) {
		digest_end(&sums, &of_sums);
		return -SL_EAGAIN;
	}
	for (unsigned i = 0; i < g->n_parts; i++) {
		digest_add(&sums, g->part[i].sha256, 32);
		digest_add(&md5s, g->part[i].md5, 16);
		has_md5 = has_md5 && g->part[i].has_md5;
	}
	digest_end(&sums, &of_sums);
	digest_end(&md5s, &of_md5s);
	(void)sl_base64_encode(text, of_sums.sha256, 32);
	(void)snprintf(g->checksum, sizeof g->checksum, "%s-%u", text, g->n_parts);
	sl_hex_encode(text, of_md5s.md5, 16);
	if (has_md5)
		(void)snprintf(g->tag, sizeof g->tag, "%s-%u", text, g->n_parts);
	return 0;
}

static void write_parts(const struct sending *g, struct sl_buf *xml)
{
	char sum[B64];

	sl_buf_str(xml, SL_STR("<CompleteMultipartUpload "
			       "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"));
	for (unsigned i = 0; i < g->n_parts; i++) {
		(void)sl_base64_encode(sum, g->part[i].sha256, 32);
		sl_buf_printf(xml,
			      "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag>"
			      "<ChecksumSHA256>%s</ChecksumSHA256></Part>",
			      i + 1, known_tag(g, i), sum);
	}
	sl_buf_str(xml, SL_STR("</CompleteMultipartUpload>"));
}

static int end_parts(struct sending *g)
{
	const struct sigv4_pair query[] = {{SL_STR("uploadId"), sl_str_c(g->upload)}};
	struct s3_request r = {
		.method = "POST", .key = sl_str_c(g->key), .query = query, .n_query = 1, .fd = -1};
	struct s3_reply reply;
	struct sl_buf xml;
	int rc;

	sl_buf_init(&xml, 0);
	write_parts(g, &xml);
	if (sl_buf_ok(&xml) < 0) {
		sl_buf_free(&xml);
		return -SL_EAGAIN;
	}
	r.body = sl_buf_view(&xml);
	rc = s3_do(g->s, &r, &reply);
	sl_buf_free(&xml);
	if (rc < 0 && is_lost(&reply))
		(void)!sending_forget_parts(g); /* as above */
	if (rc < 0)
		rc = sending_failed(g, "ending", &reply, is_lost(&reply) ? -SL_EAGAIN : rc);
	s3_reply_free(&reply);
	return rc;
}

int sending_in_parts(struct sending *g)
{
	int rc = open_parts(g);

	if (rc == 0)
		rc = send_parts(g);
	if (rc == 0)
		rc = name_parts(g);
	return rc == 0 ? end_parts(g) : rc;
}
