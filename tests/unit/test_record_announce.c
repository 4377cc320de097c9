/*
 * Announcements: which WAV files are taken.
 */
#include "lib/test.h"
#include "modules/recorder/announce.h"

#define RIFF "RIFF\x40\0\0\0WAVE"
#define FMT(channels, rate, bits) "fmt \x10\0\0\0\x01\0" channels "\0" rate "\0\0\0\0\0\0" bits "\0"
#define HZ8000 "\x40\x1f\0\0"

static int read_wav(struct sl_str file)
{
	struct sl_str samples = SL_STR("none");
	unsigned hz = 0;
	int rc = announce_wav(file, &hz, &samples);

	return rc < 0 ? rc : (int)samples.len;
}

TEST(samples_are_found_behind_other_chunks)
{
	unsigned hz = 0;
	struct sl_str samples;
	const struct sl_str file = SL_STR(
		RIFF "LIST\x03\0\0\0abc\0" FMT("\1", HZ8000, "\x10") "data\x04\0\0\0\1\2\3\4");

	CHECK_INT(announce_wav(file, &hz, &samples), 0);
	CHECK_INT(hz, 8000);
	CHECK_STR(samples, "\1\2\3\4");
}

TEST(a_file_that_is_cut_off_has_what_there_is)
{
	CHECK_INT(read_wav(SL_STR(RIFF FMT("\1", HZ8000, "\x10") "data\x64\0\0\0\1\2\3")), 2);
	CHECK_INT(read_wav(SL_STR(RIFF FMT("\1", HZ8000, "\x10") "data\xff\xff\xff\xff")), 0);
}

TEST(others_are_refused)
{
	CHECK_INT(read_wav(SL_STR("")), -SL_EPARSE);
	CHECK_INT(read_wav(SL_STR("OggS0123456789")), -SL_EPARSE);
	CHECK_INT(read_wav(SL_STR(RIFF)), -SL_EPARSE);
	CHECK_INT(read_wav(SL_STR(RIFF "data\x04\0\0\0\1\2\3\4")), -SL_EPARSE);
	CHECK_INT(read_wav(SL_STR(RIFF FMT("\2", HZ8000, "\x10") "data\0\0\0\0")), -SL_EUNSUPP);
	CHECK_INT(read_wav(SL_STR(RIFF FMT("\1", HZ8000, "\x08") "data\0\0\0\0")), -SL_EUNSUPP);
	CHECK_INT(read_wav(SL_STR(RIFF FMT("\1", "\x44\xac\0\0", "\x10") "data\0\0\0\0")),
		  -SL_EUNSUPP);
	CHECK_INT(read_wav(SL_STR(RIFF "fmt \xff\xff\xff\x7f\1")), -SL_EPARSE);
}

TEST_MAIN()
