#include "services/common/events.h"

#include "proto/writer.h"
#include "servers.h"
#include "turn.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	HEARD_MAX = 64,

	/* Messages of the largest size: far more than any queue holds. */
	FLOOD = 800,
};

struct world {
	struct loop *loop;
	char dir[64];
	char address[96];
	char other[96];
	struct metrics metrics;
	struct events_publisher *publisher;
	struct events_subscriber *subscriber;
	const struct events_counts *counts;
	size_t stale;
	uint64_t last; /* version of the last event heard */
	struct event heard[HEARD_MAX];
	size_t heard_count;
};

static struct world world;

static void on_event(void *arg, const struct event *event)
{
	struct world *w = arg;

	w->last = event->version;
	if (w->heard_count == HEARD_MAX)
		return;
	w->heard[w->heard_count] = *event;
	w->heard[w->heard_count++].resource = (struct slice){0};
}

static void on_stale(void *arg)
{
	((struct world *)arg)->stale++;
}

static struct events_publisher *publish_at(const char *address,
					   struct metrics *metrics)
{
	struct events_publisher *publisher = NULL;
	struct err err = {0};

	cr_assert_eq(events_publisher_new(world.loop, address, metrics,
					  &publisher, &err),
		     ERR_OK, "%s", err.text);
	return publisher;
}

static void subscribe(const char *addresses)
{
	const struct events_handlers handlers = {
		.event = on_event, .stale = on_stale, .arg = &world};
	struct err err = {0};

	cr_assert_eq(events_subscriber_new(world.loop, addresses, &handlers,
					   &world.subscriber, &err),
		     ERR_OK, "%s", err.text);
	world.counts = events_subscriber_counts(world.subscriber);
}

static void tell(struct events_publisher *publisher, int64_t id,
		 uint64_t version, enum event_kind kind)
{
	events_publish(publisher, &(struct event){.resource = SLICE("thing"),
						  .id = id,
						  .version = version,
						  .kind = kind});
}

/* Our end of a connection may be ready before the other: what is told in
 * between is lost, as in life. Tells until it is heard. */
static void reach(struct events_publisher *publisher)
{
	const uint64_t end_ms = loop_now_ms(world.loop) + TURN_DEADLINE_MS;

	world.heard_count = 0;
	while (world.heard_count == 0) {
		cr_assert_lt(loop_now_ms(world.loop), end_ms);
		tell(publisher, 1, 1, EVENT_UPDATED);
		loop_turn(world.loop, 10);
	}
	/* What is still on the way is heard before this one. */
	world.last = 0;
	tell(publisher, 1, UINT64_MAX, EVENT_UPDATED);
	TURN_UNTIL(world.loop, world.last == UINT64_MAX);
	world.heard_count = 0;
}

static void setup(void)
{
	world.loop = loop_new();
	servers_dir_make(world.dir);
	snprintf(world.address, sizeof(world.address), "ipc://%s/a.sock",
		 world.dir);
	snprintf(world.other, sizeof(world.other), "ipc://%s/b.sock",
		 world.dir);
}

static void teardown(void)
{
	events_subscriber_free(world.subscriber);
	events_publisher_free(world.publisher);
	loop_free(world.loop);
	servers_dir_remove(world.dir);
}

TestSuite(events, .init = setup, .fini = teardown);

