#include "services/common/cache.h"

#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/mem.h"
#include "services/common/cache_url.h"
#include "services/common/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <hiredis/async.h>
#include <netdb.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
	RETRY_FIRST_MS = 50,
	RETRY_LAST_MS = 2000,

	/* A server that took the connection and says nothing for so long is
	 * as good as none. */
	CONNECT_MS = 5000,

	/* How late a deadline may be noticed: one timer for all commands costs
	 * nothing per command. */
	SWEEP_MS = 20,

	/* A peer cut off by the network ends no connection, and TCP would try
	 * for a quarter of an hour. */
	SILENCE_MS = 5000,

	SHA1_HEX_BYTES = 2 * SHA_DIGEST_LENGTH + 1,
	REASON_BYTES = 160,
};

/*
 *   OFFLINE --> RESOLVING --> CONNECTING --> GREETING --> READY
 *      |    (host names only)   ^
 *      +------------------------+
 *
 * From each of them back to OFFLINE when it fails; the retry timer leads out.
 * GREETING: AUTH, SELECT and PING are under way. Commands are sent in READY
 * alone: in another database, or while Redis still loads its own, they would
 * go wrong.
 */
enum state { OFFLINE, RESOLVING, CONNECTING, GREETING, READY };

static const unsigned moves[] = {
	[OFFLINE] = 1u << RESOLVING | 1u << CONNECTING,
	[RESOLVING] = 1u << CONNECTING | 1u << OFFLINE,
	[CONNECTING] = 1u << GREETING | 1u << OFFLINE,
	[GREETING] = 1u << READY | 1u << OFFLINE,
	[READY] = 1u << OFFLINE,
};

struct script {
	struct script *next;
	const char *text;
	char sha1[SHA1_HEX_BYTES];
	uint64_t connection; /* the last it was sent on with its text, or 0 */
};

struct command {
	TAILQ_ENTRY(command) link;
	cache_done_fn *done;
	void *arg;
	uint64_t deadline_ms;
	enum err_code code; /* once ended */
	bool abandoned;	    /* ended already, only the reply is still to come */

	struct buffer wire;    /* empty once sent, but for a script */
	struct script *script; /* sent by its SHA-1 */
	size_t word_count;
	size_t tail_at; /* where wire goes on behind EVALSHA and the SHA-1 */
};

TAILQ_HEAD(commands, command);

struct cache {
	struct loop *loop;
	struct cache_url url;
	enum state state;
	bool freeing;

	redisAsyncContext *context; /* from CONNECTING on */
	struct loop_watch *watch;   /* its socket */
	unsigned events;	    /* what is watched for */
	bool flush;		    /* the next turn writes */
	bool writing;		    /* within redisAsyncHandleWrite() */

	struct loop_timer *turn;  /* at the start of the next turn */
	struct loop_timer *retry; /* the next attempt, or the end of this one */
	struct loop_timer *sweep; /* runs while there are commands */
	bool sweeping;
	uint64_t retry_ms;
	struct resolve *resolve; /* while RESOLVING */
	size_t attempts;
	uint64_t heard_ms;	   /* when Redis was last known to answer */
	char reason[REASON_BYTES]; /* why the connection is given up; "" */
	bool outage_told;

	struct commands waiting; /* until READY */
	struct commands sent;	 /* in the order of their replies */
	struct commands ended;	 /* done is called in the next turn */
	size_t held;		 /* commands in all lists */
	size_t pending;		 /* of them, with done not yet called */
	struct script *scripts;

	uint64_t commands_total;
	uint64_t errors_total;
	uint64_t reconnects_total;
	uint64_t connected;
	uint64_t connections; /* there have been */
};

/* A look-up of the host on a pool thread. */
struct resolve {
	struct cache *cache; /* NULL: freed meanwhile */
	char *host;
	size_t attempt;
	int code; /* of getaddrinfo() */
	char address[NI_MAXHOST];
};

static void state_set(struct cache *cache, enum state state)
{
	bool allowed = moves[cache->state] & 1u << state;

	assert(allowed);
	(void)allowed; /* for builds without assert() */
	cache->state = state;
	cache->connected = state == READY;
}

