/*
 * os/uring.c: see uring.h. By the system calls themselves: of the library only two lines would be
 * used.
 *
 * A call fills the queue, submits all and takes all completions, so that head and tail of both
 * queues are ours alone between calls. The kernel does each operation while it is submitted, since
 * none may wait; should one not be done by then, the call waits for its completion.
 */
#include "os/uring.h"

#include "os/os.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct queue { /* the kernel's words in shared memory */
	unsigned *head, *tail, mask;
};

struct uring {
	int fd;
	unsigned max;
	struct queue sq, cq;
	struct io_uring_sqe *sqes;
	const struct io_uring_cqe *cqes;
	void *rings;
	size_t rings_bytes, sqes_bytes;
};

static void unmap(void *at, size_t bytes)
{
	if (at && at != MAP_FAILED)
		(void)munmap(at, bytes);
}

void uring_close(struct uring *r)
{
	if (!r)
		return;
	unmap(r->sqes, r->sqes_bytes);
	unmap(r->rings, r->rings_bytes);
	fd_close(&r->fd);
	free(r);
}

static void *map(const struct uring *r, size_t bytes, off_t what)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, what);
}

static unsigned *word(const struct uring *r, uint32_t at)
{
	return (unsigned *)(void *)((uint8_t *)r->rings + at);
}

/* Both queues are one mapping since 5.4. */
static int map_rings(struct uring *r, const struct io_uring_params *p)
{
	const size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
	const size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);

	if (!(p->features & IORING_FEAT_SINGLE_MMAP))
		return -SL_EUNSUPP;
	r->rings_bytes = sq > cq ? sq : cq;
	r->sqes_bytes = p->sq_entries * sizeof *r->sqes;
	r->rings = map(r, r->rings_bytes, IORING_OFF_SQ_RING);
	r->sqes = map(r, r->sqes_bytes, IORING_OFF_SQES);
	if (r->rings == MAP_FAILED || (void *)r->sqes == MAP_FAILED)
		return -SL_EUNSUPP;
	r->sq = (struct queue){word(r, p->sq_off.head), word(r, p->sq_off.tail),
			       *word(r, p->sq_off.ring_mask)};
	r->cq = (struct queue){word(r, p->cq_off.head), word(r, p->cq_off.tail),
			       *word(r, p->cq_off.ring_mask)};
	r->cqes = (const struct io_uring_cqe *)(const void *)word(r, p->cq_off.cqes);
	for (unsigned i = 0; i < p->sq_entries; i++)
		word(r, p->sq_off.array)[i] = i;
	return 0;
}

static bool is_offered(const struct io_uring_probe *p, unsigned op)
{
	return op < p->ops_len && p->ops[op].flags & IO_URING_OP_SUPPORTED;
}

static bool knows_messages(int fd)
{
	enum { OPS = 64 };
	_Alignas(struct io_uring_probe) uint8_t
		room[sizeof(struct io_uring_probe) + OPS * sizeof(struct io_uring_probe_op)] = {0};
	const struct io_uring_probe *p = (const void *)room;

	return syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, room, OPS) == 0 &&
	       is_offered(p, IORING_OP_SENDMSG) && is_offered(p, IORING_OP_RECVMSG);
}

int uring_open(unsigned max, struct uring **ret_ring)
{
	struct uring *r = calloc(1, sizeof *r);
	struct io_uring_params p = {0};

	if (!r)
		return -SL_ENOMEM;
	r->max = max;
	r->fd = (int)syscall(SYS_io_uring_setup, max, &p);
	if (r->fd < 0 || map_rings(r, &p) < 0 || !knows_messages(r->fd)) {
		uring_close(r);
		return -SL_EUNSUPP;
	}
	*ret_ring = r;
	return 0;
}

/* ---- a call */

static void fill(const struct uring *r, uint8_t op, struct uring_message *m, unsigned n)
{
	unsigned tail = *r->sq.tail;

	for (unsigned i = 0; i < n; i++, tail++) {
		m[i].result = -ECANCELED;
		r->sqes[tail & r->sq.mask] = (struct io_uring_sqe){
			.opcode = op,
			.fd = m[i].fd,
			.addr = (uint64_t)(uintptr_t)m[i].h,
			.len = 1,
			.msg_flags = MSG_DONTWAIT | (op == IORING_OP_RECVMSG ? MSG_TRUNC : 0),
			.user_data = i,
		};
	}
	__atomic_store_n(r->sq.tail, tail, __ATOMIC_RELEASE);
}

/* Returns how many there were. */
static unsigned take(const struct uring *r, struct uring_message *m, unsigned n)
{
	unsigned head = *r->cq.head, tail = __atomic_load_n(r->cq.tail, __ATOMIC_ACQUIRE), taken;

	for (taken = 0; head != tail; head++, taken++) {
		const struct io_uring_cqe *c = &r->cqes[head & r->cq.mask];

		if (c->user_data < n)
			m[c->user_data].result = c->res;
	}
	__atomic_store_n(r->cq.head, head, __ATOMIC_RELEASE);
	return taken;
}

/* An operation that is malformed ends a submission early; ours are all alike. */
static bool enter(const struct uring *r, unsigned submit, unsigned wait, unsigned *ret_submitted)
{
	long rc = syscall(SYS_io_uring_enter, r->fd, submit, wait, IORING_ENTER_GETEVENTS, NULL, 0);

	*ret_submitted = rc > 0 ? (unsigned)rc : 0;
	return rc > 0 || (rc == 0 && submit == 0) || (rc < 0 && errno == EINTR);
}

static bool run(struct uring *r, uint8_t op, struct uring_message *m, unsigned n)
{
	unsigned left = n, taken = 0, submitted;

	if (!sl_check(n <= r->max))
		return false;
	fill(r, op, m, n);
	while (taken < n) {
		if (!enter(r, left, n - taken, &submitted))
			return false;
		left -= submitted;
		taken += take(r, m, n);
	}
	return true;
}

bool uring_send(struct uring *r, struct uring_message *m, unsigned n)
{
	return run(r, IORING_OP_SENDMSG, m, n);
}

bool uring_receive(struct uring *r, struct uring_message *m, unsigned n)
{
	return run(r, IORING_OP_RECVMSG, m, n);
}
