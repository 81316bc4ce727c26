#include "services/registrar/bindings_internal.h"

#include "proto/mem.h"
#include "services/common/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/* How often a change is decided anew: each time somebody else's change
	 * of this address of record succeeded. When all of BINDING_MAX devices
	 * come at once, as after a power cut, the last one loses that often to
	 * each of its requests; their deadline is the other bound. */
	ATTEMPTS_MAX = 8 * BINDING_MAX,
};

/* {seconds, microseconds, value}; KEYS: value. */
static const char read_script[] =
	"local time = redis.call('TIME')\n"
	"return {time[1], time[2], redis.call('GET', KEYS[1]) or ''}\n";

/*
 * Puts a value in the place of the one it was made from. KEYS: claim, value,
 * index, owner's index. ARGV: the claim there should be and the one to be made
 * where it is not, the limit, the old value, the new one, its score in the
 * owner's index; an empty value: absent. Answers 0, or 1 with the new claim
 * made, or {seconds, microseconds, value} where it is another by now, or the
 * time alone after the limit. What an earlier version wrote is in no owner's
 * index yet.
 */
static const char swap_script[] = BINDINGS_LUA_LIMIT
	"local value = redis.call('GET', KEYS[2]) or ''\n"
	"if value ~= ARGV[4] then return {time[1], time[2], value} "
	"end\n" BINDINGS_LUA_CLAIM "if ARGV[5] == '' then\n"
	"  redis.call('DEL', KEYS[2])\n"
	"  redis.call('ZREM', KEYS[3], KEYS[2])\n"
	"  redis.call('ZREM', KEYS[4], KEYS[2])\n"
	"else\n"
	"  if value == '' then redis.call('ZADD', KEYS[3], 0, KEYS[2]) end\n"
	"  redis.call('ZADD', KEYS[4], ARGV[6], KEYS[2])\n"
	"  redis.call('SET', KEYS[2], ARGV[5])\n"
	"end\n"
	"return claimed\n";

static void on_turn_end(void *arg)
{
	refresh_flush(arg);
}

static void register_metrics(struct bindings *bindings, struct metrics *metrics)
{
	metrics_add(metrics, METRICS_COUNTER, "registrar_bindings_broken_total",
		    "Values in Redis that were no bindings.",
		    &bindings->corrupt_total);
	metrics_add(metrics, METRICS_COUNTER,
		    "registrar_bindings_retried_total",
		    "Changes decided anew, since another one came first.",
		    &bindings->retried_total);
	metrics_add(metrics, METRICS_COUNTER,
		    "registrar_bindings_renewed_total",
		    "Refreshes of what was known, written without a look.",
		    &bindings->renewed_total);
}

struct bindings *bindings_new(struct loop *loop, struct cache *cache,
			      struct metrics *metrics)
{
	struct bindings *bindings = mem_alloc(sizeof(*bindings));

	bindings->loop = loop;
	bindings->cache = cache;
	bindings->known = known_new();
	secrets_random(bindings->hash_key, sizeof(bindings->hash_key));
	secrets_random_hex(bindings->name, BINDINGS_NAME_BYTES);
	bindings->end = loop_timer_new(loop, on_turn_end, bindings);
	if (metrics)
		register_metrics(bindings, metrics);
	return bindings;
}

void bindings_free(struct bindings *bindings)
{
	if (!bindings)
		return;
	loop_timer_free(bindings->end);
	refresh_fini(bindings);
	buffer_fini(&bindings->key);
	buffer_fini(&bindings->head);
	sip_table_fini(&bindings->writing);
	known_free(bindings->known);
	free(bindings);
}

void bindings_flush(struct bindings *bindings)
{
	refresh_flush(bindings);
}

struct slice bindings_index_word(struct bindings_index *name, int64_t tenant_id)
{
	if (tenant_id <= 0)
		return slice_str(BINDINGS_INDEX_KEY);
	snprintf(name->text, sizeof(name->text), BINDINGS_OWNER_KEY "%" PRId64,
		 tenant_id);
	return slice_str(name->text);
}

struct slice bindings_score_word(const struct binding *binding)
{
	return slice_str(binding->tenant_id > 0 && binding->user_id == 0 ? "1"
									 : "0");
}

struct slice bindings_claim_word(const struct bindings *bindings,
				 uint64_t number, struct bindings_claim *claim)
{
	snprintf(claim->text, sizeof(claim->text), "%s %" PRIu64,
		 bindings->name, number);
	return slice_str(claim->text);
}

