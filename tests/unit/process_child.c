/* The process tests/unit/process.c starts: it writes to stdout what
 * process_run() asks of it. CHILD_IDLE_AFTER is how often it is asked before it
 * is idle; CHILD_FAIL set: it does not start. */

#include "services/common/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

struct child {
	int busy;
};

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
}

static void say_limits(void)
{
	struct rlimit core;
	struct rlimit files;
	struct sigaction pipe_action;

	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	sigaction(SIGPIPE, NULL, &pipe_action);
	if (core.rlim_cur <= 1)
		say("no-core");
	if (files.rlim_cur == files.rlim_max)
		say("all-files");
	if (pipe_action.sa_handler == SIG_IGN)
		say("no-sigpipe");
}

static enum err_code child_start(const struct process_kind *kind,
				 struct loop *loop, const struct config *config,
				 void **self, struct err *err)
{
	(void)kind;
	const char *idle_after = getenv("CHILD_IDLE_AFTER");

	(void)loop;
	(void)config;
	if (getenv("CHILD_FAIL"))
		return err_set(err, ERR_UNAVAILABLE, "will not");

	struct child *child = calloc(1, sizeof(*child));

	child->busy = idle_after ? atoi(idle_after) : 0;
	*self = child;
	say("start");
	say_limits();
	return ERR_OK;
}

static void child_stop(void *self)
{
	(void)self;
	say("stop");
}

static bool child_idle(void *self)
{
	struct child *child = self;

	say(child->busy > 0 ? "busy" : "idle");
	return child->busy-- <= 0;
}

static void child_free(void *self)
{
	say("free");
	free(self);
}

int main(int argc, char **argv)
{
	static const struct process_kind kind = {
		.name = "child",
		.start = child_start,
		.stop = child_stop,
		.idle = child_idle,
		.free = child_free,
	};

	return process_run(argc, argv, &kind);
}
