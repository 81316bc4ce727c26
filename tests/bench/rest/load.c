/*
 * Load generator: N keep-alive connections in a closed loop over one epoll.
 * Every answer is checked: its status, and that its body carries the id that
 * was asked for. Prints one JSON object of figures.
 *
 * The warm-up is followed by a pause: "ready" is written, and the measured part
 * starts with the next line on standard input. Whoever reads the servers' CPU
 * time does it there and after the figures came, so that only whole requests
 * lie between the two readings.
 */
#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 1024,
	REQUEST_BYTES_MAX =
		16 * 1024, /* a provider with everything set: 3 kB */
	ANSWER_BYTES_MAX = 1024 * 1024, /* a page of 100 providers: 30 kB */
	COUNTER_DIGITS = 10,		/* fixed, so that lengths are too */
	SILENCE_MS_MAX = 15000,		/* then a server counts as hanging */
	WRONG_SHOWN_MAX = 3,
};

struct options {
	int port, connections, status;
	double warm_s, seconds;
	uint64_t requests; /* 0: as many as fit into seconds */
	uint64_t first;	   /* the counter's start */
	const char *token, *path, *ids, *body, *expect;
};

/* Text with one place, "{}", where the id or the counter goes. */
struct template
{
	const char *head, *tail;
	size_t head_bytes, tail_bytes;
	bool has_place;
};

struct connection {
	int fd;
	uint64_t sent_us;
	const char *id;
	char *answer;
	size_t answer_bytes;
};

struct load {
	struct options options;
	struct template path, body, expect;
	char **ids;
	size_t id_count, next_id;
	uint64_t counter;
	char *common_headers;
	struct connection *connections;
	int epoll_fd;
	bool measuring;
	uint64_t until_us; /* no request starts later; 0: no such time */
	uint64_t left;	   /* requests that may still start */
	size_t outstanding;
	uint64_t answers, wrong;	    /* the warm-up's too */
	struct measure_latencies latencies; /* while measuring */
};

static void die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (!memory)
		die("out of memory");
	return memory;
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	if (!file)
		die(path);
	char *text = NULL;
	size_t capacity = 0;
	ssize_t bytes = getdelim(&text, &capacity, '\0', file);
	fclose(file);
	if (bytes < 0)
		die("empty file");
	text[bytes] = '\0';
	return text;
}

static struct template template_make(const char *text)
{
	const char *place = strstr(text, "{}");
	struct template made = {.head = text, .head_bytes = strlen(text)};
	if (!place)
		return made;
	made.has_place = true;
	made.head_bytes = (size_t)(place - text);
	made.tail = place + 2;
	made.tail_bytes = strlen(made.tail);
	return made;
}

static size_t template_bytes(const struct template *template, size_t id_bytes)
{
	return template->head_bytes + template->tail_bytes +
	       (template->has_place ? id_bytes : 0);
}

/* Appends head, id and tail; the caller has checked that they fit. */
static char *template_write(char *out, const struct template *template,
			    const char *id, size_t id_bytes)
{
	out = mempcpy(out, template->head, template->head_bytes);
	if (template->has_place)
		out = mempcpy(out, id, id_bytes);
	if (template->tail_bytes)
		out = mempcpy(out, template->tail, template->tail_bytes);
	return out;
}

static void ids_load(struct load *load, const char *path)
{
	size_t capacity = 0;
	char *text = read_file(path);
	for (char *id = strtok(text, "\n"); id; id = strtok(NULL, "\n")) {
		if (load->id_count == capacity) {
			capacity = capacity ? 2 * capacity : 1024;
			load->ids = reallocarray(load->ids, capacity,
						 sizeof(*load->ids));
			if (!load->ids)
				die("out of memory");
		}
		load->ids[load->id_count++] = id;
	}
	if (load->id_count == 0)
		die("no ids");
}

/* The request of one id. The longest part, a body, is copied with its counter
 * replaced. */
static size_t request_write(struct load *load, const char *id, char *out)
{
	char counter[COUNTER_DIGITS + 1] = "";
	const struct options *options = &load->options;
	size_t id_bytes = strlen(id);
	char *end = mempcpy(out, options->body ? "POST " : "GET ",
			    options->body ? 5 : 4);
	end = template_write(end, &load->path, id, id_bytes);
	end = stpcpy(end, load->common_headers);
	if (!options->body)
		return (size_t)(stpcpy(end, "\r\n") - out);
	size_t body_bytes = template_bytes(&load->body, COUNTER_DIGITS);
	end += sprintf(end, "Content-Length: %zu\r\n\r\n", body_bytes);
	snprintf(counter, sizeof(counter), "%0*llu", COUNTER_DIGITS,
		 (unsigned long long)load->counter++);
	return (size_t)(template_write(end, &load->body, counter,
				       COUNTER_DIGITS) -
			out);
}

