/*
 * recorder/conf.c: the directives.
 */
#include "recorder.h"

static const char *const when_names[] = {"on-demand", "always", NULL};
static const char *const control_names[] = {"grant", "everyone", NULL};
static const char *const container_names[] = {"matroska", "mp4", NULL};
static const char *const audio_names[] = {"matroska", "mp4", "ogg", "wav", NULL};
static const char *const mix_names[] = {"off", "opus", "wav", NULL};
static const char *const sync_names[] = {"never", "segment", "second", NULL};

static const char *const style_names[] = {"path", "host", NULL};
static const char *const verify_names[] = {"checksum", "read", NULL};

#define U struct upload_conf
static const struct sl_directive upload_fields[] = {
	SL_FIELD(U, url, SL_T_STR, .max = 255,
		 .doc = "Of the server, like https://s3.eu-central-1.amazonaws.com or "
			"http://minio:9000."),
	SL_FIELD(U, bucket, SL_T_STR, .max = 63, .doc = "Bucket; it must exist."),
	SL_FIELD(U, region, SL_T_STR, .dflt = "us-east-1", .max = 63,
		 .doc = "Region that requests are signed for."),
	SL_FIELD(U, key_id, SL_T_STR, .max = 255, .doc = "Name of the access key."),
	SL_FIELD(U, secret, SL_T_SECRET, .max = 1024, .doc = "The access key; use !file or !env."),
	SL_FIELD(U, session_token, SL_T_SECRET, .max = 4096,
		 .doc = "Beside temporary keys; use !file or !env."),
	SL_FIELD(U, prefix, SL_T_STR, .max = 512,
		 .doc = "Stands before `<room>/<recording>/<file>` in the names of objects; ends "
			"usually with /."),
	SL_FIELD(U, style, SL_T_ENUM, .dflt = "path", .names = style_names,
		 .doc = "Whether the bucket stands in the path or in the host's name."),
	SL_FIELD(U, storage_class, SL_T_STR, .max = 63,
		 .doc = "Of the objects; unset: the bucket's."),
	SL_FIELD(U, delete_local, SL_T_BOOL, .dflt = "off",
		 .doc = "Remove media files here once what the server has is verified; journal and "
			"manifest stay."),
	SL_FIELD(
		U, verify, SL_T_ENUM, .dflt = "checksum", .names = verify_names,
		.doc = "How: by the digest that the server has (read back where it tells none), or "
		       "by reading each object back."),
	SL_FIELD(U, part, SL_T_SIZE, .dflt = "16m", .min = 5 << 20, .max = INT64_C(5) << 30,
		 .doc = "Longer files go in parts of so much, which a crash does not undo."),
	SL_FIELD(U, parallel, SL_T_INT, .dflt = "4", .min = 1, .max = 32,
		 .doc = "Recordings that are uploaded at a time."),
	SL_FIELD(
		U, timeout, SL_T_MSEC, .dflt = "30s", .min = 1000, .max = 600000,
		.doc = "A request without progress for so long is given up, and made again later."),
	SL_FIELD(U, ca, SL_T_PATH,
		 .doc = "Certificates of those who may have signed the server's, in PEM form; "
			"unset: "
			"the system's."),
	SL_DIRS_END,
};

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
	SL_DIR(C, announce, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "Everybody in the room, phones too, hears it when a recording begins."),
	SL_DIR(C, announcement, SL_T_PATH, SL_S_MAIN,
	       .doc = "What is said then: WAV of 16 bit, mono, at 8, 16 or 48 kHz; unset: two "
		      "beeps."),
	SL_DIR(C, tracks, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Files for each track, which lose nothing when another track changes."),
	SL_DIR(C, room, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "Files with all tracks of the room."),
	SL_DIR(C, mix, SL_T_ENUM, SL_S_MAIN, .dflt = "off", .names = mix_names,
	       .doc = "Besides, the sound of the whole room, mixed by the module mixer while it is "
		      "recorded: Opus in `audio_container`, or WAV. It costs what a phone in the "
		      "room does."),
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
	SL_DIR(C, hls, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "Besides, HTTP Live Streaming of each track, for watching while it is "
		      "recorded: Opus, H.264, H.265, VP9 and AV1."),
	SL_DIR(C, hls_segment, SL_T_MSEC, SL_S_MAIN, .dflt = "4s", .min = 1000, .max = 30000,
	       .doc = "Length of a segment for watching; a picture's may become twice as long."),
	SL_DIR(C, wait, SL_T_MSEC, SL_S_MAIN, .dflt = "500ms", .min = 20, .max = 1500,
	       .doc = "How long a missing packet is waited for, since it may be sent again."),
	SL_DIR(C, linger, SL_T_MSEC, SL_S_MAIN, .dflt = "10s", .min = 0, .max = 86400000,
	       .doc = "A recording ends when its room has had no track for so long."),
	SL_DIR(C, max_duration, SL_T_MSEC, SL_S_MAIN, .dflt = "0", .min = 0, .max = 604800000,
	       .doc = "A recording ends after so long; 0: never."),
	SL_DIR(C, memory, SL_T_SIZE, SL_S_MAIN, .dflt = "64m", .min = 1 << 20,
	       .max = INT64_C(1) << 36,
	       .doc = "Bytes that may wait: in each worker for the writer, in the writer for the disk; "
		      "what comes beyond is left out, and told."),
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
	SL_DIR(C, upload, SL_T_RECORD, SL_S_MAIN, .fields = upload_fields,
	       .doc = "Where finished files go: storage that speaks S3."),
	SL_DIR(C, recipient, SL_T_PATH, SL_S_MAIN,
	       .doc = "Public key in PEM form (X25519 or RSA): recordings are encrypted, and only "
		      "its private key opens them."),
	SL_DIRS_END,
};

