/*
 * trunkline call METHOD JSON: one call over the bus, from the command line.
 */

#include "proto/arena.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/writer.h"
#include "services/common/bus_client.h"
#include "services/common/config.h"
#include "services/common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the command line says. */
struct options {
	const char *method;
	const char *json;
	struct slice service;
	enum principal_kind kind;
	int flag_count;
	char **flags; /* the configuration's; [0] is the program */
};

/* One call, until it is answered. */
struct call {
	struct loop *loop;
	bool good;
};

static void print_usage(FILE *out)
{
	fputs("usage: trunkline call METHOD [JSON] [--as=system] "
	      "[--service=NAME] [--key=value]...\n\n"
	      "Calls a method of a service over the bus and prints the answer "
	      "as JSON.\n"
	      "JSON: the arguments, one object; positive integers named \"id\" "
	      "or \"..._id\" go as ids.\n"
	      "--as=system: as a system administrator; else as a service.\n"
	      "--service: whom to ask, where the method's name does not say "
	      "it.\n"
	      "--key=value: the configuration, as of every process: bus_dir, "
	      "<service>_address, call_deadline_ms.\n",
	      out);
}

/* "provider.get" is the provider's; what has no service of its name is the
 * system's. */
static struct slice service_of(const char *method)
{
	static const char *const of_system[] = {"admin", "auth", "info"};
	struct slice prefix = slice_of(method, strcspn(method, "."));

	for (size_t i = 0; i < sizeof(of_system) / sizeof(char *); i++)
		if (slice_is(prefix, of_system[i]))
			return slice_str("system");
	return prefix;
}

/* The value of "--name=value" where arg is that flag, else NULL. */
static const char *flag_value(const char *arg, const char *flag)
{
	size_t size = strlen(flag);

	return strncmp(arg, flag, size) == 0 ? arg + size : NULL;
}

static bool take_flag(struct options *options, char *arg)
{
	const char *as = flag_value(arg, "--as=");
	const char *service = flag_value(arg, "--service=");

	if (as && strcmp(as, "system") == 0)
		options->kind = PRINCIPAL_SYSTEM;
	else if (as && strcmp(as, "service") == 0)
		options->kind = PRINCIPAL_SERVICE;
	else if (as)
		return false;
	else if (service)
		options->service = slice_str(service);
	else
		options->flags[options->flag_count++] = arg;
	return true;
}

/* False: not a command line of ours. flags has room for argc. */
static bool options_read(int argc, char **argv, struct options *options)
{
	options->flags[options->flag_count++] = argv[0];
	if (argc < 2 || strcmp(argv[1], "call") != 0)
		return false;
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			if (!take_flag(options, argv[i]))
				return false;
		} else if (!options->method) {
			options->method = argv[i];
		} else if (!options->json) {
			options->json = argv[i];
		} else {
			return false;
		}
	}
	if (!options->method ||
	    strlen(options->method) > MESSAGE_METHOD_BYTES_MAX)
		return false;
	if (!options->json)
		options->json = "{}";
	if (!options->service.data)
		options->service = service_of(options->method);
	return true;
}

static bool names_id(struct slice key)
{
	static const struct slice tail = SLICE("_id");

	return slice_is(key, "id") ||
	       (key.size > tail.size &&
		slice_eq(slice_of(key.data + key.size - tail.size, tail.size),
			 tail));
}

/* Copies the next value. JSON has no ids: integers that are named like one
 * become one. The reader's depth is JSON's, which is bounded. */
static void copy_value(struct reader *reader, bool is_id, struct buffer *out)
{
	enum reader_kind kind = reader_peek(reader);

	if (kind == READER_MAP) {
		uint32_t pairs = reader_map(reader);

		writer_map(out, pairs);
		for (; pairs > 0; pairs--) {
			struct slice key = reader_str(reader);

			writer_str(out, key);
			copy_value(reader, names_id(key), out);
		}
		return;
	}
	if (kind == READER_ARRAY) {
		uint32_t items = reader_array(reader);

		writer_array(out, items);
		for (; items > 0; items--)
			copy_value(reader, false, out);
		return;
	}

	struct slice value = reader_value(reader);
	struct reader number;

	reader_init(&number, value);

	int64_t id = is_id && kind == READER_INT ? reader_int(&number) : 0;

	if (id > 0)
		writer_id(out, id);
	else
		writer_raw(out, value);
}

