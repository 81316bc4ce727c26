#include "services/registrar/bindings.h"

#include "proto/arena.h"
#include "proto/mem.h"
#include "services/common/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_PREFIX "binding:"
#define INDEX_KEY  "bindings"
#define OWNER_KEY  "bindings:" /* and a tenant's id */

enum {
	NUMBER_BYTES = 24,

	/* How often a change is decided anew: each time somebody else's change
	 * of this address of record succeeded. When all of BINDING_MAX devices
	 * come at once, as after a power cut, the last one loses that often to
	 * each of its requests; their deadline is the other bound. */
	ATTEMPTS_MAX = 8 * BINDING_MAX,

	/* Refreshes in one script: what Redis does in half a millisecond. */
	BATCH_MAX = 64,
	BATCH_KEYS = 2, /* of each */
	BATCH_ARGUMENTS = 5,

	/* Keys looked at by one script that counts: some 200 us. */
	ONLINE_PAGE = 1000,

	/* A page is read again when some of it had ended, so that it is full;
	 * a list of nothing but ended ones gives up after so many. */
	PAGE_ATTEMPTS_MAX = 4,
};

/* A refresh that waits for the end of the turn: its words, as they lie one
 * behind the other in the batch's bytes. */
struct waiting {
	struct change *change;
	size_t key_bytes, owner_bytes, head_bytes, cseq_bytes, tail_bytes;
};

struct batch {
	struct loop_timer *end; /* of the turn */
	size_t count;
	struct waiting items[BATCH_MAX];
	struct buffer bytes;
};

struct bindings {
	struct loop *loop;
	struct cache *cache;
	struct buffer key; /* reused: the cache copies a command's words */
	struct batch batch;
	uint64_t corrupt_total;
	uint64_t retried_total;
};

/*
 * Refreshes of the one binding there is, or first ones; all that one turn of
 * the loop brings are done by one script, since calling it is most of what a
 * refresh would cost Redis. KEYS: the index, then of each the value and its
 * owner's index. ARGV, five for each: head, CSeq as it is stored, seconds,
 * tail, score in the owner's index. Answers for each 1:
 * refreshed, 2: the first; else what was found, {now, value}: of another
 * contact or Call-ID, several, or not newer; nil: no text. 0xce (206) is what a
 * 32-bit number starts with; see binding.h. Comparing with find() and numbers
 * as bytes spare Redis strings and conversions.
 */
static const char refresh_script[] =
	"local now = tonumber(redis.call('TIME')[1])\n"
	"local function refresh(key, owner, head, cseq, seconds, tail, score)\n"
	"  local value = redis.pcall('GET', key)\n"
	"  local since, answer = now, 2\n"
	"  if type(value) == 'table' then return false end\n"
	"  if value then\n"
	"    local at = #head + 1\n"
	"    if #value < at + 14 or\n"
	"        string.find(value, head, 1, true) ~= 1 then\n"
	"      return {now, value}\n"
	"    end\n"
	"    local a, old, b, ends, c, first =\n"
	"      struct.unpack('>BI4BI4BI4', value, at)\n"
	"    if a ~= 206 or b ~= 206 or c ~= 206 then\n"
	"      return {now, value}\n"
	"    end\n"
	"    if ends > now then\n"
	"      if struct.unpack('>I4', cseq, 2) <= old then\n"
	"        return {now, value}\n"
	"      end\n"
	"      since, answer = first, 1\n"
	"    end\n"
	"  else\n"
	"    redis.call('ZADD', KEYS[1], 0, key)\n"
	"    redis.call('ZADD', owner, score, key)\n"
	"  end\n"
	"  redis.call('SETEX', key, seconds, head .. cseq ..\n"
	"    struct.pack('>BI4BI4', 206, now + seconds, 206, since) .. tail)\n"
	"  return answer\n"
	"end\n"
	"local answers = {}\n"
	"for i = 1, (#KEYS - 1) / 2 do\n"
	"  local k, a = 2 * i, 5 * i - 4\n"
	"  answers[i] = refresh(KEYS[k], KEYS[k + 1], ARGV[a], ARGV[a + 1],\n"
	"    ARGV[a + 2], ARGV[a + 3], ARGV[a + 4])\n"
	"end\n"
	"return answers\n";

