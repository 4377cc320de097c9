/*
 * sip-gateway/dialcond.c: what a route asks of a call beside its numbers: a header, the weekday and
 * the time of day here; and how targets with weights share the calls.
 */
#include "dialplan.h"

#include <sluice/clock.h>
#include <sluice/crypto.h>
#include "preparse.h"

#include <stdio.h>
#include <time.h>

enum { DAY_MINUTES = 24 * 60 };

const char *const dial_day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

/* ---- time */

static int read_minutes(struct sl_str text, unsigned *ret_minutes)
{
	struct sl_str rest = text, h = sl_str_split(&rest, ':');
	uint64_t hours, minutes;

	if (sl_str_u64(sl_str_trim(h), &hours) < 0 || sl_str_u64(sl_str_trim(rest), &minutes) < 0 ||
	    hours > 24 || minutes > 59 || hours * 60 + minutes > DAY_MINUTES)
		return -SL_EPARSE;
	*ret_minutes = (unsigned)(hours * 60 + minutes);
	return 0;
}

int dial_read_hours(struct sl_str text, unsigned *ret_from, unsigned *ret_to)
{
	struct sl_str rest = text, from = sl_str_split(&rest, '-');

	if (read_minutes(from, ret_from) < 0)
		return -SL_EPARSE;
	return read_minutes(rest, ret_to);
}

/* "22:00-06:00" goes over midnight. */
static bool is_within(const struct sl_list *hours, unsigned now)
{
	for (size_t i = 0; i < hours->n; i++) {
		unsigned from, to;

		if (dial_read_hours(*SL_LIST_AT(*hours, struct sl_str, i), &from, &to) < 0)
			continue; /* the configuration was checked */
		if (from <= to ? now >= from && now < to : now >= from || now < to)
			return true;
	}
	return hours->n == 0;
}

static bool is_day(const struct sl_list *days, unsigned today)
{
	for (size_t i = 0; i < days->n; i++)
		if (*SL_LIST_AT(*days, int32_t, i) == (int32_t)today)
			return true;
	return days->n == 0;
}

static const char *wrong_time(const struct route_conf *r, const struct dial_call *call)
{
	time_t now = (time_t)(call->unix_s ? call->unix_s : sl_clock_unix_ns() / SL_NS_PER_S);
	struct tm here;

	if (r->days.n == 0 && r->hours.n == 0)
		return NULL;
	if (!localtime_r(&now, &here))
		return "nobody knows what time it is";
	if (!is_day(&r->days, (unsigned)(here.tm_wday + 6) % 7))
		return "is for other days";
	if (!is_within(&r->hours, (unsigned)(here.tm_hour * 60 + here.tm_min)))
		return "is for other hours";
	return NULL;
}

/* ---- headers */

/* Any of several of that name; absent is as empty. */
static bool header_matches(const struct route_conf *r, struct sl_str head)
{
	struct sl_str rest = head, n, v;
	bool found = false;

	while (head.len > 0 && sip_header_next(&rest, &n, &v)) {
		if (!sl_str_eq_nocase(n, r->header))
			continue;
		found = true;
		if (!r->value || sl_regex_match(r->value, v))
			return true;
	}
	return !found && r->value && sl_regex_match(r->value, SL_STR(""));
}

const char *dial_unfit(const struct route_conf *r, const struct dial_call *call)
{
	if (r->header.len > 0 && !header_matches(r, call->head))
		return "its `header` is not as it wants";
	return wrong_time(r, call);
}

bool dial_may_pass(struct sl_str header)
{
	static const char *const ours[] = {"Via",
					   "From",
					   "To",
					   "Call-ID",
					   "CSeq",
					   "Contact",
					   "Route",
					   "Record-Route",
					   "Max-Forwards",
					   "Content-Length",
					   "Require",
					   "Supported",
					   "Allow",
					   "Proxy-Require",
					   "Content-Type",
					   "RAck",
					   "RSeq",
					   "Authorization",
					   "Replaces",
					   "Session-Expires",
					   "Min-SE",
					   "Refer-To",
					   "Proxy-Authorization",
					   "Referred-By"};

	for (size_t i = 0; i < SL_ARRAY_LEN(ours); i++)
		if (sip_header_is(header, ours[i]))
			return false;
	return header.len > 0;
}

/* ---- weights */

static uint32_t random_below(uint32_t n)
{
	uint32_t r = 0;

	if (sl_random(&r, sizeof r) < 0)
		return 0; /* then the first has it */
	return r % n;
}

/* The one that comes first of n with weights */
static unsigned pick(const struct dial_target *t, unsigned n)
{
	uint32_t sum = 0, at;

	for (unsigned i = 0; i < n; i++)
		sum += t[i].weight;
	at = random_below(sum);
	for (unsigned i = 0; i < n; i++) {
		if (at < t[i].weight)
			return i;
		at -= t[i].weight;
	}
	return 0;
}

static void shuffle_group(struct dial_target *t, unsigned n)
{
	for (unsigned i = 0; i + 1 < n; i++) {
		unsigned chosen = i + pick(&t[i], n - i);
		struct dial_target x = t[i];

		t[i] = t[chosen];
		t[chosen] = x;
	}
}

void dial_share(struct dial_result *r)
{
	unsigned first = 0;

	while (first < r->n_targets) {
		unsigned n = 0;

		while (first + n < r->n_targets && r->targets[first + n].weight > 0)
			n++;
		if (n > 1)
			shuffle_group(&r->targets[first], n);
		first += n > 0 ? n : 1;
	}
}