static bool may_start(const struct load *load, uint64_t now)
{
	return load->left > 0 && (!load->until_us || now < load->until_us);
}

static void request_start(struct load *load, struct connection *connection,
			  uint64_t now)
{
	char request[REQUEST_BYTES_MAX];
	if (load->id_count) {
		connection->id = load->ids[load->next_id];
		load->next_id = (load->next_id + 1) % load->id_count;
	}
	size_t bytes = request_write(load, connection->id, request);
	load->left--;
	load->outstanding++;
	connection->sent_us = now;
	connection->answer_bytes = 0;
	/* The socket's buffer is empty between requests and larger than one. */
	if (send(connection->fd, request, bytes, MSG_NOSIGNAL) !=
	    (ssize_t)bytes)
		die("a connection was lost while sending");
}

/* The value of a header, or NULL. */
static const char *header_find(const char *head, const char *head_end,
			       const char *name)
{
	size_t name_bytes = strlen(name);
	for (const char *line = head; line < head_end;) {
		const char *next =
			memchr(line, '\n', (size_t)(head_end - line));
		if (strncasecmp(line, name, name_bytes) == 0)
			return line + name_bytes;
		if (!next)
			break;
		line = next + 1;
	}
	return NULL;
}

/* The bytes of the whole answer, 0 while its head is incomplete. */
static size_t answer_size(const struct connection *connection, size_t *head)
{
	const char *end = memmem(connection->answer, connection->answer_bytes,
				 "\r\n\r\n", 4);
	if (!end)
		return 0;
	*head = (size_t)(end - connection->answer) + 4;
	const char *length =
		header_find(connection->answer, end, "content-length:");
	if (!length)
		die("an answer without Content-Length");
	size_t size = *head + strtoul(length, NULL, 10);
	if (size > ANSWER_BYTES_MAX)
		die("an answer that is too long");
	return size;
}

static bool answer_good(const struct load *load,
			const struct connection *connection, size_t head)
{
	char expected[REQUEST_BYTES_MAX];
	if (connection->answer_bytes < sizeof("HTTP/1.1 200") - 1 ||
	    atoi(connection->answer + sizeof("HTTP/1.1 ") - 1) !=
		    load->options.status)
		return false;
	size_t bytes =
		(size_t)(template_write(expected, &load->expect, connection->id,
					strlen(connection->id)) -
			 expected);
	return memmem(connection->answer + head,
		      connection->answer_bytes - head, expected, bytes);
}

static void answer_count(struct load *load, struct connection *connection,
			 size_t head, uint64_t now)
{
	load->outstanding--;
	load->answers++;
	if (!answer_good(load, connection, head)) {
		load->wrong++;
		if (load->wrong <= WRONG_SHOWN_MAX)
			fprintf(stderr, "load: wrong answer to \"%s\": %.*s\n",
				connection->id, (int)connection->answer_bytes,
				connection->answer);
	}
	if (load->measuring)
		measure_add(&load->latencies, now - connection->sent_us);
}

static void on_readable(struct load *load, struct connection *connection)
{
	ssize_t bytes = recv(
		connection->fd, connection->answer + connection->answer_bytes,
		ANSWER_BYTES_MAX - connection->answer_bytes, MSG_DONTWAIT);
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes <= 0)
		die("a connection was lost");
	connection->answer_bytes += (size_t)bytes;
	size_t head = 0;
	size_t size = answer_size(connection, &head);
	if (!size || connection->answer_bytes < size)
		return;
	if (connection->answer_bytes > size)
		die("more bytes than the answer has");
	uint64_t now = measure_now_us();
	answer_count(load, connection, head, now);
	if (may_start(load, now))
		request_start(load, connection, now);
}

/* Starts one request on each connection and goes on until none is left. */
static void run(struct load *load, double seconds, uint64_t requests)
{
	struct epoll_event events[CONNECTIONS_MAX];
	uint64_t now = measure_now_us();
	load->left = requests ? requests : UINT64_MAX;
	load->until_us =
		requests ? 0
			 : now + (uint64_t)(seconds * (double)MEASURE_US_PER_S);
	for (int i = 0; i < load->options.connections; i++) {
		if (may_start(load, measure_now_us()))
			request_start(load, &load->connections[i],
				      measure_now_us());
	}
	while (load->outstanding) {
		int count = epoll_wait(load->epoll_fd, events, CONNECTIONS_MAX,
				       SILENCE_MS_MAX);
		if (count == 0)
			die("no answer");
		for (int i = 0; i < count; i++)
			on_readable(load, events[i].data.ptr);
	}
}

