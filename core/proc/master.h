/*
 * proc/master.h: what outlives a generation: descriptors, segments, child processes.
 *
 * The master runs no module code and parses no configuration. Its parts: master.c (life, signals),
 * generation.c (check, start, switch, drain), child.c (spawning, messages, crashes), socket.c
 * (listeners over generations), control.c (the control socket), upgrade.c (re-exec with everything
 * kept).
 */
#ifndef PROC_MASTER_H
#define PROC_MASTER_H

#include <sluice/buf.h>
#include "event/loop.h"
#include "proc/handoff.h"

/* Of one ring of the inbox: room for two of the longest messages. */
#define RING_BYTES ((size_t)256 << 10)
/* What waits for one child: 400 000 messages, where a crash sends one for each session that was
 * lost. */
#define MAX_UNTOLD_BYTES ((size_t)16 << 20)

struct master;
struct generation;
struct control_client;

struct child {
	struct master *m;
	struct generation *gen; /* NULL: slot free */
	pid_t pid;
	int pidfd, chan;	     /* -1: none */
	unsigned slot, worker_index; /* index: workers, then aux processes */
	bool ready, leaving;	     /* leaving: told to go, its end is no crash */
	unsigned n_crashes;	     /* in a row, before it served */
	uint64_t started_ms;
	struct sl_buf untold; /* struct ctl after struct ctl: its channel was full */
	struct sl_event on_exit, on_message;
	struct sl_timer restart;
};

enum generation_state { GEN_STARTING, GEN_CURRENT, GEN_DRAINING };

struct generation {
	struct generation *next;
	struct master *m;
	uint32_t number;
	enum generation_state state;
	int fd_text;
	struct plan *plan;	      /* owned */
	unsigned n_children, n_ready; /* children: slots in use */
	bool failed;
	struct sl_timer start_timer;
};

struct master_listener {
	bool used;
	struct listener_spec spec;
	int tcp_fd;		/* shared by all; -1 for UDP */
	int udp_fds[MAX_SLOTS]; /* -1: not made */
};

struct check { /* a running checker */
	pid_t pid;
	int pidfd, fd_out, fd_err;
	struct sl_event on_exit;
	struct control_client *client; /* who asked; NULL: a signal */
	bool active;
};

struct master_opts {
	const char *binary; /* path to exec children from */
	char prefix[MAX_PATH], file[MAX_PATH], overrides[MAX_OVERRIDES];
};

struct master {
	struct master_opts opts;
	struct sl_loop *loop;
	int fd_segments[SHM_SEGMENTS], fd_inbox, fd_wake[MAX_SLOTS];
	struct shm *shm;
	unsigned n_slots;
	uint8_t node_key[32], ticket_key[80];
	struct steer *steer;		/* NULL: no eBPF */
	struct offload_kernel *offload; /* NULL: nobody wants it, or not possible */
	bool offload_refused;		/* said once */
	struct master_listener listeners[MAX_LISTENERS];
	struct child slots[MAX_SLOTS];
	struct generation *generations; /* newest first */
	uint32_t n_generations;		/* ever: number of the newest */
	struct check check;
	bool reload_again, stopping, announced;
	int exit_status;
	struct sl_event on_signal, on_control;
	struct sl_timer kill_timer, watch_timer;
	char pid_file[MAX_PATH], control_path[MAX_PATH], log_file[MAX_PATH];
	struct control_client *clients;
	int reserve_fd; /* lets a client of the control socket in when there is no other */
};

int master_main(const struct master_opts *opts,
		int resume_fd); /* resume_fd: state of the master before an upgrade, or -1 */
void master_stop(struct master *m, bool graceful);
void master_reopen_log(struct master *m);
int master_make_segments(struct master *m, const struct plan *plan);
/* Pid file, control socket, log */
void master_use_plan(struct master *m, const struct plan *plan);
void master_leave_if_done(struct master *m);

/* ---- generation.c */
void generation_reload(struct master *m,
		       struct control_client *client); /* begins a check; later answers client */
/* One more of its children serves */
void generation_ready(struct generation *g);
/* While starting */
void generation_failed(struct generation *g, const char *why);
void generation_child_left(struct generation *g);
struct generation *generation_current(struct master *m);

/* ---- child.c */
int child_spawn(struct master *m, struct generation *g, unsigned slot, unsigned worker_index);
bool child_is_aux(const struct child *c);
/* "worker", or the module whose process it is */
const char *child_name(const struct child *c);
void child_tell(struct child *c, enum ctl_type type);
/* Its module is asked by somebody who waits at fd; the caller keeps fd. -SL_ESYS: not told */
int child_ask(struct child *c, struct sl_str words, int fd);
void children_broadcast(struct master *m, const struct ctl *msg, const struct child *except);
/* SIGKILL; its exit is handled as leaving */
void child_kill(struct child *c);
/* After an upgrade: a child that runs already is watched, one that was waiting for its next start
 * is started. */
void child_adopt(struct child *c);
/* Of a slot without a process: it is nobody's. Its generation goes with the last of them. */
void child_forget(struct child *c);
unsigned children_alive(const struct master *m);
/* Whether one has yet to be told something */
bool children_untold(const struct master *m);

/* ---- socket.c */
int sockets_prepare(struct master *m, struct generation *g, char *err,
		    size_t err_cap); /* listening sockets of a new plan */
int sockets_for_slot(struct master *m, const struct generation *g, unsigned slot, char *err,
		     size_t err_cap);
/* A draining worker's sockets without eBPF: only the worker holds them from now on, so that its
 * last read is their end. */
void sockets_let_go(struct master *m, unsigned slot);
void sockets_release_slot(struct master *m, unsigned slot);
/* The atomic moment: new flows go to g. After a failure they go where they went before. */
int sockets_switch(struct master *m, const struct generation *g);
/* Closes listeners that no generation wants */
void sockets_retire(struct master *m);
bool plan_has(const struct plan *plan, const struct listener_spec *spec);
int master_listener_fd(const struct master_listener *l, unsigned slot);

/* ---- relaying by the kernel: offload.c */
/* What the plan wants. An error only where it insists */
int master_offload_prepare(struct master *m, const struct plan *plan, char *err, size_t err_cap);
/* A worker's rules wait for an interface */
void master_offload_attach(struct master *m, unsigned ifindex);
/* The slot's process begins; */
void master_offload_alive(struct master *m, unsigned slot, uint16_t epoch);
/* it is gone, and what it left is swept */
void master_offload_dead(struct master *m, uint32_t owner);
/* Unloads when no generation wants it */
void master_offload_retire(struct master *m);

/* ---- control.c */
int control_open(struct master *m, const char *path, int inherited_fd);
void control_close(struct master *m, bool unlink_path);
/* Text for the one who asked (NULL: none); done ends the answer with its status. */
void control_say(struct control_client *c, struct sl_str text);
void control_done(struct control_client *c, bool ok);

/* ---- upgrade.c */
/* Does not return when it works */
void upgrade_exec(struct master *m);
int upgrade_resume(struct master *m, int fd);

#endif