/* {now, value}; KEYS: value. */
static const char read_script[] =
	"return {redis.call('TIME')[1], redis.call('GET', KEYS[1]) or ''}\n";

/*
 * Puts a value in the place of the one it was made from. KEYS: value, index,
 * owner's index. ARGV: the old value, the new one, its seconds, its score in
 * the owner's index; an empty value: absent. Answers 1, or {now, value} where
 * it is another by now. What an earlier version wrote is in no owner's index
 * yet.
 */
static const char swap_script[] =
	"local value = redis.call('GET', KEYS[1]) or ''\n"
	"if value ~= ARGV[1] then\n"
	"  return {redis.call('TIME')[1], value}\n"
	"end\n"
	"if ARGV[2] == '' then\n"
	"  redis.call('DEL', KEYS[1])\n"
	"  redis.call('ZREM', KEYS[2], KEYS[1])\n"
	"  redis.call('ZREM', KEYS[3], KEYS[1])\n"
	"else\n"
	"  if value == '' then redis.call('ZADD', KEYS[2], 0, KEYS[1]) end\n"
	"  redis.call('ZADD', KEYS[3], ARGV[4], KEYS[1])\n"
	"  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\n"
	"end\n"
	"return 1\n";

/* KEYS: the index. ARGV: first and last rank. */
static const char page_script[] =
	"return {redis.call('TIME')[1], redis.call('ZCARD', KEYS[1]),\n"
	"  redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2])}\n";

/* KEYS: a tenant's index. ARGV: the first rank of those of users, how many.
 * Answers how many there were, and of them not ended. */
static const char online_script[] =
	"local users = redis.call('ZCOUNT', KEYS[1], 0, 0)\n"
	"local last = math.min(users, ARGV[1] + ARGV[2]) - 1\n"
	"if last < tonumber(ARGV[1]) then return {0, 0} end\n"
	"local keys = redis.call('ZRANGE', KEYS[1], ARGV[1], last)\n"
	"return {#keys, redis.call('EXISTS', unpack(keys))}\n";

/* Takes keys that have ended out of the index. KEYS: the index, then they. A
 * registration that came in between has put its key back. */
static const char prune_script[] =
	"for i = 2, #KEYS do\n"
	"  if redis.call('EXISTS', KEYS[i]) == 0 then\n"
	"    redis.call('ZREM', KEYS[1], KEYS[i])\n"
	"  end\n"
	"end\n"
	"return 1\n";

static void on_turn_end(void *arg);

struct bindings *bindings_new(struct loop *loop, struct cache *cache,
			      struct metrics *metrics)
{
	struct bindings *bindings = mem_alloc(sizeof(*bindings));

	bindings->loop = loop;
	bindings->cache = cache;
	bindings->batch.end = loop_timer_new(loop, on_turn_end, bindings);
	if (!metrics)
		return bindings;
	metrics_add(metrics, METRICS_COUNTER, "registrar_bindings_broken_total",
		    "Values in Redis that were no bindings.",
		    &bindings->corrupt_total);
	metrics_add(metrics, METRICS_COUNTER,
		    "registrar_bindings_retried_total",
		    "Changes decided anew, since another one came first.",
		    &bindings->retried_total);
	return bindings;
}

void bindings_free(struct bindings *bindings)
{
	if (!bindings)
		return;
	assert(bindings->batch.count == 0);
	loop_timer_free(bindings->batch.end);
	buffer_fini(&bindings->batch.bytes);
	buffer_fini(&bindings->key);
	free(bindings);
}

/* The name of an index: that of a tenant, or that of all. */
struct index_name {
	char text[sizeof(OWNER_KEY) + NUMBER_BYTES];
};

static struct slice index_word(struct index_name *name, int64_t tenant_id)
{
	if (tenant_id <= 0)
		return slice_str(INDEX_KEY);
	snprintf(name->text, sizeof(name->text), OWNER_KEY "%" PRId64,
		 tenant_id);
	return slice_str(name->text);
}

/* In a tenant's index its users come first. */
static struct slice score_word(const struct binding *binding)
{
	return slice_str(binding->tenant_id > 0 && binding->user_id == 0 ? "1"
									 : "0");
}

