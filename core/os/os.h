/*
 * os/os.h: Linux, made regular: 0 or -SL_ESYS with errno kept. One .c file per group.
 *
 * Nothing here logs, reads configuration or keeps state. Every descriptor is created close-on-exec.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include <sys/types.h>
#include <sluice/addr.h>
#include <sluice/str.h>

/* ---- os/fd.c */
/* Closes and sets -1; accepts -1; keeps errno */
void fd_close(int *fd);
#define FD_AUTO __attribute__((cleanup(fd_close)))
static inline int fd_steal(int *fd) /* out of an FD_AUTO variable, to keep */
{
	int kept = *fd;

	*fd = -1;
	return kept;
}
int fd_set_cloexec(int fd, bool on);
int fd_set_nonblock(int fd);
/* Open descriptors of this process, for leak tests */
int fd_count(void);
/* Whole reads and writes, for pipes and files. ret_len may be short only at end of file. */
int fd_read_all(int fd, void *dst, size_t n, size_t *ret_len);
/* events of poll(2). False: the deadline of sl_clock_ns() has passed, or it cannot be waited for. */
bool fd_wait(int fd, short events, uint64_t deadline_ns);
int fd_write_all(int fd, const void *src, size_t n);
/* A whole file into malloc'ed memory with NUL behind; -SL_ELIMIT when larger than max. */
int fd_slurp(const char *path, size_t max, char **ret_text, size_t *ret_len);
/* Sends and receives up to 64 descriptors with a message over a SEQPACKET or stream socket. */
int fd_send_with(int sock, const void *msg, size_t len, const int *fds, unsigned n_fds);
int fd_recv_with(int sock, void *msg, size_t cap, size_t *ret_len, int *fds, unsigned max_fds,
		 unsigned *ret_n_fds);

/* ---- os/shmem.c: memfds */
/* Zeroed, size sealed */
int shmem_create(const char *name, size_t bytes, int *ret_fd);
/* Fully sealed: immutable */
int shmem_create_text(const char *name, const void *src, size_t n, int *ret_fd);
int shmem_map(int fd, bool writable, void **ret_p, size_t *ret_bytes);
void shmem_unmap(void *p, size_t bytes);

/* ---- os/proc.c: processes */
struct proc_spawn {
	const char *path;
	char *const *argv;
	char *const *envp; /* NULL: inherit */
	const int *fds;	   /* fds[i] becomes descriptor i + 3 of the child; all else is closed */
	unsigned n_fds;
	int stdout_fd, stderr_fd; /* -1: inherit */
};
/* fork+exec with signals reset, PR_SET_PDEATHSIG unset; *ret_pidfd becomes readable when the child
 * ends. */
int proc_spawn(const struct proc_spawn *s, pid_t *ret_pid, int *ret_pidfd);
int proc_self_exe(char *dst, size_t cap);
/* Clears groups, caps, sets no_new_privs */
int proc_drop_privileges(const char *user, const char *group, bool keep_net_bind);
/* Soft limit up to hard */
int proc_set_nofile(uint64_t want, uint64_t *ret_got);
int proc_write_pidfile(const char *path, pid_t pid);
/* Usable by this process */
int proc_cpu_count(void);
int proc_pin_cpu(int cpu);
uint64_t proc_rss_bytes(pid_t pid);

/* ---- os/memory.c */
/* What is free in the heap, to the system; milliseconds where it is much */
void memory_give_back(void);

/* ---- os/sig.c: signals as a descriptor */
int sig_block_and_open(const int *signals, unsigned n, int *ret_fd);
/* Next signal number, 0 for none */
int sig_read(int fd);

/* ---- os/sock.c */
struct sock_opts {
	bool reuseport, v6only, pktinfo, recv_tos, recv_err; /* recv_err: IP_RECVERR */
	bool freebind, defer_accept;
	bool dont_fragment;
	bool gro;
	uint8_t tos;	    /* of what is sent; IPv6: traffic class */
	int rcvbuf, sndbuf; /* bytes; 0: system default; tries the FORCE variant first */
	int backlog;	    /* TCP listeners */
};
int sock_udp(const struct sl_addr *bind_to, const struct sock_opts *o, int *ret_fd);
int sock_tcp_listen(const struct sl_addr *bind_to, const struct sock_opts *o, int *ret_fd);
int sock_unix_listen(const char *path, mode_t mode, int *ret_fd);
int sock_unix_connect(const char *path, int *ret_fd);
/* A datagram socket under a name of the kernel's choice, at most 15 bytes; for processes of this
 * network namespace. */
