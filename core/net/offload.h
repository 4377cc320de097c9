/*
 * net/offload.h: relaying by the kernel, as the master and the workers see it.
 *
 * The master loads the program, attaches it to interfaces when a worker first needs one, says which
 * processes live, and sweeps what the dead have left (offload_kernel.c). Workers write rules and
 * read counts (offload.c). Descriptors are all that passes between them.
 */
#ifndef NET_OFFLOAD_H
#define NET_OFFLOAD_H

#include <sluice/offload.h>
#include "net/offload_map.h"

/* ---- master */
struct offload_kernel;

#define OFFLOAD_MAX_LINKS 64
#define OFFLOAD_OWN_FDS 5 /* -1 among them: not there */
#define OFFLOAD_MAX_FDS (OFFLOAD_OWN_FDS + 2 * OFFLOAD_MAX_LINKS)
#define OFFLOAD_MAX_RULES 65536

/* Loads, attaches nothing. err: why not, for the operator */
int offload_new(enum sl_offload_mode mode, unsigned n_slots, unsigned n_rules,
		struct offload_kernel **ret_kernel, char *err, size_t err_cap);
/* Detaches as well, unless another process has the descriptors; accepts NULL */
void offload_free(struct offload_kernel *k);
enum sl_offload_mode offload_mode(const struct offload_kernel *k);
/* What workers inherit */
int offload_rules_fd(const struct offload_kernel *k);
int offload_states_fd(const struct offload_kernel *k);
unsigned offload_n_rules(const struct offload_kernel *k);
/* 0 as well when it is attached already */
int offload_attach(struct offload_kernel *k, unsigned ifindex, char *err, size_t err_cap);
/* The slot's process lives under this epoch; 0: nobody does, and its rules relay nothing more. */
void offload_set_epoch(struct offload_kernel *k, unsigned slot, uint16_t epoch);
/* Removes the rules of an owner that is gone; returns their number. */
unsigned offload_sweep(struct offload_kernel *k, uint32_t owner);
/* Over a re-exec of the master. */
unsigned offload_export(const struct offload_kernel *k, int ret_fds[OFFLOAD_MAX_FDS],
			unsigned ret_ifindexes[OFFLOAD_MAX_LINKS]);
int offload_import(enum sl_offload_mode mode, unsigned n_rules, const int *fds,
		   const unsigned *ifindexes, unsigned n, struct offload_kernel **ret_kernel);

/* ---- workers */
struct net;
struct offload;

struct offload_conf {
	unsigned n_rules;			     /* 0: no offload */
	int fd_rules, fd_states;		     /* taken over */
	void (*attach)(void *arg, unsigned ifindex); /* asks the master */
	void *arg;
};

/* NULL *ret_offload: none here */
int offload_open(struct net *n, const struct offload_conf *conf, struct offload **ret_offload);
/* Accepts NULL */
void offload_close(struct offload *f);

#endif