/* A number as the words of a command have it. */
struct number {
	char text[NUMBER_BYTES];
};

static struct slice number_word(struct number *number, uint64_t value)
{
	char *end = number->text + sizeof(number->text);
	char *at = end;

	do
		*--at = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	return slice_of(at, (size_t)(end - at));
}

/* Whole digits only, as Redis writes them; 0 for anything else. */
static int64_t number_of(const struct cache_reply *reply)
{
	int64_t value = 0;

	if (reply->kind == CACHE_INT)
		return reply->integer;
	if (reply->kind != CACHE_STR || reply->text.size > 18)
		return 0;
	for (size_t i = 0; i < reply->text.size; i++) {
		const char c = reply->text.data[i];

		if (c < '0' || c > '9')
			return 0;
		value = value * 10 + (c - '0');
	}
	return value;
}

static struct slice key_of(struct bindings *bindings, struct slice aor)
{
	bindings->key.size = 0;
	buffer_append_str(&bindings->key, KEY_PREFIX);
	buffer_append_slice(&bindings->key, aor);
	return buffer_slice(&bindings->key);
}

static struct slice aor_of(struct slice key)
{
	const size_t prefix = sizeof(KEY_PREFIX) - 1;

	return slice_of(key.data + prefix, key.size - prefix);
}

/* An empty value is none. */
static void decode(struct bindings *bindings, struct slice aor,
		   struct slice value, int64_t now_s, struct binding_set *out)
{
	out->count = 0;
	if (value.size == 0 || binding_set_decode(value, now_s, out))
		return;
	bindings->corrupt_total++;
	log_event(LOG_ERROR, "registrar.binding_broken", LOG_SLICE("aor", aor),
		  LOG_INT("bytes", value.size));
}

/* One change under way. What it was given is copied behind it. */
struct change {
	struct bindings *bindings;
	bindings_change_fn *done;
	void *arg;
	uint64_t deadline_ms; /* of the loop's clock */
	struct slice aor;
	struct binding_change wanted;
	unsigned attempts;

	/* What is put in the place of another value. */
	struct buffer value;
	int64_t now_s;
	enum binding_outcome outcome;
	struct binding contacts[];
};

static size_t text_bytes(const struct binding *binding)
{
	return binding->contact.size + binding->instance.size +
	       binding->path.size + binding->received.size +
	       binding->user_agent.size;
}

static void text_move(struct slice *text, char **to)
{
	if (text->size > 0)
		memcpy(*to, text->data, text->size);
	text->data = *to;
	*to += text->size;
}

static void contact_move(struct binding *binding, struct slice call_id,
			 char **to)
{
	binding->call_id = call_id;
	text_move(&binding->contact, to);
	text_move(&binding->instance, to);
	text_move(&binding->path, to);
	text_move(&binding->received, to);
	text_move(&binding->user_agent, to);
}

static struct change *change_new(struct slice aor,
				 const struct binding_change *wanted)
{
	const size_t table = wanted->count * sizeof(struct binding);
	size_t bytes = aor.size + wanted->call_id.size;

	for (size_t i = 0; i < wanted->count; i++)
		bytes += text_bytes(&wanted->contacts[i]);

	struct change *change = mem_alloc(sizeof(*change) + table + bytes);
	char *to = (char *)change->contacts + table;

	change->aor = aor;
	text_move(&change->aor, &to);
	change->wanted = *wanted;
	text_move(&change->wanted.call_id, &to);
	change->wanted.contacts = change->contacts;
	if (wanted->count > 0)
		memcpy(change->contacts, wanted->contacts, table);
	for (size_t i = 0; i < wanted->count; i++)
		contact_move(&change->contacts[i], change->wanted.call_id, &to);
	return change;
}

static void change_end(struct change *change, enum binding_outcome outcome,
		       const struct binding_set *set, enum err_code code)
{
	change->done(change->arg, outcome, code ? NULL : set, code);
	buffer_fini(&change->value);
	free(change);
}

/* What is left for the next step; the cache ends one that is too late. */
static uint32_t left_ms(const struct bindings *bindings, uint64_t deadline_ms)
{
	const uint64_t now_ms = loop_now_ms(bindings->loop);

	return now_ms < deadline_ms ? (uint32_t)(deadline_ms - now_ms) : 1;
}

