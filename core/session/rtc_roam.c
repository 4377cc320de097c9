/*
 * session/rtc_roam.c: a peer whose address has changed is known by its media.
 *
 * A phone that leaves one network for another goes on sending, from a new address. Its browser
 * learns of the change up to two seconds late, asks for connectivity as seldom, and a restart of
 * ICE takes several round trips more. But what it sends is sealed under keys that it alone has: a
 * packet from an address that is nobody's, newer than all before and authentic, is that peer. ICE
 * asks there (ice_follow), and what we send follows with the answer. No replay does that, since it
 * is not newer; and who holds a packet back to send it from elsewhere gains one check, for it
 * cannot answer.
 *
 * Nobody knows whose a stray packet is, nor in which worker: each is asked. SSRC and number leave
 * few connections for which opening it is tried. Tries are paced, and an address that was nobody's
 * is left alone for a moment: media that outlives its connection would be tried packet by packet.
 */
#include "session/rtc_impl.h"

#include "shm/shm.h"

enum {
	LARGEST = 1500, /* bytes: sound and feedback are small, and come soon */
	TRY_MS = 20,	/* between two tries, in the long run */
	TRY_BURST_MS = 1000,
	STRANGE_MS = 250, /* how long an address stays nobody's */
};

/* ---- what is tried */

/* Its place in the table is taken by the next address of the same hash: then it is tried again. */
static bool is_strange(struct rtc_roam *r, const struct sl_addr *from, uint64_t now_ms)
{
	uint64_t hash = sl_addr_hash(from);
	struct rtc_stranger *s = &r->strangers[hash % RTC_N_STRANGERS];

	if (s->hash == hash && now_ms < s->until_ms)
		return true;
	*s = (struct rtc_stranger){.hash = hash, .until_ms = now_ms + STRANGE_MS};
	return false;
}

static bool pace_allows(struct rtc_roam *r, uint64_t now_ms)
{
	if (r->paced_ms + TRY_BURST_MS < now_ms)
		r->paced_ms = now_ms - TRY_BURST_MS;
	if (r->paced_ms > now_ms)
		return false;
	r->paced_ms += TRY_MS;
	return true;
}

/* ---- whose it is */

/* Who speaks over TCP comes back by a new connection, and by a check. */
static bool may_have_left(const struct sl_rtc *c)
{
	return c->in && !c->closing && c->selected && !c->selected->tcp;
}

static bool opens(struct srtp_in *in, const struct sl_packet *p, bool rtcp)
{
	uint8_t copy[LARGEST];
	size_t len = p->len;

	memcpy(copy, p->data, len);
	return (rtcp ? srtp_open_rtcp(in, copy, &len) : srtp_open_rtp(in, copy, &len)) == 0;
}

static struct sl_rtc *sender_of(const struct rtc_host *h, const struct sl_packet *p)
{
	bool rtcp = p->demux == SL_DEMUX_RTCP;

	for (struct sl_rtc *c = h->first; c; c = c->next)
		if (may_have_left(c) && srtp_in_awaits(c->in, p->data, p->len, rtcp) &&
		    opens(c->in, p, rtcp))
			return c;
	return NULL;
}

static bool follow(struct sl_rtc *c, const struct sl_packet *p)
{
	struct ice_path path = rtc_path_of(c, p);

	if (!ice_follow(c->ice, &path, rtc_now_ms(c)))
		return false;
	rtc_count(c, RTC_followed);
	rtc_touch(c);
	return true;
}

/* Each gets it once, and what is forwarded goes no further. */
static bool ask_others(const struct rtc_host *h, const struct sl_packet *p)
{
	unsigned n = h->w->shm ? shm_sizes(h->w->shm)->n_slots : 0;
	bool asked = false;

	for (unsigned slot = 0; slot < n; slot++)
		if (sl_udp_forward(p, (uint16_t)slot) == 0)
			asked = true;
	return asked;
}

int rtc_host_stray(void *host, struct sl_packet *p)
{
	struct rtc_host *h = host;
	uint64_t now_ms = sl_loop_ms(h->w->loop);
	struct sl_rtc *c;

	if (p->len > LARGEST || is_strange(&h->roam, &p->from, now_ms) ||
	    !pace_allows(&h->roam, now_ms))
		return SL_DECLINED;
	c = sender_of(h, p);
	if (c)
		return follow(c, p) ? SL_DONE : SL_DECLINED;
	return ask_others(h, p) ? SL_DONE : SL_DECLINED;
}