static int connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr =
					      htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("cannot connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void connections_open(struct load *load)
{
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load->connections = allocate((size_t)load->options.connections,
				     sizeof(*load->connections));
	for (int i = 0; i < load->options.connections; i++) {
		struct connection *connection = &load->connections[i];
		connection->fd = connect_to(load->options.port);
		connection->id = "";
		connection->answer = allocate(ANSWER_BYTES_MAX, 1);
		struct epoll_event event = {.events = EPOLLIN,
					    .data.ptr = connection};
		if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, connection->fd,
			      &event) < 0)
			die("epoll_ctl");
	}
}

static void figures_print(const struct load *load, double took_s)
{
	printf("{\"requests\": %llu, \"with_warm_up\": %llu, "
	       "\"wrong\": %llu, \"seconds\": %.6f, "
	       "\"per_second\": %.1f, \"p50_us\": %u, \"p99_us\": %u}\n",
	       (unsigned long long)load->latencies.count,
	       (unsigned long long)load->answers,
	       (unsigned long long)load->wrong, took_s,
	       (double)load->latencies.count / took_s,
	       measure_percentile_us(&load->latencies, 0.50),
	       measure_percentile_us(&load->latencies, 0.99));
}

static void options_read(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"port", required_argument, NULL, 'p'},
		{"connections", required_argument, NULL, 'c'},
		{"status", required_argument, NULL, 's'},
		{"warm-seconds", required_argument, NULL, 'w'},
		{"seconds", required_argument, NULL, 't'},
		{"requests", required_argument, NULL, 'n'},
		{"first", required_argument, NULL, 'f'},
		{"token", required_argument, NULL, 'k'},
		{"path", required_argument, NULL, 'u'},
		{"ids", required_argument, NULL, 'i'},
		{"body", required_argument, NULL, 'b'},
		{"expect", required_argument, NULL, 'e'},
		{NULL, 0, NULL, 0},
	};
	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (c) {
		case 'p':
			options->port = atoi(optarg);
			break;
		case 'c':
			options->connections = atoi(optarg);
			break;
		case 's':
			options->status = atoi(optarg);
			break;
		case 'w':
			options->warm_s = atof(optarg);
			break;
		case 't':
			options->seconds = atof(optarg);
			break;
		case 'n':
			options->requests = strtoull(optarg, NULL, 10);
			break;
		case 'f':
			options->first = strtoull(optarg, NULL, 10);
			break;
		case 'k':
			options->token = optarg;
			break;
		case 'u':
			options->path = optarg;
			break;
		case 'i':
			options->ids = optarg;
			break;
		case 'b':
			options->body = optarg;
			break;
		case 'e':
			options->expect = optarg;
			break;
		default:
			die("unknown option");
		}
	}
	if (!options->port || options->connections < 1 ||
	    options->connections > CONNECTIONS_MAX)
		die("--port and --connections (1 to 1024) are needed");
}

static void load_init(struct load *load)
{
	const struct options *options = &load->options;
	load->path = template_make(options->path);
	load->expect = template_make(options->expect);
	if (options->ids)
		ids_load(load, options->ids);
	if (options->body)
		load->body = template_make(read_file(options->body));
	load->counter = options->first;
	if (asprintf(&load->common_headers,
		     " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
		     "Authorization: Bearer %s\r\nAccept: */*\r\n%s",
		     options->port, options->token,
		     options->body ? "Content-Type: application/json\r\n"
				   : "") < 0)
		die("out of memory");
	size_t longest = strlen(options->path) + strlen(load->common_headers) +
			 template_bytes(&load->body, COUNTER_DIGITS) + 256;
	if (longest > REQUEST_BYTES_MAX)
		die("the request is too long");
}

int main(int argc, char **argv)
{
	static struct load load = {.options = {.status = 200,
					       .token = "",
					       .path = "/",
					       .expect = "",
					       .warm_s = 1,
					       .seconds = 5}};
	options_read(&load.options, argc, argv);
	load_init(&load);
	connections_open(&load);
	run(&load, load.options.warm_s, 0);
	measure_wait_for_line();
	load.measuring = true;
	uint64_t start_us = measure_now_us();
	run(&load, load.options.seconds, load.options.requests);
	figures_print(&load,
		      (double)(measure_now_us() - start_us) / MEASURE_US_PER_S);
	return load.wrong ? 2 : 0;
}
