#include "services/common/session.h"

#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/mem.h"
#include "proto/reader.h"
#include "proto/writer.h"
#include "services/common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	KEY_BYTES = 96, /* the longest prefix and a digest */
	NUMBER_BYTES = 24,
	/* Keys ended by one script: what Redis does in well under a
	 * millisecond, so that it holds up nobody else. */
	END_BATCH = 128,
	/* Ids a session is found by: the principal's, its tenant's, its
	 * dealer's. */
	SETS_MAX = 3,
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

/* The keys of a pair of tokens. */
struct keys {
	char session[KEY_BYTES];
	char refresh[KEY_BYTES];
};

/* The sets both are in. */
struct sets {
	char keys[SETS_MAX][KEY_BYTES];
	size_t count;
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

static void key_of_id(char key[KEY_BYTES], int64_t id)
{
	snprintf(key, KEY_BYTES, "sessions:%" PRId64, id);
}

/* The tenant it acts as is not among them: that one's end is not its own. */
static void sets_of(struct sets *sets, const struct principal *principal)
{
	const int64_t ids[SETS_MAX] = {principal->id, principal->tenant_id,
				       principal->dealer_id};

	sets->count = 0;
	for (size_t i = 0; i < SETS_MAX; i++) {
		bool met = ids[i] == 0;

		for (size_t j = 0; j < i; j++)
			met = met || ids[j] == ids[i];
		if (!met)
			key_of_id(sets->keys[sets->count++], ids[i]);
	}
}

/* Keys of one set and the other sets each is in. */
struct batch {
	struct arena arena; /* of the keys */
	struct slice keys[END_BATCH];
	struct sets others[END_BATCH];
	size_t count;
};

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
	struct sets sets;
	int64_t acting_as;   /* session_act_as(), session_end_acting() */
	char all[KEY_BYTES]; /* session_end_all(): the set it empties */
	struct batch *batch; /* likewise */
	int64_t kept;	     /* members of the set that were left in it */
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
	if (call->batch)
		arena_fini(&call->batch->arena);
	free(call->batch);
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
 * Makes a pair. KEYS: session, refresh, when it takes the place of an old pair
 * that one's session and refresh, and the sets. ARGV: session value, its TTL
 * and end, refresh value, its TTL and end, now, and the old refresh value.
 * Answers 1; 0 where there is no old refresh token any more: of several that
 * show it at once one is answered 1; or 2 where it has another value by now.
 */
static const char make_script[] =
	"local first = 3\n"
	"if ARGV[8] then\n"
	"  local old = redis.call('GET', KEYS[4])\n"
	"  if not old then return 0 end\n"
	"  if old ~= ARGV[8] then return 2 end\n"
	"  redis.call('DEL', KEYS[3], KEYS[4])\n"
	"  first = 5\n"
	"end\n"
	"redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])\n"
	"redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5])\n"
	"for i = first, #KEYS do\n"
	"  if ARGV[8] then redis.call('ZREM', KEYS[i], KEYS[3], KEYS[4]) end\n"
	"  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', ARGV[7])\n"
	"  redis.call('ZADD', KEYS[i], ARGV[3], KEYS[1], ARGV[6], KEYS[2])\n"
	"  redis.call('EXPIRE', KEYS[i], ARGV[5])\n"
	"end\n"
	"return 1\n";

enum { MAKE_GONE, MAKE_DONE, MAKE_CHANGED };

static void on_refresh_get(void *arg, const struct cache_reply *reply,
			   enum err_code code);

static void on_make(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct call *call = arg;
	const int64_t outcome =
		!code && reply->kind == CACHE_INT ? reply->integer : MAKE_GONE;

	if (code)
		end_tokens(call, code);
	else if (outcome == MAKE_DONE)
		end_tokens(call, ERR_OK);
	else if (outcome == MAKE_GONE)
		end_tokens(call, ERR_REFRESH);
	else if (clock_now_ms() >= call->deadline_ms)
		end_tokens(call, ERR_UNAVAILABLE); /* nothing was changed */
	else
		/* session_act_as() came between: the token is still good. */
		run_get(call, call->old.refresh, on_refresh_get);
}

static size_t add_sets(const struct sets *sets, struct slice *words,
		       size_t count)
{
	for (size_t i = 0; i < sets->count; i++)
		words[count++] = slice_str(sets->keys[i]);
	return count;
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

	struct slice words[12 + SETS_MAX] = {slice_str(call->keys.session),
					     slice_str(call->keys.refresh)};
	size_t count = 2;

	if (old_refresh.data) {
		words[count++] = slice_str(call->old.session);
		words[count++] = slice_str(call->old.refresh);
	}
	count = add_sets(&call->sets, words, count);

	const size_t key_count = count;

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
	sets_of(&call->sets, principal);
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
	sets_of(&call->sets, &stored.principal);
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

/* Ends one pair. KEYS: session, refresh, and the sets. */
static const char end_script[] =
	"redis.call('DEL', KEYS[1], KEYS[2])\n"
	"for i = 3, #KEYS do\n"
	"  redis.call('ZREM', KEYS[i], KEYS[1], KEYS[2])\n"
	"end\n"
	"return 1\n";

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
	sets_of(&call->sets, &stored.principal);

	struct slice words[2 + SETS_MAX] = {slice_str(call->keys.session),
					    slice_str(call->keys.refresh)};
	const size_t count = add_sets(&call->sets, words, 2);

	cache_script(call->cache, end_script, words, count, count,
		     left_ms(call), on_end, call);
}

void session_end(struct cache *cache, struct slice access_token,
		 uint32_t deadline_ms, session_done_fn *done, void *arg)
{
	struct call *call = call_new(cache, deadline_ms, arg);

	call->done = done;
	key_of_token(call->keys.session, "session", access_token);
	run_get(call, call->keys.session, on_end_get);
}

/* Puts other values in the place of a pair's. KEYS: session and refresh. ARGV:
 * their values. Answers 0 where there is no such session any more. */
static const char act_script[] =
	"if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
	"redis.call('SET', KEYS[1], ARGV[1], 'XX', 'KEEPTTL')\n"
	"redis.call('SET', KEYS[2], ARGV[2], 'XX', 'KEEPTTL')\n"
	"return 1\n";

static void on_act(void *arg, const struct cache_reply *reply,
		   enum err_code code)
{
	const bool there =
		!code && reply->kind == CACHE_INT && reply->integer == 1;

