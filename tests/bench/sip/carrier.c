/*
 * A carrier that trunks register at: 401, then 200 for the right credentials,
 * on the same port of 127.0.1.1, 127.0.1.2 and so on. Of the REGISTERs that
 * come it keeps when, by the kernel's clock, and from whom.
 *
 * Usage: bench_sip_carrier ADDRESSES TRUNKS EXPIRES_S PASSWORD; prints its
 * port. On standard input it takes "mark", which starts the counts anew, and
 * "stats", which is answered with them as JSON; it ends with the input.
 */
#include "proto/mem.h"
#include "services/registrar/sip/build.h"
#include "services/registrar/sip/digest.h"
#include "services/registrar/sip/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ADDRESSES_MAX = 64,
	MESSAGE_BYTES_MAX = 8192,
	BUFFER_BYTES = 4 * 1024 * 1024,
	WINDOW_MS = 100, /* of a burst */
	/* More within a window is counted as so many. */
	RING = 65536,
	LINE_BYTES = 64,
	WRONG_SHOWN_MAX = 3,
};

#define NONCE "5f9c1d2e3b4a69788796a5b4c3d2e1f0"

static const uint64_t window_ns = (uint64_t)WINDOW_MS * 1000000;

/* The most that came within any WINDOW_MS. */
struct burst {
	uint64_t times[RING];
	uint64_t first, end; /* counted up for ever */
	uint64_t most;
};

struct figures {
	uint64_t registers, challenged, registered, removed, wrong, repeated;
	uint32_t distinct; /* trunks registered since the mark */
	uint64_t first_ns, last_ns;
};

struct trunk {
	uint32_t nc; /* the highest seen */
	bool seen;   /* since the mark */
};

struct carrier {
	unsigned count;
	struct pollfd polls[ADDRESSES_MAX + 1]; /* standard input last */
	uint32_t expires_s;
	const char *password;
	struct digest_context *digest;
	struct trunk *trunks;
	uint32_t trunk_count;
	struct burst all;
	struct burst each[ADDRESSES_MAX];
	struct figures figures;
	struct sip_message message;
	struct buffer out;
	char line[LINE_BYTES];
	size_t line_bytes;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_sip_carrier: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void burst_add(struct burst *burst, uint64_t now_ns)
{
	while (burst->first < burst->end &&
	       (burst->end - burst->first == RING ||
		burst->times[burst->first % RING] + window_ns <= now_ns))
		burst->first++;
	burst->times[burst->end++ % RING] = now_ns;
	if (burst->end - burst->first > burst->most)
		burst->most = burst->end - burst->first;
}

static void mark(struct carrier *carrier)
{
	carrier->figures = (struct figures){0};
	carrier->all.most = 0;
	for (unsigned i = 0; i < carrier->count; i++)
		carrier->each[i].most = 0;
	for (uint32_t i = 0; i < carrier->trunk_count; i++)
		carrier->trunks[i].seen = false;
}

static void stats_print(const struct carrier *carrier)
{
	const struct figures *f = &carrier->figures;
	uint64_t most = 0;

	for (unsigned i = 0; i < carrier->count; i++)
		if (carrier->each[i].most > most)
			most = carrier->each[i].most;
	printf("{\"registers\": %llu, \"challenged\": %llu, \"registered\": "
	       "%llu, \"removed\": %llu, \"wrong\": %llu, \"repeated\": %llu, "
	       "\"distinct\": %u, \"burst\": %llu, \"destination_burst\": "
	       "%llu, \"first_s\": %.3f, \"last_s\": %.3f}\n",
	       (unsigned long long)f->registers,
	       (unsigned long long)f->challenged,
	       (unsigned long long)f->registered,
	       (unsigned long long)f->removed, (unsigned long long)f->wrong,
	       (unsigned long long)f->repeated, f->distinct,
	       (unsigned long long)carrier->all.most, (unsigned long long)most,
	       (double)f->first_ns / 1e9, (double)f->last_ns / 1e9);
	fflush(stdout);
}

/* --- REGISTER --- */

/* "t" and its number. */
static struct trunk *trunk_find(struct carrier *carrier, struct slice user)
{
	uint32_t number = 0;

