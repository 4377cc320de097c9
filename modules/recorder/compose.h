/*
 * recorder/compose.h: `sluice record compose`: a recording as one film, with all participants in
 * one picture and one sound.
 *
 *     compose.c         the command: options, and one part after the other
 *     compose_plan.c    what is done already, on the disk
 *     compose_cast.c    who is there when, and which files have it
 *     compose_read.c    the frames of one track, decoded
 *     compose_sound.c   samples of all tracks into one, and how loud each is
 *     compose_layout.c  pure: rectangles, and who speaks
 *     compose_canvas.c  pictures and names at their places
 *     compose_text.c    a name as a mask of pixels
 *     compose_film.c    an encoder and a file: of a part, and of the whole
 *     compose_join.c    parts into the file that was asked for
 *
 * It runs offline, in a process of its own, and keeps one decoded picture for each track: memory
 * does not grow with the length. Parts of ten seconds are files of their own beside the output,
 * complete or absent, so that an interrupted command goes on where it was.
 */
#ifndef RECORDER_COMPOSE_H
#define RECORDER_COMPOSE_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include "library.h"

enum { COMPOSE_HZ = 48000, COMPOSE_CHANNELS = 2, MAX_TILES = 100, MAX_NAME = 128 };
#define US_PER_S 1000000

enum layout { LAYOUT_GRID, LAYOUT_SPEAKER };

struct compose_opts {
	const char *to;
	enum layout layout;
	unsigned width, height, fps;
	const char
		*codec; /* of pictures, as --codec names it; NULL: what the file is usually given */
	const char *title, *created; /* of the film; NULL: none */
};

/* ---- compose_cast.c */
struct span {
	int64_t from_us, to_us;
};
struct piece {		 /* of a track: one of its files */
	size_t segment;	 /* index */
	unsigned stream; /* in the file */
	struct span at;
	bool room; /* of the room's file */
};
struct cast_track {
	char id[20];
	unsigned person; /* index */
	bool video, screen;
	struct span there; /* from the track's announcement to its end */
	struct span *muted;
	struct piece *pieces; /* by time */
	unsigned n_muted, n_pieces;
};
struct cast_person {
	char id[20];
	char name[MAX_NAME];
};
struct cast {
	struct cast_person *people; /* by the time at which they came */
	struct cast_track *tracks;
	struct span *pauses; /* of the recording: they are cut out */
	unsigned n_people, n_tracks, n_pauses;
	int64_t length_us; /* without pauses */
};
/* Times are of the recording, pauses included. cast_free() also after an error. -SL_ENOENT: nothing
 * was recorded */
SL_MUST_CHECK int cast_read(struct cast *c, const struct recorded *r);
void cast_free(struct cast *c);
/* When in the recording is what comes at this time of the film? */
int64_t cast_time(const struct cast *c, int64_t film_us);
bool cast_is_there(const struct cast_track *t, int64_t at_us);
bool cast_is_muted(const struct cast_track *t, int64_t at_us);

/* ---- compose_read.c */
struct track_reader;
/* Begins with the file in which at_us is. r, key and t are borrowed. */
SL_MUST_CHECK int reader_new(struct track_reader **ret_reader, const struct recorded *r,
			     const struct envelope_key *key, const struct cast_track *t,
			     int64_t at_us);
void reader_free(struct track_reader *r); /* accepts NULL */
/* The next frame, with its time; false: there is none. The caller unrefs it. */
bool reader_next(struct track_reader *r, AVFrame *frame, int64_t *ret_at_us);
/* Files that could not be read, or not as a whole */
unsigned reader_bad(const struct track_reader *r);

/* ---- compose_sound.c */
struct sound;
SL_MUST_CHECK int sound_new(struct sound **ret_sound, const struct recorded *r,
			    const struct envelope_key *key, const struct cast *c, int64_t at_us);
void sound_free(struct sound *s); /* accepts NULL */
/* n samples of each channel from `from` on, counted at COMPOSE_HZ; into out, interleaved. Calls go
 * on in time. */
SL_MUST_CHECK int sound_mix(struct sound *s, int64_t from, unsigned n, float *out);
/* How loud a person is: root of the mean square over a tenth of a second, 0 .. 1 */
float sound_level(const struct sound *s, unsigned person);
unsigned sound_bad(const struct sound *s);

/* ---- compose_layout.c */
struct place { /* even numbers */
	unsigned x, y, w, h;
};
/* n of the same size; at most MAX_TILES */
void layout_grid(unsigned n, unsigned width, unsigned height, struct place *places);
/* Number `big` fills most of it, the others stand in a row below; those that find no room have
 * w 0. */
