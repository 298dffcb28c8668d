#ifndef MEMLEASE_INTRINSICS_H
#define MEMLEASE_INTRINSICS_H

#include <stdint.h>

/* What Swift has no names for: the prefetch instruction, and sleeping on a word of memory. */

static inline void memlease_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

/* Sleeps while the word has this value; may return earlier. */
void memlease_sleep_while(const void *word, uint32_t value);
/* Wakes one thread that sleeps on the word. */
void memlease_wake_one(const void *word);
/* Tells the processor that this thread spins. */
static inline void memlease_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