static void on_swap(void *arg, const struct cache_reply *reply,
		    enum err_code code);

static uint32_t longest_s(const struct binding_set *set)
{
	uint32_t longest = 0;

	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].expires_s > longest)
			longest = set->items[i].expires_s;
	return longest;
}

/* Of those that have the same address of record, the one that tells whose it
 * is: all do but what an earlier version wrote. */
static const struct binding *owned(const struct binding_set *old,
				   const struct binding_set *set)
{
	const struct binding_set *sets[] = {set, old};

	for (size_t s = 0; s < 2; s++)
		for (size_t i = 0; i < sets[s]->count; i++)
			if (sets[s]->items[i].tenant_id > 0)
				return &sets[s]->items[i];
	return set->count > 0 ? &set->items[0] : &old->items[0];
}

static void run_swap(struct change *change, struct slice value,
		     const struct binding_set *old,
		     const struct binding_set *set)
{
	struct bindings *bindings = change->bindings;
	const struct binding *owner = owned(old, set);
	struct index_name name;
	struct number seconds;

	change->value.size = 0;
	if (set->count > 0)
		binding_set_encode(set, change->now_s, &change->value);

	const struct slice words[] = {
		key_of(bindings, change->aor),
		slice_str(INDEX_KEY),
		index_word(&name, owner->tenant_id),
		value,
		buffer_slice(&change->value),
		number_word(&seconds, longest_s(set)),
		score_word(owner),
	};

	cache_script(bindings->cache, swap_script, words, 7, 3,
		     left_ms(bindings, change->deadline_ms), on_swap, change);
}

/* Decides with what was found: {now, value}. */
static void decide(struct change *change, const struct cache_reply *reply)
{
	struct bindings *bindings = change->bindings;
	struct binding_set old, set;

	if (reply->kind != CACHE_ARRAY || reply->count != 2 ||
	    reply->items[1].kind != CACHE_STR) {
		change_end(change, BINDING_SAME, NULL, ERR_INTERNAL);
		return;
	}
	const struct slice value = reply->items[1].text;

	change->now_s = number_of(&reply->items[0]);
	decode(bindings, change->aor, value, change->now_s, &old);
	change->outcome =
		binding_merge(&old, &change->wanted, change->now_s, &set);
	switch (change->outcome) {
	case BINDING_SAME:
	case BINDING_OUT_OF_ORDER:
	case BINDING_FULL:
		change_end(change, change->outcome, &set, ERR_OK);
		return;
	case BINDING_REFRESHED:
	case BINDING_ADDED:
	case BINDING_REMOVED:
		break;
	}
	if (change->attempts++ == ATTEMPTS_MAX) {
		change_end(change, BINDING_SAME, NULL, ERR_CONFLICT);
		return;
	}
	bindings->retried_total += change->attempts > 1;
	run_swap(change, value, &old, &set);
}

static bool is_number(const struct cache_reply *reply, int64_t number)
{
	return reply->kind == CACHE_INT && reply->integer == number;
}

static void on_swap(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct change *change = arg;
	struct binding_set set;

	if (code) {
		change_end(change, BINDING_SAME, NULL, code);
	} else if (is_number(reply, 1)) {
		decode(change->bindings, change->aor,
		       buffer_slice(&change->value), change->now_s, &set);
		change_end(change, change->outcome, &set, ERR_OK);
	} else {
		decide(change, reply);
	}
}

static void on_read(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct change *change = arg;

	if (code) {
		/* Nothing was changed, whatever went wrong. */
		change_end(change, BINDING_SAME, NULL,
			   code == ERR_INTERNAL ? code : ERR_UNAVAILABLE);
		return;
	}
	decide(change, reply);
}

static void end_refresh(struct change *change, const struct cache_reply *reply)
{
	if (is_number(reply, 1) || is_number(reply, 2)) {
		struct binding_set set;

		set.count = 1;
		set.items[0] = change->contacts[0];
		change_end(change,
			   reply->integer == 1 ? BINDING_REFRESHED
					       : BINDING_ADDED,
			   &set, ERR_OK);
	} else {
		decide(change, reply);
	}
}

