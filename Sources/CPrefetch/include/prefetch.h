#ifndef MEMLEASE_PREFETCH_H
#define MEMLEASE_PREFETCH_H

/* Swift has no prefetch intrinsic; this is the one instruction the hot path borrows from C. */
static inline void memlease_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

#endif
