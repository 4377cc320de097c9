/*
 * sip-gateway/conf.c: the directives and the counters: what an operator may say and see. What a
 * table cannot say of them is in conf_check.c.
 */
#include "conf.h"

#include "dialplan.h"

const char *const sip_algorithm_names[] = {"md5", "sha256", "sha512-256", NULL};
static const char *const profile_names[] = {"auto", "rtp", "sdes", "webrtc", NULL};
static const char *const siprec_names[] = {"auto", "on", "off", NULL};
static const char *const when_names[] = {"always", "chosen", NULL};
static const char *const transport_names[] = {"auto", "udp", "tcp", "tls", NULL};

static const struct sl_directive user_fields[] = {
	SL_FIELD(struct user_conf, siprec, SL_T_ENUM, .names = siprec_names, .dflt = "auto",
		 .doc = "Are its calls recorded by SIPREC? auto: as siprec.when says. A route's "
			"word "
			"counts before that of who talks; of those, one `off` is enough."),
	SL_FIELD(struct user_conf, name, SL_T_STR, .required = true, .min = 1, .max = 64,
		 .doc = "The extension: the user part of its address, and its name in digests."),
	SL_FIELD(struct user_conf, password, SL_T_SECRET, .required = true, .min = 1, .max = 128,
		 .doc = "Password for registrations and calls."),
	SL_FIELD(struct user_conf, display, SL_T_STR, .max = 64,
		 .doc = "The name that is shown to who is called. Unset: the one the phone says."),
	SL_FIELD(
		struct user_conf, profile, SL_T_ENUM, .names = profile_names, .dflt = "auto",
		.doc = "Media towards its devices: plain RTP, RTP with keys in the description, or "
		       "WebRTC. auto: WebRTC for those registered over WebSocket, else plain."),
	SL_FIELD(struct user_conf, video, SL_T_BOOL, .dflt = "on",
		 .doc = "Video in calls with its devices, where the other side has any. It is passed "
			"on as it is: H.264, VP8, and what else both can."),
	SL_FIELD(struct user_conf, max_contacts, SL_T_INT, .dflt = "8", .min = 1, .max = 64,
		 .doc = "Devices that may be registered at once."),
	SL_FIELD(struct user_conf, max_calls, SL_T_INT, .dflt = "0", .min = 0, .max = 10000,
		 .doc = "Calls of this user at once (486 beyond). 0: no limit."),
	SL_FIELD(struct user_conf, max_cps, SL_T_INT, .dflt = "0", .min = 0, .max = 1000,
		 .doc = "Calls that this user may begin in a second (503 beyond). 0: no limit."),
	SL_DIRS_END,
};