/* The refreshes of one script, under way. */
struct sent {
	size_t count;
	struct change *changes[];
};

static void on_refreshed(void *arg, const struct cache_reply *reply,
			 enum err_code code)
{
	struct sent *sent = arg;

	if (!code &&
	    (reply->kind != CACHE_ARRAY || reply->count != sent->count))
		code = ERR_INTERNAL;
	for (size_t i = 0; i < sent->count; i++)
		if (code)
			change_end(sent->changes[i], BINDING_SAME, NULL, code);
		else
			end_refresh(sent->changes[i], &reply->items[i]);
	free(sent);
}

/* One word of the batch's bytes. */
static struct slice take(const char **at, size_t size)
{
	const struct slice word = slice_of(*at, size);

	*at += size;
	return word;
}

static void batch_words(const struct batch *batch, struct number *seconds,
			struct slice *words)
{
	struct slice *keys = words;
	struct slice *arguments = words + BATCH_KEYS * batch->count;
	const char *at = batch->bytes.data;

	for (size_t i = 0; i < batch->count; i++) {
		const struct waiting *item = &batch->items[i];

		*keys++ = take(&at, item->key_bytes);
		*keys++ = take(&at, item->owner_bytes);
		*arguments++ = take(&at, item->head_bytes);
		*arguments++ = take(&at, item->cseq_bytes);
		*arguments++ = number_word(&seconds[i],
					   item->change->contacts[0].expires_s);
		*arguments++ = take(&at, item->tail_bytes);
		*arguments++ = score_word(&item->change->contacts[0]);
	}
}

void bindings_flush(struct bindings *bindings)
{
	struct batch *batch = &bindings->batch;
	const size_t count = batch->count;
	struct slice words[1 + BATCH_MAX * (BATCH_KEYS + BATCH_ARGUMENTS)];
	struct number seconds[BATCH_MAX];

	if (count == 0)
		return;

	struct sent *sent =
		mem_alloc(sizeof(*sent) + count * sizeof(*sent->changes));

	sent->count = count;
	for (size_t i = 0; i < count; i++)
		sent->changes[i] = batch->items[i].change;
	words[0] = slice_str(INDEX_KEY);
	batch_words(batch, seconds, words + 1);
	loop_timer_stop(batch->end);
	batch->count = 0;
	/* They came in one turn: the deadline of one is that of all. */
	cache_script(bindings->cache, refresh_script, words,
		     1 + count * (BATCH_KEYS + BATCH_ARGUMENTS),
		     1 + BATCH_KEYS * count,
		     left_ms(bindings, sent->changes[0]->deadline_ms),
		     on_refreshed, sent);
	batch->bytes.size = 0;
}

static void on_turn_end(void *arg)
{
	bindings_flush(arg);
}

static void run_read(struct change *change)
{
	struct bindings *bindings = change->bindings;
	const struct slice words[] = {key_of(bindings, change->aor)};

	cache_script(bindings->cache, read_script, words, 1, 1,
		     left_ms(bindings, change->deadline_ms), on_read, change);
}

/* What was added to the buffer since it had so many bytes. */
static size_t added(const struct buffer *buffer, size_t *since)
{
	const size_t bytes = buffer->size - *since;

	*since = buffer->size;
	return bytes;
}

static void run_refresh(struct change *change)
{
	struct bindings *bindings = change->bindings;
	struct batch *batch = &bindings->batch;
	const struct binding *contact = &change->contacts[0];
	struct waiting *item = &batch->items[batch->count++];
	struct index_name name;
	size_t since = batch->bytes.size;

	item->change = change;
	buffer_append_slice(&batch->bytes, key_of(bindings, change->aor));
	item->key_bytes = added(&batch->bytes, &since);
	buffer_append_slice(&batch->bytes,
			    index_word(&name, contact->tenant_id));
	item->owner_bytes = added(&batch->bytes, &since);
	binding_head_append(&batch->bytes, contact);
	item->head_bytes = added(&batch->bytes, &since);
	binding_number_append(&batch->bytes, contact->cseq);
	item->cseq_bytes = added(&batch->bytes, &since);
	binding_tail_append(&batch->bytes, contact);
	item->tail_bytes = added(&batch->bytes, &since);
	if (batch->count == BATCH_MAX)
		bindings_flush(bindings);
	else if (batch->count == 1)
		loop_timer_start(batch->end, 0, 0);
}

