#include "services/common/loop.h"

#include "proto/mem.h"
#include "services/common/log.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

struct loop {
	/* Apart, so that loop_now_ms() can have a const loop. */
	uv_loop_t *uv;
	bool running;	   /* within uv_run() */
	uv_async_t anchor; /* keeps uv_run() waiting when nothing else does */
	uv_timer_t bound;  /* the timeout of loop_turn() */
};

struct loop_timer {
	uv_timer_t uv;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
};

struct loop_watch {
	uv_poll_t uv;
	loop_watch_fn *fn;
	void *arg;
	unsigned events;
};

struct loop_wake {
	uv_async_t uv;
	loop_fn *fn;
	void *arg;
};

struct loop_signal {
	uv_signal_t uv;
	loop_signal_fn *fn;
	void *arg;
};

struct job {
	uv_work_t uv;
	loop_fn *work;
	loop_fn *done;
	void *arg;
};

/* What libuv refuses here is a machine out of descriptors or a mistake of
 * ours; like exhausted memory there is no way on. */
static void require(int code, const char *what)
{
	if (code == 0)
		return;
	log_event(LOG_ERROR, "loop.failed", LOG_STR("call", what),
		  LOG_STR("reason", uv_strerror(code)));
	abort();
}

static void on_anchor(uv_async_t *anchor)
{
	(void)anchor;
}

static void on_bound(uv_timer_t *bound)
{
	(void)bound;
}

struct loop *loop_new(void)
{
	struct loop *loop = mem_alloc(sizeof(*loop));

	loop->uv = mem_alloc(sizeof(*loop->uv));
	require(uv_loop_init(loop->uv), "uv_loop_init");
	require(uv_async_init(loop->uv, &loop->anchor, on_anchor),
		"uv_async_init");
	require(uv_timer_init(loop->uv, &loop->bound), "uv_timer_init");
	return loop;
}

/* A handle somebody forgot would make loop_free() wait for ever. */
static void check_closing(uv_handle_t *handle, void *arg)
{
	(void)arg;
	(void)handle;
	assert(uv_is_closing(handle));
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	uv_close((uv_handle_t *)&loop->anchor, NULL);
	uv_close((uv_handle_t *)&loop->bound, NULL);
	uv_walk(loop->uv, check_closing, NULL);
	/* A stop that was not yet seen must not end the closings early. */
	while (uv_run(loop->uv, UV_RUN_DEFAULT) != 0)
		continue;
	require(uv_loop_close(loop->uv), "uv_loop_close");
	free(loop->uv);
	free(loop);
}

void loop_run(struct loop *loop)
{
	loop->running = true;
	uv_run(loop->uv, UV_RUN_DEFAULT);
	loop->running = false;
}

void loop_stop(struct loop *loop)
{
	uv_stop(loop->uv);
}

void loop_turn(struct loop *loop, unsigned timeout_ms)
{
	if (timeout_ms > 0) {
		uv_update_time(loop->uv);
		/* Repeated: were we held up until it is due, uv_run() would run
		 * it before it waits, and then wait for ever. */
		uv_timer_start(&loop->bound, on_bound, timeout_ms, timeout_ms);
	}
	loop->running = true;
	uv_run(loop->uv, timeout_ms > 0 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	loop->running = false;
	uv_timer_stop(&loop->bound);
}

/* Between two turns libuv's clock stands still, and a timer set there would
 * fire early by the time that went by since. */
static void update_time(const struct loop *loop)
{
	if (!loop->running)
		uv_update_time(loop->uv);
}

uint64_t loop_now_ms(const struct loop *loop)
{
	update_time(loop);
	return uv_now(loop->uv);
}

void *loop_uv(struct loop *loop)
{
	return loop->uv;
}

/* Every handle is the first member of its struct. */
static void on_close(uv_handle_t *handle)
{
	free(handle);
}

static void on_timer(uv_timer_t *uv)
{
	struct loop_timer *timer = (struct loop_timer *)uv;

	timer->fn(timer->arg);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct loop_timer *timer = mem_alloc(sizeof(*timer));

	timer->loop = loop;
	timer->fn = fn;
	timer->arg = arg;
	require(uv_timer_init(loop->uv, &timer->uv), "uv_timer_init");
	return timer;
}

void loop_timer_free(struct loop_timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->uv, on_close);
}