static void command_free(struct cache *cache, struct command *command)
{
	cache->held--;
	buffer_fini(&command->wire);
	free(command);
}

/* The end of a command that is in no list. */
static void command_done(struct cache *cache, struct command *command,
			 const struct cache_reply *reply, enum err_code code)
{
	cache_done_fn *done = command->done;
	void *arg = command->arg;

	if (code != ERR_OK)
		cache->errors_total++;
	cache->pending--;
	command_free(cache, command);
	if (done)
		done(arg, reply, code);
}

/* Ends a command that is in no list, in the next turn: its owner must not be
 * called from within cache_run() or a connection's teardown. */
static void command_end(struct cache *cache, struct command *command,
			enum err_code code)
{
	command->code = code;
	TAILQ_INSERT_TAIL(&cache->ended, command, link);
	loop_timer_start(cache->turn, 0, 0);
}

static void run_ended(struct cache *cache)
{
	struct command *command;

	while ((command = TAILQ_FIRST(&cache->ended))) {
		TAILQ_REMOVE(&cache->ended, command, link);
		command_done(cache, command, NULL, command->code);
	}
}

static void put_count(struct buffer *wire, char type, size_t count)
{
	buffer_append_char(wire, type);
	buffer_append_uint(wire, count);
	buffer_append_str(wire, "\r\n");
}

static void put_word(struct buffer *wire, struct slice word)
{
	put_count(wire, '$', word.size);
	buffer_append_slice(wire, word);
	buffer_append_str(wire, "\r\n");
}

/* EVALSHA becomes EVAL; all but the first two words stay. */
static void script_expand(struct cache *cache, struct command *command)
{
	struct buffer wire = {0};

	command->script->connection = cache->connections;

	put_count(&wire, '*', command->word_count);
	put_word(&wire, slice_str("EVAL"));
	put_word(&wire, slice_str(command->script->text));
	buffer_append(&wire, command->wire.data + command->tail_at,
		      command->wire.size - command->tail_at);
	buffer_fini(&command->wire);
	command->wire = wire;
	command->script = NULL;
}

static struct slice text_of(const redisReply *reply)
{
	return slice_of(reply->str, reply->len);
}

/* Returns NULL, or the error found in the reply. */
static const redisReply *convert(struct arena *arena, const redisReply *from,
				 struct cache_reply *to)
{
	switch (from->type) {
	case REDIS_REPLY_ERROR:
		return from;
	case REDIS_REPLY_INTEGER:
		to->kind = CACHE_INT;
		to->integer = from->integer;
		return NULL;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		to->kind = CACHE_STR;
		to->text = text_of(from);
		return NULL;
	case REDIS_REPLY_ARRAY:
		break;
	default:
		to->kind = CACHE_NIL;
		return NULL;
	}

	struct cache_reply *items =
		arena_alloc(arena, from->elements * sizeof(*items));

	to->kind = CACHE_ARRAY;
	to->items = items;
	to->count = from->elements;
	for (size_t i = 0; i < from->elements; i++) {
		const redisReply *error =
			convert(arena, from->element[i], &items[i]);

		if (error)
			return error;
	}
	return NULL;
}

static void answer(struct cache *cache, struct command *command,
		   const redisReply *from)
{
	struct arena arena = {0};
	struct cache_reply reply = {0};
	const redisReply *error = convert(&arena, from, &reply);

	if (error) {
		log_event(LOG_ERROR, "cache.refused",
			  LOG_SLICE("reason", text_of(error)));
		command_done(cache, command, NULL, ERR_INTERNAL);
	} else {
		command_done(cache, command, &reply, ERR_OK);
	}
	arena_fini(&arena);
}

static bool is_unknown_script(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR &&
	       slice_starts(text_of(reply), slice_str("NOSCRIPT"));
}

static void send_waiting(struct cache *cache);

/* hiredis calls this for every command it was given, in their order, without a
 * reply where the connection ends. */
