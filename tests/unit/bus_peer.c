/* The service that tests/unit/bus_client.c starts, stops and kills:
 *
 *   bus_peer ADDRESS FILE
 *
 * test.write and test.keep add a line to FILE; test.hold and test.keep never
 * answer. */

#include "proto/writer.h"
#include "services/common/bus_server.h"
#include "services/common/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

struct peer {
	int fd;
};

static void record(const struct peer *peer, const struct bus_call *call)
{
	char line[MESSAGE_REQUEST_ID_BYTES_MAX + 2];
	const struct slice id = bus_call_request(call)->request_id;
	const int size = snprintf(line, sizeof(line), "%.*s\n", SLICE_ARG(id));

	if (write(peer->fd, line, (size_t)size) != size)
		abort();
}

static void on_pid(void *service, struct bus_call *call)
{
	(void)service;
	writer_int(bus_call_body(call), getpid());
	bus_reply_ok(call, 0);
}

static void on_write(void *service, struct bus_call *call)
{
	record(service, call);
	bus_reply_ok(call, 0);
}

static void on_keep(void *service, struct bus_call *call)
{
	record(service, call);
}

static void on_hold(void *service, struct bus_call *call)
{
	(void)service;
	(void)call;
}

static const struct bus_method methods[] = {
	{"test.pid", on_pid, PRINCIPAL_SYSTEM, NULL},
	{"test.write", on_write, PRINCIPAL_SYSTEM, NULL},
	{"test.keep", on_keep, PRINCIPAL_SYSTEM, NULL},
	{"test.hold", on_hold, PRINCIPAL_SYSTEM, NULL},
};

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	/* A test that crashes must not leave us behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_init("peer", LOG_WARN);

	struct peer peer = {
		.fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600)};
	struct metrics metrics = {0};
	struct loop *loop = loop_new();
	struct bus_server *server = NULL;
	struct err err = {0};
	const struct bus_server_options options = {
		.address = argv[1],
		.methods = methods,
		.method_count = sizeof(methods) / sizeof(methods[0]),
		.service = &peer,
		.metrics = &metrics,
	};

	if (bus_server_new(loop, &options, &server, &err) != ERR_OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	loop_run(loop);
	return 0;
}
