/*
 * What recovery believes of unfinished files, how journals notice changes, and which names become
 * files.
 */
#include <sluice/crypto.h>
#include "lib/mux_file.h"
#include "lib/test.h"
#include "modules/recorder/container.h"
#include "modules/recorder/envelope.h"
#include "modules/recorder/manifest.h"
#include "modules/recorder/mux.h"

#include <ctype.h>

static size_t flushed[64];
static unsigned n_flushed;

/* Two seconds of sound, flushed four times a second */
static void write_file(const char *name)
{
	const struct mux_stream stream = {.codec = SL_CODEC_OPUS, .hz = 48000, .channels = 2};
	const struct mux_opts o = {.container = container_of_file(sl_str_c(name)),
				   .seekable = true,
				   .streams = &stream,
				   .n_streams = 1,
				   .sink = on_bytes};
	struct mux *m;

	file_len = n_flushed = 0;
	sl_assert(mux_open(&o, &m) == 0);
	flushed[n_flushed++] = file_len;
	for (int64_t i = 0; i < 100; i++) {
		sl_assert(mux_frame(m, 0, SL_STR("\xfc\xff\xfe"), i * 20000000, 20000000, true) ==
			  0);
		if (i % 12 != 11)
			continue;
		mux_flush(m);
		flushed[n_flushed++] = file_len;
	}
	mux_close(m);
}

TEST(every_flush_is_a_file_and_between_two_the_earlier_counts)
{
	static const char *const names[] = {"x.mkv", "x.mp4", "x.ogg"};

	for (unsigned k = 0; k < SL_ARRAY_LEN(names); k++) {
		const struct container *c = container_of_file(sl_str_c(names[k]));

		write_file(names[k]);
		CHECK_INT(c->good_length(file, file_len), file_len);
		CHECK_INT(c->good_length(file, flushed[0]), 0);
		for (unsigned i = 2; i < n_flushed; i++) {
			CHECK_INT(c->good_length(file, flushed[i]), flushed[i]);
			CHECK_INT(c->good_length(file, flushed[i] - 1), flushed[i - 1]);
		}
	}
}

static unsigned count_frames(size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i + 3 <= len; i++)
		n += memcmp(file + i, "\xfc\xff\xfe", 3) == 0;
	return n;
}

/* libavformat's Matroska would keep the last sound until the next one comes, if one does. */
TEST(a_flush_leaves_no_frame_behind)
{
	static const char *const names[] = {"x.mkv", "x.webm", "x.mp4", "x.ogg"};

	for (unsigned k = 0; k < SL_ARRAY_LEN(names); k++) {
		write_file(names[k]);
		for (unsigned i = 1; i < n_flushed; i++)
			CHECK_INT(count_frames(flushed[i]), i * 12);
		CHECK_INT(count_frames(file_len), 100);
	}
}

/* The times that fragments' heads (tfdt, of version 1) say, in microseconds, as text */
static const char *fragment_times(void)
{
	static char text[256];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i + 16 <= file_len; i++)
		if (memcmp(file + i, "tfdt\1", 5) == 0)
			n += (size_t)snprintf(text + n, sizeof text - n, "%llu ",
					      (unsigned long long)sl_get64(file + i + 8));
	return text;
}

TEST(a_fragment_of_an_mp4_file_begins_at_the_time_of_its_first_picture)
{
	const struct mux_stream stream = {.codec = SL_CODEC_VP9, .width = 64, .height = 64};
	const struct mux_opts o = {.container = container_of_file(SL_STR("x.mp4")),
				   .seekable = true,
				   .streams = &stream,
				   .n_streams = 1,
				   .sink = on_bytes};
	struct mux *m;

	file_len = 0;
	sl_assert(mux_open(&o, &m) == 0);
	for (int64_t i = 0; i < 6; i++) {
		sl_assert(mux_frame(m, 0, SL_STR("\x82\x49\x83\x42"), i * 40000000, 0, i == 0) ==
			  0);
		if (i % 3 == 0) /* a picture alone, then three */
			mux_flush(m);
	}
	mux_close(m);
	CHECK(strcmp(fragment_times(), "0 40000 160000 ") == 0);
}

