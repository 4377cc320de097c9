/*
 * proc/handoff.h: what the master hands to a child at exec, and what the checker hands back.
 *
 * Both are plain structs in memfds, between processes of one binary: magic and size are compared,
 * and a binary that was replaced in a way that changes them is told to be started by `sluice -s
 * upgrade`. Descriptor numbers are the child's.
 */
#ifndef PROC_HANDOFF_H
#define PROC_HANDOFF_H

#include "net/listener.h"
#include "net/offload.h"
#include "shm/shm.h"

#define HANDOFF_FD 3
#define HANDOFF_MAGIC 0x534c4831u /* "SLH1" */
#define MAX_SLOTS 256
#define MAX_LISTENERS 256
#define MAX_PATH 512
#define MAX_OVERRIDES 8192
#define MAX_AUX 8
#define MAX_AUX_NAME 16 /* of the module; what a worker slot shows */

enum role { ROLE_CHECKER, ROLE_WORKER, ROLE_AUX };

struct handoff_listener {
	struct listener_spec spec; /* what the descriptor is bound to */
	uint16_t index;
	int32_t fd;
};

struct handoff {
	uint32_t magic, bytes; /* bytes: sizeof in the master's binary */
	uint32_t role;
	uint32_t generation;
	uint16_t slot, epoch, worker_index, n_workers, n_slots, n_listeners;
	int32_t fd_text, fd_out, fd_master; /* sealed configuration; checker: where the plan goes;
					       worker: channel to the master */
	int32_t fd_segments[SHM_SEGMENTS], fd_inbox, fd_wake[MAX_SLOTS];
	int32_t fd_flows; /* eBPF flow map, -1: none */
	int32_t fd_offload_rules, fd_offload_states;
	uint32_t n_offload_rules; /* 0: this generation relays in user space */
	uint64_t ring_bytes;
	uint8_t node_key[32], ticket_key[80];
	char prefix[MAX_PATH], file[MAX_PATH];
	char aux[MAX_AUX_NAME];	       /* ROLE_AUX: the module that runs here */
	char overrides[MAX_OVERRIDES]; /* NUL-terminated strings, an empty one ends */
	struct handoff_listener listeners[MAX_LISTENERS];
};

/* The checker's answer: what the master must know and nothing else; the text of the configuration
 * follows it. */
struct plan {
	uint32_t magic, bytes;
	uint32_t n_workers, n_aux, n_listeners, n_warnings;
	uint32_t offload;		 /* enum sl_offload_mode */
	char aux[MAX_AUX][MAX_AUX_NAME]; /* modules with a process of their own */
	struct listener_spec listeners[MAX_LISTENERS];
	char pid[MAX_PATH], control[MAX_PATH], log_file[MAX_PATH];
	int32_t log_level, log_json;
	uint64_t max_sessions, max_limits, start_timeout_ms;
	char banner[4096];   /* what runs where, for the terminal */
	char file[MAX_PATH]; /* name of the text, for messages */
	uint64_t text_len;
};

/* ---- messages between master and worker: one SEQPACKET record each */
enum ctl_type {
	CTL_READY = 1,	  /* worker -> master: serving */
	CTL_DRAIN,	  /* master -> worker: a newer generation runs; leave when empty */
	CTL_QUIT,	  /* finish what is up, then leave: no newer generation */
	CTL_STOP,	  /* leave now */
	CTL_REOPEN,	  /* a descriptor comes along: the new log */
	CTL_WORKER_UP,	  /* owner serves */
	CTL_WORKER_GONE,  /* owner has left; arg 1: crashed */
	CTL_SESSION_LOST, /* sid, kind, room of an entry that died with owner */
	CTL_KICK,	  /* close the session sid */
	CTL_OFFLOAD,	  /* worker -> master: its rules wait for the interface arg */
	CTL_ASK,	  /* struct ctl_ask: a descriptor comes along, for the answer */
};
struct ctl {
	uint32_t type, owner, arg, kind;
	uint64_t room;
	uint8_t sid[16];
};
/* Longer than the others by its words, which end with a zero: a process of another version that
 * does not know it takes it for none of its own. */
struct ctl_ask {
	struct ctl head;
	char words[256];
};

/* The role's entry points; each returns the process's exit status. */
int checker_main(const struct handoff *h);
int worker_main(const struct handoff *h);

#endif