static void on_reply(redisAsyncContext *context, void *from, void *arg)
{
	struct cache *cache = context->data;
	struct command *command = arg;

	TAILQ_REMOVE(&cache->sent, command, link);
	if (from)
		cache->heard_ms = loop_now_ms(cache->loop);
	if (command->abandoned) {
		command_free(cache, command);
	} else if (!from) {
		command_end(cache, command, ERR_LOST);
	} else if (command->script && is_unknown_script(from)) {
		command->script->connection = 0;
		TAILQ_INSERT_HEAD(&cache->waiting, command, link);
		send_waiting(cache);
	} else {
		answer(cache, command, from);
	}
}

static void send_waiting(struct cache *cache)
{
	while (cache->state == READY && !TAILQ_EMPTY(&cache->waiting)) {
		struct command *command = TAILQ_FIRST(&cache->waiting);

		TAILQ_REMOVE(&cache->waiting, command, link);
		if (TAILQ_EMPTY(&cache->sent))
			cache->heard_ms = loop_now_ms(cache->loop);
		if (command->script &&
		    command->script->connection != cache->connections)
			script_expand(cache, command);
		if (redisAsyncFormattedCommand(cache->context, on_reply,
					       command, command->wire.data,
					       command->wire.size) !=
		    REDIS_OK) {
			command_end(cache, command, ERR_UNAVAILABLE);
			continue;
		}
		TAILQ_INSERT_TAIL(&cache->sent, command, link);
		if (!command->script)
			buffer_fini(&command->wire);
	}
}

static void sweep_waiting(struct cache *cache, uint64_t now_ms)
{
	struct command *next;

	for (struct command *command = TAILQ_FIRST(&cache->waiting); command;
	     command = next) {
		next = TAILQ_NEXT(command, link);
		if (command->deadline_ms > now_ms)
			continue;
		TAILQ_REMOVE(&cache->waiting, command, link);
		command_end(cache, command, ERR_UNAVAILABLE);
	}
}

/* The command stays where its reply will be looked for; its owner's part ends
 * apart from it. */
static void abandon(struct cache *cache, struct command *command)
{
	struct command *end = mem_alloc(sizeof(*end));

	cache->held++;
	end->done = command->done;
	end->arg = command->arg;
	command->abandoned = true;
	command_end(cache, end, ERR_DEADLINE);
}

static void sweep_sent(struct cache *cache, uint64_t now_ms)
{
	struct command *command;

	TAILQ_FOREACH(command, &cache->sent, link) {
		if (command->deadline_ms <= now_ms && !command->abandoned)
			abandon(cache, command);
	}
}

static bool is_silent(const struct cache *cache, uint64_t now_ms)
{
	const struct command *oldest = TAILQ_FIRST(&cache->sent);

	return oldest && oldest->abandoned &&
	       now_ms - cache->heard_ms >= SILENCE_MS;
}

static void drop(struct cache *cache, const char *reason)
{
	snprintf(cache->reason, sizeof(cache->reason), "%s", reason);
	redisAsyncFree(cache->context);
}

static void on_sweep(void *arg)
{
	struct cache *cache = arg;
	uint64_t now_ms = loop_now_ms(cache->loop);

	sweep_waiting(cache, now_ms);
	sweep_sent(cache, now_ms);
	if (is_silent(cache, now_ms))
		drop(cache, "no answer any more");
	run_ended(cache);
	if (cache->held == 0) {
		loop_timer_stop(cache->sweep);
		cache->sweeping = false;
	}
}

static void write_out(struct cache *cache)
{
	cache->flush = false;
	cache->writing = true;
	redisAsyncHandleWrite(cache->context);
	cache->writing = false;
}

static void on_turn(void *arg)
{
	struct cache *cache = arg;

	run_ended(cache);
	if (cache->flush)
		write_out(cache);
}

/* Either call of hiredis may end the connection and clear context. */
static void on_events(void *arg, unsigned events)
{
	struct cache *cache = arg;

	if (events & LOOP_READABLE)
		redisAsyncHandleRead(cache->context);
	if (events & LOOP_WRITABLE && cache->context)
		write_out(cache);
}

static void watch_for(struct cache *cache, unsigned events)
{
	cache->events = events;
	loop_watch_set(cache->watch, events);
}