void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms,
		      uint64_t repeat_ms)
{
	update_time(timer->loop);
	uv_timer_start(&timer->uv, on_timer, delay_ms, repeat_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
	uv_timer_stop(&timer->uv);
}

static void on_poll(uv_poll_t *uv, int status, int events);

static void watch_apply(struct loop_watch *watch)
{
	int events = (watch->events & LOOP_READABLE ? UV_READABLE : 0) |
		     (watch->events & LOOP_WRITABLE ? UV_WRITABLE : 0);

	require(uv_poll_start(&watch->uv, events, on_poll), "uv_poll_start");
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct loop_watch *watch = (struct loop_watch *)uv;
	unsigned told = (events & UV_READABLE ? LOOP_READABLE : 0) |
			(events & UV_WRITABLE ? LOOP_WRITABLE : 0);

	/* libuv stops a handle whose descriptor had an error; ours watches on,
	 * since the error may be a passing one (ICMP on a UDP socket). */
	if (status < 0) {
		told = LOOP_READABLE | LOOP_WRITABLE;
		watch_apply(watch);
	}
	watch->fn(watch->arg, told);
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_watch_fn *fn,
				  void *arg)
{
	struct loop_watch *watch = mem_alloc(sizeof(*watch));

	watch->fn = fn;
	watch->arg = arg;
	require(uv_poll_init(loop->uv, &watch->uv, fd), "uv_poll_init");
	return watch;
}

void loop_watch_set(struct loop_watch *watch, unsigned events)
{
	/* Each uv_poll_start() costs two system calls, even a needless one. */
	if (watch->events == events)
		return;
	watch->events = events;
	watch_apply(watch);
}

void loop_watch_free(struct loop_watch *watch)
{
	if (watch)
		uv_close((uv_handle_t *)&watch->uv, on_close);
}

static void on_wake(uv_async_t *uv)
{
	struct loop_wake *wake = (struct loop_wake *)uv;

	wake->fn(wake->arg);
}

struct loop_wake *loop_wake_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct loop_wake *wake = mem_alloc(sizeof(*wake));

	wake->fn = fn;
	wake->arg = arg;
	require(uv_async_init(loop->uv, &wake->uv, on_wake), "uv_async_init");
	return wake;
}

void loop_wake_send(struct loop_wake *wake)
{
	uv_async_send(&wake->uv);
}

void loop_wake_free(struct loop_wake *wake)
{
	if (wake)
		uv_close((uv_handle_t *)&wake->uv, on_close);
}

static void on_work(uv_work_t *uv)
{
	struct job *job = (struct job *)uv;

	job->work(job->arg);
}

static void on_worked(uv_work_t *uv, int status)
{
	struct job *job = (struct job *)uv;

	(void)status; /* nothing here cancels */
	job->done(job->arg);
	free(job);
}

void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *arg)
{
	struct job *job = mem_alloc(sizeof(*job));

	job->work = work;
	job->done = done;
	job->arg = arg;
	require(uv_queue_work(loop->uv, &job->uv, on_work, on_worked),
		"uv_queue_work");
}

static void on_signal(uv_signal_t *uv, int signal_number)
{
	struct loop_signal *signal = (struct loop_signal *)uv;

	signal->fn(signal->arg, signal_number);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signal_number,
				    loop_signal_fn *fn, void *arg)
{
	struct loop_signal *signal = mem_alloc(sizeof(*signal));

	signal->fn = fn;
	signal->arg = arg;
	require(uv_signal_init(loop->uv, &signal->uv), "uv_signal_init");
	require(uv_signal_start(&signal->uv, on_signal, signal_number),
		"uv_signal_start");
	return signal;
}

void loop_signal_free(struct loop_signal *signal)
{
	if (signal)
		uv_close((uv_handle_t *)&signal->uv, on_close);
}