static const struct sl_directive trunk_fields[] = {
	SL_FIELD(struct trunk_conf, siprec, SL_T_ENUM, .names = siprec_names, .dflt = "auto",
		 .doc = "Are calls from and to it recorded by SIPREC? auto: as siprec.when says. A "
			"route's word "
			"counts before that of who talks; of those, one `off` is enough."),
	SL_FIELD(struct trunk_conf, name, SL_T_STR, .required = true, .min = 1, .max = 64,
		 .doc = "What routes call it."),
	SL_FIELD(struct trunk_conf, server, SL_T_STR, .required = true, .min = 1, .max = 253,
		 .doc = "Host or host:port of the PBX or carrier. A name without a port is looked "
			"up as RFC 3263 has it (NAPTR, SRV, addresses), anew when its time is over "
			"and while nobody answers; its servers are tried in turn."),
	SL_FIELD(struct trunk_conf, domain, SL_T_STR, .max = 253,
		 .doc = "Host part of addresses there. Unset: the server."),
	SL_FIELD(struct trunk_conf, transport, SL_T_ENUM, .names = transport_names, .dflt = "auto",
		 .doc = "How it is reached. auto: as DNS says, else over UDP. A request too long "
			"for a datagram (1300 bytes) is tried over TCP first, there."),
	SL_FIELD(struct trunk_conf, verify, SL_T_BOOL, .dflt = "on",
		 .doc = "Over TLS: its certificate has to name the server, and to come from one of "
			"tls.authorities."),
	SL_FIELD(struct trunk_conf, cert, SL_T_STR, .max = 1 << 20,
		 .doc = "Over TLS: our own certificate for this one (PEM, with its chain): `!file "
			"PATH`. Unset: tls.cert."),
	SL_FIELD(struct trunk_conf, key, SL_T_SECRET, .max = 1 << 16,
		 .doc = "The key of it (PEM): `!file PATH`."),
	SL_FIELD(struct trunk_conf, redirects, SL_T_BOOL, .dflt = "on",
		 .doc = "When it redirects a call (3xx): to a number of its own, that is called "
			"there; to one of this node, as if it called us. Off: a failure."),
	SL_FIELD(struct trunk_conf, failover, SL_T_MSEC, .dflt = "4s", .min = 500, .max = 32000,
		 .doc = "Who says nothing for so long is not there: a call goes to the trunk's next "
			"server or to the route's next target, and one that does not answer "
			"OPTIONS is missed."),
	SL_FIELD(struct trunk_conf, user, SL_T_STR, .max = 64,
		 .doc = "Our name there: in From, Contact, and in digests unless auth_user says "
			"otherwise."),
	SL_FIELD(struct trunk_conf, auth_user, SL_T_STR, .max = 64,
		 .doc = "Name in digests, where it differs."),
	SL_FIELD(struct trunk_conf, password, SL_T_SECRET, .max = 128,
		 .doc = "Password for digests. Unset: a challenge is a failure."),
	SL_FIELD(struct trunk_conf, registers, SL_T_BOOL, .dflt = "off",
		 .doc = "Register there, so that it can call us."),
	SL_FIELD(
		struct trunk_conf, accounts, SL_T_BOOL, .dflt = "off",
		.doc = "Clients in rooms may register here by the name and password that they have "
		       "at this PBX, which then calls them as it does its telephones."),
	SL_FIELD(struct trunk_conf, expires, SL_T_MSEC, .dflt = "10m", .min = 30000,
		 .max = 86400000,
		 .doc = "Life of such registrations; they are renewed after half of it."),
	SL_FIELD(struct trunk_conf, options_interval, SL_T_MSEC, .dflt = "30s", .min = 0,
		 .max = 3600000,
		 .doc = "Asked by OPTIONS this often whether it lives; one that does not answer is "
			"passed over by routes and asked less and less often, up to 8 times the "
			"interval. 0: taken to live."),
	SL_FIELD(struct trunk_conf, profile, SL_T_ENUM, .names = profile_names, .dflt = "auto",
		 .doc = "Media towards it, as for users. auto: plain RTP."),
	SL_FIELD(struct trunk_conf, video, SL_T_BOOL, .dflt = "on",
		 .doc = "Video in calls over it, as for users. Who refuses a call for its video is "
			"called again without."),
	SL_FIELD(struct trunk_conf, codecs, SL_T_STR, .list = true, .max = 8,
		 .doc = "Codecs for it, in order: opus, g722, pcma, pcmu, l16. Unset: the "
			"module's."),
	SL_FIELD(struct trunk_conf, allow, SL_T_CIDR, .list = true, .max = 64,
		 .doc = "Where its calls come from, which need no password; beside the server "
			"itself, when that is an address."),
	SL_FIELD(struct trunk_conf, max_calls, SL_T_INT, .dflt = "0", .min = 0, .max = 100000,
		 .doc = "Calls over it at once (503 beyond, or the next trunk). 0: no limit."),
	SL_FIELD(struct trunk_conf, max_cps, SL_T_INT, .dflt = "0", .min = 0, .max = 100000,
		 .doc = "Calls that begin over it in a second, in both directions together (503 "
			"beyond, or the next trunk). 0: no limit."),
	SL_FIELD(struct trunk_conf, headers, SL_T_STR, .list = true, .max = 16,
		 .doc = "Headers that our INVITEs there carry: \"Name: value\"."),
	SL_DIRS_END,
};

static const struct sl_directive tls_fields[] = {
	SL_FIELD(struct tls_conf, authorities, SL_T_STR, .max = 1 << 20,
		 .doc = "Certificates (PEM) of those who may have signed a trunk's: `!file PATH`. "
			"Unset: the system's."),
	SL_FIELD(struct tls_conf, cert, SL_T_STR, .max = 1 << 20,
		 .doc = "Our own (PEM, with its chain), for trunks that want to see one: `!file "
			"PATH`."),
	SL_FIELD(struct tls_conf, key, SL_T_SECRET, .max = 1 << 16,
		 .doc = "The key of it (PEM): `!file PATH`."),
	SL_DIRS_END,
};

