/*
 * proto/gcm_mb.c: AES-GCM by Intel's multi-buffer library (libipsec-mb), where configure has found
 * it.
 *
 * Of its interfaces this uses the direct one: a packet is one call, which needs no job queue. The
 * manager is a table of functions for this processor; each process makes its own with its first
 * key, after fork, and keeps it until it ends.
 */
#include "proto/gcm.h"

#include "sluice_config.h"

#ifdef SL_HAVE_IPSEC_MB

#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <sluice/crypto.h>

enum { ALIGN = 64 };

struct gcm_mb {
	struct gcm gcm;
	bool wide; /* AES-256 */
	_Alignas(ALIGN) struct gcm_key_data key;
};

static IMB_MGR *manager;

static int new_mb(struct gcm **ret_gcm, const uint8_t *key, size_t key_len)
{
	struct gcm_mb *g = aligned_alloc(ALIGN, sizeof *g);

	if (!g)
		return -SL_ENOMEM;
	*g = (struct gcm_mb){.wide = key_len == 32};
	if (g->wide)
		IMB_AES256_GCM_PRE(manager, key, &g->key);
	else
		IMB_AES128_GCM_PRE(manager, key, &g->key);
	*ret_gcm = &g->gcm;
	return 0;
}

static void free_mb(struct gcm *gcm)
{
	struct gcm_mb *g = SL_CONTAINER(gcm, struct gcm_mb, gcm);

	sl_wipe(g, sizeof *g);
	free(g);
}

static void seal_mb(struct gcm *gcm, const struct gcm_job *j)
{
	const struct gcm_mb *g = SL_CONTAINER(gcm, struct gcm_mb, gcm);
	const uint8_t *plain = (const uint8_t *)j->plain.p, *aad = (const uint8_t *)j->aad.p;
	struct gcm_context_data c;

	if (g->wide)
		IMB_AES256_GCM_ENC(manager, &g->key, &c, j->dst, plain, j->plain.len, j->iv, aad,
				   j->aad.len, j->tag, GCM_TAG);
	else
		IMB_AES128_GCM_ENC(manager, &g->key, &c, j->dst, plain, j->plain.len, j->iv, aad,
				   j->aad.len, j->tag, GCM_TAG);
}

static bool open_mb(struct gcm *gcm, const struct gcm_sealed *s)
{
	const struct gcm_mb *g = SL_CONTAINER(gcm, struct gcm_mb, gcm);
	const uint8_t *aad = (const uint8_t *)s->aad.p;
	struct gcm_context_data c;
	uint8_t tag[GCM_TAG];

	if (g->wide)
		IMB_AES256_GCM_DEC(manager, &g->key, &c, s->data, s->data, s->len, s->iv, aad,
				   s->aad.len, tag, GCM_TAG);
	else
		IMB_AES128_GCM_DEC(manager, &g->key, &c, s->data, s->data, s->len, s->iv, aad,
				   s->aad.len, tag, GCM_TAG);
	return sl_mem_eq(tag, s->tag, GCM_TAG);
}

static const struct gcm_ops mb = {"libipsec-mb", new_mb, free_mb, seal_mb, open_mb};

/* Without AES instructions it emulates them, slowly. */
static void make_manager(void)
{
	IMB_ARCH arch;

	manager = alloc_mb_mgr(0);
	if (!manager)
		return;
	init_mb_mgr_auto(manager, &arch);
	if (arch >= IMB_ARCH_SSE && imb_get_errno(manager) == 0)
		return;
	free_mb_mgr(manager);
	manager = NULL;
}

const struct gcm_ops *gcm_mb(void)
{
	static bool tried;

	if (!tried)
		make_manager();
	tried = true;
	return manager ? &mb : NULL;
}

#else

const struct gcm_ops *gcm_mb(void)
{
	return NULL;
}

#endif
