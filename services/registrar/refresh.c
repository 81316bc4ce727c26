#include "services/registrar/bindings_internal.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdlib.h>

enum {
	/* Refreshes in one script: what Redis does in half a millisecond. */
	COMPARED_MAX = 64,
	COMPARED_KEYS = 2, /* of each, of the script below */
	COMPARED_ARGUMENTS = 5,
	COMPARED_BEFORE = 2 + 3, /* keys and arguments of all of them */
	COMPARED_HEAD = 3,	 /* what its reply has before the answers */

	RENEW_COMMANDS = 4,
	GUARD_COMMANDS = 4,
	GUARD_DEADLINE_MS = 1500,

	ROOM_FIRST = 64,
};

/*
 * Refreshes of the one binding there is, or first ones; all that one turn of
 * the loop brings are done by one script, since calling it is most of what a
 * refresh would cost Redis. KEYS: claim, index, then of each the value and its
 * owner's index. ARGV: the claim there should be and the one to be made where
 * it is not, the limit, then five for each: head, CSeq as it is stored,
 * seconds, tail, score in the owner's index. Answers whether the new claim was
 * made, the seconds and microseconds of the clock, then for each since when it
 * has been there: 0 for the first; else what was found, {seconds, microseconds,
 * value}: of another contact or Call-ID, several, or not newer; nil: no text.
 * After the limit it answers the time alone. Of another tail the owner may be
 * another. 0xce (206) is what a 32-bit number starts with; see binding.h.
 * Comparing with find() and numbers as bytes spare Redis strings and
 * conversions.
 */
static const char compare_script[] = BINDINGS_LUA_LIMIT
	"local now = tonumber(time[1])\n"
	"local function refresh(key, owner, head, cseq, seconds, tail, score)\n"
	"  local value = redis.pcall('GET', key)\n"
	"  local since, answer = now, 0\n"
	"  if type(value) == 'table' then return false end\n"
	"  if value then\n"
	"    local at = #head + 1\n"
	"    if #value < at + 14 or\n"
	"        string.find(value, head, 1, true) ~= 1 then\n"
	"      return {time[1], time[2], value}\n"
	"    end\n"
	"    local a, old, b, ends, c, first =\n"
	"      struct.unpack('>BI4BI4BI4', value, at)\n"
	"    if a ~= 206 or b ~= 206 or c ~= 206 then\n"
	"      return {time[1], time[2], value}\n"
	"    end\n"
	"    if ends > now then\n"
	"      if struct.unpack('>I4', cseq, 2) <= old then\n"
	"        return {time[1], time[2], value}\n"
	"      end\n"
	"      since, answer = first, first\n"
	"    end\n"
	"    if string.find(value, tail, at + 15, true) ~= at + 15 then\n"
	"      redis.call('ZADD', owner, score, key)\n"
	"    end\n"
	"  else\n"
	"    redis.call('ZADD', KEYS[2], 0, key)\n"
	"    redis.call('ZADD', owner, score, key)\n"
	"  end\n"
	"  redis.call('SET', key, head .. cseq ..\n"
	"    struct.pack('>BI4BI4', 206, now + seconds, 206, since) .. tail)\n"
	"  return answer\n"
	"end\n" BINDINGS_LUA_CLAIM
	"local answers = {claimed, time[1], time[2]}\n"
	"for i = 1, (#KEYS - 2) / 2 do\n"
	"  local k, a = 2 * i + 1, 5 * i - 1\n"
	"  answers[i + 3] = refresh(KEYS[k], KEYS[k + 1], ARGV[a],\n"
	"    ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4])\n"
	"end\n"
	"return answers\n";

/* Refreshes that were sent together. */
struct sent {
	struct bindings *bindings;
	uint64_t claim; /* made, where another's stood; or known by */
	size_t count;
	struct change *changes[];
};

/* Empties the batch, but for its bytes. */
static struct sent *sent_new(struct bindings *bindings,
			     struct refresh_batch *batch, uint64_t claim)
{
	struct sent *sent = mem_alloc(sizeof(*sent) +
				      batch->count * sizeof(*sent->changes));

	sent->bindings = bindings;
	sent->claim = claim;
	sent->count = batch->count;
	for (size_t i = 0; i < batch->count; i++)
		sent->changes[i] = batch->items[i].change;
	batch->count = 0;
	return sent;
}

/* The first has waited longest. */
static uint32_t sent_left_ms(const struct sent *sent)
{
	return bindings_left_ms(sent->bindings, sent->changes[0]->deadline_ms);
}