static const struct sl_directive hep_fields[] = {
	SL_FIELD(struct hep_conf, server, SL_T_ADDR,
		 .doc = "Address and port of the collector, which is told over UDP. Unset: nobody "
			"is told."),
	SL_FIELD(struct hep_conf, id, SL_T_INT, .dflt = "2001", .min = 0, .max = 4294967295,
		 .doc = "This node's number there (capture agent)."),
	SL_FIELD(struct hep_conf, password, SL_T_SECRET, .max = 128,
		 .doc = "What the collector knows it by. Unset: none is sent."),
	SL_FIELD(struct hep_conf, rtcp, SL_T_BOOL, .dflt = "on",
		 .doc = "Reports of media (RTCP), too: what each party of a call says of what it "
			"hears, and what it is told."),
	SL_DIRS_END,
};

static const struct sl_directive siprec_fields[] = {
	SL_FIELD(struct siprec_conf, trunks, SL_T_STR, .list = true, .max = 8,
		 .doc = "Names of the trunks that lead to recorders; the first that takes a call "
			"has it. Empty: nothing is recorded so."),
	SL_FIELD(struct siprec_conf, to, SL_T_STR, .dflt = "siprec", .min = 1, .max = 63,
		 .doc = "The user part of the recorder's address."),
	SL_FIELD(struct siprec_conf, when, SL_T_ENUM, .names = when_names, .dflt = "always",
		 .doc = "always: all calls but those with `siprec: off`; chosen: those with "
			"`siprec: on`, of a route, a user or a trunk."),
	SL_FIELD(struct siprec_conf, required, SL_T_BOOL, .dflt = "off",
		 .doc = "A call that no recorder takes is refused (503), and ends when its last "
			"recorder leaves."),
	SL_DIRS_END,
};

static const struct sl_directive route_fields[] = {
	SL_FIELD(struct route_conf, siprec, SL_T_ENUM, .names = siprec_names, .dflt = "auto",
		 .doc = "Are its calls recorded by SIPREC? auto: as siprec.when says. A route's "
			"word "
			"counts before that of who talks; of those, one `off` is enough."),
	SL_FIELD(struct route_conf, name, SL_T_STR, .max = 64,
		 .doc = "For people: in the log, in records of calls, and in `sluice route`."),
	SL_FIELD(struct route_conf, match, SL_T_REGEX, .required = true,
		 .doc = "Pattern that the called user or number has to match."),
	SL_FIELD(struct route_conf, from, SL_T_REGEX,
		 .doc = "Pattern that the calling user or number has to match, too."),
	SL_FIELD(struct route_conf, trunk, SL_T_STR, .max = 64,
		 .doc = "Only calls that come from there: a trunk's name, `users` (registered or "
			"with "
			"a password), or `anyone`. Unset: users and trunks, but not strangers."),
	SL_FIELD(struct route_conf, to, SL_T_STR, .required = true, .min = 1, .max = 1024,
		 .doc = "Where the call goes; $0 is what matched, $1 to $9 its groups: user:NAME, "
			"trunk:NAME/NUMBER, room:NAME (of the module mixer), announcement:FILE, "
			"echo, music-on-hold, reject:STATUS. Several, separated by |, are tried in "
			"turn: trunks that fail make room for the next, and so does an "
			"announcement when it is over. Neighbours with a weight (\"trunk:a/$1 @3 "
			"| trunk:b/$1 @1\") take turns at coming first."),
	SL_FIELD(struct route_conf, early_media, SL_T_BOOL, .dflt = "off",
		 .doc = "Announcements of this route are heard before the call is answered (183), "
			"so that nobody is charged for them."),
	SL_FIELD(struct route_conf, header, SL_T_STR, .max = 64,
		 .doc = "Only calls whose INVITE has a header of this name, and as `value` says; "
			"what has none counts as empty."),
	SL_FIELD(struct route_conf, value, SL_T_REGEX,
		 .doc = "Pattern of that header's value. Unset: any."),
	SL_FIELD(struct route_conf, days, SL_T_ENUM, .list = true, .max = 7,
		 .names = dial_day_names, .doc = "Only on these days, of the node's time zone."),
	SL_FIELD(struct route_conf, hours, SL_T_STR, .list = true, .max = 8,
		 .doc = "Only at these times of the day, of the node's time zone: 08:00-12:30; "
			"22:00-06:00 goes over midnight."),
	SL_FIELD(struct route_conf, pass, SL_T_STR, .list = true, .max = 16,
		 .doc = "Names of headers of the caller's INVITE that go on with the call; all "
			"others stay here."),
	SL_FIELD(struct route_conf, headers, SL_T_STR, .list = true, .max = 16,
		 .doc = "Headers that the INVITE which goes on carries: \"Name: value\"."),
	SL_DIRS_END,
};