struct slice bindings_number_word(struct bindings_number *number,
				  uint64_t value)
{
	char *end = number->text + sizeof(number->text);
	char *at = end;

	do
		*--at = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	return slice_of(at, (size_t)(end - at));
}

int64_t bindings_number_of(const struct cache_reply *reply)
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

struct slice bindings_key(struct bindings *bindings, struct slice aor)
{
	bindings->key.size = 0;
	buffer_append_str(&bindings->key, BINDINGS_KEY_PREFIX);
	buffer_append_slice(&bindings->key, aor);
	return buffer_slice(&bindings->key);
}

uint64_t bindings_hash(const struct bindings *bindings, struct slice text)
{
	unsigned char tag[SECRETS_TAG_BYTES];
	uint64_t hash;

	secrets_tag(bindings->hash_key, text, tag);
	memcpy(&hash, tag, sizeof(hash));
	return hash;
}

bool bindings_decode(struct bindings *bindings, struct slice aor,
		     struct slice value, int64_t now_s, struct binding_set *out)
{
	out->count = 0;
	if (value.size == 0 || binding_set_decode(value, now_s, out))
		return true;
	bindings->corrupt_total++;
	log_event(LOG_ERROR, "registrar.binding_broken", LOG_SLICE("aor", aor),
		  LOG_INT("bytes", value.size));
	return false;
}

void bindings_clock_set(struct bindings *bindings,
			const struct cache_reply *time)
{
	bindings->clock_ms = bindings_number_of(&time[0]) * 1000 +
			     bindings_number_of(&time[1]) / 1000 -
			     (int64_t)loop_now_ms(bindings->loop);
	bindings->clock_known = true;
}

uint64_t bindings_now_ms(const struct bindings *bindings)
{
	return loop_now_ms(bindings->loop) + (uint64_t)bindings->clock_ms;
}

/* Before the clock is known there is none; what Lua takes for a number is exact
 * up to here. */
struct slice bindings_limit_word(const struct bindings *bindings,
				 uint32_t left_ms,
				 struct bindings_number *number)
{
	return bindings_number_word(
		number, bindings->clock_known
				? bindings_now_ms(bindings) + left_ms
				: UINT64_C(1) << 53);
}

bool bindings_was_late(struct bindings *bindings,
		       const struct cache_reply *reply)
{
	if (reply->kind != CACHE_ARRAY || reply->count != 2)
		return false;
	bindings_clock_set(bindings, reply->items);
	return true;
}

void bindings_forget(struct bindings *bindings)
{
	known_clear(bindings->known);
	refresh_compare(bindings);
}

/* What the old claim was watched for has come to pass. */
void bindings_claimed(struct bindings *bindings, uint64_t number)
{
	bindings->claim = number;
	bindings->guard = 0;
	bindings_forget(bindings);
}

/* A number that nobody makes a claim with. */
void bindings_disclaim(struct bindings *bindings)
{
	bindings_claimed(bindings, ++bindings->claims);
}

uint64_t bindings_claim_words(struct bindings *bindings,
			      struct bindings_claims *claims,
			      struct slice words[2])
{
	words[0] = bindings_claim_word(bindings, bindings->claim, &claims->now);
	words[1] = bindings_claim_word(bindings, ++bindings->claims,
				       &claims->next);
	return bindings->claims;
}

uint32_t bindings_left_ms(const struct bindings *bindings, uint64_t deadline_ms)
{
	const uint64_t now_ms = loop_now_ms(bindings->loop);

	return now_ms < deadline_ms ? (uint32_t)(deadline_ms - now_ms) : 1;
}

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

void bindings_change_writes(struct change *change)
{
	struct bindings *bindings = change->bindings;

	known_drop(bindings->known, change->link.hash);
	if (!change->writes)
		sip_table_add(&bindings->writing, &change->link,
			      change->link.hash);
	change->writes = true;
}

bool bindings_change_alone(const struct change *change)
{
	const struct sip_link *first =
		sip_table_first(&change->bindings->writing, change->link.hash);

	return !first || (first == &change->link && !sip_table_next(first));
}

void bindings_change_end(struct change *change, enum binding_outcome outcome,
			 const struct binding_set *set, enum err_code code)
{
	if (change->writes)
		sip_table_remove(&change->bindings->writing, &change->link);
	change->done(change->arg, outcome, code ? NULL : set, code);
	buffer_fini(&change->value);
	free(change);
}