static enum err_code arguments_make(const char *json, struct buffer *out,
				    struct err *err)
{
	struct buffer plain = {0};
	struct reader reader;
	enum err_code code = json_to_msgpack(slice_str(json), &plain, err);

	reader_init(&reader, buffer_slice(&plain));
	if (code == ERR_OK && reader_peek(&reader) != READER_MAP)
		code = err_set(err, ERR_MALFORMED,
			       "the arguments are not a JSON object");
	if (code == ERR_OK)
		copy_value(&reader, false, out);
	buffer_fini(&plain);
	return code;
}

static void print_error(const struct err *err)
{
	fprintf(stderr, "trunkline: %s: %s\n", err_name(err->code), err->text);
	for (size_t i = 0; i < err->detail_count; i++)
		fprintf(stderr, "  %s: %s\n", err->details[i].field,
			err->details[i].reason);
}

static void on_reply(void *arg, const struct reply *reply,
		     const struct err *err)
{
	struct call *call = arg;
	struct buffer json = {0};
	struct err fault = {0};

	loop_stop(call->loop);
	if (!err &&
	    json_from_msgpack(reply->body, NULL, &json, &fault) != ERR_OK)
		err = &fault;
	if (err) {
		print_error(err);
	} else {
		buffer_append_char(&json, '\n');
		call->good = fwrite(json.data, json.size, 1, stdout) == 1 &&
			     fflush(stdout) == 0;
	}
	buffer_fini(&json);
}

/* Calls and waits, call_deadline_ms at most. */
static enum err_code call_run(struct call *call, const struct options *options,
			      const struct config *config, struct slice args,
			      struct err *err)
{
	struct arena arena = {0};
	struct bus_client *client = NULL;
	const char *service = arena_strdup(&arena, options->service);
	const char *request_id = arena_printf(&arena, "cli-%d", (int)getpid());
	char *address = config_service_address(config, service);
	enum err_code code = bus_client_new(call->loop, service, address, NULL,
					    &client, err);
	const struct request request = {
		.request_id = slice_str(request_id),
		.method = slice_str(options->method),
		.deadline_ms =
			(uint32_t)config_int(config, CONFIG_CALL_DEADLINE_MS),
		.principal = {.kind = options->kind,
			      .name = slice_str("trunkline"),
			      .address = slice_str("127.0.0.1")},
		.args = args,
	};

	if (code == ERR_OK) {
		bus_client_call(client, BUS_SLOW, &request, on_reply, call);
		loop_run(call->loop);
	}
	bus_client_free(client);
	free(address);
	arena_fini(&arena);
	return code;
}

static bool run(const struct options *options)
{
	struct config *config = NULL;
	struct call call = {0};
	struct buffer args = {0};
	struct err err = {0};
	enum err_code code =
		config_load(options->flag_count, options->flags, &config, &err);

	if (code == ERR_OK)
		code = arguments_make(options->json, &args, &err);
	if (code == ERR_OK) {
		call.loop = loop_new();
		code = call_run(&call, options, config, buffer_slice(&args),
				&err);
		loop_free(call.loop);
	}
	if (code != ERR_OK)
		print_error(&err);
	buffer_fini(&args);
	config_free(config);
	return call.good;
}

int main(int argc, char **argv)
{
	struct options options = {
		.kind = PRINCIPAL_SERVICE,
		.flags = mem_alloc(((size_t)argc + 1) * sizeof(char *)),
	};
	int status = EXIT_FAILURE;

	/* Its stderr is read by a person. */
	log_init("cli", LOG_ERROR);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		print_usage(stdout);
		status = EXIT_SUCCESS;
	} else if (!options_read(argc, argv, &options)) {
		print_usage(stderr);
	} else if (run(&options)) {
		status = EXIT_SUCCESS;
	}
	free(options.flags);
	return status;
}