TEST(any_bytes_at_all_have_a_good_length_within_them)
{
	uint64_t rng = 5;

	sl_random_fake(&rng);
	for (unsigned i = 0; i < 600; i++) {
		uint8_t noise[64];
		size_t at;

		write_file(i % 3 == 0 ? "x.mkv" : i % 3 == 1 ? "x.mp4" : "x.ogg");
		sl_assert(sl_random(noise, sizeof noise) == 0);
		at = sl_get32(noise) % file_len;
		for (unsigned k = 0; k < 4 && at + k < file_len; k++)
			file[at + k] = noise[8 + k];
		for (unsigned k = 0; k < N_CONTAINERS; k++)
			CHECK(containers[k].good_length(file, file_len - noise[5] % 32) <=
			      file_len);
		CHECK(envelope_good_length(file, file_len, UINT64_MAX) <= file_len);
	}
	sl_random_fake(NULL);
}

/* Of G.711: fmt of 18 bytes, fact, data whose length nobody has said */
static const char wav[] =
	"RIFF\xff\xff\xff\xffWAVEfmt \x12\0\0\0\7\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x10"
	"\0\0\0fact\4\0\0\0\0\0\0\0data\xff\xff\xff\xff"
	"12345";

TEST(a_wav_file_that_was_cut_says_how_long_it_is)
{
	const struct container *c = &containers[CONTAINER_WAV];
	uint8_t head[sizeof wav];
	size_t len = sizeof wav - 1;

	memcpy(head, wav, sizeof wav);
	CHECK_INT(c->good_length(head, len), len);
	CHECK_INT(c->good_length(head, len - 5), 0);
	head[32] = 2; /* bytes of a sample */
	CHECK_INT(c->good_length(head, len), len - 1);
	head[32] = 1;
	CHECK(container_set_lengths(c, head, len - 5, len));
	CHECK_INT(head[4], len - 8);
	CHECK_INT(head[len - 9], 5);
	CHECK_INT(head[len - 17], 5);
	for (size_t n = 0; n < len; n++)
		CHECK(c->good_length(head, n) <= n);
	CHECK(!container_set_lengths(&containers[CONTAINER_OGG], head, len, len));
}

TEST(files_are_known_by_their_names)
{
	CHECK(container_of_file(SL_STR("000001-a-b.webm.part")) == &containers[CONTAINER_MATROSKA]);
	CHECK(container_of_file(SL_STR("000001-a-b.mkv.sealed")) ==
	      &containers[CONTAINER_MATROSKA]);
	CHECK(container_of_file(SL_STR("1.pcapng.sealed.part")) == &containers[CONTAINER_PCAPNG]);
	CHECK(container_of_file(SL_STR("wav")) == NULL);
	CHECK(container_of_file(SL_STR("manifest.json")) == NULL);
	CHECK(container_for(CONTAINER_OGG, SL_CODEC_PCMU) == &containers[CONTAINER_MATROSKA]);
	CHECK(container_for(CONTAINER_MP4, SL_CODEC_H264) == &containers[CONTAINER_MP4]);
}

/* ---- journal */

static struct sl_buf text;

static void write_journal(void)
{
	struct journal j;

	sl_buf_free(&text);
	sl_buf_init(&text, 0);
	journal_begin(&j, SL_STR("id"));
	journal_write(&j, SL_STR("\"type\":\"start\""), &text);
	journal_write(&j, SL_STR("\"type\":\"segment\",\"chain\":\"of another\""), &text);
	journal_write(&j, SL_STR("\"type\":\"end\""), &text);
}

