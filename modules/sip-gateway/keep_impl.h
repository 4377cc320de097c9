/*
 * sip-gateway/keep_impl.h: words of what is kept, for who writes and who reads it: processes of the
 * same binary.
 */
#ifndef SIP_GATEWAY_KEEP_IMPL_H
#define SIP_GATEWAY_KEEP_IMPL_H

#include "event.h"
#include "siprec.h"

enum { NOBODY = 255 };

/* Whose speech a stream has: of a, of b, or what a hears of this node */
enum { SOURCE_A, SOURCE_B, SOURCE_HEARD };

#endif
