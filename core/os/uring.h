/*
 * os/uring.h: messages of many sockets by one system call (io_uring, Linux 5.6).
 *
 * Where each socket has one datagram, entering the kernel is what each costs: measured on loopback
 * with 300 sockets, sending takes 2.9 us instead of 5.5, and receiving 0.9 instead of 2.5, where an
 * empty system call takes 1.2. Nothing is left in the ring between two calls, and nothing waits: an
 * operation that cannot be done at once has failed with EAGAIN.
 */
#ifndef OS_URING_H
#define OS_URING_H

#include <sluice/err.h>

#include <stddef.h>
#include <sys/socket.h>

struct uring;

struct uring_message {
	int fd;
	struct msghdr *h;
	int result; /* bytes, or an errno below zero */
};

/* max: messages of one call. -SL_EUNSUPP: the kernel, or who administers it, has none. */
SL_MUST_CHECK int uring_open(unsigned max, struct uring **ret_ring);
/* Accepts NULL */
void uring_close(struct uring *r);
/* As sendmsg of each, in order, with MSG_DONTWAIT; n: at most max. False: the ring is broken, for
 * good; what has no result of its own has -ECANCELED and was not tried. */
SL_MUST_CHECK bool uring_send(struct uring *r, struct uring_message *m, unsigned n);
/* The same of recvmsg, with MSG_TRUNC: the result is the length also of what was cut. */
SL_MUST_CHECK bool uring_receive(struct uring *r, struct uring_message *m, unsigned n);

#endif
