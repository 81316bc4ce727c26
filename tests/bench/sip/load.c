/*
 * Load generator: accounts that register, each answer checked (account.h). A
 * closed loop keeps --window registrations under way, an open one starts
 * --rate of them a second, whatever the server does. Prints one JSON object of
 * figures.
 *
 * As in tests/bench/rest: after the warm-up "ready" is written, and the
 * measured part starts with the next line on standard input, so that whoever
 * reads the servers' CPU time has whole registrations between two readings.
 */
#include "proto/mem.h"
#include "services/common/secrets.h"
#include "tests/bench/measure.h"
#include "tests/bench/sip/account.h"
#include "tests/bench/sip/wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	RESEND_US = 500000,    /* T1 of RFC 3261; what was lost is counted */
	SILENCE_US = 32000000, /* 64 * T1 */
	WRONG_SHOWN_MAX = 3,
	ACCOUNTS_MAX = 10000000, /* the digits of a name */
	NOBODY = -1,
};

struct options {
	uint16_t port;
	enum sip_transport transport;
	enum digest_algorithm algorithm;
	const char *domain, *password;
	uint32_t accounts, cseq;
	unsigned window, connections;
	double rate, warm_s, seconds;
	uint64_t warm, registrations; /* 0: as many as fit into the seconds */
	bool echo, cached;
};

/* One of the accounts at work: in a list in the order of sending. */
struct client {
	struct account account;
	int32_t before, after;
	bool busy;
	uint64_t begun_us; /* when it was due */
	uint64_t sent_us;
};

struct figures {
	uint64_t done, challenges, resent, late, wrong;
};

struct load {
	struct options options;
	struct dialect dialect;
	struct wire *wire;
	struct client *clients;
	uint32_t next;
	int32_t oldest, newest;
	uint32_t busy;
	uint64_t until_us, left; /* no registration starts past either */
	double due_us;		 /* open loop: when the next one starts */
	struct buffer out;
	struct sip_message message;
	struct figures figures;
	bool measuring;
	struct measure_latencies latencies;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_sip_load: %s\n", what);
	exit(1);
}

/* --- Those at work --- */

static void work_leave(struct load *load, struct client *client)
{
	if (client->before == NOBODY)
		load->oldest = client->after;
	else
		load->clients[client->before].after = client->after;
	if (client->after == NOBODY)
		load->newest = client->before;
	else
		load->clients[client->after].before = client->before;
}

static void work_enter(struct load *load, int32_t number)
{
	struct client *client = &load->clients[number];

	client->before = load->newest;
	client->after = NOBODY;
	if (load->newest == NOBODY)
		load->oldest = number;
	else
		load->clients[load->newest].after = number;
	load->newest = number;
}

static void request_send(struct load *load, uint32_t number, bool again)
{
	struct client *client = &load->clients[number];

	load->out.size = 0;
	if (again)
		account_repeat(&load->dialect, &client->account, number,
			       &load->out);
	else
		account_request(&load->dialect, &client->account, number,
				&load->out);
	client->sent_us = measure_now_us();
	wire_send(load->wire, number, buffer_slice(&load->out));
	work_enter(load, (int32_t)number);
}

/* False: all accounts are at work. */
static bool begin_next(struct load *load, uint64_t due_us)
{
	for (uint32_t tries = 0; tries < load->options.accounts; tries++) {
		const uint32_t number = load->next;
		struct client *client = &load->clients[number];

		load->next = (number + 1) % load->options.accounts;
		if (client->busy)
			continue;
		client->busy = true;
		client->begun_us = due_us;
		load->busy++;
		load->left--;
		request_send(load, number, false);
		return true;
	}
	return false;
}

static bool may_begin(const struct load *load, uint64_t now)
{
	return load->left > 0 && now < load->until_us;
}

static void begin_due(struct load *load)
{
	uint64_t now = measure_now_us();

	if (load->options.rate == 0) {
		while (load->busy < load->options.window &&
		       may_begin(load, now) && begin_next(load, now))
			;
		return;
	}
	while (load->due_us <= (double)now &&
	       may_begin(load, (uint64_t)load->due_us)) {
		if (!begin_next(load, (uint64_t)load->due_us))
			return;
		load->due_us += MEASURE_US_PER_S / load->options.rate;
	}
}

