/*
 * proto/rtc_caps.h: what this node can pass through, as JSEP's table of capabilities.
 */
#ifndef PROTO_RTC_CAPS_H
#define PROTO_RTC_CAPS_H

#include "proto/jsep.h"

#define RTC_MAX_MESSAGE (256 * 1024) /* bytes, of a data channel's message */

/* All that is forwarded without being decoded; with and without data channels. Of calls: audio
 * that is decoded and made here, digits included. */
extern const struct jsep_caps rtc_caps, rtc_caps_without_data, rtc_caps_of_calls;

#endif
