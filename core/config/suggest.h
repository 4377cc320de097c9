/*
 * config/suggest.h: "did you mean": the nearest of the names that are offered.
 */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

#include <sluice/str.h>

struct suggest {
	struct sl_str word; /* borrowed: as the operator wrote it */
	unsigned distance;  /* of name; offers must be nearer */
	const char *name;   /* borrowed: the nearest so far, NULL for none */
};

static inline struct suggest suggest_for(struct sl_str word)
{
	/* One slip in three letters, three at most: beyond that a suggestion misleads. */
	size_t allowed = word.len < 3 ? 1 : word.len < 9 ? word.len / 3 : 3;

	return (struct suggest){.word = word, .distance = (unsigned)allowed + 1};
}

static inline void suggest_offer(struct suggest *s, const char *name)
{
	unsigned distance = sl_str_distance(s->word, sl_str_c(name), s->distance);

	if (distance >= s->distance)
		return;
	s->distance = distance;
	s->name = name;
}

/* printf("...%s%s%s", SUGGEST_FMT(s)): "; did you mean "x"?" or nothing. */
#define SUGGEST_FMT(s)                                                                             \
	(s).name ? "; did you mean \"" : "", (s).name ? (s).name : "", (s).name ? "\"?" : ""

#endif
