#include "services/registrar/bindings.h"

#include "proto/arena.h"
#include "proto/mem.h"
#include "services/common/log.h"

#include <assert.h>
#include <stdlib.h>

#define KEY_PREFIX "binding:"
#define INDEX_KEY  "bindings"

enum {
	NUMBER_BYTES = 24,

	/* How often a change is decided anew: each time somebody else's change
	 * of this address of record succeeded. When all of BINDING_MAX devices
	 * come at once, as after a power cut, the last one loses that often to
	 * each of its requests; their deadline is the other bound. */
	ATTEMPTS_MAX = 8 * BINDING_MAX,

	/* A page is read again when some of it had ended, so that it is full;
	 * a list of nothing but ended ones gives up after so many. */
	PAGE_ATTEMPTS_MAX = 4,
};

struct bindings {
	struct loop *loop;
	struct cache *cache;
	/* Reused: a command's words are copied by the cache. */
	struct buffer key;
	struct buffer head;
	struct buffer tail;
	uint64_t corrupt_total;
	uint64_t retried_total;
};

/*
 * The refresh of the one binding there is, or the first. KEYS: value, index.
 * ARGV: head, CSeq as it is stored, seconds, tail. Answers 1: refreshed, 2: the
 * first; else what was found, {now, value}: of another contact or Call-ID,
 * several, or not newer. 0xce (206) is what a 32-bit number starts with; see
 * binding.h. Comparing with find() and numbers as bytes spare Redis strings
 * and conversions: the script is most of what a registration costs there.
 */
static const char refresh_script[] =
	"local head, seconds = ARGV[1], ARGV[3]\n"
	"local value = redis.call('GET', KEYS[1])\n"
	"local now = tonumber(redis.call('TIME')[1])\n"
	"local since, answer = now, 2\n"
	"if value then\n"
	"  local at = #head + 1\n"
	"  if #value < at + 14 or string.find(value, head, 1, true) ~= 1 then\n"
	"    return {now, value}\n"
	"  end\n"
	"  local a, old, b, ends, c, first =\n"
	"    struct.unpack('>BI4BI4BI4', value, at)\n"
	"  if a ~= 206 or b ~= 206 or c ~= 206 then\n"
	"    return {now, value}\n"
	"  end\n"
	"  if ends > now then\n"
	"    if struct.unpack('>I4', ARGV[2], 2) <= old then\n"
	"      return {now, value}\n"
	"    end\n"
	"    since, answer = first, 1\n"
	"  end\n"
	"else\n"
	"  redis.call('ZADD', KEYS[2], 0, KEYS[1])\n"
	"end\n"
	"redis.call('SETEX', KEYS[1], seconds, head .. ARGV[2] ..\n"
	"  struct.pack('>BI4BI4', 206, now + seconds, 206, since) .. ARGV[4])\n"
	"return answer\n";

/* {now, value}; KEYS: value. */
static const char read_script[] =
	"return {redis.call('TIME')[1], redis.call('GET', KEYS[1]) or ''}\n";

/*
 * Puts a value in the place of the one it was made from. KEYS: value, index.
 * ARGV: the old value, the new one and its seconds; empty: absent. Answers 1,
 * or {now, value} where it is another by now.
 */
static const char swap_script[] =
	"local value = redis.call('GET', KEYS[1]) or ''\n"
	"if value ~= ARGV[1] then\n"
	"  return {redis.call('TIME')[1], value}\n"
	"end\n"
	"if ARGV[2] == '' then\n"
	"  redis.call('DEL', KEYS[1])\n"
	"  redis.call('ZREM', KEYS[2], KEYS[1])\n"
	"else\n"
	"  if value == '' then redis.call('ZADD', KEYS[2], 0, KEYS[1]) end\n"
	"  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\n"
	"end\n"
	"return 1\n";

/* KEYS: the index. ARGV: first and last rank. */
static const char page_script[] =
	"return {redis.call('TIME')[1], redis.call('ZCARD', KEYS[1]),\n"
	"  redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2])}\n";

