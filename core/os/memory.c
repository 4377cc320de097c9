/*
 * os/memory.c: memory that the C library keeps for later, and the system could use.
 *
 * The library gives back by itself what is free at the heap's end. Handshakes are large and short,
 * and what outlives them is small and lies between them, so that a storm of them would stay in the
 * process for ever.
 */
#include "os/os.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

void memory_give_back(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0); /* 1: there was some */
#endif
}
