/*
 * turn-relay/unproven.c: how much is answered to those who have proven nothing.
 *
 * A UDP source may be forged, and then the answer goes to somebody who did not ask. Two guards, of
 * constant size: each prefix (/24, /56) is answered at challenge_rate, and all such answers of a
 * worker together, beyond a fixed allowance, are three bytes for four that were received. So no
 * flood is worth forging, from one source or from all of them; a client that goes without an answer
 * while one lasts asks again.
 */
#include "relay.h"

enum {
	SOURCES = 16384,
	PREFIX_V4 = 24,
	PREFIX_V6 = 56,
	ALLOWANCE_PER_S = 16384, /* about 180 challenges */
	MAX_BALANCE = 4 * ALLOWANCE_PER_S,
};

int unproven_open(struct turn_relay *m)
{
	unsigned rate = (unsigned)m->conf->challenge_rate;
	int err;

	m->unproven.balance = MAX_BALANCE;
	if (rate == 0)
		return 0;
	err = sl_rate_new(rate, 2 * rate, SOURCES, &m->unproven.rate);
	if (err == 0)
		sl_rate_set_prefixes(m->unproven.rate, PREFIX_V4, PREFIX_V6);
	return err;
}

void unproven_close(struct turn_relay *m)
{
	sl_rate_free(m->unproven.rate);
	m->unproven.rate = NULL;
}

/* Called before anything is computed for it. */
bool unproven_may_ask(struct turn_relay *m, const struct sl_addr *from, uint64_t now_ms)
{
	if (!m->unproven.rate || sl_rate_allow(m->unproven.rate, from, now_ms))
		return true;
	sl_count(&m->m[M_CHALLENGES_LIMITED]);
	return false;
}

static void balance_grow(struct turn_relay *m, int64_t bytes)
{
	m->unproven.balance += bytes;
	if (m->unproven.balance > MAX_BALANCE)
		m->unproven.balance = MAX_BALANCE;
}

static void balance_allow(struct turn_relay *m, uint64_t now_ms)
{
	uint64_t passed = now_ms - m->unproven.allowed_ms;

	m->unproven.allowed_ms = now_ms;
	balance_grow(m, passed > 10000 ? MAX_BALANCE : (int64_t)passed * ALLOWANCE_PER_S / 1000);
}

bool unproven_may_answer(struct turn_relay *m, size_t asked, size_t answer, uint64_t now_ms)
{
	if (!m->unproven.rate)
		return true;
	balance_allow(m, now_ms);
	balance_grow(m, (int64_t)asked * 3 / 4);
	if (m->unproven.balance < (int64_t)answer) {
		sl_count(&m->m[M_ANSWERS_LIMITED]);
		return false;
	}
	m->unproven.balance -= (int64_t)answer;
	return true;
}