Test(events, address_follows_from_the_services)
{
	static const struct {
		const char *service;
		const char *events; /* NULL: refused */
	} rows[] = {
		{"ipc:///run/trunkline/provider.sock",
		 "ipc:///run/trunkline/provider.sock.events"},
		{"abstract://provider", "abstract://provider.events"},
		{"tcp://10.0.0.1:5000", "tcp://10.0.0.1:5001"},
		{"tcp://[2001:db8::1]:65534", "tcp://[2001:db8::1]:65535"},
		{"tcp://*:9", "tcp://*:10"},
		{"tls+tcp://trunk.example:7000",
		 "tls+tcp://trunk.example:7001"},
		{"tcp://10.0.0.1:65535", NULL},
		{"tcp://10.0.0.1:0", NULL},
		{"tcp://10.0.0.1:", NULL},
		{"tcp://10.0.0.1", NULL},
		{"tcp://10.0.0.1:99999999999999999999", NULL},
		{"tcp://10.0.0.1:50x", NULL},
		{"http://10.0.0.1:5000", NULL},
		{"provider", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer out = {0};
		struct err err = {0};
		const enum err_code code =
			events_address(slice_str(rows[i].service), &out, &err);

		cr_assert_eq(code, rows[i].events ? ERR_OK : ERR_VALIDATE, "%s",
			     rows[i].service);
		cr_assert(slice_is(buffer_slice(&out),
				   rows[i].events ? rows[i].events : ""),
			  "%s", rows[i].service);
		buffer_fini(&out);
	}
}

Test(events, those_of_a_turn_travel_in_one_message)
{
	world.publisher = publish_at(world.address, &world.metrics);
	subscribe(world.address);
	TURN_UNTIL(world.loop, world.stale == 1);
	reach(world.publisher);

	const uint64_t events = *world.metrics.entries[0].value;
	const uint64_t messages = *world.metrics.entries[1].value;

	tell(world.publisher, 10, 1, EVENT_CREATED);
	tell(world.publisher, 11, 7, EVENT_UPDATED);
	tell(world.publisher, 12, 3, EVENT_DESTROYED);
	cr_assert_eq(world.heard_count, 0);
	TURN_UNTIL(world.loop, world.heard_count == 3);
	cr_assert_eq(world.heard[0].id, 10);
	cr_assert_eq(world.heard[0].kind, EVENT_CREATED);
	cr_assert_eq(world.heard[1].version, 7);
	cr_assert_eq(world.heard[1].kind, EVENT_UPDATED);
	cr_assert_eq(world.heard[2].kind, EVENT_DESTROYED);
	cr_assert_eq(*world.metrics.entries[0].value, events + 3);
	cr_assert_eq(*world.metrics.entries[1].value, messages + 1);
	cr_assert_eq(world.counts->connected, 1);
}

Test(events, socket_is_the_groups_and_nobody_elses)
{
	struct stat stat_of;
	char path[128];

	world.publisher = publish_at(world.address, NULL);
	snprintf(path, sizeof(path), "%s/a.sock.events", world.dir);
	cr_assert_eq(stat(path, &stat_of), 0);
	cr_assert_eq(stat_of.st_mode & 0777, 0660);
}

Test(events, address_in_use_is_told)
{
	struct events_publisher *second = NULL;
	struct err err = {0};

	world.publisher = publish_at(world.address, NULL);
	cr_assert_eq(events_publisher_new(world.loop, world.address, NULL,
					  &second, &err),
		     ERR_UNAVAILABLE);
	cr_assert_null(second);
	cr_assert(strstr(err.text, "a.sock.events"), "%s", err.text);
}

Test(events, malformed_addresses_are_refused)
{
	const struct events_handlers handlers = {on_event, on_stale, &world};
	struct err err = {0};

	cr_assert_eq(events_publisher_new(world.loop, "tcp://x", NULL,
					  &world.publisher, &err),
		     ERR_VALIDATE);
	cr_assert_eq(events_subscriber_new(world.loop, "ipc:///tmp/x,,",
					   &handlers, &world.subscriber, &err),
		     ERR_VALIDATE);
	cr_assert_null(world.publisher);
	cr_assert_null(world.subscriber);
}

Test(events, connection_made_again_is_told_as_stale)
{
	subscribe(world.address);
	world.publisher = publish_at(world.address, NULL);
	TURN_UNTIL(world.loop, world.stale == 1);
	reach(world.publisher);
	events_publisher_free(world.publisher);
	TURN_UNTIL(world.loop, world.counts->connected == 0);
	cr_assert_eq(world.stale, 1);
	world.publisher = publish_at(world.address, NULL);
	TURN_UNTIL(world.loop, world.stale == 2);
	reach(world.publisher);
}

Test(events, all_replicas_are_heard)
{
	char addresses[192];
	struct events_publisher *second = publish_at(world.other, NULL);

	world.publisher = publish_at(world.address, NULL);
	snprintf(addresses, sizeof(addresses), "%s,%s", world.address,
		 world.other);
	subscribe(addresses);
	TURN_UNTIL(world.loop, world.counts->connected == 2);
	reach(world.publisher);
	reach(second);
	events_publisher_free(second);
}

/* A service of ours in nothing but its address. */
static nng_socket stranger_listen(void)
{
	char address[128];
	nng_socket socket;

	snprintf(address, sizeof(address), "%s.events", world.address);
	cr_assert_eq(nng_pub0_open(&socket), 0);
	cr_assert_eq(nng_listen(socket, address, NULL, 0), 0);
	return socket;
}

static void stranger_send(nng_socket socket, struct slice bytes)
{
	cr_assert_eq(nng_send(socket, (void *)bytes.data, bytes.size, 0), 0);
}

Test(events, garbage_is_counted_and_dropped)
{
	static const struct slice good =
		SLICE("\x95\x01\xa5thing\xd7\x01\0\0\0\0\0\0\0\x07\x05\x02");
	static const struct slice newer =
		SLICE("\x93\x02\xc0\xc0"
		      "\x95\x01\xa5thing\xd7\x01\0\0\0\0\0\0\0\x07\x06\x02");
	nng_socket socket = stranger_listen();

	subscribe(world.address);
	TURN_UNTIL(world.loop, world.stale == 1);
	while (world.heard_count == 0) {
		stranger_send(socket, good);
		loop_turn(world.loop, 10);
	}
	stranger_send(socket, slice_of("", 0));
	stranger_send(socket, slice_of(good.data, good.size - 1));
	stranger_send(socket, slice_str("GET / HTTP/1.1"));
	stranger_send(socket, newer);
	TURN_UNTIL(world.loop, world.last == 6);
	cr_assert_eq(world.counts->malformed, 3);
	cr_assert_eq(world.counts->unknown, 1);
	cr_assert_eq(world.counts->dropped, 0);
	nng_close(socket);
}

/* Full messages, sent without a turn of the loop. */
static void flood(size_t messages)
{
	const size_t events =
		messages * (EVENT_MESSAGE_BYTES_MAX / EVENT_BYTES_MAX);
	char name[EVENT_RESOURCE_BYTES_MAX];

	memset(name, 'x', sizeof(name));
	for (size_t i = 0; i < events; i++)
		events_publish(world.publisher,
			       &(struct event){
				       .resource = slice_of(name, sizeof(name)),
				       .id = INT64_MAX,
				       .version = 1u << 31,
				       .kind = EVENT_CREATED});
}

/* A subscriber (SP protocol 0x21) that says hello and reads no further. */
static int sleeper_connect(void)
{
	static const char hello[] = {0, 'S', 'P', 0, 0, 0x21, 0, 0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[sizeof(hello)];

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/a.sock.events",
		 world.dir);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)),
		     0);
	cr_assert_eq(write(fd, hello, sizeof(hello)), (ssize_t)sizeof(hello));
	cr_assert_eq(recv(fd, answer, sizeof(answer), MSG_WAITALL),
		     (ssize_t)sizeof(answer));
	return fd;
}

