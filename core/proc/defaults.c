/*
 * proc/defaults.c: the configuration of an edge node that nobody has configured yet.
 *
 * Nothing to install, no certificate, no database: pages on localhost in the clear (browsers allow
 * the camera there) and on every address with a development certificate, STUN and TURN, open rooms,
 * and a telephone that reaches `echo` and `music-on-hold`, without extensions.
 * The TURN secret is made anew at each start: browsers get credentials with the room's welcome.
 */
#include "proc/tool.h"

/* clang-format off: a line here is a line there */
const char default_config[] =
	"modules: [http, stun, turn-relay, signaling-ws, sfu, sip-gateway, metrics]\n"
	"listen:\n"
	"  - {name: media, udp: \"*:3478\", tcp: \"*:3478\"}\n"
	"  - {name: plain, tcp: \"*:8080\", http: {}}\n"
	"  - {name: secure, tcp: \"*:8443\", tls: {cert: auto}, http: {}}\n"
	"turn-relay: {realm: sluice}\n"
	"signaling-ws: {auth: open}\n";
/* clang-format on */
