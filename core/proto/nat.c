/*
 * proto/nat.c: what a NAT does, concluded from what was observed through it (RFC 5780 sections 4.3
 * to 4.6), and what that means for calls.
 *
 * Pure functions over observations; who asks whom, when and how often is proc/tool_nat.c. The names
 * are those of RFC 4787; the sentences are for people who want to make calls. Two peers reach each
 * other directly unless one cannot tell its address beforehand and the other only lets in addresses
 * and ports that it has sent to.
 */
#include "proto/nat.h"

#include <stdio.h>

static enum nat_dependence judge_mapping(const struct nat_facts *f)
{
	const struct sl_addr *m = f->mapped;

	if (sl_addr_eq(&m[0], &f->local))
		return NAT_ENDPOINT_INDEPENDENT;
	if (m[1].family == 0)
		return NAT_UNKNOWN;
	if (sl_addr_eq(&m[0], &m[1]))
		return NAT_ENDPOINT_INDEPENDENT;
	if (m[2].family == 0)
		return NAT_UNKNOWN;
	return sl_addr_eq(&m[1], &m[2]) ? NAT_ADDRESS_DEPENDENT : NAT_ADDRESS_PORT_DEPENDENT;
}

static enum nat_dependence judge_filtering(const struct nat_facts *f)
{
	if (f->heard_other)
		return NAT_ENDPOINT_INDEPENDENT;
	if (f->heard_other_port)
		return NAT_ADDRESS_DEPENDENT;
	return f->has_other ? NAT_ADDRESS_PORT_DEPENDENT : NAT_UNKNOWN;
}

void nat_judge(const struct nat_facts *f, struct nat_verdict *ret_verdict)
{
	struct nat_verdict v = {.reachable = f->mapped[0].family != 0};

	if (v.reachable) {
		v.translated = !sl_addr_eq(&f->mapped[0], &f->local);
		v.rewrites = f->plain.family != 0 && !sl_addr_eq(&f->plain, &f->mapped[0]);
		v.mapping = judge_mapping(f);
		v.filtering = judge_filtering(f);
	}
	*ret_verdict = v;
}

const char *nat_dependence_name(enum nat_dependence d)
{
	static const char *const names[] = {"unknown", "endpoint-independent", "address-dependent",
					    "address-and-port-dependent"};

	return names[d];
}

/* ---- sentences */

static void explain_address(const struct nat_facts *f, const struct nat_verdict *v, nat_say_fn *say,
			    void *arg)
{
	char local[SL_ADDR_STRLEN], mapped[SL_ADDR_STRLEN], text[320];

	sl_addr_format(local, &f->local);
	sl_addr_format(mapped, &f->mapped[0]);
	if (v->translated)
		snprintf(text, sizeof text, "A NAT is in front of this machine: %s is seen as %s.",
			 local, mapped);
	else
		snprintf(text, sizeof text,
			 "No NAT is in front of this machine: it is seen under its own address, "
			 "%s.",
			 mapped);
	say(arg, text);
	if (v->rewrites)
		say(arg, "A gateway on the way changes addresses inside packets (an ALG). That "
			 "breaks protocols that do not hide them; switch it off if you can.");
}

static const char *mapping_sentence(const struct nat_verdict *v)
{
	static const char *const sentences[] = {
		"How it maps ports is not known: this needs a server with a second address.",
		"Mapping is endpoint-independent: one port outside for one inside, whoever is "
		"sent to.",
		"Mapping is address-dependent: another port outside for each address sent to.",
		"Mapping is address-and-port-dependent (a symmetric NAT): another port outside for "
		"each address and port sent to.",
	};

	return sentences[v->mapping];
}

static const char *filtering_sentence(const struct nat_verdict *v)
{
	static const char *const sentences[] = {
		"What it lets in is not known: this needs a server with a second address.",
		"Filtering is endpoint-independent: an open port lets in everybody.",
		"Filtering is address-dependent: only addresses that were sent to come in.",
		"Filtering is address-and-port-dependent: only ports that were sent to come in.",
	};

	return sentences[v->filtering];
}

static void explain_lifetime(const struct nat_facts *f, nat_say_fn *say, void *arg)
{
	char text[200];

	if (f->silent_s && f->silent_s <= 30)
		snprintf(text, sizeof text,
			 "A silence of %u s ends a binding: keep-alives every 15 s may come too "
			 "late.",
			 f->silent_s);
	else if (f->silent_s)
		snprintf(text, sizeof text,
			 "A binding outlives a silence of %u s, but not one of %u s.", f->alive_s,
			 f->silent_s);
	else
		snprintf(text, sizeof text,
			 "A binding outlives a silence of %u s, the longest tried.", f->alive_s);
	say(arg, text);
}

static const char *calls_sentence(const struct nat_verdict *v)
{
	bool steady = v->mapping == NAT_ENDPOINT_INDEPENDENT;

	if (v->mapping == NAT_UNKNOWN || v->filtering == NAT_UNKNOWN)
		return "Calls: whether they can be direct is not known; with a TURN server they "
		       "work in any case.";
	if (steady && v->filtering != NAT_ADDRESS_PORT_DEPENDENT)
		return "Calls: direct with nearly everybody who can send UDP.";
	if (steady)
		return "Calls: direct with most; with peers behind symmetric NATs they need a TURN "
		       "server.";
	if (v->filtering != NAT_ADDRESS_PORT_DEPENDENT)
		return "Calls: direct with those whose NAT keeps its port or lets in this address; "
		       "with the others they need a TURN server.";
	return "Calls: direct only with peers whose NAT does not insist on ports; with the usual "
	       "home router they need a TURN server.";
}

static void explain_silence(const struct nat_facts *f, nat_say_fn *say, void *arg)
{
	if (f->stream) {
		say(arg,
		    "No answer over UDP, but the host takes TCP connections: UDP is blocked on "
		    "the way, or no STUN server listens there.");
		say(arg, "Calls: only through a TURN server over TCP or TLS.");
	} else {
		say(arg, "No answer, neither over UDP nor over TCP: the address is wrong, the "
			 "server is down, or a firewall lets nothing through.");
	}
}

void nat_explain(const struct nat_facts *f, const struct nat_verdict *v, nat_say_fn *say, void *arg)
{
	if (!v->reachable) {
		explain_silence(f, say, arg);
		return;
	}
	explain_address(f, v, say, arg);
	if (v->translated)
		say(arg, mapping_sentence(v));
	say(arg, filtering_sentence(v));
	if (f->hairpin_tried)
		say(arg, f->hairpin ? "It hairpins: two machines behind it can meet at its outer "
				      "address."
				    : "It does not hairpin: two machines behind it meet at their "
				      "inner addresses or not at all.");
	if (f->lifetime_tried)
		explain_lifetime(f, say, arg);
	say(arg, calls_sentence(v));
}
