/*
 * net/meters.h: the counters of the net layer, by name.
 *
 * One table for both the enumeration and net_metrics[] (meters.c), so that they cannot come apart.
 */
#ifndef NET_METERS_H
#define NET_METERS_H

#include <sluice/metric.h>

/* X(KIND, name, unit, help) */
#define NET_METERS(X)                                                                              \
	X(COUNTER, datagrams_in, "", "Datagrams received, dropped ones included.")                 \
	X(COUNTER, datagram_bytes_in, "bytes", "Payload of received datagrams.")                   \
	X(COUNTER, receive_calls, "", "System calls that received datagrams.")                     \
	X(COUNTER, datagrams_out, "", "Datagrams sent.")                                           \
	X(COUNTER, datagram_bytes_out, "bytes", "Payload of sent datagrams.")                      \
	X(COUNTER, send_calls, "", "System calls that sent datagrams.")                            \
	X(COUNTER, segmented_sends, "", "Runs of datagrams that UDP_SEGMENT sent as one.")         \
	X(COUNTER, dropped_by_guard, "", "Datagrams refused by a guard of their listener.")        \
	X(COUNTER, dropped_plain, "", "Plain datagrams to addresses with tls.only.")               \
	X(COUNTER, dropped_too_long, "", "Datagrams longer than a packet slot.")                   \
	X(COUNTER, dropped_unclaimed, "", "Datagrams that no flow and no module wanted.")          \
	X(COUNTER, dropped_no_packet, "", "Datagrams lost because max_packets were in use.")       \
	X(COUNTER, dropped_queue_full, "", "Datagrams dropped while a socket would not send.")     \
	X(COUNTER, dropped_over_share, "", "Datagrams of who sent most, dropped when all was too much.") \
	X(COUNTER, dropped_send_error, "", "Datagrams that the kernel refused to send.")           \
	X(COUNTER, send_retries, "", "Sends repeated after an error left by an earlier one.")      \
	X(COUNTER, icmp_errors, "", "ICMP errors reported for sent datagrams.")                    \
	X(COUNTER, forwarded_out, "", "Datagrams handed to the worker that owns them.")            \
	X(COUNTER, forwarded_in, "", "Datagrams got from another worker.")                         \
	X(COUNTER, forward_failures, "", "Datagrams lost because the owner's inbox was full.")     \
	X(COUNTER, steering_failures, "", "Flows that could not be entered into the flow map.")    \
	X(GAUGE, offload_rules, "", "Directions that the kernel relays by itself.")                \
	X(COUNTER, offload_packets, "", "Datagrams that the kernel relayed by itself.")            \
	X(COUNTER, offload_bytes, "bytes", "Their payload.")                                       \
	X(COUNTER, offload_withdrawn, "", "Directions taken back because routes changed.")         \
	X(GAUGE, associations, "", "DTLS associations of this worker's listeners.")                \
	X(COUNTER, dtls_cookies, "", "DTLS clients asked to prove their address.")                 \
	X(COUNTER, dtls_handshakes, "", "DTLS handshakes completed.")                              \
	X(COUNTER, dtls_failures, "", "DTLS handshakes that failed, or were given up.")            \
	X(COUNTER, dtls_refused, "", "DTLS clients refused: max_connections, or no memory.")       \
	X(GAUGE, flows, "", "Flows of this worker.")                                               \
	X(GAUGE, sockets, "", "UDP sockets opened by modules.")                                    \
	X(GAUGE, packets, "", "Packet slots in memory.")                                           \
	X(GAUGE, connections, "", "Stream connections held by the core.")                          \
	X(COUNTER, connections_accepted, "", "Stream connections accepted.")                       \
	X(COUNTER, connections_over_limit, "", "Connections closed at once: max_connections.")     \
	X(COUNTER, connections_refused, "", "Connections refused by a module.")                    \
	X(COUNTER, connections_unclaimed, "", "Connections whose first bytes nobody wanted.")      \
	X(COUNTER, connections_plain, "", "Plain connections to addresses with tls.only.")         \
	X(COUNTER, connections_stolen, "", "Connections that a module took over whole.")           \
	X(COUNTER, proxied_connections, "", "Connections whose balancer said whose they are.")     \
	X(COUNTER, proxy_errors, "", "Connections of balancers without a right PROXY header.")     \
	X(COUNTER, accept_pauses, "", "Times accepting paused for want of descriptors.")           \
	X(COUNTER, preread_timeouts, "", "Connections that did not say in time what they are.")    \
	X(COUNTER, idle_timeouts, "", "Connections closed after idle_timeout.")                    \
	X(GAUGE, handshakes, "", "TLS and DTLS handshakes begun and not finished.")                \
	X(COUNTER, handshakes_delayed, "", "TLS handshakes that had to wait their turn.")          \
	X(COUNTER, handshakes_refused, "", "TLS and DTLS handshakes over the limits, not begun.")  \
	X(COUNTER, tls_handshakes, "", "TLS handshakes completed.")                                \
	X(COUNTER, tls_resumptions, "", "TLS handshakes that resumed a session.")                  \
	X(COUNTER, tls_failures, "", "TLS handshakes that failed.")                                \
	X(COUNTER, stream_dropped, "", "Messages dropped as the oldest that a slow reader missed.") \
	X(COUNTER, stream_bytes_in, "bytes", "Bytes read from connections, decrypted.")            \
	X(COUNTER, stream_bytes_out, "bytes", "Bytes written to connections, before encryption.")

enum net_meter {
#define X(kind, name, unit, help) NET_##name,
	NET_METERS(X)
#undef X
		NET_N_METERS
};

#endif
