#include "relay.h"

#include "proto/buffer.h"
#include "proto/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct pair {
	struct pair *next;
	struct relay *relay;
	int client, server; /* -1: ended */
	struct loop_watch *from_client, *from_server;
	bool held, answers_held;
	struct buffer kept, answers;
};

struct relay {
	struct loop *loop;
	struct sockaddr_un server_address;
	int fd;
	struct loop_watch *watch;
	struct pair *pairs;
	uint64_t heard;
};

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

/* Both ends read all the time, and what a test sends fits a socket. */
static void send_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		data += sent;
		size -= (size_t)sent;
	}
}

static void end_client(struct pair *pair)
{
	if (pair->client < 0)
		return;
	loop_watch_free(pair->from_client);
	close(pair->client);
	pair->client = -1;
}

static void end_server(struct pair *pair)
{
	if (pair->server < 0)
		return;
	loop_watch_free(pair->from_server);
	close(pair->server);
	pair->server = -1;
}

static void on_client(void *arg, unsigned events)
{
	struct pair *pair = arg;
	char bytes[65536];
	const ssize_t size = recv(pair->client, bytes, sizeof(bytes), 0);

	(void)events;
	if (size <= 0) {
		end_client(pair);
		if (!pair->held)
			end_server(pair);
		return;
	}
	pair->relay->heard += (uint64_t)size;
	if (pair->held)
		buffer_append(&pair->kept, bytes, (size_t)size);
	else if (pair->server >= 0)
		send_all(pair->server, bytes, (size_t)size);
}

static void on_server(void *arg, unsigned events)
{
	struct pair *pair = arg;
	char bytes[65536];
	const ssize_t size = recv(pair->server, bytes, sizeof(bytes), 0);

	(void)events;
	if (size <= 0) {
		end_server(pair);
		end_client(pair);
	} else if (pair->answers_held) {
		buffer_append(&pair->answers, bytes, (size_t)size);
	} else if (pair->client >= 0) {
		send_all(pair->client, bytes, (size_t)size);
	}
}

static void on_connection(void *arg, unsigned events)
{
	struct relay *relay = arg;
	struct pair *pair = mem_alloc(sizeof(*pair));

	(void)events;
	pair->relay = relay;
	pair->client = accept(relay->fd, NULL, NULL);
	pair->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(pair->client, 0);
	pair->next = relay->pairs;
	relay->pairs = pair;
	pair->from_client =
		loop_watch_new(relay->loop, pair->client, on_client, pair);
	loop_watch_set(pair->from_client, LOOP_READABLE);
	pair->from_server =
		loop_watch_new(relay->loop, pair->server, on_server, pair);
	if (connect(pair->server, (struct sockaddr *)&relay->server_address,
		    sizeof(relay->server_address)) == 0) {
		loop_watch_set(pair->from_server, LOOP_READABLE);
	} else {
		end_client(pair);
		end_server(pair);
	}
}

struct relay *relay_new(struct loop *loop, const char *path,
			const char *server_path)
{
	struct relay *relay = mem_alloc(sizeof(*relay));
	const struct sockaddr_un address = address_of(path);

	relay->loop = loop;
	relay->server_address = address_of(server_path);
	relay->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(relay->fd, (const struct sockaddr *)&address,
			  sizeof(address)),
		     0);
	cr_assert_eq(listen(relay->fd, 8), 0);
	relay->watch = loop_watch_new(loop, relay->fd, on_connection, relay);
	loop_watch_set(relay->watch, LOOP_READABLE);
	return relay;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	for (struct pair *pair; (pair = relay->pairs);) {
		relay->pairs = pair->next;
		end_client(pair);
		end_server(pair);
		buffer_fini(&pair->kept);
		buffer_fini(&pair->answers);
		free(pair);
	}
	loop_watch_free(relay->watch);
	close(relay->fd);
	free(relay);
}

void relay_hold(struct relay *relay)
{
	for (struct pair *pair = relay->pairs; pair; pair = pair->next)
		pair->held = pair->client >= 0;
}

void relay_cut(struct relay *relay)
{
	for (struct pair *pair = relay->pairs; pair; pair = pair->next)
		if (pair->held)
			end_client(pair);
}

/* The server closes its end when it has done all that came. */
static void finish(struct pair *pair)
{
	char bytes[4096];

	shutdown(pair->server, SHUT_WR);
	while (recv(pair->server, bytes, sizeof(bytes), 0) > 0)
		;
	end_server(pair);
}

void relay_release(struct relay *relay)
{
	for (struct pair *pair = relay->pairs; pair; pair = pair->next) {
		if (!pair->held)
			continue;
		pair->held = false;
		send_all(pair->server, pair->kept.data, pair->kept.size);
		pair->kept.size = 0;
		if (pair->client < 0)
			finish(pair);
	}
}

void relay_hold_answers(struct relay *relay, bool hold)
{
	for (struct pair *pair = relay->pairs; pair; pair = pair->next) {
		pair->answers_held = hold;
		if (!hold && pair->client >= 0)
			send_all(pair->client, pair->answers.data,
				 pair->answers.size);
		pair->answers.size = 0;
	}
}

uint64_t relay_heard(const struct relay *relay)
{
	return relay->heard;
}