static void on_add_read(void *arg)
{
	struct cache *cache = arg;

	watch_for(cache, cache->events | LOOP_READABLE);
}

static void on_del_read(void *arg)
{
	struct cache *cache = arg;

	watch_for(cache, cache->events & ~(unsigned)LOOP_READABLE);
}

/* Connected, what one turn of the loop asks for gathers and leaves at the
 * start of the next, in one write and without a look at the socket. Where that
 * write finds the socket full, hiredis asks from within it to be told. */
static void on_add_write(void *arg)
{
	struct cache *cache = arg;

	if (cache->state == CONNECTING || cache->writing) {
		watch_for(cache, cache->events | LOOP_WRITABLE);
		return;
	}
	cache->flush = true;
	loop_timer_start(cache->turn, 0, 0);
}

static void on_del_write(void *arg)
{
	struct cache *cache = arg;

	watch_for(cache, cache->events & ~(unsigned)LOOP_WRITABLE);
}

/* Told once per outage, not at every attempt. */
static void tell_outage(struct cache *cache)
{
	if (cache->outage_told || cache->freeing)
		return;
	cache->outage_told = true;
	log_event(LOG_WARN,
		  cache->connections > 0 ? "cache.lost" : "cache.unreachable",
		  LOG_STR("reason", cache->reason));
}

/* The end of a connection or of an attempt at one. */
static void go_offline(struct cache *cache)
{
	tell_outage(cache);
	state_set(cache, OFFLINE);
	cache->reason[0] = '\0';
	if (cache->freeing)
		return;
	loop_timer_start(cache->retry, cache->retry_ms, 0);
	cache->retry_ms *= 2;
	if (cache->retry_ms > RETRY_LAST_MS)
		cache->retry_ms = RETRY_LAST_MS;
}

/* hiredis' last word on a context, before it closes the socket. */
static void on_cleanup(void *arg)
{
	struct cache *cache = arg;

	if (cache->reason[0] == '\0')
		snprintf(cache->reason, sizeof(cache->reason), "%s",
			 cache->context->errstr);
	loop_watch_free(cache->watch);
	cache->watch = NULL;
	cache->context = NULL;
	cache->events = 0;
	cache->flush = false;
	go_offline(cache);
}

static void go_ready(struct cache *cache)
{
	state_set(cache, READY);
	loop_timer_stop(cache->retry);
	cache->retry_ms = RETRY_FIRST_MS;
	cache->outage_told = false;
	if (cache->connections++ > 0)
		cache->reconnects_total++;
	log_event(LOG_INFO, "cache.connected", LOG_STR("host", cache->url.host),
		  LOG_STR("path", cache->url.path));
	send_waiting(cache);
}

/* The answers to AUTH, SELECT and PING; arg is set for the last. */
static void on_greeting(redisAsyncContext *context, void *from, void *arg)
{
	struct cache *cache = context->data;
	const redisReply *reply = from;

	if (!reply)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		drop(cache, reply->str);
	else if (arg)
		go_ready(cache);
}

static void on_connect(const redisAsyncContext *context, int status)
{
	struct cache *cache = context->data;

	if (status != REDIS_OK)
		return; /* on_cleanup() follows */
	state_set(cache, GREETING);
	if (cache->url.password)
		redisAsyncCommand(cache->context, on_greeting, NULL, "AUTH %s",
				  cache->url.password);
	if (cache->url.db != 0)
		redisAsyncCommand(cache->context, on_greeting, NULL,
				  "SELECT %d", cache->url.db);
	redisAsyncCommand(cache->context, on_greeting, cache, "PING");
}

/* host is numeric, so that hiredis looks nothing up. */
static void connect_to(struct cache *cache, const char *host)
{
	redisAsyncContext *context =
		cache->url.path ? redisAsyncConnectUnix(cache->url.path)
				: redisAsyncConnect(host, cache->url.port);

	state_set(cache, CONNECTING);
	if (!context || context->err != 0) {
		snprintf(cache->reason, sizeof(cache->reason), "%s",
			 context ? context->errstr : "out of memory");
		if (context)
			redisAsyncFree(context);
		go_offline(cache);
		return;
	}
	context->data = cache;
	context->ev.data = cache;
	context->ev.addRead = on_add_read;
	context->ev.delRead = on_del_read;
	context->ev.addWrite = on_add_write;
	context->ev.delWrite = on_del_write;
	context->ev.cleanup = on_cleanup;
	cache->context = context;
	cache->watch =
		loop_watch_new(cache->loop, context->c.fd, on_events, cache);
	redisAsyncSetConnectCallback(context, on_connect);
	loop_timer_start(cache->retry, CONNECT_MS, 0);
}

