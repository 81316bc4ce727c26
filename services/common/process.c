#include "services/common/process.h"

#include "services/common/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* How often a draining process looks whether it is idle. */
enum { IDLE_POLL_MS = 10 };

struct process {
	const struct process_kind *kind;
	struct loop *loop;
	struct config *config;
	void *self;
	bool stopping;
	uint64_t give_up_ms; /* while stopping: when draining ends */
	struct loop_timer *drain;
	const char *reason; /* why it stopped */
};

static void print_usage(const char *program)
{
	printf("usage: %s [--config=FILE] [--key=value]...\n"
	       "       %s --help | --config-table\n\n"
	       "Every key can also stand in the JSON object in FILE (also "
	       "TRUNKLINE_CONFIG)\n"
	       "and in the environment, as TRUNKLINE_<KEY>. Later wins: FILE, "
	       "environment, flag.\n\n",
	       program, program);
	config_usage_print(stdout);
}

/* True: the question was answered and the process is done. */
static bool answer(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_usage(argv[0]);
			return true;
		}
		if (strcmp(argv[i], "--config-table") == 0) {
			config_table_print(stdout);
			return true;
		}
	}
	return false;
}

/* A limit of 1 byte, not 0: where core_pattern is a pipe, the kernel heeds
 * only that. PR_SET_DUMPABLE would do too, but keeps LeakSanitizer from
 * looking into us. */
static void limit_core(void)
{
	struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1};

	if (setrlimit(RLIMIT_CORE, &limit) == 0)
		return;
	limit = (struct rlimit){0};
	if (setrlimit(RLIMIT_CORE, &limit) != 0)
		log_event(LOG_WARN, "process.core_limit",
			  LOG_STR("reason", strerror(errno)));
}

/* Each client, service and server is a file; the soft limit is often 1024. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_event(LOG_WARN, "process.file_limit",
			  LOG_STR("reason", strerror(errno)));
}

static void end(struct process *process, const char *reason)
{
	process->reason = reason;
	loop_stop(process->loop);
}

static void on_drain(void *arg)
{
	struct process *process = arg;

	if (process->kind->idle(process->self))
		end(process, "idle");
	else if (loop_now_ms(process->loop) >= process->give_up_ms)
		end(process, "drain_ms passed");
}

static void on_signal(void *arg, int signal_number)
{
	struct process *process = arg;

	if (process->stopping) {
		end(process, "second signal");
		return;
	}
	log_event(LOG_INFO, "process.stopping",
		  LOG_STR("signal", sigabbrev_np(signal_number)));
	process->give_up_ms =
		loop_now_ms(process->loop) +
		(uint64_t)config_int(process->config, CONFIG_DRAIN_MS);
	process->stopping = true;
	process->drain = loop_timer_new(process->loop, on_drain, process);
	loop_timer_start(process->drain, 0, IDLE_POLL_MS);
	process->kind->stop(process->self);
}

static void serve(struct process *process)
{
	struct loop_signal *term =
		loop_signal_new(process->loop, SIGTERM, on_signal, process);
	struct loop_signal *interrupt =
		loop_signal_new(process->loop, SIGINT, on_signal, process);

	log_event(LOG_INFO, "process.started",
		  LOG_STR("version", TRUNKLINE_VERSION));
	loop_run(process->loop);
	/* Freeing may turn the loop: nobody asks for idleness any more. */
	loop_timer_free(process->drain);
	process->kind->free(process->self);
	loop_signal_free(term);
	loop_signal_free(interrupt);
}

static enum err_code configure(struct process *process, int argc, char **argv,
			       struct err *err)
{
	enum log_level level;
	enum err_code code = config_load(argc, argv, &process->config, err);

	if (code != ERR_OK)
		return code;
	if (!log_level_parse(config_str(process->config, CONFIG_LOG_LEVEL),
			     &level))
		return err_set(err, ERR_VALIDATE,
			       "log_level: must be error, warn, info or debug");
	log_init(process->kind->name, level);
	return ERR_OK;
}

static enum err_code live(struct process *process, int argc, char **argv,
			  struct err *err)
{
	enum err_code code = configure(process, argc, argv, err);

	if (code != ERR_OK)
		return code;
	process->loop = loop_new();
	code = process->kind->start(process->kind, process->loop,
				    process->config, &process->self, err);
	if (code == ERR_OK)
		serve(process);
	loop_free(process->loop);
	return code;
}

int process_run(int argc, char **argv, const struct process_kind *kind)
{
	struct process process = {.kind = kind};
	struct err err = {0};

	if (answer(argc, argv))
		return EXIT_SUCCESS;

	/* A peer that went away is an error of write(), not our end. */
	signal(SIGPIPE, SIG_IGN);
	log_init(kind->name, LOG_INFO);
	limit_core();
	raise_files();

	enum err_code code = live(&process, argc, argv, &err);

	config_free(process.config);
	if (code != ERR_OK) {
		log_event(LOG_ERROR, "process.failed",
			  LOG_STR("code", err_name(code)),
			  LOG_STR("reason", err.text));
		return EXIT_FAILURE;
	}
	log_event(LOG_INFO, "process.stopped",
		  LOG_STR("reason", process.reason));
	return EXIT_SUCCESS;
}