static void resend_lost(struct load *load)
{
	const uint64_t now = measure_now_us();

	while (load->oldest != NOBODY) {
		const uint32_t number = (uint32_t)load->oldest;
		struct client *client = &load->clients[number];

		if (client->begun_us + SILENCE_US < now)
			die("no answer");
		if (load->options.transport != SIP_TRANSPORT_UDP ||
		    client->sent_us + RESEND_US > now)
			return;
		work_leave(load, client);
		load->figures.resent++;
		request_send(load, number, true);
	}
}

/* --- Answers --- */

static void on_wrong(struct load *load, struct slice message)
{
	load->figures.wrong++;
	if (load->figures.wrong <= WRONG_SHOWN_MAX)
		fprintf(stderr, "bench_sip_load: wrong answer:\n%.*s\n",
			SLICE_ARG(message));
}

static void on_done(struct load *load, struct client *client)
{
	const uint64_t took_us = measure_now_us() - client->begun_us;

	client->busy = false;
	load->busy--;
	load->figures.done++;
	if (load->measuring)
		measure_add(&load->latencies, took_us);
}

static void on_message(void *arg, struct slice bytes)
{
	struct load *load = arg;
	const enum sip_framing framing =
		load->options.transport == SIP_TRANSPORT_UDP ? SIP_DATAGRAM
							     : SIP_STREAM;

	if (sip_message_parse(bytes, framing, &load->message) != ERR_OK) {
		on_wrong(load, bytes);
		return;
	}
	const uint32_t number = account_number(&load->message);

	if (number >= load->options.accounts) {
		on_wrong(load, bytes);
		return;
	}
	struct client *client = &load->clients[number];
	const enum account_answer answer = account_take(
		&load->dialect, &client->account, number, &load->message);

	if (answer == ACCOUNT_LATE || !client->busy) {
		load->figures.late++;
		return;
	}
	work_leave(load, client);
	if (answer == ACCOUNT_AGAIN) {
		load->figures.challenges++;
		request_send(load, number, false);
		return;
	}
	if (answer == ACCOUNT_WRONG)
		on_wrong(load, bytes);
	on_done(load, client);
}

/* --- Runs --- */

static uint64_t wait_us(const struct load *load)
{
	const uint64_t now = measure_now_us();

	if (load->options.rate == 0 || !may_begin(load, now) ||
	    load->due_us > (double)now + RESEND_US)
		return RESEND_US / 10;
	return load->due_us > (double)now ? (uint64_t)load->due_us - now : 0;
}

/* Goes on until all that was begun is answered. */
static void run(struct load *load, double seconds, uint64_t registrations)
{
	const uint64_t start_us = measure_now_us();

	load->left = registrations ? registrations : UINT64_MAX;
	load->until_us =
		registrations
			? UINT64_MAX
			: start_us + (uint64_t)(seconds * MEASURE_US_PER_S);
	load->due_us = (double)start_us;
	do {
		begin_due(load);
		wire_flush(load->wire);
		wire_receive(load->wire, wait_us(load));
		resend_lost(load);
	} while (load->busy > 0 || may_begin(load, measure_now_us()));
}

static void figures_print(const struct load *load, double took_s)
{
	const struct figures *f = &load->figures;

	printf("{\"registrations\": %llu, \"challenges\": %llu, \"resent\": "
	       "%llu, \"late\": %llu, \"wrong\": %llu, \"seconds\": %.6f, "
	       "\"per_second\": %.1f, \"p50_us\": %u, \"p99_us\": %u}\n",
	       (unsigned long long)f->done, (unsigned long long)f->challenges,
	       (unsigned long long)f->resent, (unsigned long long)f->late,
	       (unsigned long long)f->wrong, took_s, (double)f->done / took_s,
	       measure_percentile_us(&load->latencies, 0.50),
	       measure_percentile_us(&load->latencies, 0.99));
}

/* --- Options --- */

static enum sip_transport transport_read(const char *text)
{
	if (strcmp(text, "udp") == 0)
		return SIP_TRANSPORT_UDP;
	if (strcmp(text, "tcp") == 0)
		return SIP_TRANSPORT_TCP;
	if (strcmp(text, "tls") != 0)
		die("--transport is udp, tcp or tls");
	return SIP_TRANSPORT_TLS;
}

static enum digest_algorithm algorithm_read(const char *text)
{
	for (unsigned i = DIGEST_OTHER + 1; i < DIGEST_COUNT; i++)
		if (slice_is(digest_algorithm_text(i), text))
			return i;
	die("no such --algorithm");
	return DIGEST_OTHER;
}

