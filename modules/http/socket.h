/*
 * http/socket.h: what the kernel knows of a TCP connection that libwebsockets reads.
 */
#ifndef HTTP_SOCKET_H
#define HTTP_SOCKET_H

#include <stdint.h>

void socket_set_nodelay(int fd);
/* Bytes received and taken out of the socket since its beginning; 0 when it is not TCP. */
uint64_t socket_bytes_read(int fd);

#endif