void layout_speaker(unsigned n, unsigned big, unsigned width, unsigned height,
		    struct place *places);
/* The largest place in p with the shape of a picture */
struct place layout_fit(struct place p, unsigned width, unsigned height);

struct speaker {	  /* who is shown large; plain data, kept over an interruption */
	int person, next; /* -1: nobody */
	int64_t since_us, next_since_us;
};
#define NO_SPEAKER ((struct speaker){.person = -1, .next = -1})
/* levels[n], below 0: is not there. Another one is shown when it was the loudest for a while. */
void speaker_hear(struct speaker *s, const float *levels, unsigned n, int64_t at_us);

/* ---- compose_text.c */
struct text_mask {
	unsigned w, h;
	uint8_t *ink; /* w * h; owned */
};
/* -SL_EUNSUPP: there is no library or no font; said once on standard error */
SL_MUST_CHECK int text_render(const char *text, unsigned height, struct text_mask *ret_mask);
void text_free(struct text_mask *m);

/* ---- compose_canvas.c */
struct canvas;
SL_MUST_CHECK int canvas_new(struct canvas **ret_canvas, const struct compose_opts *o,
			     const struct recorded *r, const struct envelope_key *key,
			     const struct cast *c, int64_t at_us);
void canvas_free(struct canvas *c); /* accepts NULL */
/* The picture at a time that does not go back; borrowed. speaker: who is large, or -1 */
SL_MUST_CHECK int canvas_draw(struct canvas *c, int64_t at_us, int speaker, AVFrame **ret_frame);
unsigned canvas_bad(const struct canvas *c);

/* ---- compose_film.c */
struct film { /* a file that is written */
	AVFormatContext *out;
	AVPacket *packet;
	AVCodecContext *picture, *sound; /* NULL: not encoded here */
	AVStream *picture_out, *sound_out;
	AVFrame *samples;
	float *held; /* samples that fill no frame of the encoder yet */
	unsigned n_held;
	int64_t n_samples; /* of each channel, encoded */
};
struct film_kind { /* what a file name asks for */
	const char *format;
	enum AVCodecID picture; /* NONE: sound alone */
	const char *encoder;
	enum AVCodecID sound;
};
/* false, with a sentence on standard error */
bool film_kind_of(const struct compose_opts *o, struct film_kind *ret_kind);
/* Times of pictures are their numbers. film_close() also after an error. */
SL_MUST_CHECK int film_open(struct film *f, const char *path, const char *format);
SL_MUST_CHECK int film_add_picture(struct film *f, const struct compose_opts *o,
				   const struct film_kind *kind);
SL_MUST_CHECK int film_copy_picture(struct film *f, const AVStream *from, unsigned fps);
SL_MUST_CHECK int film_add_sound(struct film *f, enum AVCodecID codec);
SL_MUST_CHECK int film_begin(struct film *f);
SL_MUST_CHECK int film_picture(struct film *f, AVFrame *frame, int64_t number);
SL_MUST_CHECK int film_sound(struct film *f, const float *samples, unsigned n);
SL_MUST_CHECK int film_end(struct film *f); /* all that encoders held back, and the file's end */
void film_close(struct film *f);

/* ---- compose_join.c */
/* Parts dir/000000.mkv … become the file `to`. Prints its own errors. */
SL_MUST_CHECK int compose_join(const char *dir, unsigned n_parts, unsigned part_frames,
			       const struct compose_opts *o, const struct film_kind *kind,
			       const char *to);

/* ---- compose_plan.c */
struct plan { /* TO.parts/plan.json */
	char dir[LIBRARY_MAX_PATH];
	int lock;
	char of[65]; /* SHA-256 of all that the parts depend on */
	unsigned n_done;
	struct speaker speaker; /* at the end of those */
};
/* Makes the directory, or finds one whose parts are of the same recording and options: n_done. What
 * others left is removed. -SL_EAGAIN: somebody is at it; -SL_ESYS with errno */
SL_MUST_CHECK int plan_open(struct plan *p, const struct compose_opts *o, const struct recorded *r);
SL_MUST_CHECK int plan_save(struct plan *p); /* what is done */
void plan_part(const struct plan *p, unsigned part, const char *suffix, char *dst, size_t dst_len);
void plan_remove(struct plan *p); /* with all parts: the film is there */
void plan_close(struct plan *p);  /* and leaves it for another time */

/* ---- compose.c */
/* argv[0] is "compose"; the exit status */
int compose_run(int argc, char **argv);

#endif