/* Lines that hold, and why it ends */
static unsigned lines_of(struct sl_str s, int *ret_err)
{
	struct journal j;
	struct sl_str line;

	journal_begin(&j, SL_STR("id"));
	while ((*ret_err = journal_read(&j, &s, &line)) == 0)
		;
	return (unsigned)j.n_lines;
}

TEST(a_journal_that_was_let_alone_holds_and_one_cut_off_holds_to_there)
{
	int err;

	write_journal();
	CHECK_INT(lines_of(sl_buf_view(&text), &err), 3);
	CHECK_INT(err, -SL_ENOENT);
	CHECK_INT(lines_of((struct sl_str){(char *)text.p, text.len - 5}, &err), 2);
	CHECK_INT(err, -SL_ENOENT);
}

TEST(no_byte_of_a_journal_can_be_changed)
{
	int err;

	write_journal();
	for (size_t i = 0; i + 1 < text.len; i++) {
		text.p[i] ^= 1;
		CHECK(lines_of(sl_buf_view(&text), &err) < 3);
		text.p[i] ^= 1;
	}
	CHECK_INT(lines_of(sl_buf_view(&text), &err), 3);
}

TEST(no_line_can_be_left_out)
{
	const char *second;
	int err;

	write_journal();
	second = memchr(text.p, '\n', text.len);
	CHECK_INT(lines_of((struct sl_str){second + 1,
					   text.len - (size_t)(second + 1 - (char *)text.p)},
			   &err),
		  0);
	CHECK_INT(err, -SL_EAUTH);
	sl_buf_free(&text);
}

TEST(no_name_leaves_its_directory)
{
	static const struct {
		const char *said, *safe;
	} names[] = {
		{"tea", "tea"},	       {"../tea", "_._tea"},
		{"..", "_"},	       {"", "_"},
		{"a/b\\c", "a_b_c"},   {".hidden", "_hidden"},
		{"x..y...", "x._y._"}, {"\xc3\xa4\x01z", "___z"},
	};
	char dst[64];

	for (unsigned i = 0; i < SL_ARRAY_LEN(names); i++) {
		safe_name(dst, sizeof dst, sl_str_c(names[i].said));
		CHECK(strcmp(names[i].safe, dst) == 0);
		CHECK(strstr(dst, "..") == NULL && dst[0] != '.' && dst[0] && !strchr(dst, '/'));
	}
	safe_name(dst, 5, SL_STR("longer than that"));
	CHECK_INT(strlen(dst), 4);
}

TEST(no_byte_of_a_name_reaches_a_path_unless_it_is_plain)
{
	char dst[64], name[300];

	for (unsigned c = 0; c < 256; c++) {
		bool plain = (c < 128 && isalnum((int)c)) || c == '-' || c == '_';

		memset(name, (int)c, sizeof name);
		safe_name(dst, sizeof dst, (struct sl_str){name, sizeof name});
		CHECK(dst[0] == (plain ? (char)c : '_'));
		CHECK_INT(strlen(dst), sizeof dst - 1);
		CHECK(strstr(dst, "..") == NULL);
	}
}

TEST(a_name_that_is_cut_does_not_end_in_a_dot)
{
	char dst[8];

	safe_name(dst, sizeof dst, SL_STR("abcdef.ghi"));
	CHECK(strcmp(dst, "abcdef") == 0);
	safe_name(dst, 2, SL_STR("."));
	CHECK(strcmp(dst, "_") == 0);
	safe_name(dst, sizeof dst, SL_STR("a\0b\xc3"));
	CHECK(strcmp(dst, "a_b_") == 0);
}

/* ---- sealed files */

static const char x25519_public[] = "-----BEGIN PUBLIC KEY-----\n"
				    "MCowBQYDK2VuAyEA5uTjZAoLCe/8dc2jp/NbwG/Hjs94OhwjZkjOIXZc0ik=\n"
				    "-----END PUBLIC KEY-----\n";
