/*
 * shm/seg.c: the five segments as one set: made, checked, mapped.
 *
 * Knows sizes and heads; what lies behind a head is told by the file of that area. All sizes
 * stand in every head, so that a set explains itself to a process that has only the descriptors,
 * and a segment of another set or of another build is refused. A zeroed body is the valid empty
 * state of every area: making a segment is writing its head.
 */
#include "shm/shm_impl.h"

#include "os/os.h"

#include <sluice/crypto.h>

#include <stdlib.h>

#define MAGIC 0x534c5331u /* "SLS1", in the byte order of this host */
#define VERSION 2

const char *const shm_segment_names[SHM_SEGMENTS] = {"workers", "sessions", "limits", "metrics",
						     "trace"};

static const struct area {
	uint32_t element_bytes;
	size_t (*bytes)(const struct shm_sizes *z);
	void (*bind)(struct shm *s, uint8_t *body);
} areas[SHM_SEGMENTS] = {
	[SHM_WORKERS] = {sizeof(struct worker_slot), workers_bytes, workers_bind},
	[SHM_SESSIONS] = {sizeof(struct session_cell), sessions_bytes, sessions_bind},
	[SHM_LIMITS] = {sizeof(struct limit_cell), limits_bytes, limits_bind},
	[SHM_METRICS] = {sizeof(uint64_t), metrics_bytes, metrics_bind},
	[SHM_TRACE] = {sizeof(struct trace_record), trace_bytes, trace_bind},
};

/* Wide bounds, that keep every product below far from overflow. */
static bool sizes_ok(const struct shm_sizes *z)
{
	return z->n_slots >= 1 && z->n_slots <= SHM_MAX_SLOTS && z->n_sessions >= 1 &&
	       z->n_sessions <= 1u << 26 && z->n_limits >= 1 && z->n_limits <= 1u << 26 &&
	       z->metric_bytes >= 1024 && z->metric_bytes <= 1u << 26 && z->n_trace >= 1 &&
	       z->n_trace <= 1u << 26 && (z->n_trace & (z->n_trace - 1)) == 0;
}

static size_t segment_bytes(enum shm_segment which, const struct shm_sizes *z)
{
	return sizeof(struct seg_head) + areas[which].bytes(z);
}

static struct seg_head make_head(enum shm_segment which, const struct shm_sizes *z,
				 const uint8_t boot_id[16])
{
	struct seg_head h = {
		.magic = MAGIC,
		.version = VERSION,
		.which = (uint16_t)which,
		.element_bytes = areas[which].element_bytes,
		.n_slots = z->n_slots,
		.n_sessions = z->n_sessions,
		.n_limits = z->n_limits,
		.n_trace = z->n_trace,
		.metric_bytes = z->metric_bytes,
	};

	memcpy(h.boot_id, boot_id, sizeof h.boot_id);
	return h;
}

static struct shm_sizes head_sizes(const struct seg_head *h)
{
	return (struct shm_sizes){
		.n_slots = h->n_slots,
		.n_sessions = h->n_sessions,
		.n_limits = h->n_limits,
		.metric_bytes = h->metric_bytes,
		.n_trace = h->n_trace,
	};
}

/* The head is written before anybody else has the descriptor, so it needs no order of writes. */
static int create_one(enum shm_segment which, const struct shm_sizes *z, const uint8_t boot_id[16],
		      int *ret_fd)
{
	struct seg_head head = make_head(which, z, boot_id);
	size_t bytes;
	void *p;
	int fd, ret = shmem_create(shm_segment_names[which], segment_bytes(which, z), &fd);

	if (ret < 0)
		return ret;
	ret = shmem_map(fd, true, &p, &bytes);
	if (ret < 0) {
		fd_close(&fd);
		return ret;
	}
	memcpy(p, &head, sizeof head);
	shmem_unmap(p, bytes);
	*ret_fd = fd;
	return 0;
}

int shm_create(const struct shm_sizes *sizes, int ret_fds[SHM_SEGMENTS])
{
	int fds[SHM_SEGMENTS];
	uint8_t boot_id[16];
	int ret;

	if (!sizes_ok(sizes))
		return -SL_EINVAL;
	ret = sl_random(boot_id, sizeof boot_id);
	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < SHM_SEGMENTS; i++) {
		ret = create_one(i, sizes, boot_id, &fds[i]);
		if (ret < 0) {
			while (i-- > 0)
				fd_close(&fds[i]);
			return ret;
		}
	}
	memcpy(ret_fds, fds, sizeof fds);
	return 0;
}

/* The first segment decides the sizes; the others must say the same. */
static int check_segment(const struct shm *s, enum shm_segment which)
{
	const struct seg_head *h = s->base[which], *first = s->base[0];
	struct shm_sizes z;
	struct seg_head want;

	if (s->bytes[which] < sizeof *h)
		return -SL_EABI;
	z = head_sizes(first);
	if (!sizes_ok(&z))
		return -SL_EABI;
	want = make_head(which, &z, first->boot_id);
	if (memcmp(h, &want, sizeof want) != 0 || s->bytes[which] < segment_bytes(which, &z))
		return -SL_EABI;
	return 0;
}

/* On failure the caller unmaps what base holds. */
static int map_all(struct shm *s, const int fds[SHM_SEGMENTS])
{
	for (unsigned i = 0; i < SHM_SEGMENTS; i++) {
		int ret = shmem_map(fds[i], s->writable, &s->base[i], &s->bytes[i]);

		if (ret < 0)
			return ret;
		ret = check_segment(s, i);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int shm_attach(const int fds[SHM_SEGMENTS], bool writable, struct shm **ret_shm)
{
	struct shm *s = calloc(1, sizeof *s);
	const struct seg_head *head;
	int ret;

	if (!s)
		return -SL_ENOMEM;
	s->writable = writable;
	ret = map_all(s, fds);
	if (ret < 0) {
		shm_detach(s);
		return ret;
	}
	head = s->base[0];
	s->sizes = head_sizes(head);
	memcpy(s->hash_key, head->boot_id, sizeof s->hash_key);
	for (unsigned i = 0; i < SHM_SEGMENTS; i++)
		areas[i].bind(s, (uint8_t *)s->base[i] + sizeof *head);
	*ret_shm = s;
	return 0;
}

void shm_detach(struct shm *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < SHM_SEGMENTS; i++)
		if (s->base[i])
			shmem_unmap(s->base[i], s->bytes[i]);
	free(s);
}

const struct shm_sizes *shm_sizes(const struct shm *s)
{
	return &s->sizes;
}