static void sent_failed(struct sent *sent, enum err_code code)
{
	/* It may be done yet. */
	if (code != ERR_UNAVAILABLE)
		bindings_disclaim(sent->bindings);
	for (size_t i = 0; i < sent->count; i++)
		bindings_change_end(sent->changes[i], BINDING_SAME, NULL, code);
}

static void end_good(struct change *change, enum binding_outcome outcome)
{
	struct binding_set set;

	set.count = 1;
	set.items[0] = change->contacts[0];
	bindings_change_end(change, outcome, &set, ERR_OK);
}

static uint32_t redis_now_s(const struct bindings *bindings)
{
	return (uint32_t)(bindings_now_ms(bindings) / 1000);
}

/* One word of the batch's bytes. */
static struct slice take(const char **at, size_t size)
{
	const struct slice word = slice_of(*at, size);

	*at += size;
	return word;
}

/* What was added to the buffer since it had so many bytes. */
static size_t added(const struct buffer *buffer, size_t *since)
{
	const size_t bytes = buffer->size - *since;

	*since = buffer->size;
	return bytes;
}

static struct refresh_item *item_new(struct refresh_batch *batch,
				     struct change *change)
{
	if (batch->count == batch->room) {
		batch->room = batch->room ? 2 * batch->room : ROOM_FIRST;
		batch->items = mem_resize(batch->items,
					  batch->room * sizeof(*batch->items));
	}
	if (batch->count == 0)
		loop_timer_start(change->bindings->end, 0, 0);

	struct refresh_item *item = &batch->items[batch->count++];

	item->change = change;
	return item;
}

/* --- Those that Redis compares with what is there --- */

/* What waits to be renewed is known: it does not do to forget that alone. */
static void learn(struct bindings *bindings, const struct change *change)
{
	if (!bindings_change_alone(change))
		return;
	if (known_count(bindings->known) == KNOWN_MAX)
		bindings_forget(bindings);
	known_put(bindings->known, change->link.hash, &change->then);
}

static void end_compared(struct bindings *bindings, struct change *change,
			 const struct cache_reply *reply)
{
	const uint32_t now_s = redis_now_s(bindings);

	if (reply->kind != CACHE_INT) {
		bindings_change_decide(change, reply);
		return;
	}
	change->then.registered_at =
		reply->integer ? (uint32_t)reply->integer : now_s;
	change->then.expires_at = now_s + change->contacts[0].expires_s;
	learn(bindings, change);
	end_good(change, reply->integer ? BINDING_REFRESHED : BINDING_ADDED);
}

static void compare_add(struct change *change);

/* After another connection Redis may have lost what was learned before. */
static void check_connection(struct bindings *bindings)
{
	const uint64_t connection = cache_connection(bindings->cache);

	if (connection == bindings->connection)
		return;
	bindings->connection = connection;
	bindings_disclaim(bindings);
}

/* The clock of Redis was not what it was taken for. Those that may come behind
 * others of their address of record by now are not tried again. */
static void compare_again(struct sent *sent)
{
	struct bindings *bindings = sent->bindings;

	for (size_t i = 0; i < sent->count; i++) {
		struct change *change = sent->changes[i];

		if (loop_now_ms(bindings->loop) < change->deadline_ms &&
		    bindings_change_alone(change))
			compare_add(change);
		else
			bindings_change_end(change, BINDING_SAME, NULL,
					    ERR_UNAVAILABLE);
	}
}

static void on_compared(void *arg, const struct cache_reply *reply,
			enum err_code code)
{
	struct sent *sent = arg;
	struct bindings *bindings = sent->bindings;

	if (!code && bindings_was_late(bindings, reply)) {
		compare_again(sent);
		free(sent);
		return;
	}
	if (!code && (reply->kind != CACHE_ARRAY ||
		      reply->count != COMPARED_HEAD + sent->count))
		code = ERR_INTERNAL;
	if (code) {
		sent_failed(sent, code);
		free(sent);
		return;
	}
	check_connection(bindings);
	if (bindings_number_of(&reply->items[0]) != 0)
		bindings_claimed(bindings, sent->claim);
	bindings_clock_set(bindings, &reply->items[1]);
	for (size_t i = 0; i < sent->count; i++)
		end_compared(bindings, sent->changes[i],
			     &reply->items[COMPARED_HEAD + i]);
	free(sent);
}