/* Reads until the bytes of mark were seen; returns how many came in all. */
static size_t sleeper_drain(int fd, struct slice mark)
{
	static char bytes[256 * 1024];
	size_t kept = 0;
	size_t total = 0;

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};

		cr_assert_eq(poll(&wait, 1, TURN_DEADLINE_MS), 1);
		const ssize_t got =
			read(fd, bytes + kept, sizeof(bytes) - kept);

		cr_assert_gt(got, 0);
		total += (size_t)got;
		kept += (size_t)got;
		if (memmem(bytes, kept, mark.data, mark.size))
			return total;
		/* It may lie across two reads. */
		if (kept > mark.size) {
			memmove(bytes, bytes + kept - mark.size, mark.size);
			kept = mark.size;
		}
	}
}

Test(events, subscriber_that_does_not_read_holds_nobody_up)
{
	world.publisher = publish_at(world.address, NULL);
	subscribe(world.address);
	reach(world.publisher);
	const int fd = sleeper_connect();
	const uint64_t end_ms = loop_now_ms(world.loop) + TURN_DEADLINE_MS;
	const struct event end = {.resource = SLICE("end"),
				  .id = 1,
				  .version = UINT64_MAX,
				  .kind = EVENT_UPDATED};

	flood(FLOOD);
	/* The others hear what comes now, once they have caught up: the flood
	 * was more than they hold too. */
	world.last = 0;
	while (world.last != UINT64_MAX) {
		cr_assert_lt(loop_now_ms(world.loop), end_ms);
		events_publish(world.publisher, &end);
		loop_turn(world.loop, 10);
	}
	/* What was kept for the sleeper is a part, and the newest. */
	cr_assert_lt(sleeper_drain(fd, slice_str("\xa3"
						 "end")),
		     (size_t)FLOOD / 2 * EVENT_MESSAGE_BYTES_MAX);
	close(fd);
}

Test(events, more_than_the_queue_holds_is_told_as_stale)
{
	const uint64_t end_ms = loop_now_ms(world.loop) + TURN_DEADLINE_MS;

	world.publisher = publish_at(world.address, NULL);
	subscribe(world.address);
	reach(world.publisher);
	const size_t before = world.stale;

	while (world.counts->dropped == 0) {
		cr_assert_lt(loop_now_ms(world.loop), end_ms);
		flood(FLOOD);
		loop_turn(world.loop, 10);
	}
	cr_assert_gt(world.stale, before);
}

Test(events, freed_with_messages_waiting)
{
	world.publisher = publish_at(world.address, NULL);
	subscribe(world.address);
	reach(world.publisher);
	flood(8);
}