	end_done(arg, code ? code : there ? ERR_OK : ERR_UNAUTHORIZED);
}

/* All a pair's values consist of is in the session's and in its key, so of two
 * that come here at once the later one simply holds. */
static void run_act(struct call *call, struct stored *stored)
{
	const char *access_digest = strchr(call->keys.session, ':') + 1;
	char refresh_digest[SECRETS_DIGEST_BYTES];
	struct buffer principal = {0};
	struct buffer session = {0};
	struct buffer refresh = {0};

	snprintf(refresh_digest, sizeof(refresh_digest), "%.*s",
		 SLICE_ARG(stored->digest));
	key_print(call->keys.refresh, "refresh", refresh_digest);
	stored->principal.acting_as = call->acting_as;
	principal_encode(&stored->principal, &principal);
	stored_write(&session, buffer_slice(&principal), &stored->expires_at,
		     refresh_digest);
	stored_write(&refresh, buffer_slice(&principal), NULL, access_digest);

	const struct slice words[] = {
		slice_str(call->keys.session), slice_str(call->keys.refresh),
		buffer_slice(&session), buffer_slice(&refresh)};

	cache_script(call->cache, act_script, words, 4, 2, left_ms(call),
		     on_act, call);
	buffer_fini(&principal);
	buffer_fini(&session);
	buffer_fini(&refresh);
}

static void on_act_get(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	struct call *call = arg;
	struct stored stored;

	if (code)
		end_done(call, ERR_UNAVAILABLE); /* nothing was changed */
	else if (!stored_read(reply, true, &stored) ||
		 stored.expires_at <= time(NULL))
		end_done(call, ERR_UNAUTHORIZED);
	else
		run_act(call, &stored);
}

void session_act_as(struct cache *cache, struct slice access_token,
		    int64_t tenant_id, uint32_t deadline_ms,
		    session_done_fn *done, void *arg)
{
	struct call *call = call_new(cache, deadline_ms, arg);

	call->done = done;
	call->acting_as = tenant_id;
	key_of_token(call->keys.session, "session", access_token);
	run_get(call, call->keys.session, on_act_get);
}

/* Ends a batch of one set. KEYS: the set, then each key to end and the other
 * sets it is in. ARGV: the numbers of those. Answers how many the set has
 * left. */
static const char end_batch_script[] =
	"local at = 2\n"
	"for i = 1, #ARGV do\n"
	"  local key = KEYS[at]\n"
	"  redis.call('DEL', key)\n"
	"  redis.call('ZREM', KEYS[1], key)\n"
	"  for other = at + 1, at + ARGV[i] do\n"
	"    redis.call('ZREM', KEYS[other], key)\n"
	"  end\n"
	"  at = at + 1 + ARGV[i]\n"
	"end\n"
	"return redis.call('ZCARD', KEYS[1])\n";

static void run_list(struct call *call);

static void go_on(struct call *call)
{
	if (clock_now_ms() >= call->deadline_ms)
		end_done(call, ERR_DEADLINE);
	else
		run_list(call);
}

static void on_end_batch(void *arg, const struct cache_reply *reply,
			 enum err_code code)
{
	struct call *call = arg;

