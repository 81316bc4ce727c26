#include "services/registrar/bindings_internal.h"

#include "proto/arena.h"
#include "proto/mem.h"

#include <assert.h>
#include <stdlib.h>

enum {
	/* Values read by one script that counts: some 200 us. */
	ONLINE_PAGE = 250,

	/* A page is read again when some of it had ended, so that it is full;
	 * a list of nothing but ended ones gives up after so many. */
	PAGE_ATTEMPTS_MAX = 4,
};

/* KEYS: the index. ARGV: first and last rank. */
static const char page_script[] =
	"return {redis.call('TIME')[1], redis.call('ZCARD', KEYS[1]),\n"
	"  redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2])}\n";

/* KEYS: a tenant's index. ARGV: the first rank of those of users, how many.
 * Answers {now, values}. */
static const char online_script[] =
	"local users = redis.call('ZCOUNT', KEYS[1], 0, 0)\n"
	"local last = math.min(users, ARGV[1] + ARGV[2]) - 1\n"
	"local now = redis.call('TIME')[1]\n"
	"if last < tonumber(ARGV[1]) then return {now, {}} end\n"
	"local keys = redis.call('ZRANGE', KEYS[1], ARGV[1], last)\n"
	"return {now, redis.call('MGET', unpack(keys))}\n";

/*
 * Takes out what has ended, if it is still what was seen. KEYS: claim, the
 * index of all, then of each its key and its owner's index. ARGV: the claim
 * there should be and the one to be made where it is not, then the value of
 * each; an empty value: absent. What is no text is not ours, and taken out of
 * the lists alone. Answers whether that claim was made.
 */
static const char prune_script[] = BINDINGS_LUA_CLAIM
	"for i = 3, #ARGV do\n"
	"  local key, owner = KEYS[2 * i - 3], KEYS[2 * i - 2]\n"
	"  local value = redis.pcall('GET', key)\n"
	"  if value == ARGV[i] then redis.call('DEL', key) end\n"
	"  if value == ARGV[i] or not value or type(value) == 'table' then\n"
	"    redis.call('ZREM', KEYS[2], key)\n"
	"    redis.call('ZREM', owner, key)\n"
	"  end\n"
	"end\n"
	"return claimed\n";

/* One page under way. */
struct page {
	struct bindings *bindings;
	bindings_list_fn *done;
	void *arg;
	uint64_t deadline_ms;
	struct bindings_index index_name;
	struct slice index;
	int64_t tenant_id;
	size_t skip, top;
	unsigned attempts;
	uint64_t claim;	    /* made with a removal */
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

static struct slice aor_of(struct slice key)
{
	const size_t prefix = sizeof(BINDINGS_KEY_PREFIX) - 1;

	return slice_of(key.data + prefix, key.size - prefix);
}

/* What has ended, by its place in the page. */
struct ended {
	size_t count;
	size_t at[BINDINGS_PAGE_MAX];
};

/* Where the domain of one tenant becomes another's, its list may still have
 * what is that one's by now. */
static bool is_of(int64_t tenant_id, const struct binding_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].tenant_id == tenant_id)
			return true;
	return tenant_id == 0;
}

/* Those that have bindings become entries. What cannot be read may be
 * another's: it stays where it is. */
static void page_fill(struct page *page, const struct cache_reply *values,
		      struct ended *ended)
{
	struct bindings_entry *entries =
		arena_alloc(&page->arena, page->key_count * sizeof(*entries));

	for (size_t i = 0; i < values->count; i++) {
		struct bindings_entry *entry = &entries[page->answer.count];

		entry->aor = aor_of(page->keys[i]);
		if (!bindings_decode(page->bindings, entry->aor,
				     values->items[i].text, page->now_s,
				     &entry->set))
			continue;
		if (entry->set.count == 0)
			ended->at[ended->count++] = i;
		else if (is_of(page->tenant_id, &entry->set))
			page->answer.count++;
	}
	page->answer.entries = entries;
	page->answer.ended = ended->count;
}

static void on_prune(void *arg, const struct cache_reply *reply,
		     enum err_code code)
{
	struct page *page = arg;

	if (code) {
		page_fail(page, code);
		return;
	}
	if (bindings_number_of(reply) != 0)
		bindings_claimed(page->bindings, page->claim);
	run_page(page);
}

/* Whose it was, for what is not there any more that of the list. */
static struct slice owner_word(const struct page *page, struct slice value,
			       struct bindings_index *name)
{
	struct binding_set set;

	if (value.size == 0 || !binding_set_decode(value, 0, &set) ||
	    set.count == 0)
		return page->index;
	return bindings_index_word(name, set.items[0].tenant_id);
}

/* A refresh that waits goes first: then it is not what was seen. */
static void settle(struct bindings *bindings, struct slice aor)
{
	const uint64_t hash = bindings_hash(bindings, aor);

	refresh_settle(bindings, hash);
	known_drop(bindings->known, hash);
}

