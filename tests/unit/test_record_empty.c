/*
 * Files of several streams of which some never came: their heads name the others alone, and each
 * byte stays at its place.
 */
#include "lib/mux_file.h"
#include "lib/test.h"
#include "modules/recorder/ebml.h"
#include "modules/recorder/empty.h"
#include "modules/recorder/mux.h"

static unsigned n_patches;

static void on_patch(void *arg, uint64_t at, const uint8_t *bytes, size_t len)
{
	(void)arg;
	sl_assert(at + len <= file_len);
	n_patches += memcmp(file + at, bytes, len) != 0;
	memcpy(file + at, bytes, len);
}

static const struct container *container(const char *name)
{
	return container_of_file(sl_str_c(name));
}

/* Sound, a picture, sound; second: which of the three packets of the second second are of */
static void write_file(const char *name, unsigned second)
{
	const struct mux_stream streams[] = {
		{.codec = SL_CODEC_OPUS, .hz = 48000, .channels = 2, .title = SL_STR("ada")},
		{.codec = SL_CODEC_VP9, .width = 64, .height = 64, .title = SL_STR("bob")},
		{.codec = SL_CODEC_OPUS, .hz = 48000, .channels = 2, .title = SL_STR("eve")}};
	const struct mux_opts o = {.container = container(name),
				   .webm = strstr(name, "webm") != NULL,
				   .seekable = true,
				   .streams = streams,
				   .n_streams = 3,
				   .sink = on_bytes};
	struct mux *m;

	file_len = n_patches = 0;
	sl_assert(mux_open(&o, &m) == 0);
	for (int64_t i = 0; i < 100; i++) {
		struct sl_str data = second == 1 && i >= 50 ? SL_STR("\x82\x49\x83\x42")
							    : SL_STR("\xfc\xff\xfe");

		sl_assert(mux_frame(m, i < 50 ? 2 : second, data, i * 20000000, 20000000, true) ==
			  0);
		if (i % 12 == 11)
			mux_flush(m);
	}
	mux_close(m);
}

static uint64_t hide(const char *name)
{
	return empty_hide(container(name), file, file_len, on_patch, NULL);
}

static unsigned count(const char *text, size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i + len <= file_len; i++)
		n += memcmp(file + i, text, len) == 0;
	return n;
}

static const char *const names[] = {"x.mkv", "x.webm", "x.mp4"};

TEST(streams_of_which_nothing_came_are_not_named)
{
	for (unsigned k = 0; k < SL_ARRAY_LEN(names); k++) {
		write_file(names[k], 2);
		CHECK_INT(hide(names[k]), 3);
		CHECK(n_patches > 0);
		CHECK_INT(container(names[k])->good_length(file, file_len), file_len);
		write_file(names[k], 0);
		CHECK_INT(hide(names[k]), 2);
		write_file(names[k], 1);
		CHECK_INT(hide(names[k]), 1);
	}
}

TEST(what_is_hidden_of_mp4_is_the_track_and_its_defaults)
{
	write_file("x.mp4", 2);
	CHECK_INT(count("trak", 4), 3);
	CHECK_INT(hide("x.mp4"), 3);
	CHECK_INT(count("trak", 4), 1);
	CHECK_INT(count("trex", 4), 1);
	CHECK_INT(n_patches, 4);
}

/* How often an element of this identity stands in the list of that one */
static unsigned entries(uint32_t list, uint32_t id)
{
	struct ebml segment, found, e;
	unsigned n = 0;

	sl_assert(ebml_find(sl_reader(file, file_len), EBML_SEGMENT, &segment));
	sl_assert(ebml_find(segment.in, list, &found));
	while (found.in.p < found.in.end && ebml_next(&found.in, &e))
		n += e.id == id;
	sl_assert(found.in.p == found.in.end); /* no element is cut, or left over */
	return n;
}

TEST(what_is_hidden_of_matroska_is_the_entry_and_its_tag)
{
	write_file("x.mkv", 2);
	CHECK_INT(entries(EBML_TRACKS, EBML_TRACK), 3);
	CHECK_INT(entries(EBML_TAGS, EBML_TAG), 4); /* one is the whole file's */
	CHECK_INT(hide("x.mkv"), 3);
	CHECK_INT(entries(EBML_TRACKS, EBML_TRACK), 1);
	CHECK_INT(entries(EBML_TAGS, EBML_TAG), 2);
	/* Their checksums are of what they were. */
	CHECK_INT(entries(EBML_TRACKS, EBML_CRC) + entries(EBML_TAGS, EBML_CRC), 0);
}

TEST(a_file_that_was_mended_says_the_same_again)
{
	for (unsigned k = 0; k < SL_ARRAY_LEN(names); k++) {
		write_file(names[k], 2);
		(void)hide(names[k]);
		n_patches = 0;
		CHECK_INT(hide(names[k]), 3);
		CHECK_INT(n_patches, 0);
	}
}

static unsigned n_allowed;

static void some_patches(void *arg, uint64_t at, const uint8_t *bytes, size_t len)
{
	if (n_allowed > 0 && n_allowed--)
		on_patch(arg, at, bytes, len);
}

TEST(a_file_that_was_mended_in_half_is_mended_again)
{
	for (unsigned k = 0; k < SL_ARRAY_LEN(names); k++) {
		unsigned all;

		write_file(names[k], 2);
		(void)hide(names[k]);
		all = n_patches;
		for (unsigned n = 0; n < all; n++) {
			write_file(names[k], 2);
			n_allowed = n;
			(void)empty_hide(container(names[k]), file, file_len, some_patches, NULL);
			CHECK_INT(n_patches, n);
			CHECK_INT(hide(names[k]), 3);
			CHECK_INT(n_patches, all);
		}
	}
}

TEST(a_file_of_which_all_came_or_nothing_is_left_alone)
{
	const struct mux_stream stream = {.codec = SL_CODEC_OPUS, .hz = 48000, .channels = 2};
	struct mux_opts o = {
		.seekable = true, .streams = &stream, .n_streams = 1, .sink = on_bytes};
	struct mux *m;

	for (unsigned k = 0; k < SL_ARRAY_LEN(names); k++) {
		for (unsigned n = 0; n < 2; n++) {
			file_len = n_patches = 0;
			o.container = container(names[k]);
			sl_assert(mux_open(&o, &m) == 0);
			if (n)
				sl_assert(mux_frame(m, 0, SL_STR("\xfc\xff\xfe"), 0, 20000000,
						    true) == 0);
			mux_close(m);
			CHECK_INT(hide(names[k]), 0);
			CHECK_INT(n_patches, 0);
		}
	}
}

TEST(a_file_may_end_anywhere_and_one_of_a_single_stream_has_none_to_hide)
{
	for (unsigned k = 0; k < SL_ARRAY_LEN(names); k++) {
		size_t whole;

		write_file(names[k], 2);
		whole = file_len;
		for (file_len = 0; file_len < whole; file_len += 1 + file_len / 16)
			(void)hide(names[k]); /* on_patch looks where */
	}
	CHECK_INT(hide("x.ogg"), 0);
	CHECK_INT(hide("x.wav"), 0);
}

TEST_MAIN()