	if (user.size < 2 || user.size > 9 || user.data[0] != 't')
		return NULL;
	for (size_t i = 1; i < user.size; i++)
		number = number * 10 + (uint32_t)(user.data[i] - '0');
	return number < carrier->trunk_count ? &carrier->trunks[number] : NULL;
}

/* Who proved to be one of the trunks; NULL: nobody. */
static struct trunk *admit(struct carrier *carrier, struct slice value)
{
	const struct sip_message *message = &carrier->message;
	const struct digest_secret secret = {
		.password = slice_str(carrier->password)};
	struct digest_credentials credentials;

	if (digest_credentials_decode(value, &credentials) != ERR_OK ||
	    !slice_is(credentials.nonce, NONCE) ||
	    digest_verify(carrier->digest, &credentials, &secret,
			  message->method_text, message->body) != DIGEST_GOOD)
		return NULL;

	struct trunk *trunk = trunk_find(carrier, credentials.username);

	if (trunk && credentials.nc <= trunk->nc)
		carrier->figures.repeated++;
	else if (trunk)
		trunk->nc = credentials.nc;
	return trunk;
}

static void challenge(struct carrier *carrier, struct sip_reply *reply)
{
	const struct digest_offer offer = {
		.realm = slice_str("carrier.example"),
		.nonce = slice_str(NONCE),
		.algorithms = DIGEST_BIT(DIGEST_MD5),
		.qop = DIGEST_QOP_AUTH,
	};

	carrier->figures.challenged++;
	reply->status = 401;
	sip_build_response(&carrier->out, &carrier->message, reply);
	digest_challenge_build(&carrier->out, SIP_WWW_AUTHENTICATE, &offer);
}

static void accept_trunk(struct carrier *carrier, struct trunk *trunk,
			 struct sip_reply *reply)
{
	struct sip_list list = sip_list_of(&carrier->message, SIP_CONTACT);
	struct buffer *out = &carrier->out;
	struct sip_address contact;
	uint32_t expires_s = 1;

	reply->status = 200;
	sip_build_response(out, &carrier->message, reply);
	if (sip_list_address(&list, &contact) != ERR_OK)
		return;
	sip_address_expires(&contact, &expires_s);
	sip_message_number(&carrier->message, SIP_EXPIRES, &expires_s);
	if (expires_s == 0) {
		carrier->figures.removed++;
		return;
	}
	carrier->figures.registered++;
	carrier->figures.distinct += !trunk->seen;
	trunk->seen = true;
	sip_build_begin(out, SIP_CONTACT);
	buffer_append_char(out, '<');
	sip_build_text(out, contact.uri.text);
	buffer_append_str(out, ">;expires=");
	buffer_append_uint(out, carrier->expires_s);
	sip_build_line_end(out);
}

static void on_register(struct carrier *carrier, struct sip_reply *reply)
{
	const struct slice value =
		sip_message_value(&carrier->message, SIP_AUTHORIZATION);
	struct trunk *trunk = value.size ? admit(carrier, value) : NULL;

	if (trunk) {
		accept_trunk(carrier, trunk, reply);
	} else if (value.size == 0) {
		challenge(carrier, reply);
	} else {
		carrier->figures.wrong++;
		if (carrier->figures.wrong <= WRONG_SHOWN_MAX)
			fprintf(stderr, "bench_sip_carrier: refused:\n%.*s\n",
				SLICE_ARG(carrier->message.text));
		reply->status = 403;
		sip_build_response(&carrier->out, &carrier->message, reply);
	}
}

static void count(struct carrier *carrier, unsigned index, uint64_t now_ns)
{
	struct figures *f = &carrier->figures;

	burst_add(&carrier->all, now_ns);
	burst_add(&carrier->each[index], now_ns);
	if (f->registers++ == 0)
		f->first_ns = now_ns;
	f->last_ns = now_ns;
}

static void answer(struct carrier *carrier, unsigned index, struct slice bytes,
		   uint64_t now_ns)
{
	struct sip_reply reply = {.to_tag = slice_str("carrier")};

	carrier->out.size = 0;
	if (sip_message_parse(bytes, SIP_DATAGRAM, &carrier->message) !=
		    ERR_OK ||
	    !carrier->message.request)
		return;
	if (carrier->message.method == SIP_METHOD_REGISTER) {
		count(carrier, index, now_ns);
		on_register(carrier, &reply);
	} else {
		reply.status = 200;
		sip_build_response(&carrier->out, &carrier->message, &reply);
	}
	sip_build_end(&carrier->out, (struct slice){0}, (struct slice){0});
}

/* --- Sockets --- */

static uint64_t arrived_ns(struct msghdr *header)
{
	struct timespec at;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c;
	     c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET ||
		    c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&at, CMSG_DATA(c), sizeof(at));
		return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
	}
	die("the kernel gives no time");
	return 0;
}

