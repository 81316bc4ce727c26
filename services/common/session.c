#include "services/common/session.h"

#include "proto/buffer.h"
#include "proto/mem.h"
#include "proto/reader.h"
#include "proto/writer.h"
#include "services/common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	KEY_BYTES = 96, /* the longest prefix and a digest */
	NUMBER_BYTES = 24,
	/* Keys ended by one script: what Redis does in well under a
	 * millisecond, so that it holds up nobody else. */
	END_BATCH = 256,
};

/* A number as the words of a command have it. */
struct number {
	char text[NUMBER_BYTES];
};

static struct slice number_word(struct number *number, int64_t value)
{
	int size =
		snprintf(number->text, sizeof(number->text), "%" PRId64, value);

	return slice_of(number->text, (size_t)size);
}

/* The three keys of a pair of tokens. */
struct keys {
	char session[KEY_BYTES];
	char refresh[KEY_BYTES];
	char all[KEY_BYTES];
};

static void key_print(char key[KEY_BYTES], const char *prefix,
		      const char *digest)
{
	snprintf(key, KEY_BYTES, "%s:%s", prefix, digest);
}

static void key_of_token(char key[KEY_BYTES], const char *prefix,
			 struct slice token)
{
	char digest[SECRETS_DIGEST_BYTES];

	secrets_token_digest(token, digest);
	key_print(key, prefix, digest);
}

static void key_of_principal(char key[KEY_BYTES], enum principal_kind kind,
			     int64_t id)
{
	snprintf(key, KEY_BYTES, "sessions:%d:%" PRId64, (int)kind, id);
}

/* What the caller of a function waits for. */
struct call {
	struct cache *cache;
	uint64_t deadline_ms; /* CLOCK_MONOTONIC */
	union {
		session_get_fn *get;
		session_tokens_fn *tokens;
		session_done_fn *done;
	};
	void *arg;
	struct keys keys;
	struct keys old;
	struct session_tokens made;
};

static struct call *call_new(struct cache *cache, uint32_t deadline_ms,
			     void *arg)
{
	struct call *call = mem_alloc(sizeof(*call));

	call->cache = cache;
	call->deadline_ms = clock_now_ms() + deadline_ms;
	call->arg = arg;
	return call;
}

static void call_free(struct call *call)
{
	secrets_wipe(call, sizeof(*call));
	free(call);
}

/* What is left for the next step; the cache ends one that is too late. */
static uint32_t left_ms(const struct call *call)
{
	const uint64_t now = clock_now_ms();

	return now < call->deadline_ms ? (uint32_t)(call->deadline_ms - now)
				       : 1;
}

static void end_tokens(struct call *call, enum err_code code)
{
	call->tokens(call->arg, code ? NULL : &call->made, code);
	call_free(call);
}

static void end_done(struct call *call, enum err_code code)
{
	call->done(call->arg, code);
	call_free(call);
}

/* A value of session: or refresh:, taken apart. */
struct stored {
	struct slice principal_bytes;
	struct principal principal;
	int64_t expires_at;  /* session: only */
	struct slice digest; /* of the other token */
};

/* Redis is a store others can write to: what cannot be read is no session. */
static bool stored_read(const struct cache_reply *reply, bool session,
			struct stored *out)
{
	struct reader reader, inner;

	if (reply->kind != CACHE_STR)
		return false;
	reader_init(&reader, reply->text);
	if (reader_array(&reader) != (session ? 3 : 2))
		return false;
	out->principal_bytes = reader_value(&reader);
	out->expires_at = session ? reader_int(&reader) : 0;
	out->digest = reader_str(&reader);
	if (!reader_done(&reader) ||
	    out->digest.size != SECRETS_DIGEST_BYTES - 1)
		return false;
	reader_init(&inner, out->principal_bytes);
	principal_decode(&inner, &out->principal);
	return reader_done(&inner);
}

static void stored_write(struct buffer *out, struct slice principal,
			 const int64_t *expires_at, const char *digest)
{
	writer_array(out, expires_at ? 3 : 2);
	writer_raw(out, principal);
	if (expires_at)
		writer_int(out, *expires_at);
	writer_text(out, digest);
}

static void run_get(struct call *call, const char *key, cache_done_fn *done)
{
	const struct slice words[] = {slice_str("GET"), slice_str(key)};

	cache_run(call->cache, words, 2, left_ms(call), done, call);
}

static void on_get(void *arg, const struct cache_reply *reply,
		   enum err_code code)
{
	struct call *call = arg;
	struct stored stored;