/* Takes keys that have ended out of the index. KEYS: the index, then they. A
 * registration that came in between has put its key back. */
static const char prune_script[] =
	"for i = 2, #KEYS do\n"
	"  if redis.call('EXISTS', KEYS[i]) == 0 then\n"
	"    redis.call('ZREM', KEYS[1], KEYS[i])\n"
	"  end\n"
	"end\n"
	"return 1\n";

struct bindings *bindings_new(struct loop *loop, struct cache *cache,
			      struct metrics *metrics)
{
	struct bindings *bindings = mem_alloc(sizeof(*bindings));

	bindings->loop = loop;
	bindings->cache = cache;
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
	buffer_fini(&bindings->key);
	buffer_fini(&bindings->head);
	buffer_fini(&bindings->tail);
	free(bindings);
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

static void run_swap(struct change *change, struct slice old,
		     const struct binding_set *set)
{
	struct bindings *bindings = change->bindings;
	struct number seconds;

	change->value.size = 0;
	if (set->count > 0)
		binding_set_encode(set, change->now_s, &change->value);

	const struct slice words[] = {
		key_of(bindings, change->aor),
		slice_str(INDEX_KEY),
		old,
		buffer_slice(&change->value),
		number_word(&seconds, longest_s(set)),
	};

	cache_script(bindings->cache, swap_script, words, 5, 2,
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
	run_swap(change, value, &set);
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

static void on_refresh(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	struct change *change = arg;

	if (code) {
		change_end(change, BINDING_SAME, NULL, code);
	} else if (is_number(reply, 1) || is_number(reply, 2)) {
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

static void run_read(struct change *change)
{
	struct bindings *bindings = change->bindings;
	const struct slice words[] = {key_of(bindings, change->aor)};

	cache_script(bindings->cache, read_script, words, 1, 1,
		     left_ms(bindings, change->deadline_ms), on_read, change);
}

static void run_refresh(struct change *change)
{
	struct bindings *bindings = change->bindings;
	const struct binding *contact = &change->contacts[0];
	struct number seconds;

	bindings->head.size = 0;
	bindings->tail.size = 0;
	binding_head_append(&bindings->head, contact);
	const size_t head_bytes = bindings->head.size;

	binding_number_append(&bindings->head, contact->cseq);
	binding_tail_append(&bindings->tail, contact);

	const struct slice words[] = {
		key_of(bindings, change->aor),
		slice_str(INDEX_KEY),
		slice_of(bindings->head.data, head_bytes),
		slice_of(bindings->head.data + head_bytes,
			 bindings->head.size - head_bytes),
		number_word(&seconds, contact->expires_s),
		buffer_slice(&bindings->tail),
	};

	cache_script(bindings->cache, refresh_script, words, 6, 2,
		     left_ms(bindings, change->deadline_ms), on_refresh,
		     change);
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
	if (own->wanted.count == 1 && own->contacts[0].expires_s > 0)
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
	struct slice words[1 + BINDINGS_PAGE_MAX] = {slice_str(INDEX_KEY)};
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
		slice_str(INDEX_KEY),
		number_word(&first, page->skip),
		number_word(&last, page->skip + page->top - 1),
	};

	arena_fini(&page->arena);
	page->answer = (struct bindings_page){0};
	cache_script(page->bindings->cache, page_script, words, 3, 1,
		     left_ms(page->bindings, page->deadline_ms), on_page, page);
}

void bindings_list(struct bindings *bindings, size_t skip, size_t top,
		   uint32_t deadline_ms, bindings_list_fn *done, void *arg)
{
	assert(top > 0 && top <= BINDINGS_PAGE_MAX);

	struct page *page = mem_alloc(sizeof(*page));

	page->bindings = bindings;
	page->done = done;
	page->arg = arg;
	page->deadline_ms = loop_now_ms(bindings->loop) + deadline_ms;
	page->skip = skip;
	page->top = top;
	run_page(page);
}