int sock_unix_place(int *ret_fd, char ret_name[15], size_t *ret_len);
int sock_unix_to_place(const char *name, size_t len, int *ret_fd);
int sock_local(int fd, struct sl_addr *ret_addr);
int sock_peer(int fd, struct sl_addr *ret_addr);
int sock_pair_seqpacket(int ret_fds[2]);
/* Addresses of this host's interfaces that are up; at most max. */
int sock_host_addrs(struct sl_addr *ret_addrs, unsigned max, unsigned *ret_n);
int sock_eventfd(int *ret_fd);
void sock_eventfd_signal(int fd);
void sock_eventfd_clear(int fd);

/* ---- os/route.c: what the kernel's routing says (rtnetlink); no privileges */
struct route {
	unsigned ifindex;	 /* by which packets leave */
	unsigned mtu;		 /* of the way, as far as it is known */
	struct sl_addr next_hop; /* without port */
};
int route_open(int *ret_fd);
/* -SL_ENOENT: none, or not by an interface that reaches further than this host */
int route_find(int fd, const struct sl_addr *from, const struct sl_addr *to,
	       struct route *ret_route);
/* A descriptor that becomes readable when routes, rules or interfaces change. */
int route_watch(int *ret_fd);
/* Reads what came; true: something may have changed */
bool route_changed(int watch_fd);
/* Whose frames begin with an Ethernet header; false also where there is none such */
bool route_is_ethernet(unsigned ifindex);
/* A pair whose other end has to take part in what drivers do by themselves */
bool route_is_veth(unsigned ifindex);
/* Name, for people; "?": none such */
const char *route_ifname(unsigned ifindex, char dst[16]);

/* ---- os/bpf.c: a small bpf(2) wrapper */
struct bpf_insn;
enum bpf_map_kind {
	BPF_KIND_ARRAY,
	BPF_KIND_LRU_HASH,
	BPF_KIND_SOCKARRAY,
	BPF_KIND_HASH,	       /* memory as entries come */
	BPF_KIND_MAPPED_ARRAY, /* for bpf_map_memory */
	BPF_KIND_CPU_ARRAY,    /* one value for each CPU */
};
enum bpf_prog_kind { BPF_KIND_REUSEPORT, BPF_KIND_TC, BPF_KIND_XDP };
int bpf_map_new(enum bpf_map_kind kind, unsigned key_bytes, unsigned value_bytes,
		unsigned max_entries, const char *name, int *ret_fd);
int bpf_map_set(int map, const void *key, const void *value);
/* -SL_EEXIST, -SL_EFULL */
int bpf_map_add(int map, const void *key, const void *value);
int bpf_map_get(int map, const void *key, void *ret_value);
int bpf_map_del(int map, const void *key);
/* The key behind this one in the map's own order, NULL: the first. -SL_ENOENT: there is none */
int bpf_map_next(int map, const void *key, void *ret_key);
/* The values of a mapped array, shared with the kernel; unmap with shmem_unmap */
int bpf_map_memory(int map, size_t bytes, void **ret_p);
/* err: the verifier's last lines */
int bpf_load(enum bpf_prog_kind kind, const struct bpf_insn *insns, unsigned n, const char *name,
	     int *ret_fd, char *err, size_t err_cap);
int sock_attach_reuseport(int sock, int prog);
/* Lets the program see what comes in by an interface for as long as the link's descriptor is open
 * anywhere. Linux 6.6. */
int bpf_attach_ingress(unsigned ifindex, int prog, int *ret_link);
/* The same in the driver, or (generic) just behind it. Linux 5.9. */
int bpf_attach_xdp(unsigned ifindex, int prog, bool generic, int *ret_link);
/* May this process load such programs? */
bool bpf_usable(void);

#endif