void bindings_change(struct bindings *bindings, struct slice aor,
		     const struct binding_change *change, uint32_t deadline_ms,
		     bindings_change_fn *done, void *arg)
{
	assert(aor.size <= BINDINGS_AOR_BYTES && change->count <= BINDING_MAX);

	struct change *own = change_new(aor, change);

	own->bindings = bindings;
	own->done = done;
	own->arg = arg;
	own->deadline_ms = loop_now_ms(bindings->loop) + deadline_ms;
	/* What was admitted before goes before. */
	if (own->wanted.drop)
		bindings_flush(bindings);
	if (!own->wanted.drop && own->wanted.count == 1 &&
	    own->contacts[0].expires_s > 0)
		run_refresh(own);
	else
		run_read(own);
}

/* --- Listing --- */

/* One page under way. */
struct page {
	struct bindings *bindings;
	bindings_list_fn *done;
	void *arg;
	uint64_t deadline_ms;
	struct index_name index_name;
	struct slice index;
	size_t skip, top;
	unsigned attempts;
	struct arena arena; /* of this attempt */
	struct bindings_page answer;
	int64_t now_s;
	size_t key_count;
	struct slice *keys;
};

static void page_end(struct page *page, enum err_code code)
{
	page->done(page->arg, code ? NULL : &page->answer, code);
	arena_fini(&page->arena);
	free(page);
}

/* Reading changes nothing, whatever went wrong. */
static void page_fail(struct page *page, enum err_code code)
{
	page_end(page, code == ERR_INTERNAL ? code : ERR_UNAVAILABLE);
}

static void run_page(struct page *page);

static void on_prune(void *arg, const struct cache_reply *reply,
		     enum err_code code)
{
	struct page *page = arg;

	(void)reply;
	if (code)
		page_fail(page, code);
	else
		run_page(page);
}

static void run_prune(struct page *page, const struct cache_reply *values)
{
	struct slice words[1 + BINDINGS_PAGE_MAX] = {page->index};
	size_t count = 1;

	for (size_t i = 0; i < values->count; i++)
		if (values->items[i].kind == CACHE_NIL)
			words[count++] = page->keys[i];
	cache_script(page->bindings->cache, prune_script, words, count, count,
		     left_ms(page->bindings, page->deadline_ms), on_prune,
		     page);
}

/* Those that have bindings become entries. */
static void page_fill(struct page *page, const struct cache_reply *values)
{
	struct bindings_entry *entries =
		arena_alloc(&page->arena, page->key_count * sizeof(*entries));

	for (size_t i = 0; i < values->count; i++) {
		struct bindings_entry *entry = &entries[page->answer.count];

		if (values->items[i].kind != CACHE_STR)
			continue;
		entry->aor = aor_of(page->keys[i]);
		decode(page->bindings, entry->aor, values->items[i].text,
		       page->now_s, &entry->set);
		if (entry->set.count > 0)
			page->answer.count++;
	}
	page->answer.entries = entries;
}

static bool has_ended(const struct cache_reply *values)
{
	for (size_t i = 0; i < values->count; i++)
		if (values->items[i].kind == CACHE_NIL)
			return true;
	return false;
}

static void on_values(void *arg, const struct cache_reply *reply,
		      enum err_code code)
{
	struct page *page = arg;

	if (code) {
		page_fail(page, code);
	} else if (reply->kind != CACHE_ARRAY ||
		   reply->count != page->key_count) {
		page_end(page, ERR_INTERNAL);
	} else if (has_ended(reply) && ++page->attempts < PAGE_ATTEMPTS_MAX) {
		run_prune(page, reply);
	} else {
		page_fill(page, reply);
		page_end(page, ERR_OK);
	}
}

static void run_values(struct page *page)
{
	struct slice words[1 + BINDINGS_PAGE_MAX] = {slice_str("MGET")};

	for (size_t i = 0; i < page->key_count; i++)
		words[1 + i] = page->keys[i];
	cache_run(page->bindings->cache, words, 1 + page->key_count,
		  left_ms(page->bindings, page->deadline_ms), on_values, page);
}