	/* Nothing was changed, whatever went wrong: asking again is right. */
	if (code)
		call->get(call->arg, NULL, ERR_UNAVAILABLE);
	else if (!stored_read(reply, true, &stored) ||
		 stored.expires_at <= time(NULL))
		call->get(call->arg, NULL, ERR_UNAUTHORIZED);
	else
		call->get(call->arg,
			  &(struct session){.principal = stored.principal,
					    .expires_at = stored.expires_at},
			  ERR_OK);
	call_free(call);
}

void session_get(struct cache *cache, struct slice access_token,
		 uint32_t deadline_ms, session_get_fn *done, void *arg)
{
	struct call *call = call_new(cache, deadline_ms, arg);

	call->get = done;
	key_of_token(call->keys.session, "session", access_token);
	run_get(call, call->keys.session, on_get);
}

/*
 * Makes a pair. KEYS: session, refresh, all, and when it takes the place of an
 * old pair that one's session and refresh. ARGV: session value, its TTL and
 * end, refresh value, its TTL and end, now, and the old refresh value.
 * Answers 1, or 0 where the old refresh token is not what it was any more:
 * of several that show it at once one is answered 1.
 */
static const char make_script[] =
	"if KEYS[5] then\n"
	"  if redis.call('GET', KEYS[5]) ~= ARGV[8] then return 0 end\n"
	"  redis.call('DEL', KEYS[4], KEYS[5])\n"
	"  redis.call('ZREM', KEYS[3], KEYS[4], KEYS[5])\n"
	"end\n"
	"redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])\n"
	"redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5])\n"
	"redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[7])\n"
	"redis.call('ZADD', KEYS[3], ARGV[3], KEYS[1], ARGV[6], KEYS[2])\n"
	"redis.call('EXPIRE', KEYS[3], ARGV[5])\n"
	"return 1\n";

static void on_make(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	const bool taken =
		!code && reply->kind == CACHE_INT && reply->integer == 1;

	end_tokens(arg, code ? code : taken ? ERR_OK : ERR_REFRESH);
}

/* Makes the tokens of a call and runs the script. old_refresh is the stored
 * value of the pair it takes the place of, or absent. */
static void run_make(struct call *call, struct slice principal,
		     struct slice old_refresh)
{
	const int64_t now = time(NULL);
	char access_digest[SECRETS_DIGEST_BYTES];
	char refresh_digest[SECRETS_DIGEST_BYTES];
	struct buffer session = {0};
	struct buffer refresh = {0};
	struct number numbers[5];

	secrets_token(call->made.access);
	secrets_token(call->made.refresh);
	call->made.expires_at = now + SESSION_ACCESS_S;
	secrets_token_digest(slice_str(call->made.access), access_digest);
	secrets_token_digest(slice_str(call->made.refresh), refresh_digest);
	key_print(call->keys.session, "session", access_digest);
	key_print(call->keys.refresh, "refresh", refresh_digest);
	stored_write(&session, principal, &call->made.expires_at,
		     refresh_digest);
	stored_write(&refresh, principal, NULL, access_digest);

	const size_t key_count = old_refresh.data ? 5 : 3;
	struct slice words[13] = {slice_str(call->keys.session),
				  slice_str(call->keys.refresh),
				  slice_str(call->keys.all)};
	size_t count = 3;

	if (old_refresh.data) {
		words[count++] = slice_str(call->old.session);
		words[count++] = slice_str(call->old.refresh);
	}
	words[count++] = buffer_slice(&session);
	words[count++] = number_word(&numbers[0], SESSION_ACCESS_S);
	words[count++] = number_word(&numbers[1], call->made.expires_at);
	words[count++] = buffer_slice(&refresh);
	words[count++] = number_word(&numbers[2], SESSION_REFRESH_S);
	words[count++] = number_word(&numbers[3], now + SESSION_REFRESH_S);
	words[count++] = number_word(&numbers[4], now);
	if (old_refresh.data)
		words[count++] = old_refresh;
	cache_script(call->cache, make_script, words, count, key_count,
		     left_ms(call), on_make, call);
	buffer_fini(&session);
	buffer_fini(&refresh);
}

void session_create(struct cache *cache, const struct principal *principal,
		    uint32_t deadline_ms, session_tokens_fn *done, void *arg)
{
	struct call *call = call_new(cache, deadline_ms, arg);
	struct buffer bytes = {0};

	call->tokens = done;
	key_of_principal(call->keys.all, principal->kind, principal->id);
	principal_encode(principal, &bytes);
	run_make(call, buffer_slice(&bytes), slice_str(NULL));
	buffer_fini(&bytes);
}