	if (code)
		end_done(call, code);
	else if (reply->kind == CACHE_INT && reply->integer <= call->kept)
		end_done(call, ERR_OK);
	else
		go_on(call);
}

static bool stored_of(struct slice key, const struct cache_reply *value,
		      struct stored *out)
{
	static const struct slice prefix = SLICE("session:");

	return stored_read(value, slice_starts(key, prefix), out);
}

/* Whether a key is one of those to end. */
static bool ends(const struct call *call, struct slice key,
		 const struct cache_reply *value)
{
	struct stored stored;

	return call->acting_as == 0 ||
	       (stored_of(key, value, &stored) &&
		stored.principal.acting_as == call->acting_as);
}

/* Of a value that cannot be read, or has expired, none are known: it leaves
 * them when it would have ended. */
static void others_of(struct sets *others, const struct call *call,
		      struct slice key, const struct cache_reply *value)
{
	struct stored stored;
	struct sets all;

	others->count = 0;
	if (!stored_of(key, value, &stored))
		return;
	sets_of(&all, &stored.principal);
	for (size_t i = 0; i < all.count; i++)
		if (strcmp(all.keys[i], call->all) != 0)
			memcpy(others->keys[others->count++], all.keys[i],
			       KEY_BYTES);
}

static void run_end_batch(struct call *call)
{
	const struct batch *batch = call->batch;
	struct slice words[1 + END_BATCH * (2 + SETS_MAX)] = {
		slice_str(call->all)};
	struct number numbers[END_BATCH];
	size_t count = 1;

	for (size_t i = 0; i < batch->count; i++) {
		words[count++] = batch->keys[i];
		count = add_sets(&batch->others[i], words, count);
	}

	const size_t key_count = count;

	for (size_t i = 0; i < batch->count; i++)
		words[count++] = number_word(&numbers[i],
					     (int64_t)batch->others[i].count);
	cache_script(call->cache, end_batch_script, words, count, key_count,
		     left_ms(call), on_end_batch, call);
}

static void on_values(void *arg, const struct cache_reply *reply,
		      enum err_code code)
{
	struct call *call = arg;
	struct batch *batch = call->batch;

	if (code) {
		end_done(call, code);
		return;
	}
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++) {
		const struct slice key = batch->keys[i];
		const struct cache_reply *value =
			i < reply->count ? &reply->items[i]
					 : &(struct cache_reply){0};

		if (!ends(call, key, value))
			continue;
		batch->keys[count] = key;
		others_of(&batch->others[count++], call, key, value);
	}
	call->kept += (int64_t)(batch->count - count);
	batch->count = count;
	if (count > 0)
		run_end_batch(call);
	else
		go_on(call);
}

static void on_list(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct call *call = arg;
	struct batch *batch = call->batch;
	struct slice words[1 + END_BATCH] = {slice_str("MGET")};

	if (code || reply->count == 0) {
		end_done(call, code);
		return;
	}
	arena_fini(&batch->arena);
	batch->count = reply->count < END_BATCH ? reply->count : END_BATCH;
	for (size_t i = 0; i < batch->count; i++) {
		const struct slice key = reply->items[i].text;

		batch->keys[i] =
			slice_of(arena_strdup(&batch->arena, key), key.size);
		words[1 + i] = batch->keys[i];
	}
	cache_run(call->cache, words, 1 + batch->count, left_ms(call),
		  on_values, call);
}

/* A batch of the set's keys, until none is left but those that stay: one
 * refreshed between the commands has put its new keys in the set and is met
 * again. */
static void run_list(struct call *call)
{
	struct number first, last;
	const struct slice words[] = {
		slice_str("ZRANGE"), slice_str(call->all),
		number_word(&first, call->kept),
		number_word(&last, call->kept + END_BATCH - 1)};

	cache_run(call->cache, words, 4, left_ms(call), on_list, call);
}

void session_end_all(struct cache *cache, int64_t id, uint32_t deadline_ms,
		     session_done_fn *done, void *arg)
{
	session_end_acting(cache, id, 0, deadline_ms, done, arg);
}

void session_end_acting(struct cache *cache, int64_t id, int64_t tenant_id,
			uint32_t deadline_ms, session_done_fn *done, void *arg)
{
	struct call *call = call_new(cache, deadline_ms, arg);

	call->done = done;
	call->acting_as = tenant_id;
	call->batch = mem_alloc(sizeof(*call->batch));
	key_of_id(call->all, id);
	run_list(call);
}

enum err_code session_end_unknown(struct err *err)
{
	return err_set(err, ERR_LOST,
		       "the account was changed; whether all of its sessions "
		       "were ended is unknown");
}