static void run_prune(struct page *page, const struct cache_reply *values,
		      const struct ended *ended)
{
	struct slice words[4 + 3 * BINDINGS_PAGE_MAX];
	struct slice *keys = words;
	struct slice *arguments = words + 2 + 2 * ended->count;
	struct bindings_index owners[BINDINGS_PAGE_MAX];
	struct bindings_claims claims;

	for (size_t i = 0; i < ended->count; i++)
		settle(page->bindings, aor_of(page->keys[ended->at[i]]));
	*keys++ = slice_str(BINDINGS_CLAIM_KEY);
	*keys++ = slice_str(BINDINGS_INDEX_KEY);
	page->claim = bindings_claim_words(page->bindings, &claims, arguments);
	arguments += 2;
	for (size_t i = 0; i < ended->count; i++) {
		const struct slice value = values->items[ended->at[i]].text;

		*keys++ = page->keys[ended->at[i]];
		*keys++ = owner_word(page, value, &owners[i]);
		*arguments++ = value;
	}
	cache_script(page->bindings->cache, prune_script, words,
		     (size_t)(arguments - words), 2 + 2 * ended->count,
		     bindings_left_ms(page->bindings, page->deadline_ms),
		     on_prune, page);
}

static void on_values(void *arg, const struct cache_reply *reply,
		      enum err_code code)
{
	struct page *page = arg;
	struct ended ended = {0};

	if (code) {
		page_fail(page, code);
		return;
	}
	if (reply->kind != CACHE_ARRAY || reply->count != page->key_count) {
		page_end(page, ERR_INTERNAL);
		return;
	}
	page_fill(page, reply, &ended);
	if (ended.count > 0 && ++page->attempts < PAGE_ATTEMPTS_MAX)
		run_prune(page, reply, &ended);
	else
		page_end(page, ERR_OK);
}

static void run_values(struct page *page)
{
	struct slice words[1 + BINDINGS_PAGE_MAX] = {slice_str("MGET")};

	for (size_t i = 0; i < page->key_count; i++)
		words[1 + i] = page->keys[i];
	cache_run(page->bindings->cache, words, 1 + page->key_count,
		  bindings_left_ms(page->bindings, page->deadline_ms),
		  on_values, page);
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
		    !slice_starts(key, slice_str(BINDINGS_KEY_PREFIX)))
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
	page->now_s = bindings_number_of(&reply->items[0]);
	page->answer.total = (size_t)bindings_number_of(&reply->items[1]);
	page->answer.keys = reply->items[2].count;
	keep_keys(page, &reply->items[2]);
	if (page->key_count == 0)
		page_end(page, ERR_OK);
	else
		run_values(page);
}

static void run_page(struct page *page)
{
	struct bindings_number first, last;
	const struct slice words[] = {
		page->index,
		bindings_number_word(&first, page->skip),
		bindings_number_word(&last, page->skip + page->top - 1),
	};

	arena_fini(&page->arena);
	page->answer = (struct bindings_page){0};
	cache_script(page->bindings->cache, page_script, words, 3, 1,
		     bindings_left_ms(page->bindings, page->deadline_ms),
		     on_page, page);
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
	page->index = bindings_index_word(&page->index_name, tenant_id);
	page->tenant_id = tenant_id;
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
	int64_t tenant_id;
	struct bindings_index index_name;
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

static size_t count_live(const struct online *online, int64_t now_s,
			 const struct cache_reply *values)
{
	struct binding_set set;
	size_t count = 0;

	for (size_t i = 0; i < values->count; i++) {
		bindings_decode(online->bindings, (struct slice){0},
				values->items[i].text, now_s, &set);
		count += set.count > 0 && is_of(online->tenant_id, &set);
	}
	return count;
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
	if (reply->kind != CACHE_ARRAY || reply->count != 2 ||
	    reply->items[1].kind != CACHE_ARRAY) {
		online_end(online, ERR_INTERNAL);
		return;
	}
	const struct cache_reply *values = &reply->items[1];

	online->users += count_live(
		online, bindings_number_of(&reply->items[0]), values);
	online->first += values->count;
	if (values->count < ONLINE_PAGE)
		online_end(online, ERR_OK);
	else
		run_online(online);
}

static void run_online(struct online *online)
{
	struct bindings_number first, count;
	const struct slice words[] = {
		online->index,
		bindings_number_word(&first, online->first),
		bindings_number_word(&count, ONLINE_PAGE),
	};

	cache_script(online->bindings->cache, online_script, words, 3, 1,
		     bindings_left_ms(online->bindings, online->deadline_ms),
		     on_online, online);
}

void bindings_online(struct bindings *bindings, int64_t tenant_id,
		     uint32_t deadline_ms, bindings_online_fn *done, void *arg)
{
	struct online *online = mem_alloc(sizeof(*online));

	online->bindings = bindings;
	online->done = done;
	online->arg = arg;
	online->deadline_ms = loop_now_ms(bindings->loop) + deadline_ms;
	online->tenant_id = tenant_id;
	online->index = bindings_index_word(&online->index_name, tenant_id);
	run_online(online);
}
