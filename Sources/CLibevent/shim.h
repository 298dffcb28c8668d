/* First, because libevent's configuration header defines _GNU_SOURCE: seen after that, the C library's types would differ from those that
   Swift's own C library module has, and a first build would fail. */
#include <sys/types.h>
#ifdef __linux__
#include <sys/eventfd.h>
#include <sys/socket.h>
/* The C library declares it for programs that define _GNU_SOURCE only. */
int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags);
#endif

#include <event2/event.h>
#include <event2/event_struct.h>
