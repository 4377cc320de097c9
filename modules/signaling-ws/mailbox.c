/*
 * signaling-ws/mailbox.c: the list of unacknowledged messages of one peer.
 *
 * The number is put in front of the members of a finished body, so that one body serves a whole
 * room. Both bounds count what is kept, and a mailbox over them is its owner's decision: nothing is
 * dropped here, for a gap cannot be repaired later.
 */
#include "mailbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_MAX 32 /* {"seq":18446744073709551615, */

void mailbox_init(struct mailbox *box, size_t max_n, size_t max_bytes)
{
	*box = (struct mailbox){.next_seq = 1, .max_n = max_n, .max_bytes = max_bytes};
	box->tail = &box->first;
}

static void drop_first(struct mailbox *box)
{
	struct letter *l = box->first;

	box->first = l->next;
	if (!box->first)
		box->tail = &box->first;
	box->n--;
	box->bytes -= l->len;
	free(l);
}

void mailbox_free(struct mailbox *box)
{
	while (box->first)
		drop_first(box);
}

/* One allocation per letter, text included. */
static struct letter *append(struct mailbox *box, uint64_t seq, struct sl_str head,
			     struct sl_str rest)
{
	struct letter *l = malloc(sizeof *l + head.len + rest.len);

	if (!l)
		return NULL;
	l->next = NULL;
	l->seq = seq;
	l->len = head.len + rest.len;
	if (head.len > 0)
		memcpy(l->text, head.p, head.len);
	memcpy(l->text + head.len, rest.p, rest.len);
	*box->tail = l;
	box->tail = &l->next;
	box->next_seq = seq + 1;
	box->n++;
	box->bytes += l->len;
	return l;
}

int mailbox_put(struct mailbox *box, struct sl_str body, const struct letter **ret_letter)
{
	char head[HEAD_MAX];
	const struct letter *l;
	int len;

	if (body.len < 2 || body.p[0] != '{')
		return -SL_EINVAL;
	if (box->n >= box->max_n || body.len + HEAD_MAX > box->max_bytes - box->bytes)
		return -SL_EFULL;
	len = snprintf(head, sizeof head, "{\"seq\":%" PRIu64 ",", box->next_seq);
	l = append(box, box->next_seq, (struct sl_str){head, (size_t)len},
		   (struct sl_str){body.p + 1, body.len - 1});
	if (!l)
		return -SL_ENOMEM;
	*ret_letter = l;
	return 0;
}

/* Numbers only grow; gaps are those that the client has acknowledged. */
int mailbox_restore(struct mailbox *box, uint64_t seq, struct sl_str text)
{
	if (seq < box->next_seq || text.len == 0)
		return -SL_EINVAL;
	if (box->n >= box->max_n || text.len > box->max_bytes - box->bytes)
		return -SL_EFULL;
	return append(box, seq, SL_STR_NULL, text) ? 0 : -SL_ENOMEM;
}

int mailbox_ack(struct mailbox *box, uint64_t seq)
{
	if (seq >= box->next_seq)
		return -SL_EINVAL;
	while (box->first && box->first->seq <= seq)
		drop_first(box);
	return 0;
}
