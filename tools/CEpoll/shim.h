#ifndef CEPOLL_SHIM_H
#define CEPOLL_SHIM_H
// The C library's own Swift module leaves these headers out.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif
