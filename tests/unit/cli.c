#include "proto/writer.h"
#include "services/common/bus_server.h"
#include "tests/unit/turn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program itself (CLI_PROGRAM) against a bus server of ours. */

enum { ARGS_MAX = 16, OUTPUT_BYTES = 4096 };

struct fixture {
	char dir[64];
	char address_flag[128];
	struct loop *loop;
	struct metrics metrics;
	struct bus_server *server;
};

struct outcome {
	int status;
	char out[OUTPUT_BYTES];
	char err[OUTPUT_BYTES];
};

/* {kind, args}: what arrived. */
static void echo(void *service, struct bus_call *call)
{
	const struct request *request = bus_call_request(call);
	struct buffer *body = bus_call_body(call);

	(void)service;
	writer_map(body, 2);
	writer_text(body, "kind");
	writer_int(body, request->principal.kind);
	writer_text(body, "args");
	writer_raw(body, request->args);
	bus_reply_ok(call, 0);
}

/* The id it was asked for, which has to come as an id, and a time. */
static void get(void *service, struct bus_call *call)
{
	struct reader reader;

	(void)service;
	reader_init(&reader, bus_call_request(call)->args);
	reader_map(&reader);
	reader_str(&reader);

	int64_t id = reader_id(&reader);

	writer_array(bus_call_body(call), 2);
	writer_id(bus_call_body(call), reader_ok(&reader) ? id : 1);
	writer_time(bus_call_body(call), 1500658348);
	bus_reply_ok(call, 3);
}

static void refuse(void *service, struct bus_call *call)
{
	struct err err = {0};

	(void)service;
	err_field(&err, "hostname", "must not be empty");
	err_field(&err, "port", "must be between 1 and 65535");
	bus_reply_error(call, &err);
}

static const struct bus_method methods[] = {
	{.name = "provider.get",
	 .handle = get,
	 .who = PRINCIPAL_SERVICE | PRINCIPAL_SYSTEM},
	{.name = "provider.create", .handle = refuse, .who = PRINCIPAL_SERVICE},
	{.name = "provider.echo",
	 .handle = echo,
	 .who = PRINCIPAL_SERVICE | PRINCIPAL_SYSTEM},
	{.name = "info.get", .handle = echo, .who = PRINCIPAL_SYSTEM},
};

static void start(struct fixture *f, const char *service)
{
	char address[96];
	struct err err = {0};

	snprintf(f->dir, sizeof(f->dir), "/tmp/trunkline-cli-XXXXXX");
	cr_assert(mkdtemp(f->dir));
	snprintf(address, sizeof(address), "ipc://%s/bus", f->dir);
	snprintf(f->address_flag, sizeof(f->address_flag), "--%s_address=%s",
		 service, address);
	f->loop = loop_new();
	f->metrics = (struct metrics){0};

	const struct bus_server_options options = {
		.address = address,
		.methods = methods,
		.method_count = sizeof(methods) / sizeof(methods[0]),
		.metrics = &f->metrics,
	};

	cr_assert_eq(bus_server_new(f->loop, &options, &f->server, &err),
		     ERR_OK, "%s", err.text);
}

static void stop(struct fixture *f)
{
	char path[96];

	bus_server_free(f->server);
	loop_free(f->loop);
	snprintf(path, sizeof(path), "%s/bus", f->dir);
	unlink(path);
	rmdir(f->dir);
}

static FILE *redirect(posix_spawn_file_actions_t *actions, int to)
{
	FILE *file = tmpfile();

	cr_assert(file);
	posix_spawn_file_actions_adddup2(actions, fileno(file), to);
	return file;
}

static void collect(FILE *file, char *text)
{
	rewind(file);
	text[fread(text, 1, OUTPUT_BYTES - 1, file)] = '\0';
	fclose(file);
}

/* Runs `trunkline` with the words of arguments (none holds a space) and the
 * address. Spawned: nng forbids a plain fork(). */
static void run(struct fixture *f, const char *arguments, struct outcome *o)
{
	char text[256];
	char *argv[ARGS_MAX] = {"trunkline"};
	int argc = 1, wait_status = 0;
	posix_spawn_file_actions_t actions;
	pid_t pid;

	snprintf(text, sizeof(text), "%s", arguments);
	for (char *rest = text; (argv[argc] = strtok_r(rest, " ", &rest));)
		cr_assert_lt(++argc, ARGS_MAX - 2);
	argv[argc++] = f->address_flag;
	argv[argc] = NULL;

	posix_spawn_file_actions_init(&actions);

	FILE *out = redirect(&actions, STDOUT_FILENO);
	FILE *err = redirect(&actions, STDERR_FILENO);

	cr_assert_eq(
		posix_spawn(&pid, CLI_PROGRAM, &actions, NULL, argv, environ),
		0);
	posix_spawn_file_actions_destroy(&actions);
	TURN_UNTIL(f->loop, waitpid(pid, &wait_status, WNOHANG) == pid);
	cr_assert(WIFEXITED(wait_status));
	o->status = WEXITSTATUS(wait_status);
	collect(out, o->out);
	collect(err, o->err);
}

struct row {
	const char *name;
	const char *arguments;
	int status;
	const char *out;
	const char *err; /* how it starts */
};

static const struct row rows[] = {
	{"ids go and come as ids", "call provider.get {\"id\":7}", 0,
	 "[7,\"2017-07-21T17:32:28Z\"]\n", ""},
	{"no arguments: an empty object", "call provider.echo", 0,
	 "{\"kind\":16,\"args\":{}}\n", ""},
	{"arguments",
	 "call provider.echo {\"id\":\"x\",\"a\":[1,{\"b_id\":9}],\"c\":null}",
	 0,
	 "{\"kind\":16,\"args\":{\"id\":\"x\",\"a\":[1,{\"b_id\":9}],"
	 "\"c\":null}}\n",
	 ""},
	{"as a system administrator", "call provider.echo {} --as=system", 0,
	 "{\"kind\":2,\"args\":{}}\n", ""},
	{"an error and its details", "call provider.create {}", 1, "",
	 "trunkline: ERR_VALIDATE: field validation failed\n"
	 "  hostname: must not be empty\n"
	 "  port: must be between 1 and 65535\n"},
	{"unknown method", "call provider.nothing {}", 1, "",
	 "trunkline: ERR_UNKNOWN_METHOD: "},
	{"not JSON", "call provider.get {", 1, "",
	 "trunkline: ERR_MALFORMED: JSON: key expected at byte 1\n"},
	{"not an object", "call provider.get [1]", 1, "",
	 "trunkline: ERR_MALFORMED: the arguments are not a JSON object\n"},
	{"bad configuration", "call provider.get {} --nothing=1", 1, "",
	 "trunkline: ERR_VALIDATE: "},
	{"no service there",
	 "call dealer.get {} --bus_dir=/nowhere --call_deadline_ms=50", 1, "",
	 "trunkline: ERR_UNAVAILABLE: "},
	{"another service by name",
	 "call provider.echo {} --service=dealer "
	 "--bus_dir=/nowhere --call_deadline_ms=50",
	 1, "", "trunkline: ERR_UNAVAILABLE: "},
	{"no command", "provider.get", 1, "", "usage: "},
	{"no method", "call", 1, "", "usage: "},
	{"too many words", "call provider.get {} {}", 1, "", "usage: "},
	{"unknown principal", "call provider.get {} --as=nobody", 1, "",
	 "usage: "},
};

Test(cli, calls)
{
	struct fixture f;
	struct outcome o;

	start(&f, "provider");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(&f, rows[i].arguments, &o);
		cr_expect_eq(o.status, rows[i].status, "%s: %d", rows[i].name,
			     o.status);
		cr_expect_str_eq(o.out, rows[i].out, "%s: %s", rows[i].name,
				 o.out);
		cr_expect_eq(strncmp(o.err, rows[i].err, strlen(rows[i].err)),
			     0, "%s: %s", rows[i].name, o.err);
		if (rows[i].err[0] == '\0')
			cr_expect_str_empty(o.err, "%s: %s", rows[i].name,
					    o.err);
	}
	stop(&f);
}

Test(cli, methods_without_a_service_are_the_systems)
{
	struct fixture f;
	struct outcome o;

	start(&f, "system");
	run(&f, "call info.get {} --as=system", &o);
	cr_expect_eq(o.status, 0, "%s", o.err);
	cr_expect_str_eq(o.out, "{\"kind\":2,\"args\":{}}\n");
	run(&f, "call info.get {}", &o);
	cr_expect_eq(o.status, 1);
	cr_expect(strstr(o.err, "ERR_FORBIDDEN"), "%s", o.err);
	stop(&f);
}
