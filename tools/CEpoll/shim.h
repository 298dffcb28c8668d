#ifndef CEPOLL_SHIM_H
#define CEPOLL_SHIM_H
// The C library's own Swift module leaves this header out.
#include <sys/epoll.h>
#endif
