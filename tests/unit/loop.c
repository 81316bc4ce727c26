#include "services/common/loop.h"

#include "turn.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

/* What the callbacks of one test leave behind. */
struct seen {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_watch *watch;
	struct loop_wake *wake;
	struct loop_signal *signal;
	int count;
	unsigned events;
	pthread_t thread;
};

static void on_count(void *arg)
{
	struct seen *seen = arg;

	seen->count++;
}

static void on_timer_free(void *arg)
{
	struct seen *seen = arg;

	seen->count++;
	loop_timer_free(seen->timer);
}

static void on_stop(void *arg)
{
	struct seen *seen = arg;

	seen->count++;
	loop_stop(seen->loop);
}

static void on_events(void *arg, unsigned events)
{
	struct seen *seen = arg;

	seen->count++;
	seen->events |= events;
}

static void on_events_free(void *arg, unsigned events)
{
	struct seen *seen = arg;

	on_events(arg, events);
	loop_watch_free(seen->watch);
}

Test(loop, timer_fires_once)
{
	struct seen seen = {.loop = loop_new()};
	struct loop_timer *timer = loop_timer_new(seen.loop, on_count, &seen);

	loop_turn(seen.loop, 0);
	cr_assert_eq(seen.count, 0, "a new timer does not run");
	loop_timer_start(timer, 1, 0);
	TURN_UNTIL(seen.loop, seen.count == 1);
	loop_turn(seen.loop, 20);
	cr_assert_eq(seen.count, 1);
	loop_timer_free(timer);
	loop_free(seen.loop);
}

Test(loop, timer_repeats_until_stopped)
{
	struct seen seen = {.loop = loop_new()};
	struct loop_timer *timer = loop_timer_new(seen.loop, on_count, &seen);

	loop_timer_start(timer, 0, 1);
	TURN_UNTIL(seen.loop, seen.count == 3);
	loop_timer_stop(timer);
	loop_turn(seen.loop, 20);
	cr_assert_eq(seen.count, 3);
	loop_timer_free(timer);
	loop_free(seen.loop);
}

Test(loop, timer_started_between_turns_counts_from_then)
{
	struct seen seen = {.loop = loop_new()};
	struct loop_timer *timer = loop_timer_new(seen.loop, on_count, &seen);

	usleep(30000); /* what a test does that starts a server */

	uint64_t started_ms = loop_now_ms(seen.loop);

	loop_timer_start(timer, 25, 0);
	TURN_UNTIL(seen.loop, seen.count == 1);
	cr_assert_geq(loop_now_ms(seen.loop), started_ms + 25);
	loop_timer_free(timer);
	loop_free(seen.loop);
}

Test(loop, timer_freed_in_its_callback)
{
	struct seen seen = {.loop = loop_new()};

	seen.timer = loop_timer_new(seen.loop, on_timer_free, &seen);
	loop_timer_start(seen.timer, 0, 1);
	TURN_UNTIL(seen.loop, seen.count == 1);
	loop_turn(seen.loop, 10);
	cr_assert_eq(seen.count, 1);
	loop_free(seen.loop);
}

Test(loop, watch_tells_of_what_is_asked)
{
	struct seen seen = {.loop = loop_new()};
	int ends[2];

	cr_assert_eq(pipe(ends), 0);

	struct loop_watch *watch =
		loop_watch_new(seen.loop, ends[0], on_events, &seen);

	cr_assert_eq(write(ends[1], "x", 1), 1);
	loop_turn(seen.loop, 10);
	cr_assert_eq(seen.count, 0, "no event was asked for");
	loop_watch_set(watch, LOOP_READABLE);
	TURN_UNTIL(seen.loop, seen.count == 1);
	cr_assert_eq(seen.events, LOOP_READABLE);
	loop_watch_set(watch, 0);
	loop_turn(seen.loop, 10);
	cr_assert_eq(seen.count, 1);
	loop_watch_free(watch);
	close(ends[0]);
	close(ends[1]);
	loop_free(seen.loop);
}