static void send_compared(struct bindings *bindings)
{
	struct refresh_batch *batch = &bindings->compared;
	const size_t count = batch->count;
	const char *at = batch->bytes.data;
	struct slice words[COMPARED_BEFORE +
			   COMPARED_MAX * (COMPARED_KEYS + COMPARED_ARGUMENTS)];
	struct slice *keys = words;
	struct slice *arguments = words + 2 + COMPARED_KEYS * count;
	struct bindings_number limit, seconds[COMPARED_MAX];
	struct bindings_claims claims;

	if (count == 0)
		return;
	*keys++ = slice_str(BINDINGS_CLAIM_KEY);
	*keys++ = slice_str(BINDINGS_INDEX_KEY);

	struct sent *sent =
		sent_new(bindings, batch,
			 bindings_claim_words(bindings, &claims, arguments));
	const uint32_t left_ms = sent_left_ms(sent);

	arguments += 2;
	*arguments++ = bindings_limit_word(bindings, left_ms, &limit);
	for (size_t i = 0; i < count; i++) {
		const struct refresh_item *item = &batch->items[i];
		const struct binding *contact = &item->change->contacts[0];

		*keys++ = take(&at, item->sizes[0]);
		*keys++ = take(&at, item->sizes[1]);
		*arguments++ = take(&at, item->sizes[2]);
		*arguments++ = take(&at, item->sizes[3]);
		*arguments++ =
			bindings_number_word(&seconds[i], contact->expires_s);
		*arguments++ = take(&at, item->sizes[4]);
		*arguments++ = bindings_score_word(contact);
	}
	cache_script(bindings->cache, compare_script, words,
		     (size_t)(arguments - words), 2 + COMPARED_KEYS * count,
		     left_ms, on_compared, sent);
	batch->bytes.size = 0;
}

static void compare_add(struct change *change)
{
	struct bindings *bindings = change->bindings;
	struct refresh_batch *batch = &bindings->compared;
	const struct binding *contact = &change->contacts[0];
	struct buffer *bytes = &batch->bytes;
	struct refresh_item *item = item_new(batch, change);
	struct bindings_index index;
	size_t since = bytes->size;

	bindings_change_writes(change);
	buffer_append_slice(bytes, bindings_key(bindings, change->aor));
	item->sizes[0] = added(bytes, &since);
	buffer_append_slice(bytes,
			    bindings_index_word(&index, contact->tenant_id));
	item->sizes[1] = added(bytes, &since);
	binding_head_append(bytes, contact);
	item->sizes[2] = added(bytes, &since);
	binding_number_append(bytes, contact->cseq);
	item->sizes[3] = added(bytes, &since);
	binding_tail_append(bytes, contact);
	item->sizes[4] = added(bytes, &since);
	if (batch->count == COMPARED_MAX)
		send_compared(bindings);
}

/* --- Those that are known --- */

/*
 * Written without a look, in the optimistic way of Redis:
 *
 *   WATCH claim, GET claim              nobody else has written so far,
 *   MULTI, EXISTS .., MSET .., EXEC     nor has anybody until now: written;
 *                                       else nothing is, and they are compared
 *   UNWATCH, WATCH claim, GET claim,    leaves with EXEC, for the next ones;
 *     TIME                              a watch that has failed fails until it
 *                                       is given up, by UNWATCH where no EXEC
 *                                       goes before
 *
 * What WATCH holds is the connection's, so one batch at a time is under way;
 * the next gathers meanwhile, and is the larger the more there is to do. All of
 * a batch are two commands: a script would cost Redis three times as much.
 */

void refresh_compare(struct bindings *bindings)
{
	struct refresh_batch *batch = &bindings->renewed;
	const size_t count = batch->count;

	batch->count = 0;
	batch->bytes.size = 0;
	for (size_t i = 0; i < count; i++)
		compare_add(batch->items[i].change);
}

/* Later changes of the same address of record are under way: after a removal
 * nothing there would tell that this one is older. */
static void end_overtaken(struct sent *sent)
{
	size_t kept = 0;

	for (size_t i = 0; i < sent->count; i++) {
		struct change *change = sent->changes[i];

		if (bindings_change_alone(change))
			sent->changes[kept++] = change;
		else
			bindings_change_end(change, BINDING_SAME, NULL,
					    ERR_CONFLICT);
	}
	sent->count = kept;
}

/* Somebody else has written since. Those that wait come behind these. */
static void renew_refused(struct sent *sent)
{
	struct bindings *bindings = sent->bindings;

	end_overtaken(sent);
	if (sent->claim == bindings->claim)
		known_clear(bindings->known);
	for (size_t i = 0; i < sent->count; i++)
		compare_add(sent->changes[i]);
	refresh_compare(bindings);
}

