/*
 * sluice/clock.h: time. Protocol code never calls these; it is told the time by its caller.
 */
#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H

#include <sluice/err.h>

#define SL_NS_PER_MS UINT64_C(1000000)
#define SL_NS_PER_S UINT64_C(1000000000)

/* CLOCK_MONOTONIC; the same for all processes of a host */
SL_API uint64_t sl_clock_ns(void);
/* CLOCK_REALTIME */
SL_API uint64_t sl_clock_unix_ns(void);
/* CPU time of this process */
SL_API uint64_t sl_clock_cpu_ns(void);

#endif