Test(loop, watch_tells_an_error_again_and_again)
{
	struct seen seen = {.loop = loop_new()};
	int ends[2];

	cr_assert_eq(pipe(ends), 0);

	struct loop_watch *watch =
		loop_watch_new(seen.loop, ends[1], on_events, &seen);

	close(ends[0]); /* the other end is told as an error */
	loop_watch_set(watch, LOOP_WRITABLE);
	TURN_UNTIL(seen.loop, seen.count >= 2);
	cr_assert_eq(seen.events, LOOP_READABLE | LOOP_WRITABLE);
	loop_watch_free(watch);
	close(ends[1]);
	loop_free(seen.loop);
}

Test(loop, watch_freed_in_its_callback)
{
	struct seen seen = {.loop = loop_new()};
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	seen.watch = loop_watch_new(seen.loop, ends[1], on_events_free, &seen);
	loop_watch_set(seen.watch, LOOP_WRITABLE);
	TURN_UNTIL(seen.loop, seen.count == 1);
	close(ends[0]);
	close(ends[1]);
	loop_turn(seen.loop, 10);
	cr_assert_eq(seen.count, 1);
	loop_free(seen.loop);
}

Test(loop, run_waits_without_a_handle_and_stops)
{
	struct seen seen = {.loop = loop_new()};
	struct loop_timer *timer = loop_timer_new(seen.loop, on_stop, &seen);

	loop_timer_start(timer, 5, 0);
	loop_run(seen.loop);
	cr_assert_eq(seen.count, 1, "returned before the stop");
	loop_timer_free(timer);
	loop_free(seen.loop);
}

static void *send_twice(void *arg)
{
	struct seen *seen = arg;

	loop_wake_send(seen->wake);
	loop_wake_send(seen->wake);
	return NULL;
}

Test(loop, wake_from_another_thread)
{
	struct seen seen = {.loop = loop_new()};
	pthread_t thread;

	seen.wake = loop_wake_new(seen.loop, on_count, &seen);
	cr_assert_eq(pthread_create(&thread, NULL, send_twice, &seen), 0);
	pthread_join(thread, NULL);
	TURN_UNTIL(seen.loop, seen.count > 0);
	loop_turn(seen.loop, 10);
	cr_assert_eq(seen.count, 1, "two sends are one call");
	loop_wake_free(seen.wake);
	loop_free(seen.loop);
}

static void on_pool(void *arg)
{
	struct seen *seen = arg;

	seen->thread = pthread_self();
}

Test(loop, work_runs_on_another_thread)
{
	struct seen seen = {.loop = loop_new()};

	loop_work(seen.loop, on_pool, on_count, &seen);
	TURN_UNTIL(seen.loop, seen.count == 1);
	cr_assert_not(pthread_equal(seen.thread, pthread_self()));
	loop_free(seen.loop);
}

Test(loop, work_is_finished_by_free)
{
	struct seen seen = {.loop = loop_new()};

	loop_work(seen.loop, on_pool, on_count, &seen);
	loop_free(seen.loop);
	cr_assert_eq(seen.count, 1);
}

static void on_signal_free(void *arg, int signal_number)
{
	struct seen *seen = arg;

	seen->count = signal_number;
	loop_signal_free(seen->signal);
}

Test(loop, signal_is_told)
{
	struct seen seen = {.loop = loop_new()};

	seen.signal =
		loop_signal_new(seen.loop, SIGUSR1, on_signal_free, &seen);
	raise(SIGUSR1);
	TURN_UNTIL(seen.loop, seen.count != 0);
	cr_assert_eq(seen.count, SIGUSR1);
	loop_free(seen.loop);
}

Test(loop, free_takes_null)
{
	loop_timer_free(NULL);
	loop_watch_free(NULL);
	loop_wake_free(NULL);
	loop_signal_free(NULL);
	loop_free(NULL);
}