/* KEYS: value, index, owner's index. ARGV: score in the owner's index. */
static const char index_script[] =
	"if redis.call('EXISTS', KEYS[1]) == 1 then\n"
	"  redis.call('ZADD', KEYS[2], 0, KEYS[1])\n"
	"  redis.call('ZADD', KEYS[3], ARGV[1], KEYS[1])\n"
	"end\n";

/* Some key was not there: somebody has removed it by hand, and a list may have
 * passed it over since. */
static void index_again(const struct sent *sent)
{
	struct bindings *bindings = sent->bindings;

	for (size_t i = 0; i < sent->count; i++) {
		const struct change *change = sent->changes[i];
		const struct binding *contact = &change->contacts[0];
		struct bindings_index index;
		const struct slice words[] = {
			bindings_key(bindings, change->aor),
			slice_str(BINDINGS_INDEX_KEY),
			bindings_index_word(&index, contact->tenant_id),
			bindings_score_word(contact),
		};

		cache_script(bindings->cache, index_script, words, 4, 3,
			     GUARD_DEADLINE_MS, NULL, NULL);
	}
}

static void on_renewed(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	struct sent *sent = arg;

	if (!code && reply->kind != CACHE_NIL &&
	    (reply->kind != CACHE_ARRAY || reply->count != 2))
		code = ERR_INTERNAL;
	if (code) {
		sent_failed(sent, code);
	} else if (reply->kind == CACHE_NIL) {
		renew_refused(sent);
	} else {
		if (bindings_number_of(&reply->items[0]) !=
		    (int64_t)sent->count)
			index_again(sent);
		sent->bindings->renewed_total += sent->count;
		for (size_t i = 0; i < sent->count; i++)
			end_good(sent->changes[i], BINDING_REFRESHED);
	}
	free(sent);
}

static void on_watched(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	struct bindings *bindings = arg;

	(void)reply;
	bindings->guard = code ? 0 : bindings->guard_asked;
}

static void on_claim(void *arg, const struct cache_reply *reply,
		     enum err_code code)
{
	struct bindings *bindings = arg;
	struct bindings_claim claim;

	if (code || reply->kind != CACHE_STR ||
	    !slice_eq(reply->text,
		      bindings_claim_word(bindings, bindings->claim, &claim)))
		bindings->guard = 0;
}

static void on_guarded(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	struct bindings *bindings = arg;

	if (!code && reply->kind == CACHE_ARRAY && reply->count == 2)
		bindings_clock_set(bindings, reply->items);
	else
		bindings->guard = 0;
	bindings->guard_asked = 0;
	if (!bindings->guard)
		bindings_forget(bindings);
	refresh_flush(bindings);
}

static void send_plain(struct bindings *bindings, const char *name,
		       uint32_t left_ms, cache_done_fn *done, void *arg)
{
	const struct slice words[] = {slice_str(name)};

	cache_run(bindings->cache, words, 1, left_ms, done, arg);
}

static void send_claim(struct bindings *bindings, const char *name,
		       cache_done_fn *done)
{
	const struct slice words[] = {slice_str(name),
				      slice_str(BINDINGS_CLAIM_KEY)};

	cache_run(bindings->cache, words, 2, GUARD_DEADLINE_MS, done, bindings);
}

/* The cache takes them all. */
static void send_guard(struct bindings *bindings)
{
	bindings->guard = 0;
	bindings->guard_asked = cache_connection(bindings->cache);
	send_plain(bindings, "UNWATCH", GUARD_DEADLINE_MS, NULL, NULL);
	send_claim(bindings, "WATCH", on_watched);
	send_claim(bindings, "GET", on_claim);
	send_plain(bindings, "TIME", GUARD_DEADLINE_MS, on_guarded, bindings);
}

/* A renewal's words: keys for EXISTS, keys and values for MSET. */
static void send_values(struct bindings *bindings, uint32_t left_ms)
{
	const struct refresh_batch *batch = &bindings->renewed;
	const char *at = batch->bytes.data;
	struct slice *keys = mem_alloc((1 + batch->count) * sizeof(*keys));
	struct slice *pairs =
		mem_alloc((1 + 2 * batch->count) * sizeof(*pairs));

	keys[0] = slice_str("EXISTS");
	pairs[0] = slice_str("MSET");
	for (size_t i = 0; i < batch->count; i++) {
		const struct refresh_item *item = &batch->items[i];

		keys[1 + i] = take(&at, item->sizes[0]);
		pairs[1 + 2 * i] = keys[1 + i];
		pairs[2 + 2 * i] = take(&at, item->sizes[1]);
	}
	cache_run(bindings->cache, keys, 1 + batch->count, left_ms, NULL, NULL);
	cache_run(bindings->cache, pairs, 1 + 2 * batch->count, left_ms, NULL,
		  NULL);
	free(keys);
	free(pairs);
}