static bool receive_one(struct carrier *carrier, unsigned index)
{
	char bytes[MESSAGE_BYTES_MAX];
	char control[128];
	struct sockaddr_in remote;
	struct iovec vector = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr header = {
		.msg_name = &remote,
		.msg_namelen = sizeof(remote),
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const int fd = carrier->polls[index].fd;
	ssize_t got = recvmsg(fd, &header, MSG_DONTWAIT);

	if (got < 0)
		return false;
	answer(carrier, index, slice_of(bytes, (size_t)got),
	       arrived_ns(&header));
	if (carrier->out.size > 0)
		sendto(fd, carrier->out.data, carrier->out.size, 0,
		       (struct sockaddr *)&remote, sizeof(remote));
	return true;
}

static int open_at(unsigned index, uint16_t *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + index),
	};
	socklen_t size = sizeof(address);
	int on = 1, bytes = BUFFER_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0)
		die("cannot listen");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	*port = ntohs(address.sin_port);
	return fd;
}

static void on_line(struct carrier *carrier, const char *line)
{
	if (strcmp(line, "mark") == 0)
		mark(carrier);
	else if (strcmp(line, "stats") == 0)
		stats_print(carrier);
	else
		die("no such command");
}

static void on_input(struct carrier *carrier)
{
	char c;

	if (read(STDIN_FILENO, &c, 1) != 1)
		exit(0);
	if (c != '\n' && carrier->line_bytes + 1 < sizeof(carrier->line)) {
		carrier->line[carrier->line_bytes++] = c;
		return;
	}
	carrier->line[carrier->line_bytes] = '\0';
	carrier->line_bytes = 0;
	on_line(carrier, carrier->line);
}

static void turn(struct carrier *carrier)
{
	if (poll(carrier->polls, carrier->count + 1, -1) < 0)
		die("poll");
	for (unsigned i = 0; i < carrier->count; i++)
		while (carrier->polls[i].revents && receive_one(carrier, i))
			;
	if (carrier->polls[carrier->count].revents)
		on_input(carrier);
}

int main(int argc, char **argv)
{
	static struct carrier carrier;
	uint16_t port = 0;

	if (argc != 5)
		die("usage: bench_sip_carrier ADDRESSES TRUNKS EXPIRES_S "
		    "PASSWORD");
	carrier.count = (unsigned)atoi(argv[1]);
	carrier.trunk_count = (uint32_t)atoi(argv[2]);
	carrier.expires_s = (uint32_t)atoi(argv[3]);
	carrier.password = argv[4];
	if (carrier.count == 0 || carrier.count > ADDRESSES_MAX)
		die("ADDRESSES is from 1 to 64");
	carrier.digest = digest_context_new();
	carrier.trunks =
		mem_alloc(carrier.trunk_count * sizeof(*carrier.trunks));
	for (unsigned i = 0; i < carrier.count; i++)
		carrier.polls[i] = (struct pollfd){.fd = open_at(i, &port),
						   .events = POLLIN};
	carrier.polls[carrier.count] =
		(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	printf("%u\n", port);
	fflush(stdout);
	for (;;)
		turn(&carrier);
}
