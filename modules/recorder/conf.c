/*
 * recorder/conf.c: the directives.
 */
#include "recorder.h"

static const char *const when_names[] = {"on-demand", "always", NULL};
static const char *const control_names[] = {"grant", "everyone", NULL};
static const char *const container_names[] = {"matroska", "mp4", NULL};
static const char *const audio_names[] = {"matroska", "mp4", "ogg", "wav", NULL};
static const char *const sync_names[] = {"never", "segment", "second", NULL};

#define C struct recorder_conf
const struct sl_directive recorder_directives[] = {
	SL_DIR(C, dir, SL_T_PATH, SL_S_MAIN, .dflt = "recordings",
	       .doc = "Where recordings are kept: a directory for each room, and in it one for "
		      "each recording."),
	SL_DIR(C, when, SL_T_ENUM, SL_S_MAIN, .dflt = "on-demand", .names = when_names,
	       .doc = "Record when a client asks for it, or always while somebody is in the room."),
	SL_DIR(C, rooms, SL_T_REGEX, SL_S_MAIN, .list = true,
	       .doc = "Rooms that may be recorded, as regular expressions; unset: all."),
	SL_DIR(C, control, SL_T_ENUM, SL_S_MAIN, .dflt = "grant", .names = control_names,
	       .doc = "Who may start, pause and stop a recording: clients whose token grants "
		      "`admin` or `recorder`, or everyone in the room."),
	SL_DIR(C, tracks, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Files for each track, which lose nothing when another track changes."),
	SL_DIR(C, room, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "Files with all tracks of the room."),
	SL_DIR(C, packets, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "The plain RTP packets of each track as pcapng, for debugging."),
	SL_DIR(C, container, SL_T_ENUM, SL_S_MAIN, .dflt = "matroska", .names = container_names,
	       .doc = "Files with pictures. Where mp4 (fragmented) cannot take a codec, Matroska "
		      "is used; WebM where its codecs permit."),
	SL_DIR(C, audio_container, SL_T_ENUM, SL_S_MAIN, .dflt = "matroska", .names = audio_names,
	       .doc = "Files with sound alone; ogg takes Opus, wav G.711 and L16, and Matroska "
		      "what they cannot."),
	SL_DIR(C, segment, SL_T_MSEC, SL_S_MAIN, .dflt = "10s", .min = 2000, .max = 3600000,
	       .doc = "Length of a file. A picture's ends at a key frame, which its sender is "
		      "asked for: shorter files cost more of its bitrate."),
	SL_DIR(C, wait, SL_T_MSEC, SL_S_MAIN, .dflt = "500ms", .min = 20, .max = 1500,
	       .doc = "How long a missing packet is waited for, since it may be sent again."),
	SL_DIR(C, linger, SL_T_MSEC, SL_S_MAIN, .dflt = "10s", .min = 0, .max = 86400000,
	       .doc = "A recording ends when its room has had no track for so long."),
	SL_DIR(C, max_duration, SL_T_MSEC, SL_S_MAIN, .dflt = "0", .min = 0, .max = 604800000,
	       .doc = "A recording ends after so long; 0: never."),
	SL_DIR(C, memory, SL_T_SIZE, SL_S_MAIN, .dflt = "64m", .min = 1 << 20,
	       .max = INT64_C(1) << 36,
	       .doc = "Bytes that may wait for the disk; what comes beyond is left out, and told."),
	SL_DIR(C, sync, SL_T_ENUM, SL_S_MAIN, .dflt = "segment", .names = sync_names,
	       .doc = "When files are forced to the disk, against a loss of power: never, each "
		      "segment when it is whole, or all of them each second."),
	SL_DIR(C, min_free, SL_T_SIZE, SL_S_MAIN, .dflt = "1g", .min = 0, .max = INT64_C(1) << 50,
	       .doc = "With less free space no recording is begun; with an eighth of it those that "
		      "run are ended."),
	SL_DIR(C, quota, SL_T_SIZE, SL_S_MAIN, .dflt = "0", .min = 0, .max = INT64_C(1) << 50,
	       .doc = "Bytes that all recordings may take: beyond, the oldest finished ones are "
		      "removed. 0: no limit."),
	SL_DIR(C, retention, SL_T_MSEC, SL_S_MAIN, .dflt = "0", .min = 0,
	       .max = INT64_C(315360000000),
	       .doc = "Finished recordings are removed after so long; 0: kept."),
	SL_DIR(C, api, SL_T_STR, SL_S_MAIN, .dflt = "/recordings", .max = 255,
	       .doc = "Where the module http serves recordings, and their control, to clients with "
		      "a "
		      "token that grants `recorder` or `admin` (signaling-ws with auth: jwt); "
		      "empty: "
		      "nowhere."),
	SL_DIR(C, recipient, SL_T_PATH, SL_S_MAIN,
	       .doc = "Public key in PEM form (X25519 or RSA): recordings are encrypted, and only "
		      "its private key opens them."),
	SL_DIRS_END,
};

int recorder_check(struct sl_conf *c, void *conf)
{
	const struct recorder_conf *r = conf;

	if (!r->tracks && !r->room && !r->packets)
		sl_conf_error(c, "tracks",
			      "nothing would be written; turn on tracks, room or packets");
	if (r->api.len > 0 && (r->api.p[0] != '/' || r->api.p[r->api.len - 1] == '/' ||
			       memchr(r->api.p, '*', r->api.len)))
		sl_conf_error(c, "api", "a path like /recordings is required");
	if (r->segment < 2 * r->wait)
		sl_conf_error(c, "segment", "a segment must be at least twice as long as wait");
	return 0;
}

bool recorder_wants_room(const struct recorder_conf *conf, struct sl_str room)
{
	for (size_t i = 0; i < conf->rooms.n; i++)
		if (sl_regex_match(*SL_LIST_AT(conf->rooms, struct sl_regex *, i), room))
			return true;
	return conf->rooms.n == 0;
}