static bool option_read(struct options *options, int letter)
{
	switch (letter) {
	case 'p':
		options->port = (uint16_t)atoi(optarg);
		return true;
	case 't':
		options->transport = transport_read(optarg);
		return true;
	case 'a':
		options->algorithm = algorithm_read(optarg);
		return true;
	case 'd':
		options->domain = optarg;
		return true;
	case 'k':
		options->password = optarg;
		return true;
	case 'n':
		options->accounts = (uint32_t)strtoul(optarg, NULL, 10);
		return true;
	case 'q':
		options->cseq = (uint32_t)strtoul(optarg, NULL, 10);
		return true;
	case 'w':
		options->window = (unsigned)atoi(optarg);
		return true;
	case 'c':
		options->connections = (unsigned)atoi(optarg);
		return true;
	case 'r':
		options->rate = atof(optarg);
		return true;
	case 'W':
		options->warm_s = atof(optarg);
		return true;
	case 's':
		options->seconds = atof(optarg);
		return true;
	case 'm':
		options->warm = strtoull(optarg, NULL, 10);
		return true;
	case 'R':
		options->registrations = strtoull(optarg, NULL, 10);
		return true;
	case 'e':
		options->echo = true;
		return true;
	case 'C':
		options->cached = true;
		return true;
	default:
		return false;
	}
}

static void options_read(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"port", required_argument, NULL, 'p'},
		{"transport", required_argument, NULL, 't'},
		{"algorithm", required_argument, NULL, 'a'},
		{"domain", required_argument, NULL, 'd'},
		{"password", required_argument, NULL, 'k'},
		{"accounts", required_argument, NULL, 'n'},
		{"cseq", required_argument, NULL, 'q'},
		{"window", required_argument, NULL, 'w'},
		{"connections", required_argument, NULL, 'c'},
		{"rate", required_argument, NULL, 'r'},
		{"warm-seconds", required_argument, NULL, 'W'},
		{"seconds", required_argument, NULL, 's'},
		{"warm", required_argument, NULL, 'm'},
		{"registrations", required_argument, NULL, 'R'},
		{"echo", no_argument, NULL, 'e'},
		{"cached", no_argument, NULL, 'C'},
		{NULL, 0, NULL, 0},
	};

	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;)
		if (!option_read(options, c))
			die("unknown option");
	if (!options->port || !options->password || options->accounts == 0 ||
	    options->accounts > ACCOUNTS_MAX || options->connections == 0 ||
	    options->connections > WIRE_CONNECTIONS_MAX)
		die("--port, --password and --accounts are needed");
}

static void load_init(struct load *load)
{
	const struct options *options = &load->options;

	if (!secrets_init())
		die("no randomness");
	load->dialect = (struct dialect){
		.domain = options->domain,
		.password = options->password,
		/* The same in all runs: another contact is another binding. */
		.sent_by = "127.0.0.1:5099",
		.transport = options->transport,
		.algorithm = options->algorithm,
		.digest = digest_context_new(),
		.echo = options->echo,
		.cached = options->cached,
	};
	digest_cnonce(load->dialect.cnonce);
	load->clients = mem_alloc(options->accounts * sizeof(*load->clients));
	for (uint32_t i = 0; i < options->accounts; i++)
		load->clients[i].account.cseq = options->cseq;
	load->oldest = load->newest = NOBODY;
	load->wire = wire_new(options->transport, options->port,
			      options->connections, on_message, load);
}

int main(int argc, char **argv)
{
	static struct load load = {.options = {.transport = SIP_TRANSPORT_UDP,
					       .algorithm = DIGEST_MD5,
					       .domain = "bench.example",
					       .window = 64,
					       .connections = 64,
					       .warm_s = 1,
					       .seconds = 5}};

	options_read(&load.options, argc, argv);
	load_init(&load);
	if (load.options.warm > 0 || load.options.warm_s > 0)
		run(&load, load.options.warm_s, load.options.warm);
	load.figures = (struct figures){.wrong = load.figures.wrong};
	measure_wait_for_line();
	load.measuring = true;

	const uint64_t start_us = measure_now_us();

	run(&load, load.options.seconds, load.options.registrations);
	figures_print(&load,
		      (double)(measure_now_us() - start_us) / MEASURE_US_PER_S);
	return load.figures.wrong ? 2 : 0;
}
