#include "services/common/process.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	OUTPUT_BYTES = 64 * 1024,
	DEADLINE_MS = 20000,
};

/* A running PROCESS_CHILD and what it wrote to stdout and stderr so far. */
struct child {
	pid_t pid;
	int output_fd;
	size_t size;
	char output[OUTPUT_BYTES];
};

static void child_start(struct child *child, const char *flag)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	child->size = 0;
	child->output[0] = '\0';
	child->output_fd = ends[0];
	child->pid = fork();
	if (child->pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl(PROCESS_CHILD, "child", flag, NULL);
		_exit(127);
	}
	close(ends[1]);
}

/* False at the end of the output. */
static bool child_read(struct child *child)
{
	struct pollfd poll_fd = {.fd = child->output_fd, .events = POLLIN};

	cr_assert_eq(poll(&poll_fd, 1, DEADLINE_MS), 1, "waited in vain: %s",
		     child->output);

	ssize_t size = read(child->output_fd, child->output + child->size,
			    OUTPUT_BYTES - 1 - child->size);

	cr_assert_geq(size, 0);
	child->size += (size_t)size;
	child->output[child->size] = '\0';
	return size > 0;
}

static void child_await(struct child *child, const char *text)
{
	while (!strstr(child->output, text))
		cr_assert(child_read(child), "ended without %s: %s", text,
			  child->output);
}

/* Its exit status. */
static int child_end(struct child *child)
{
	int status;

	while (child_read(child))
		continue;
	close(child->output_fd);
	waitpid(child->pid, &status, 0);
	cr_assert(WIFEXITED(status), "%s", child->output);
	return WEXITSTATUS(status);
}

/* The output holds these texts, one after the other. */
static void check_order(const struct child *child, const char *const *texts)
{
	const char *at = child->output;

	for (; *texts; texts++) {
		at = strstr(at, *texts);
		cr_assert(at, "no %s in its place: %s", *texts, child->output);
		at += strlen(*texts);
	}
}

static const char *const drained[] = {"start\n",
				      "event=process.started",
				      "event=process.stopping",
				      "stop\n",
				      "busy\nbusy\nidle\n",
				      "free\n",
				      "event=process.stopped reason=idle",
				      NULL};

Test(process, drains)
{
	static const int signals[] = {SIGTERM, SIGINT};
	struct child child;

	setenv("CHILD_IDLE_AFTER", "2", 1);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		child_start(&child, NULL);
		child_await(&child, "process.started");
		kill(child.pid, signals[i]);
		cr_expect_eq(child_end(&child), 0, "%s", child.output);
		check_order(&child, drained);
	}
}

Test(process, gives_up_draining)
{
	struct child child;

	setenv("CHILD_IDLE_AFTER", "1000000", 1);
	child_start(&child, "--drain_ms=30");
	child_await(&child, "process.started");
	kill(child.pid, SIGTERM);
	cr_expect_eq(child_end(&child), 0);
	check_order(&child,
		    (const char *[]){"busy\n", "free\n",
				     "reason=\"drain_ms passed\"", NULL});
}

Test(process, second_signal_ends_draining)
{
	struct child child;

	setenv("CHILD_IDLE_AFTER", "1000000", 1);
	child_start(&child, "--drain_ms=600000");
	child_await(&child, "process.started");
	kill(child.pid, SIGTERM);
	child_await(&child, "busy\n");
	kill(child.pid, SIGTERM);
	cr_expect_eq(child_end(&child), 0);
	check_order(&child, (const char *[]){"busy\n", "free\n",
					     "reason=\"second signal\"", NULL});
}

Test(process, sets_limits)
{
	struct child child;

	child_start(&child, NULL);
	child_await(&child, "process.started");
	kill(child.pid, SIGTERM);
	cr_expect_eq(child_end(&child), 0);
	check_order(&child, (const char *[]){"no-core\n", "all-files\n",
					     "no-sigpipe\n", NULL});
}

Test(process, failed_start)
{
	struct child child;

	setenv("CHILD_FAIL", "1", 1);
	child_start(&child, NULL);
	cr_expect_eq(child_end(&child), 1);
	check_order(&child, (const char *[]){"event=process.failed "
					     "code=ERR_UNAVAILABLE "
					     "reason=\"will not\"",
					     NULL});
	cr_expect_not(strstr(child.output, "free\n"));
}

/* Ends by itself, having written a text. */
struct answer_row {
	const char *flag;
	int status;
	const char *text;
};

static const struct answer_row answer_rows[] = {
	{"--help", 0, "--http_port=NUMBER"},
	{"--config-table", 0, "| `http_port` |"},
	{"--nothing=1", 1, "unknown flag"},
	{"--log_level=loud", 1, "log_level: must be error, warn"},
};

Test(process, answers)
{
	for (size_t i = 0; i < sizeof(answer_rows) / sizeof(answer_rows[0]);
	     i++) {
		const struct answer_row *row = &answer_rows[i];
		struct child child;

		child_start(&child, row->flag);
		cr_expect_eq(child_end(&child), row->status, "%s", row->flag);
		cr_expect(strstr(child.output, row->text), "%s: %s", row->flag,
			  child.output);
		cr_expect_not(strstr(child.output, "process.started"), "%s",
			      row->flag);
	}
}
