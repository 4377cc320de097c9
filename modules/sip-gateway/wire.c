/*
 * sip-gateway/wire.c: messages between the halves, byte by byte.
 */
#include "wire.h"

#include <sluice/crypto.h>

const char *sip_transport_name(unsigned transport)
{
	static const char *const names[] = {"UDP", "TCP", "TLS", "WS", "WSS"};

	return transport < SL_ARRAY_LEN(names) ? names[transport] : "UDP";
}

const char *sip_transport_param(unsigned transport)
{
	static const char *const params[] = {"", ";transport=tcp", ";transport=tls",
					     ";transport=ws", ";transport=ws"};

	return transport < SL_ARRAY_LEN(params) ? params[transport] : "";
}

uint32_t wire_peer(struct sl_str trunk)
{
	uint8_t digest[32];

	sl_sha256_parts(digest, &trunk, 1); /* sl_hash has a key of its process */
	return sl_get32(digest) | 1;
}

bool sip_flow_same(const struct sip_flow *a, const struct sip_flow *b)
{
	if (a->transport != b->transport)
		return false;
	if (a->conn || b->conn)
		return a->conn == b->conn && a->worker == b->worker;
	return sl_addr_eq(&a->remote, &b->remote) && a->listener == b->listener;
}

void wire_put_addr(struct sl_buf *b, const struct sl_addr *a)
{
	sl_buf_u8(b, a->family);
	sl_buf_u16(b, a->port);
	sl_buf_u32(b, a->scope);
	sl_buf_add(b, a->ip, sizeof a->ip);
}

void wire_get_addr(struct sl_reader *r, struct sl_addr *ret_addr)
{
	struct sl_addr a = {.family = sl_read_u8(r)};
	struct sl_str ip;

	a.port = sl_read_u16(r);
	a.scope = sl_read_u32(r);
	ip = sl_read_bytes(r, sizeof a.ip);
	if (ip.len == sizeof a.ip)
		memcpy(a.ip, ip.p, ip.len);
	*ret_addr = a;
}

void wire_put_flow(struct sl_buf *b, const struct sip_flow *f)
{
	sl_buf_u32(b, f->worker);
	sl_buf_u32(b, f->conn);
	sl_buf_u16(b, f->listener);
	sl_buf_u8(b, f->transport);
	wire_put_addr(b, &f->remote);
	wire_put_addr(b, &f->local);
	sl_buf_u32(b, f->peer);
}

void wire_get_flow(struct sl_reader *r, struct sip_flow *ret_flow)
{
	struct sip_flow f = {.worker = sl_read_u32(r)};

	f.conn = sl_read_u32(r);
	f.listener = sl_read_u16(r);
	f.transport = sl_read_u8(r);
	wire_get_addr(r, &f.remote);
	wire_get_addr(r, &f.local);
	f.peer = sl_read_u32(r);
	*ret_flow = f;
}

static int at_end(const struct sl_reader *r)
{
	return r->failed || r->p != r->end ? -SL_EPARSE : 0;
}

void wire_put_leg(struct sl_buf *b, const struct wire_leg *m)
{
	sl_buf_u32(b, m->leg);
	sl_buf_u32(b, m->seq);
	sl_buf_u8(b, m->verb);
	sl_buf_u32(b, m->a);
	sl_buf_u32(b, m->b);
	sl_buf_u8(b, m->n_list);
	sl_buf_add(b, m->list, m->n_list);
	sl_buf_lstr(b, m->text);
}

int wire_get_leg(struct sl_str data, struct wire_leg *ret_msg)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct wire_leg m = {.leg = sl_read_u32(&r)};
	struct sl_str list;

	m.seq = sl_read_u32(&r);
	m.verb = sl_read_u8(&r);
	m.a = sl_read_u32(&r);
	m.b = sl_read_u32(&r);
	m.n_list = sl_read_u8(&r);
	if (m.n_list > WIRE_MAX_CODECS)
		return -SL_EPARSE;
	list = sl_read_bytes(&r, m.n_list);
	if (list.len > 0)
		memcpy(m.list, list.p, list.len);
	m.text = sl_read_lstr(&r);
	*ret_msg = m;
	return at_end(&r);
}

void wire_put_reply(struct sl_buf *b, const struct wire_reply *m)
{
	sl_buf_u32(b, m->leg);
	sl_buf_u32(b, m->seq);
	sl_buf_u32(b, (uint32_t)m->rc);
	sl_buf_lstr(b, m->text);
}

int wire_get_reply(struct sl_str data, struct wire_reply *ret_msg)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct wire_reply m = {.leg = sl_read_u32(&r)};

	m.seq = sl_read_u32(&r);
	m.rc = (int32_t)sl_read_u32(&r);
	m.text = sl_read_lstr(&r);
	*ret_msg = m;
	return at_end(&r);
}

void wire_put_leg_event(struct sl_buf *b, const struct wire_leg_event *m)
{
	sl_buf_u32(b, m->leg);
	sl_buf_u8(b, m->kind);
	sl_buf_u32(b, m->value);
	sl_buf_u32(b, m->ms);
	sl_buf_lstr(b, m->text);
}

int wire_get_leg_event(struct sl_str data, struct wire_leg_event *ret_msg)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct wire_leg_event m = {.leg = sl_read_u32(&r)};

	m.kind = sl_read_u8(&r);
	m.value = sl_read_u32(&r);
	m.ms = sl_read_u32(&r);
	m.text = sl_read_lstr(&r);
	*ret_msg = m;
	return at_end(&r);
}

void wire_put_signal(struct sl_buf *b, const struct wire_signal *m)
{
	sl_buf_u64(b, m->peer);
	sl_buf_u32(b, m->worker);
	wire_put_addr(b, &m->remote);
	sl_buf_lstr(b, m->room);
	sl_buf_lstr(b, m->name);
	sl_buf_lstr(b, m->claims);
	sl_buf_lstr(b, m->json);
}

void wire_read_signal(struct sl_reader *r, struct wire_signal *ret_msg)
{
	struct wire_signal m = {.peer = sl_read_u64(r)};

	m.worker = sl_read_u32(r);
	wire_get_addr(r, &m.remote);
	m.room = sl_read_lstr(r);
	m.name = sl_read_lstr(r);
	m.claims = sl_read_lstr(r);
	m.json = sl_read_lstr(r);
	*ret_msg = m;
}

int wire_get_signal(struct sl_str data, struct wire_signal *ret_msg)
{
	struct sl_reader r = sl_reader(data.p, data.len);

	wire_read_signal(&r, ret_msg);
	return at_end(&r);
}

/* ---- names */

int sip_name_new(char dst[SIP_NAME_LEN + 1], uint32_t owner)
{
	uint8_t bytes[SIP_NAME_LEN / 2];
	int err;

	sl_put32(bytes, owner);
	err = sl_random(bytes + 4, sizeof bytes - 4);
	if (err < 0)
		return err;
	sl_hex_encode(dst, bytes, sizeof bytes);
	return 0;
}

uint32_t sip_name_owner(struct sl_str name)
{
	uint8_t bytes[SIP_NAME_LEN / 2];
	size_t n;

	if (name.len != SIP_NAME_LEN)
		return 0;
	if (sl_hex_decode(bytes, sizeof bytes, name, &n) < 0)
		return 0;
	return sl_get32(bytes);
}

struct sl_str sip_branch_name(struct sl_str branch)
{
	const struct sl_str cookie = SL_STR("z9hG4bK");

	if (!sl_str_starts(branch, cookie))
		return SL_STR_NULL;
	return (struct sl_str){branch.p + cookie.len, branch.len - cookie.len};
}