/* All of them are of the node, none of a listener or a service. */
#define MAIN(member, type, ...) SL_DIR(struct sip_conf, member, type, SL_S_MAIN, __VA_ARGS__)

const struct sl_directive sip_directives[] = {
	MAIN(realm, SL_T_STR, .dflt = "sluice", .min = 1, .max = 127,
	     .doc = "Realm of digests, and the host part of users' addresses that this node is "
		    "responsible for beside its own addresses."),
	MAIN(users, SL_T_RECORD, .list = true, .max = 100000, .fields = user_fields,
	     .record_bytes = sizeof(struct user_conf), .doc = "Extensions of this node."),
	MAIN(trunks, SL_T_RECORD, .list = true, .max = 256, .fields = trunk_fields,
	     .record_bytes = sizeof(struct trunk_conf), .doc = "PBXs and carriers."),
	MAIN(routes, SL_T_RECORD, .list = true, .max = 1024, .fields = route_fields,
	     .record_bytes = sizeof(struct route_conf),
	     .doc = "The dial plan: the first route that matches counts. Without one, users are "
		    "called by their names, and `echo` and `music-on-hold` by theirs."),
	MAIN(websocket, SL_T_STR, .dflt = "/sip", .max = 255,
	     .doc = "Path of SIP over WebSocket (RFC 7118), where the module http is active. "
		    "Empty: none."),
	MAIN(browsers, SL_T_BOOL, .dflt = "on",
	     .doc = "Clients in rooms of signaling-ws may call, without SIP."),
	MAIN(user_agent, SL_T_STR, .dflt = "Sluice", .max = 64,
	     .doc = "What we call ourselves in Server and User-Agent. Empty: nothing."),
	MAIN(records, SL_T_PATH,
	     .doc = "File to which the record of each call is appended as a line of JSON; it has "
		    "to be writable for the node's user, and may be moved away at any time. "
		    "Unset: "
		    "records go to the bus only."),
	MAIN(sounds, SL_T_PATH, .dflt = "sounds",
	     .doc = "Directory of the files that routes announce: WAV, FLAC, Ogg, of any rate; "
		    "the first ten minutes of each are kept in memory."),
	MAIN(music, SL_T_PATH,
	     .doc = "File that is played on hold, again and again. Unset: a melody made here."),
	MAIN(advertise, SL_T_ADDR,
	     .doc = "Our address (and port) as peers see it, in Via and Contact, of a host "
		    "behind 1:1 NAT. Unset: the address that they came to."),
	MAIN(algorithms, SL_T_ENUM, .list = true, .names = sip_algorithm_names, .dflt = "[md5]",
	     .min = 1, .max = 3,
	     .doc = "Digests that phones may choose from, in the order of our challenges (RFC "
		    "8760). Many clients abort on a challenge that they do not know, even beside "
		    "one that they do: JsSIP, SIP.js and baresip among them. So over WebSocket "
		    "only the first is offered, and the others are for who knows his phones."),
	MAIN(nonce_lifetime, SL_T_MSEC, .dflt = "5m", .min = 10000, .max = 86400000,
	     .doc = "After this a nonce is stale and a new one is given."),
	MAIN(min_expires, SL_T_MSEC, .dflt = "60s", .min = 1000, .max = 3600000,
	     .doc = "Registrations for less are refused (423)."),
	MAIN(max_expires, SL_T_MSEC, .dflt = "1h", .min = 60000, .max = 604800000,
	     .doc = "Registrations for more are granted this."),
	MAIN(max_bindings, SL_T_INT, .dflt = "100000", .min = 1, .max = 10000000,
	     .doc = "Contacts of all users (503 beyond)."),
	MAIN(max_calls, SL_T_INT, .dflt = "1000", .min = 1, .max = 1000000,
	     .doc = "Calls at once (503 with Retry-After beyond)."),
	MAIN(max_cps, SL_T_INT, .dflt = "100", .min = 1, .max = 100000,
	     .doc = "New calls a second (503 with Retry-After beyond)."),
	MAIN(max_watches, SL_T_INT, .dflt = "10000", .min = 0, .max = 10000000,
	     .doc = "Subscriptions to presence, calls and mailboxes of users (503 with Retry-After "
		    "beyond). 0: none."),
	MAIN(max_watches_user, SL_T_INT, .dflt = "200", .min = 0, .max = 100000,
	     .doc = "Those that a user, or a client, has of them."),
	MAIN(max_text, SL_T_SIZE, .dflt = "8k", .min = 256, .max = 16384,
	     .doc = "Bytes of a text (MESSAGE); longer ones are refused (413). What makes a "
		    "request "
		    "of more than 1300 bytes does not go to phones by UDP (513)."),
	MAIN(max_texts, SL_T_INT, .dflt = "10", .min = 0, .max = 100000,
	     .doc = "Texts that a user, or a trunk, may send in a second (503 with Retry-After "
		    "beyond). 0: no limit."),
	MAIN(max_delay, SL_T_MSEC, .dflt = "2s", .min = 100, .max = 60000,
	     .doc = "When messages wait longer for the stack, new calls are refused for a "
		    "second (503 with Retry-After), so that those that are up go on."),
	MAIN(max_redirects, SL_T_INT, .dflt = "5", .min = 0, .max = SIP_MAX_REDIRECTS,
	     .doc = "So many redirections (3xx) a call follows, none to a number that it has "
		    "been at; of phones by what their users may dial. 0: none."),
	MAIN(ring_timeout, SL_T_MSEC, .dflt = "60s", .min = 1000, .max = 3600000,
	     .doc = "A call that nobody answers for so long ends with 408."),
	MAIN(session_expires, SL_T_MSEC, .dflt = "30m", .min = 90000, .max = 86400000,
	     .doc = "Session timer (RFC 4028) that we ask for: a dialog that is not refreshed "
		    "for "
		    "so long is over."),
	MAIN(max_duration, SL_T_MSEC, .dflt = "0", .min = 0, .max = 604800000,
	     .doc = "A call longer than this is ended. 0: no limit."),
	MAIN(idle_timeout, SL_T_MSEC, .dflt = "5m", .min = 10000, .max = 86400000,
	     .doc = "A TCP connection on which nothing is said for so long is closed; phones "
		    "keep theirs alive by pings."),
	MAIN(scanners, SL_T_REGEX,
	     .dflt = "(?i)friendly-?scanner|sipvicious|sipcli|sip-?scan|sundayddr|iWar|VaxSIP|"
		     "smap |pplsip|sipsak|gulp|sivus|eyeBeam release 3006o",
	     .doc = "A message whose User-Agent matches gets no answer."),
	MAIN(rate, SL_T_INT, .dflt = "50", .min = 0, .max = 1000000,
	     .doc = "New requests a second that a worker takes from one source; trunks are not "
		    "counted. Twenty times as many within dialogs, and as responses. 0: no limit."),
	MAIN(burst, SL_T_INT, .dflt = "200", .min = 1, .max = 1000000,
	     .doc = "So many at once before rate counts."),
	MAIN(auth_failures, SL_T_INT, .dflt = "20", .min = 0, .max = 1000000,
	     .doc = "Failed authentications of one source before it is blocked; one a second is "
		    "forgiven. 0: never."),
	MAIN(block_time, SL_T_MSEC, .dflt = "10m", .min = 1000, .max = 86400000,
	     .doc = "How long such a source gets no answer."),
	MAIN(codecs, SL_T_STR, .list = true, .min = 1, .max = 8, .dflt = "[opus, g722, pcma, pcmu]",
	     .doc = "Audio codecs, in order: opus, g722, pcma, pcmu, l16."),
	MAIN(nameservers, SL_T_ADDR, .list = true, .max = 8,
	     .doc = "Who is asked for trunks' names. Unset: whom the system asks."),
	MAIN(tls, SL_T_RECORD, .fields = tls_fields, .doc = "Connections to trunks over TLS."),
	MAIN(hep, SL_T_RECORD, .fields = hep_fields,
	     .doc = "A collector of signalling (HEP version 3, as Homer and sngrep): every SIP "
		    "message in and out, reports of media (RTCP), and the record of each call."),
	MAIN(siprec, SL_T_RECORD, .fields = siprec_fields,
	     .doc = "Recorders of others (RFC 7866), which get a copy of calls."),
	MAIN(media, SL_T_RECORD, .fields = legs_fields,
	     .doc = "Sockets and codecs of media that is not WebRTC."),
	SL_DIRS_END,
};

const struct sl_metric sip_metrics[] = {
#define COUNTER SL_M_COUNTER
#define GAUGE SL_M_GAUGE
#define X(id, n, k, h) {.name = #n, .kind = k, .help = h},
	SIP_METERS(X)
#undef X
		SL_METRICS_END};