static bool is_url(struct sl_str s)
{
	static const struct sl_str schemes[] = {SL_STR_INIT("http://"), SL_STR_INIT("https://")};

	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] == 0x7f)
			return false;
	for (size_t i = 0; i < SL_ARRAY_LEN(schemes); i++)
		if (s.len > schemes[i].len && sl_str_starts(s, schemes[i]))
			return true;
	return false;
}

static void check_upload(struct sl_conf *c, const struct upload_conf *u)
{
	if (u->url.len == 0) {
		if (u->bucket.len > 0 || u->key_id.len > 0 || u->secret.len > 0)
			sl_conf_error(c, "upload.url", "the server's URL is missing");
		return;
	}
	if (!is_url(u->url) || memchr(u->url.p, '?', u->url.len) ||
	    memchr(u->url.p, '@', u->url.len))
		sl_conf_error(c, "upload.url", "a URL like https://s3.example.org is required");
	if (u->bucket.len == 0 || memchr(u->bucket.p, '/', u->bucket.len))
		sl_conf_error(c, "upload.bucket", "the name of a bucket is required");
	if (u->key_id.len == 0 || u->secret.len == 0)
		sl_conf_error(c, "upload.key_id", "key_id and secret are required");
}

int recorder_check(struct sl_conf *c, void *conf)
{
	const struct recorder_conf *r = conf;

	if (!r->tracks && !r->room && !r->packets && !r->hls && r->mix == MIX_OFF)
		sl_conf_error(c, "tracks",
			      "nothing would be written; turn on tracks, room, mix or packets");
	if (r->api.len > 0 && (r->api.p[0] != '/' || r->api.p[r->api.len - 1] == '/' ||
			       memchr(r->api.p, '*', r->api.len)))
		sl_conf_error(c, "api", "a path like /recordings is required");
	if (r->hls && r->recipient.len > 0)
		sl_conf_error(c, "hls",
			      "what is sealed for a recipient cannot be watched; turn hls off");
	check_upload(c, &r->upload);
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
