/* SPDX-License-Identifier: Apache-2.0
 *
 * The one seam between parley and the world: memory, entropy, the store, traces. Time is not here:
 * it comes as an argument of each call that needs it (struct parley_now), read once per turn by the
 * host. Everything below net/uv reaches the world through this struct alone, so that a simulator
 * can stand in for it.
 */
#ifndef PARLEY_ENV_H
#define PARLEY_ENV_H

#include <stddef.h>
#include <stdint.h>

#include <parley/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Nanoseconds of a clock that never goes backwards. */
typedef uint64_t parley_time;
/* Microseconds since 1970-01-01T00:00:00Z. May jump. */
typedef int64_t parley_wall;
/* Position in the change log of one store; 0 is "before the first". */
typedef uint64_t parley_seq;

struct parley_now {
    parley_time mono;
    parley_wall wall;
};

#define PARLEY_TIME_NEVER UINT64_MAX
#define PARLEY_NS_PER_MS  UINT64_C(1000000)
#define PARLEY_NS_PER_S   UINT64_C(1000000000)
#define PARLEY_US_PER_S   INT64_C(1000000)

struct parley_store;
struct parley_trace;

struct parley_env {
    void *ud;
    /* Fills `len` bytes for keys and nonces. Cannot fail: a host without entropy must not start. */
    void (*entropy)(void *ud, void *out, size_t len);
    /* Returns memory aligned for any type, or NULL when the budget is spent. Any thread. */
    void *(*alloc)(void *ud, size_t size);
    /* Gives back what alloc returned; `size` is the same number. NULL is allowed. Any thread. */
    void (*release)(void *ud, void *ptr, size_t size);
    /* Opens, or creates, the store called `name` (a directory for the LMDB store).
     * `diag` may be NULL. */
    parley_err (*store_open)(void *ud, const char *name, struct parley_store **out,
                             struct parley_diag *diag);
    /* Receives typed events; may be NULL. Must not call back into parley. */
    void (*trace)(void *ud, const struct parley_trace *event);
};

/* Fills the default environment: malloc, getrandom, the LMDB store, no trace. */
PARLEY_API void parley_env_posix(struct parley_env *env);
/* Reads the clocks of the system, for hosts that have no event loop with clocks of its own. */
PARLEY_API struct parley_now parley_now_posix(void);

#ifdef __cplusplus
}
#endif

#endif