static void send_renewed(struct bindings *bindings)
{
	struct refresh_batch *batch = &bindings->renewed;
	uint32_t left_ms;

	if (batch->count == 0 || bindings->guard_asked)
		return;
	if (!cache_takes(bindings->cache, bindings->guard,
			 RENEW_COMMANDS + GUARD_COMMANDS)) {
		refresh_compare(bindings);
		return;
	}
	left_ms =
		bindings_left_ms(bindings, batch->items[0].change->deadline_ms);
	send_plain(bindings, "MULTI", left_ms, NULL, NULL);
	send_values(bindings, left_ms);
	batch->bytes.size = 0;
	send_plain(bindings, "EXEC", left_ms, on_renewed,
		   sent_new(bindings, batch, bindings->claim));
	send_guard(bindings);
}

static void renew_add(struct change *change)
{
	struct bindings *bindings = change->bindings;
	struct refresh_batch *batch = &bindings->renewed;
	const struct binding *contact = &change->contacts[0];
	struct buffer *bytes = &batch->bytes;
	struct refresh_item *item = item_new(batch, change);
	size_t since = bytes->size;

	buffer_append_slice(bytes, bindings_key(bindings, change->aor));
	item->sizes[0] = added(bytes, &since);
	buffer_append_slice(bytes, buffer_slice(&bindings->head));
	binding_number_append(bytes, contact->cseq);
	binding_number_append(bytes, change->then.expires_at);
	binding_number_append(bytes, change->then.registered_at);
	binding_tail_append(bytes, contact);
	item->sizes[1] = added(bytes, &since);
}

/* Whether it is a later refresh of the very binding that is known; then it is
 * known as it will be. */
static bool fits_known(struct change *change)
{
	struct bindings *bindings = change->bindings;
	struct known_binding *known =
		known_find(bindings->known, change->link.hash);
	const uint32_t now_s = redis_now_s(bindings);

	if (!known || known->identity != change->then.identity ||
	    change->then.cseq <= known->cseq || known->expires_at <= now_s)
		return false;
	change->then.registered_at = known->registered_at;
	change->then.expires_at = now_s + change->contacts[0].expires_s;
	*known = change->then;
	return true;
}

/* What is compared goes at once, and is not to overtake what waits. */
static void let_pass(struct bindings *bindings, uint64_t aor)
{
	const struct refresh_batch *batch = &bindings->renewed;

	/* What waits is known, and thousands may wait. */
	if (!known_find(bindings->known, aor))
		return;
	for (size_t i = 0; i < batch->count; i++)
		if (batch->items[i].change->link.hash == aor) {
			refresh_compare(bindings);
			return;
		}
}

/* --- */

void refresh_add(struct change *change)
{
	struct bindings *bindings = change->bindings;
	struct buffer *head = &bindings->head;

	check_connection(bindings);
	head->size = 0;
	binding_head_append(head, &change->contacts[0]);

	const size_t head_bytes = head->size;

	binding_account_append(head, &change->contacts[0]);
	change->then.identity =
		(uint32_t)bindings_hash(bindings, buffer_slice(head));
	head->size = head_bytes;
	change->then.cseq = change->contacts[0].cseq;
	if (fits_known(change)) {
		renew_add(change);
	} else {
		let_pass(bindings, change->link.hash);
		compare_add(change);
	}
}

void refresh_settle(struct bindings *bindings, uint64_t aor)
{
	refresh_flush(bindings);
	let_pass(bindings, aor);
	send_compared(bindings);
}

void refresh_flush(struct bindings *bindings)
{
	loop_timer_stop(bindings->end);
	send_renewed(bindings);
	send_compared(bindings);
	if (!bindings->guard && !bindings->guard_asked &&
	    known_count(bindings->known) > 0 &&
	    cache_takes(bindings->cache, bindings->connection, GUARD_COMMANDS))
		send_guard(bindings);
}

void refresh_fini(struct bindings *bindings)
{
	struct refresh_batch *batches[] = {&bindings->compared,
					   &bindings->renewed};

	for (size_t i = 0; i < 2; i++) {
		assert(batches[i]->count == 0);
		free(batches[i]->items);
		buffer_fini(&batches[i]->bytes);
	}
}
