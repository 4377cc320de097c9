/*
 * base/asan.h: tells AddressSanitizer which bytes of our own allocators nobody may touch. Nothing
 * in other builds.
 */
#ifndef BASE_ASAN_H
#define BASE_ASAN_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BASE_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define BASE_ASAN 1
#endif

#ifdef BASE_ASAN
#include <sanitizer/asan_interface.h>
#define asan_poison(p, n) __asan_poison_memory_region(p, n)
#define asan_unpoison(p, n) __asan_unpoison_memory_region(p, n)
#else
#define asan_poison(p, n) ((void)(p), (void)(n))
#define asan_unpoison(p, n) ((void)(p), (void)(n))
#endif

#endif