/* On a pool thread. Each attempt takes the next of the host's addresses, since
 * Redis may listen on one of them alone. */
static void resolve_host(void *arg)
{
	struct resolve *resolve = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	resolve->code = getaddrinfo(resolve->host, NULL, &hints, &found);
	if (resolve->code != 0)
		return;

	struct addrinfo *chosen = found;

	for (size_t skip = resolve->attempt; skip > 0; skip--)
		chosen = chosen->ai_next ? chosen->ai_next : found;
	resolve->code = getnameinfo(chosen->ai_addr, chosen->ai_addrlen,
				    resolve->address, sizeof(resolve->address),
				    NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(found);
}

static void on_resolved(void *arg)
{
	struct resolve *resolve = arg;
	struct cache *cache = resolve->cache;

	if (cache) {
		cache->resolve = NULL;
		if (resolve->code == 0) {
			connect_to(cache, resolve->address);
		} else {
			snprintf(cache->reason, sizeof(cache->reason), "%s",
				 gai_strerror(resolve->code));
			go_offline(cache);
		}
	}
	free(resolve->host);
	free(resolve);
}

static bool is_numeric(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 ||
	       inet_pton(AF_INET6, host, &address) == 1;
}

static void attempt(struct cache *cache)
{
	if (cache->url.path || is_numeric(cache->url.host)) {
		connect_to(cache, cache->url.host);
		return;
	}

	struct resolve *resolve = mem_alloc(sizeof(*resolve));

	resolve->cache = cache;
	resolve->host = mem_strdup(cache->url.host);
	resolve->attempt = cache->attempts++;
	cache->resolve = resolve;
	state_set(cache, RESOLVING);
	loop_work(cache->loop, resolve_host, on_resolved, resolve);
}

static void on_retry(void *arg)
{
	struct cache *cache = arg;

	if (cache->context)
		drop(cache, "no connection in time");
	else
		attempt(cache);
}

static void metrics_name(struct cache *cache, struct metrics *metrics)
{
	metrics_add(metrics, METRICS_COUNTER, "cache_commands_total",
		    "Commands for Redis", &cache->commands_total);
	metrics_add(metrics, METRICS_COUNTER, "cache_errors_total",
		    "Commands for Redis that ended with an error",
		    &cache->errors_total);
	metrics_add(metrics, METRICS_COUNTER, "cache_reconnects_total",
		    "Connections to Redis made after the first",
		    &cache->reconnects_total);
	metrics_add(metrics, METRICS_GAUGE, "cache_connected",
		    "1 while there is a connection to Redis",
		    &cache->connected);
}

enum err_code cache_new(struct loop *loop, const char *url,
			struct metrics *metrics, struct cache **out,
			struct err *err)
{
	struct cache_url parts;
	enum err_code code = cache_url_parse(url, &parts, err);

	if (code != ERR_OK)
		return code;

	struct cache *cache = mem_alloc(sizeof(*cache));

	cache->loop = loop;
	cache->url = parts;
	cache->retry_ms = RETRY_FIRST_MS;
	TAILQ_INIT(&cache->waiting);
	TAILQ_INIT(&cache->sent);
	TAILQ_INIT(&cache->ended);
	cache->turn = loop_timer_new(loop, on_turn, cache);
	cache->retry = loop_timer_new(loop, on_retry, cache);
	cache->sweep = loop_timer_new(loop, on_sweep, cache);
	if (metrics)
		metrics_name(cache, metrics);
	loop_timer_start(cache->retry, 0, 0);
	*out = cache;
	return ERR_OK;
}

static void end_all(struct cache *cache)
{
	struct command *command;

	if (cache->context)
		redisAsyncFree(cache->context); /* ends those sent */
	while ((command = TAILQ_FIRST(&cache->waiting))) {
		TAILQ_REMOVE(&cache->waiting, command, link);
		command_end(cache, command, ERR_UNAVAILABLE);
	}
	run_ended(cache);
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	assert(!cache->context ||
	       !(cache->context->c.flags & REDIS_IN_CALLBACK));
	cache->freeing = true;
	end_all(cache);
	assert(cache->held == 0);
	if (cache->resolve)
		cache->resolve->cache = NULL;
	while (cache->scripts) {
		struct script *next = cache->scripts->next;

		free(cache->scripts);
		cache->scripts = next;
	}
	loop_timer_free(cache->turn);
	loop_timer_free(cache->retry);
	loop_timer_free(cache->sweep);
	cache_url_fini(&cache->url);
	free(cache);
}

bool cache_ready(const struct cache *cache)
{
	return cache->state == READY;
}

uint64_t cache_connection(const struct cache *cache)
{
	return cache->state == READY ? cache->connections : 0;
}

/* Those that wait are none in READY. */
bool cache_takes(const struct cache *cache, uint64_t connection, size_t count)
{
	return connection != 0 && cache_connection(cache) == connection &&
	       !cache->freeing && cache->held + count <= CACHE_QUEUE_MAX;
}

bool cache_idle(const struct cache *cache)
{
	return cache->pending == 0;
}

static struct command *command_new(struct cache *cache, size_t word_count,
				   uint32_t deadline_ms, cache_done_fn *done,
				   void *arg)
{
	struct command *command = mem_alloc(sizeof(*command));

	command->done = done;
	command->arg = arg;
	command->deadline_ms = loop_now_ms(cache->loop) + deadline_ms;
	command->word_count = word_count;
	cache->held++;
	cache->pending++;
	cache->commands_total++;
	return command;
}

static void command_start(struct cache *cache, struct command *command)
{
	if (cache->freeing || cache->held > CACHE_QUEUE_MAX) {
		command_end(cache, command, ERR_UNAVAILABLE);
		return;
	}
	TAILQ_INSERT_TAIL(&cache->waiting, command, link);
	send_waiting(cache);
	if (!cache->sweeping) {
		loop_timer_start(cache->sweep, SWEEP_MS, SWEEP_MS);
		cache->sweeping = true;
	}
}

static void put_words(struct buffer *wire, const struct slice *words,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_word(wire, words[i]);
}

void cache_run(struct cache *cache, const struct slice *words, size_t count,
	       uint32_t deadline_ms, cache_done_fn *done, void *arg)
{
	struct command *command =
		command_new(cache, count, deadline_ms, done, arg);

	put_count(&command->wire, '*', count);
	put_words(&command->wire, words, count);
	command_start(cache, command);
}

static struct script *script_find(struct cache *cache, const char *text)
{
	for (struct script *script = cache->scripts; script;
	     script = script->next) {
		if (script->text == text)
			return script;
	}

	struct script *script = mem_alloc(sizeof(*script));
	unsigned char digest[SHA_DIGEST_LENGTH];

	SHA1((const unsigned char *)text, strlen(text), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(script->sha1 + 2 * i, 3, "%02x", digest[i]);
	script->text = text;
	script->next = cache->scripts;
	cache->scripts = script;
	return script;
}

void cache_script(struct cache *cache, const char *text,
		  const struct slice *words, size_t count, size_t key_count,
		  uint32_t deadline_ms, cache_done_fn *done, void *arg)
{
	struct command *command =
		command_new(cache, count + 3, deadline_ms, done, arg);
	char number[24];

	command->script = script_find(cache, text);
	put_count(&command->wire, '*', command->word_count);
	put_word(&command->wire, slice_str("EVALSHA"));
	put_word(&command->wire, slice_str(command->script->sha1));
	command->tail_at = command->wire.size;
	snprintf(number, sizeof(number), "%zu", key_count);
	put_word(&command->wire, slice_str(number));
	put_words(&command->wire, words, count);
	command_start(cache, command);
}
