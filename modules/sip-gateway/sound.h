/*
 * sip-gateway/sound.h: announcements and music from files, read once when a worker starts.
 */
#ifndef SIP_SOUND_H
#define SIP_SOUND_H

#include <sluice/str.h>

struct sip_conf;

enum { SOUND_MAX_S = 600 };

struct sound {
	struct sl_str name; /* as configured; borrowed from the configuration */
	int16_t *pcm;	    /* owned; mono */
	size_t n;
	unsigned hz; /* 8000 or 16000 */
};
struct sounds; /* all that routes name, and the music */

/* The whole of a file that libsndfile reads (WAV, FLAC, Ogg ...), or its first ten minutes. err: a
 * sentence. -SL_ENOENT; -SL_EPARSE: nothing in it; -SL_ENOMEM */
SL_MUST_CHECK int sound_read(const char *path, struct sound *ret_sound, char *err, size_t err_len);
void sound_free(struct sound *s);

/* Logs what cannot be read. */
SL_MUST_CHECK int sounds_open(const struct sip_conf *conf, struct sounds **ret_sounds);
void sounds_close(struct sounds *s); /* accepts NULL */
/* NULL: none of that name */
const struct sound *sounds_find(const struct sounds *s, struct sl_str name);
/* NULL: none is configured */
const struct sound *sounds_music(const struct sounds *s);
/* Where the file of a route's target is */
void sound_path(const struct sip_conf *conf, struct sl_str name, char *dst, size_t len);

#endif