static const char x25519_private[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VuBCIEIFhAUY3sc/ZBG123OVVLtvQhhhjc05gSNyMVcXU5TxFV\n"
	"-----END PRIVATE KEY-----\n";

static void seal_text(struct sl_buf *out, const struct envelope_key *to)
{
	struct envelope e;

	sl_buf_init(out, 0);
	sl_assert(envelope_begin(&e, to, out) == 0);
	sl_assert(envelope_seal(&e, SL_STR("one "), false, out) == 0);
	sl_assert(envelope_seal(&e, SL_STR("two"), false, out) == 0);
	sl_assert(envelope_seal(&e, SL_STR(""), true, out) == 0);
}

/* What can be read of it, and how it ends */
static int open_text(struct sl_str sealed, const struct envelope_key *own, char *dst,
		     bool *ret_ended)
{
	struct envelope e;
	struct sl_buf out;
	int rc = envelope_open(&e, own, &sealed);

	dst[0] = '\0';
	*ret_ended = false;
	if (rc < 0)
		return rc;
	sl_buf_init(&out, 0);
	while ((rc = envelope_read(&e, &sealed, &out)) == 0)
		;
	*ret_ended = e.ended;
	(void)sl_str_copy(dst, 64, sl_buf_view(&out));
	sl_buf_free(&out);
	return rc;
}

TEST(a_sealed_file_opens_with_the_private_key_whole_or_up_to_its_last_piece)
{
	struct envelope_key *to, *own;
	struct sl_buf sealed;
	char err[160], dst[64];
	bool ended;

	CHECK_INT(envelope_key_public(sl_str_c(x25519_public), &to, err), 0);
	CHECK_INT(envelope_key_private(sl_str_c(x25519_private), &own, err), 0);
	seal_text(&sealed, to);
	CHECK(!memmem(sealed.p, sealed.len, "two", 3) && envelope_is_sealed(sl_buf_view(&sealed)));
	CHECK_INT(open_text(sl_buf_view(&sealed), own, dst, &ended), -SL_ENOENT);
	CHECK(ended && strcmp(dst, "one two") == 0);
	CHECK_INT(envelope_good_length(sealed.p, sealed.len, UINT64_MAX), sealed.len);
	/* The last piece is twenty bytes, the one before 23. */
	CHECK_INT(envelope_good_length(sealed.p, sealed.len - 1, UINT64_MAX), sealed.len - 20);
	CHECK_INT(envelope_good_length(sealed.p, sealed.len, 7), sealed.len);
	CHECK_INT(envelope_good_length(sealed.p, sealed.len, 6), sealed.len - 20 - 23);
	CHECK_INT(envelope_good_length(sealed.p, sealed.len, 3), 0); /* a head alone is nothing */
	CHECK_INT(open_text((struct sl_str){(char *)sealed.p, sealed.len - 21}, own, dst, &ended),
		  -SL_ENOENT);
	CHECK(!ended && strcmp(dst, "one ") == 0);
	for (size_t i = 0; i < sealed.len; i++) {
		sealed.p[i] ^= 1;
		CHECK(open_text(sl_buf_view(&sealed), own, dst, &ended) != -SL_ENOENT || !ended);
		sealed.p[i] ^= 1;
	}
	sl_buf_free(&sealed);
	envelope_key_free(to);
	envelope_key_free(own);
}

TEST(what_is_no_key_is_said)
{
	struct envelope_key *k;
	char err[160];

	CHECK_INT(envelope_key_public(SL_STR("nonsense"), &k, err), -SL_EPARSE);
	CHECK(strstr(err, "PEM"));
	CHECK_INT(envelope_key_private(sl_str_c(x25519_public), &k, err), -SL_EPARSE);
}

TEST(times_of_day_are_written_to_the_millisecond)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	write_time_of_day(UINT64_C(1795965585007), &b);
	CHECK_STR(sl_buf_view(&b), "2026-11-29T15:19:45.007Z");
	sl_buf_free(&b);
}

TEST_MAIN()
