#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

/*
 * What every process does around its own work: read the configuration, start
 * the log, make the loop, start, run until SIGTERM or SIGINT, drain, free.
 *
 *   start -> running -> (signal) stop: accept nothing new -> idle or drain_ms
 *   passed -> free
 */

#include "services/common/config.h"
#include "services/common/loop.h"

#include <stdbool.h>

struct process_kind {
	const char *name; /* "provider": in the log, role and address */

	/* Makes the process and has it serve; *self is handed to the rest.
	 * On failure everything made is freed again. */
	enum err_code (*start)(const struct process_kind *kind,
			       struct loop *loop, const struct config *config,
			       void **self, struct err *err);

	/* Accepts nothing new from now on. */
	void (*stop)(void *self);

	/* Nothing is in flight any more; asked often after stop. */
	bool (*idle)(void *self);

	void (*free)(void *self);

	/* The kind's own, for start. */
	const void *data;
};

/* The whole life of a process; what main() returns. `--help` prints the
 * options, `--config-table` the configuration table. Also ignores SIGPIPE,
 * raises the limit of open files and forbids core dumps with secrets. */
int process_run(int argc, char **argv, const struct process_kind *kind);

#endif
