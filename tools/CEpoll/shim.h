#ifndef CEPOLL_SHIM_H
#define CEPOLL_SHIM_H
// The C library's own Swift module leaves these headers out.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

// prctl takes any number of arguments, which Swift does not call. Without this the kernel wakes a thread up to 50 us late, to save power.
static inline int cepoll_wake_on_time(void) { return prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }
#endif
