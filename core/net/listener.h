/*
 * net/listener.h: sockets of listeners, as the master makes and keeps them over generations.
 *
 * UDP: one SO_REUSEPORT socket per slot and address (steering ebpf and forward), or one port per
 * slot (ports: port + slot). TCP: one listening socket per address, shared by all workers. A
 * listener keeps its index while its protocol and address stay.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <sluice/addr.h>
#include "os/os.h"

enum steering { STEER_AUTO, STEER_EBPF, STEER_PORTS, STEER_FORWARD };

struct listener_spec {
	bool udp;
	enum steering steering;
	struct sl_addr addr;
	int backlog, buffer_bytes;
};

/* A socket for one slot (UDP) or for all (TCP). err: a sentence for the operator, with address and
 * remedy. */
int listener_socket(const struct listener_spec *spec, unsigned slot, int *ret_fd, char *err,
		    size_t err_cap);

/* ---- steering by eBPF: all calls from the master but flow_* */
struct steer;
int steer_new(unsigned n_slots, unsigned n_flows, struct steer **ret_steer, char *err,
	      size_t err_cap);
void steer_free(struct steer *s);
/* Descriptor that workers inherit */
int steer_flow_map(const struct steer *s);
/* First socket of a listener attaches the program; then each slot's socket is entered. */
int steer_add_socket(struct steer *s, unsigned listener, unsigned slot, int fd);
int steer_remove_socket(struct steer *s, unsigned listener, unsigned slot);
int steer_remove_listener(struct steer *s, unsigned listener);
/* The one atomic moment of a reload: new flows go to these slots. */
int steer_set_current(struct steer *s, const uint16_t *slots, unsigned n);
/* Descriptors and indices for a master that re-execs itself, and back. */
int steer_export(const struct steer *s, int *ret_fds, unsigned max, unsigned *ret_n);
int steer_import(const int *fds, unsigned n, unsigned n_slots, struct steer **ret_steer);

/* In workers: learned flows. */
int steer_flow_add(int flow_map, unsigned listener, const struct sl_addr *remote, unsigned slot);
int steer_flow_del(int flow_map, unsigned listener, const struct sl_addr *remote);

#endif
