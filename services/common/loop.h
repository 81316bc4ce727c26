#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

/*
 * The event loop of a process (libuv stands behind it). Everything but
 * loop_wake_send() is called on the loop's own thread; callbacks run there
 * too, one at a time. Nothing on the loop blocks: what has to goes to
 * loop_work().
 *
 * Handles are closed by their _free, which accepts NULL, may be called from
 * their own callback, and after which the callback is not called again.
 */

#include "proto/error.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_watch;
struct loop_wake;
struct loop_signal;

typedef void loop_fn(void *arg);
typedef void loop_watch_fn(void *arg, unsigned events);
typedef void loop_signal_fn(void *arg, int signal_number);

enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };

struct loop *loop_new(void);

/* Every handle is freed before; runs what their closing still has to do. */
void loop_free(struct loop *loop);

/* Returns when loop_stop() was called. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Runs what is ready now, waiting at most timeout_ms for something to be; for
 * tests that wait for a condition. */
void loop_turn(struct loop *loop, unsigned timeout_ms);

/* Monotonic milliseconds, as of the start of this turn of the loop; outside of
 * a turn, as of now. */
uint64_t loop_now_ms(const struct loop *loop);

/* The uv_loop_t, for the one folder (gateway/) whose library runs on it. */
void *loop_uv(struct loop *loop);

/* A timer, not running yet. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg);
void loop_timer_free(struct loop_timer *timer);

/* Fires after delay_ms, then every repeat_ms (0: once). A running timer is set
 * anew. */
void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms,
		      uint64_t repeat_ms);
void loop_timer_stop(struct loop_timer *timer);

/* Watches a file descriptor, which stays the caller's and outlives the watch;
 * for no event until loop_watch_set(). An error on it is told as both
 * LOOP_READABLE and LOOP_WRITABLE. */
struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_watch_fn *fn,
				  void *arg);
void loop_watch_set(struct loop_watch *watch, unsigned events);
void loop_watch_free(struct loop_watch *watch);

/* Lets another thread have fn called on the loop. Several sends before the
 * call are one. The sender stops before the wake is freed. */
struct loop_wake *loop_wake_new(struct loop *loop, loop_fn *fn, void *arg);
void loop_wake_send(struct loop_wake *wake); /* any thread */
void loop_wake_free(struct loop_wake *wake);

/* Runs work on a pool thread, then done on the loop. Both always run. */
void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *arg);

/* Tells of a signal. */
struct loop_signal *loop_signal_new(struct loop *loop, int signal_number,
				    loop_signal_fn *fn, void *arg);
void loop_signal_free(struct loop_signal *signal);

#endif