static void on_swap(void *arg, const struct cache_reply *reply,
		    enum err_code code);

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
	const uint32_t left_ms =
		bindings_left_ms(bindings, change->deadline_ms);
	struct bindings_claims claims;
	struct bindings_index index;
	struct bindings_number limit;

	change->value.size = 0;
	if (set->count > 0)
		binding_set_encode(set, change->now_s, &change->value);

	struct slice words[] = {
		slice_str(BINDINGS_CLAIM_KEY),
		bindings_key(bindings, change->aor),
		slice_str(BINDINGS_INDEX_KEY),
		bindings_index_word(&index, owner->tenant_id),
		{0},
		{0},
		bindings_limit_word(bindings, left_ms, &limit),
		value,
		buffer_slice(&change->value),
		bindings_score_word(owner),
	};

	change->claim = bindings_claim_words(bindings, &claims, &words[4]);
	cache_script(bindings->cache, swap_script, words, 10, 4, left_ms,
		     on_swap, change);
}

void bindings_change_decide(struct change *change,
			    const struct cache_reply *reply)
{
	struct bindings *bindings = change->bindings;
	struct binding_set old, set;

	if (reply->kind != CACHE_ARRAY || reply->count != 3 ||
	    reply->items[2].kind != CACHE_STR) {
		bindings_change_end(change, BINDING_SAME, NULL, ERR_INTERNAL);
		return;
	}
	const struct slice value = reply->items[2].text;

	bindings_clock_set(bindings, reply->items);
	change->now_s = bindings_number_of(&reply->items[0]);
	bindings_decode(bindings, change->aor, value, change->now_s, &old);
	change->outcome =
		binding_merge(&old, &change->wanted, change->now_s, &set);
	switch (change->outcome) {
	case BINDING_SAME:
	case BINDING_OUT_OF_ORDER:
	case BINDING_FULL:
		bindings_change_end(change, change->outcome, &set, ERR_OK);
		return;
	case BINDING_REFRESHED:
	case BINDING_ADDED:
	case BINDING_REMOVED:
		break;
	}
	if (change->attempts++ == ATTEMPTS_MAX) {
		bindings_change_end(change, BINDING_SAME, NULL, ERR_CONFLICT);
		return;
	}
	bindings->retried_total += change->attempts > 1;
	run_swap(change, value, &old, &set);
}

/* What was put there, as it is read. */
static void swapped(struct change *change)
{
	struct binding_set set;

	bindings_decode(change->bindings, change->aor,
			buffer_slice(&change->value), change->now_s, &set);
	bindings_change_end(change, change->outcome, &set, ERR_OK);
}

static void on_swap(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct change *change = arg;

	if (code) {
		bindings_change_end(change, BINDING_SAME, NULL, code);
	} else if (reply->kind == CACHE_INT) {
		if (reply->integer != 0)
			bindings_claimed(change->bindings, change->claim);
		swapped(change);
	} else if (bindings_was_late(change->bindings, reply)) {
		bindings_change_end(change, BINDING_SAME, NULL,
				    ERR_UNAVAILABLE);
	} else {
		bindings_change_decide(change, reply);
	}
}

static void on_read(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct change *change = arg;

	if (code) {
		/* Nothing was changed, whatever went wrong. */
		bindings_change_end(change, BINDING_SAME, NULL,
				    code == ERR_INTERNAL ? code
							 : ERR_UNAVAILABLE);
		return;
	}
	bindings_change_decide(change, reply);
}

static void run_read(struct change *change)
{
	struct bindings *bindings = change->bindings;
	const struct slice words[] = {bindings_key(bindings, change->aor)};

	cache_script(bindings->cache, read_script, words, 1, 1,
		     bindings_left_ms(bindings, change->deadline_ms), on_read,
		     change);
}

void bindings_change(struct bindings *bindings, struct slice aor,
		     const struct binding_change *change, uint32_t deadline_ms,
		     bindings_change_fn *done, void *arg)
{
	assert(aor.size <= BINDINGS_AOR_BYTES && change->count <= BINDING_MAX);

	struct change *own = change_new(aor, change);
	const bool query = !change->drop && !change->all && change->count == 0;

	own->bindings = bindings;
	own->done = done;
	own->arg = arg;
	own->deadline_ms = loop_now_ms(bindings->loop) + deadline_ms;
	own->link.hash = bindings_hash(bindings, aor);
	if (!change->drop && change->count == 1 &&
	    change->contacts[0].expires_s > 0) {
		refresh_add(own);
		return;
	}
	/* What was admitted before goes before. */
	if (!query) {
		refresh_settle(bindings, own->link.hash);
		bindings_change_writes(own);
	}
	run_read(own);
}
