/*
 * recorder/compose_text.c: a name as a mask of pixels, by libavfilter's drawtext.
 *
 * The library is opened when a name is first drawn: it is large, nothing else here needs it, and
 * where it or a font is missing the film is made without names. A name is data from the network: it
 * goes in as an option's value, never through a parser, and drawtext expands nothing in it.
 */
#include "compose.h"

#include <dlfcn.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x
#define LIBRARY "libavfilter.so." TEXT(LIBAVFILTER_VERSION_MAJOR)
enum { MAX_WIDTH = 32 /* times the height */, BLACK = 16, WHITE = 235 };

#define FUNCTIONS(X)                                                                               \
	X(avfilter_graph_alloc)                                                                    \
	X(avfilter_graph_free)                                                                     \
	X(avfilter_get_by_name)                                                                    \
	X(avfilter_graph_alloc_filter)                                                             \
	X(avfilter_init_dict)                                                                      \
	X(avfilter_link)                                                                           \
	X(avfilter_graph_config)                                                                   \
	X(av_buffersink_get_frame)

static struct {
#define X(name) __typeof__(name) *name;
	FUNCTIONS(X)
#undef X
} filter;

/* ---- the library */

static bool find(void *library, const char *name, void *place)
{
	void *found = dlsym(library, name);

	memcpy(place, &found, sizeof found); /* ISO C has no cast between these pointers */
	return found != NULL;
}

static bool load(void)
{
	static int state; /* 0: not tried, 1: there, -1: not. Once in the life of the command */
	void *library;
	bool ok;

	if (state != 0)
		return state > 0;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	ok = library != NULL;
#define X(name) ok = ok && find(library, #name, &filter.name);
	FUNCTIONS(X)
#undef X
	state = ok ? 1 : -1;
	return ok;
}

/* ---- drawing */

static AVFilterContext *make(AVFilterGraph *g, const char *name, AVDictionary **options)
{
	const AVFilter *kind = filter.avfilter_get_by_name(name);
	AVFilterContext *c = kind ? filter.avfilter_graph_alloc_filter(g, kind, name) : NULL;

	if (c && filter.avfilter_init_dict(c, options) < 0)
		c = NULL; /* the graph frees it */
	av_dict_free(options);
	return c;
}

static AVFilterContext *make_ground(AVFilterGraph *g, unsigned height)
{
	AVDictionary *o = NULL;
	char size[32];

	(void)snprintf(size, sizeof size, "%ux%u", height * MAX_WIDTH, height);
	(void)av_dict_set(&o, "color", "black", 0);
	(void)av_dict_set(&o, "size", size, 0);
	(void)av_dict_set(&o, "rate", "1", 0);
	return make(g, "color", &o);
}

static AVFilterContext *make_text(AVFilterGraph *g, const char *text, unsigned height)
{
	AVDictionary *o = NULL;

	(void)av_dict_set(&o, "expansion", "none", 0);
	(void)av_dict_set(&o, "font", "Sans", 0);
	(void)av_dict_set(&o, "fontcolor", "white", 0);
	(void)av_dict_set_int(&o, "fontsize", height * 3 / 4, 0);
	(void)av_dict_set(&o, "x", "0", 0);
	(void)av_dict_set(&o, "y", "(h-max_glyph_h)/2", 0);
	(void)av_dict_set(&o, "text", text, 0);
	return make(g, "drawtext", &o);
}

static AVFrame *draw(AVFilterGraph *g, const char *text, unsigned height)
{
	AVDictionary *o = NULL, *none = NULL;
	AVFilterContext *chain[4];
	AVFrame *frame = NULL;

	chain[0] = make_ground(g, height);
	(void)av_dict_set(&o, "pix_fmts", "gray", 0);
	chain[1] = make(g, "format", &o);
	chain[2] = make_text(g, text, height);
	chain[3] = make(g, "buffersink", &none);
	for (unsigned i = 0; i < SL_ARRAY_LEN(chain); i++)
		if (!chain[i] || (i > 0 && filter.avfilter_link(chain[i - 1], 0, chain[i], 0) < 0))
			return NULL;
	if (filter.avfilter_graph_config(g, NULL) < 0 || !(frame = av_frame_alloc()))
		return NULL;
	if (filter.av_buffersink_get_frame(chain[3], frame) < 0)
		av_frame_free(&frame);
	return frame;
}

/* ---- */

static unsigned ink_width(const AVFrame *f)
{
	for (int x = f->width; x-- > 0;)
		for (int y = 0; y < f->height; y++)
			if (f->data[0][y * f->linesize[0] + x] > 32)
				return (unsigned)x + 1;
	return 0;
}

static int copy_ink(const AVFrame *f, struct text_mask *m)
{
	m->w = ink_width(f);
	m->h = (unsigned)f->height;
	m->ink = malloc((size_t)m->w * m->h + 1);
	if (!m->ink)
		return -SL_ENOMEM;
	for (unsigned y = 0; y < m->h; y++)
		for (unsigned x = 0; x < m->w; x++) {
			unsigned v = f->data[0][y * (unsigned)f->linesize[0] + x];

			m->ink[(size_t)y * m->w + x] =
				(uint8_t)(v < BLACK   ? 0
					  : v > WHITE ? 255
						      : (v - BLACK) * 255 / (WHITE - BLACK));
		}
	return 0;
}

int text_render(const char *text, unsigned height, struct text_mask *ret_mask)
{
	static bool complained;
	AVFilterGraph *g = load() ? filter.avfilter_graph_alloc() : NULL;
	AVFrame *f = g ? draw(g, text, height) : NULL;
	struct text_mask m = {0};
	int rc = f ? copy_ink(f, &m) : -SL_EUNSUPP;

	if (rc == -SL_EUNSUPP && !complained)
		fputs("sluice: names are not drawn: " LIBRARY
		      " with drawtext, or a font, is missing\n",
		      stderr);
	complained = complained || rc == -SL_EUNSUPP;
	av_frame_free(&f);
	if (g)
		filter.avfilter_graph_free(&g);
	if (rc == 0)
		*ret_mask = m;
	return rc;
}

void text_free(struct text_mask *m)
{
	free(m->ink);
	*m = (struct text_mask){0};
}