/* Others can write to Redis: what is no key of ours is passed over. */
static void keep_keys(struct page *page, const struct cache_reply *keys)
{
	page->keys =
		arena_alloc(&page->arena, keys->count * sizeof(*page->keys));
	page->key_count = 0;
	for (size_t i = 0; i < keys->count && i < page->top; i++) {
		const struct slice key = keys->items[i].text;

		if (keys->items[i].kind != CACHE_STR ||
		    !slice_starts(key, slice_str(KEY_PREFIX)))
			continue;
		page->keys[page->key_count++] =
			slice_of(arena_strdup(&page->arena, key), key.size);
	}
}

static void on_page(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct page *page = arg;

	if (code) {
		page_fail(page, code);
		return;
	}
	if (reply->kind != CACHE_ARRAY || reply->count != 3 ||
	    reply->items[2].kind != CACHE_ARRAY) {
		page_end(page, ERR_INTERNAL);
		return;
	}
	page->now_s = number_of(&reply->items[0]);
	page->answer.total = (size_t)number_of(&reply->items[1]);
	page->answer.keys = reply->items[2].count;
	keep_keys(page, &reply->items[2]);
	if (page->key_count == 0)
		page_end(page, ERR_OK);
	else
		run_values(page);
}

static void run_page(struct page *page)
{
	struct number first, last;
	const struct slice words[] = {
		page->index,
		number_word(&first, page->skip),
		number_word(&last, page->skip + page->top - 1),
	};

	arena_fini(&page->arena);
	page->answer = (struct bindings_page){0};
	cache_script(page->bindings->cache, page_script, words, 3, 1,
		     left_ms(page->bindings, page->deadline_ms), on_page, page);
}

void bindings_list(struct bindings *bindings, int64_t tenant_id, size_t skip,
		   size_t top, uint32_t deadline_ms, bindings_list_fn *done,
		   void *arg)
{
	assert(top > 0 && top <= BINDINGS_PAGE_MAX);

	struct page *page = mem_alloc(sizeof(*page));

	page->bindings = bindings;
	page->done = done;
	page->arg = arg;
	page->deadline_ms = loop_now_ms(bindings->loop) + deadline_ms;
	page->index = index_word(&page->index_name, tenant_id);
	page->skip = skip;
	page->top = top;
	run_page(page);
}

/* --- Counting --- */

/* A count under way. */
struct online {
	struct bindings *bindings;
	bindings_online_fn *done;
	void *arg;
	uint64_t deadline_ms;
	struct index_name index_name;
	struct slice index;
	size_t first; /* rank */
	size_t users;
};

static void run_online(struct online *online);

static void online_end(struct online *online, enum err_code code)
{
	online->done(online->arg, online->users, code);
	free(online);
}

static void on_online(void *arg, const struct cache_reply *reply,
		      enum err_code code)
{
	struct online *online = arg;

	if (code) {
		online_end(online,
			   code == ERR_INTERNAL ? code : ERR_UNAVAILABLE);
		return;
	}
	if (reply->kind != CACHE_ARRAY || reply->count != 2) {
		online_end(online, ERR_INTERNAL);
		return;
	}
	const size_t keys = (size_t)number_of(&reply->items[0]);

	online->users += (size_t)number_of(&reply->items[1]);
	online->first += keys;
	if (keys < ONLINE_PAGE)
		online_end(online, ERR_OK);
	else
		run_online(online);
}

static void run_online(struct online *online)
{
	struct number first, count;
	const struct slice words[] = {
		online->index,
		number_word(&first, online->first),
		number_word(&count, ONLINE_PAGE),
	};

	cache_script(online->bindings->cache, online_script, words, 3, 1,
		     left_ms(online->bindings, online->deadline_ms), on_online,
		     online);
}

void bindings_online(struct bindings *bindings, int64_t tenant_id,
		     uint32_t deadline_ms, bindings_online_fn *done, void *arg)
{
	struct online *online = mem_alloc(sizeof(*online));

	online->bindings = bindings;
	online->done = done;
	online->arg = arg;
	online->deadline_ms = loop_now_ms(bindings->loop) + deadline_ms;
	online->index = index_word(&online->index_name, tenant_id);
	run_online(online);
}