static void on_refresh_get(void *arg, const struct cache_reply *reply,
			   enum err_code code)
{
	struct call *call = arg;
	struct stored stored;

	if (code) {
		end_tokens(call, ERR_UNAVAILABLE); /* nothing was changed */
		return;
	}
	if (!stored_read(reply, false, &stored)) {
		end_tokens(call, ERR_REFRESH);
		return;
	}
	snprintf(call->old.session, KEY_BYTES, "session:%.*s",
		 SLICE_ARG(stored.digest));
	key_of_principal(call->keys.all, stored.principal.kind,
			 stored.principal.id);
	run_make(call, stored.principal_bytes, reply->text);
}

void session_refresh(struct cache *cache, struct slice refresh_token,
		     uint32_t deadline_ms, session_tokens_fn *done, void *arg)
{
	struct call *call = call_new(cache, deadline_ms, arg);

	call->tokens = done;
	key_of_token(call->old.refresh, "refresh", refresh_token);
	run_get(call, call->old.refresh, on_refresh_get);
}

/* Ends keys of one principal. KEYS: all, then those to end. Answers how many
 * all has left. */
static const char end_script[] = "for i = 2, #KEYS do\n"
				 "  redis.call('DEL', KEYS[i])\n"
				 "  redis.call('ZREM', KEYS[1], KEYS[i])\n"
				 "end\n"
				 "return redis.call('ZCARD', KEYS[1])\n";

static void on_end(void *arg, const struct cache_reply *reply,
		   enum err_code code)
{
	(void)reply;
	end_done(arg, code);
}

static void on_end_get(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	struct call *call = arg;
	struct stored stored;

	if (code) {
		end_done(call, ERR_UNAVAILABLE); /* nothing was changed */
		return;
	}
	/* A value that cannot be read is no session: it ends by its TTL. */
	if (!stored_read(reply, true, &stored)) {
		end_done(call, ERR_OK);
		return;
	}
	snprintf(call->keys.refresh, KEY_BYTES, "refresh:%.*s",
		 SLICE_ARG(stored.digest));
	key_of_principal(call->keys.all, stored.principal.kind,
			 stored.principal.id);

	const struct slice words[] = {slice_str(call->keys.all),
				      slice_str(call->keys.session),
				      slice_str(call->keys.refresh)};

	cache_script(call->cache, end_script, words, 3, 3, left_ms(call),
		     on_end, call);
}

void session_end(struct cache *cache, struct slice access_token,
		 uint32_t deadline_ms, session_done_fn *done, void *arg)
{
	struct call *call = call_new(cache, deadline_ms, arg);

	call->done = done;
	key_of_token(call->keys.session, "session", access_token);
	run_get(call, call->keys.session, on_end_get);
}

static void run_list(struct call *call);

static void on_end_batch(void *arg, const struct cache_reply *reply,
			 enum err_code code)
{
	struct call *call = arg;

	if (code)
		end_done(call, code);
	else if (reply->kind == CACHE_INT && reply->integer == 0)
		end_done(call, ERR_OK);
	else if (clock_now_ms() >= call->deadline_ms)
		end_done(call, ERR_DEADLINE);
	else
		run_list(call);
}

static void on_list(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct call *call = arg;
	struct slice words[1 + END_BATCH] = {slice_str(call->keys.all)};
	size_t count = 1;

	if (code) {
		end_done(call, code);
		return;
	}
	for (size_t i = 0; i < reply->count && i < END_BATCH; i++)
		words[count++] = reply->items[i].text;
	cache_script(call->cache, end_script, words, count, count,
		     left_ms(call), on_end_batch, call);
}

/* A batch of the principal's keys, until none is left: one refreshed between
 * the two commands has put its new keys in the set and is met again. */
static void run_list(struct call *call)
{
	struct number last;
	const struct slice words[] = {slice_str("ZRANGE"),
				      slice_str(call->keys.all), slice_str("0"),
				      number_word(&last, END_BATCH - 1)};

	cache_run(call->cache, words, 4, left_ms(call), on_list, call);
}

void session_end_all(struct cache *cache, enum principal_kind kind, int64_t id,
		     uint32_t deadline_ms, session_done_fn *done, void *arg)
{
	struct call *call = call_new(cache, deadline_ms, arg);

	call->done = done;
	key_of_principal(call->keys.all, kind, id);
	run_list(call);
}
