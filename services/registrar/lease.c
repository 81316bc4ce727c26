#include "services/registrar/lease.h"

#include "proto/mem.h"
#include "services/common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	KEY_BYTES = 96,
	NUMBER_BYTES = 24,
	FIRST_SHARD_KEY = 1, /* KEYS before those of the parts */
	/* A stop does not wait longer for a Redis that is away. */
	RELEASE_DEADLINE_MS = 1000,
};

/*
 * KEYS: the members (a sorted set, by when they were last seen), the parts.
 * ARGV: owner, life in ms. Answers the indexes of the owner's parts.
 *
 * Parts of ours past our share are given up only while somebody else is there
 * to take them; a part is never taken from its owner.
 */
static const char script[] =
	"local now = redis.call('TIME')\n"
	"local ms = now[1] * 1000 + math.floor(now[2] / 1000)\n"
	"local ttl = tonumber(ARGV[2])\n"
	"redis.call('ZADD', KEYS[1], ms, ARGV[1])\n"
	"redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms - ttl)\n"
	"redis.call('PEXPIRE', KEYS[1], 2 * ttl)\n"
	"local members = redis.call('ZCARD', KEYS[1])\n"
	"local share = math.ceil((#KEYS - 1) / members)\n"
	"local mine = {}\n"
	"for i = 2, #KEYS do\n"
	"  if redis.call('GET', KEYS[i]) == ARGV[1] then\n"
	"    if #mine < share then\n"
	"      redis.call('PEXPIRE', KEYS[i], ttl)\n"
	"      mine[#mine + 1] = i - 2\n"
	"    else\n"
	"      redis.call('DEL', KEYS[i])\n"
	"    end\n"
	"  end\n"
	"end\n"
	"for i = 2, #KEYS do\n"
	"  if #mine >= share then break end\n"
	"  if redis.call('SET', KEYS[i], ARGV[1], 'NX', 'PX', ttl) then\n"
	"    mine[#mine + 1] = i - 2\n"
	"  end\n"
	"end\n"
	"return mine\n";

/* KEYS: the same. Answers how many members there are, and parts that are taken.
 */
static const char look_script[] =
	"return {redis.call('ZCARD', KEYS[1]),\n"
	"        redis.call('EXISTS', unpack(KEYS, 2))}\n";

static const char release_script[] =
	"redis.call('ZREM', KEYS[1], ARGV[1])\n"
	"for i = 2, #KEYS do\n"
	"  if redis.call('GET', KEYS[i]) == ARGV[1] then\n"
	"    redis.call('DEL', KEYS[i])\n"
	"  end\n"
	"end\n"
	"return 0\n";

struct call;

struct lease {
	struct cache *cache;
	struct agenda *agenda;
	const char *prefix;
	const char *owner;
	unsigned ttl_ms;
	lease_fn *fn;
	void *arg;
	struct agenda_entry entry;
	struct call *call;    /* under way */
	uint64_t renew_at_ms; /* agenda_now_ms(); before it is looked only */
	int64_t members;      /* when it was looked last */
	bool ours[LEASE_SHARDS];
	size_t count;
};

/* Outlives the lease, which may go first. */
struct call {
	struct lease *lease; /* NULL: gone */
};

unsigned lease_shard_of(int64_t id)
{
	const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(((uint64_t)id * golden) >> 58) % LEASE_SHARDS;
}

bool lease_holds(const struct lease *lease, unsigned shard)
{
	return lease->ours[shard];
}

size_t lease_count(const struct lease *lease)
{
	return lease->count;
}

static void tell(struct lease *lease, const bool ours[LEASE_SHARDS])
{
	size_t count = 0;

	for (unsigned i = 0; i < LEASE_SHARDS; i++)
		count += ours[i];
	if (count != lease->count)
		log_event(LOG_INFO, "registrar.lease", LOG_INT("parts", count),
			  LOG_INT("of", LEASE_SHARDS));
	lease->count = count;
	for (unsigned i = 0; i < LEASE_SHARDS; i++) {
		if (ours[i] == lease->ours[i])
			continue;
		lease->ours[i] = ours[i];
		lease->fn(lease->arg, i, ours[i]);
	}
}

/* The lease whose call it was, where it was answered with a list. */
static struct lease *
answered(struct call *call, const struct cache_reply *reply, enum err_code code)
{
	struct lease *lease = call->lease;

	free(call);
	if (!lease)
		return NULL;
	lease->call = NULL;
	return code == ERR_OK && reply->kind == CACHE_ARRAY ? lease : NULL;
}

static void on_renewed(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	struct lease *lease = answered(arg, reply, code);
	bool ours[LEASE_SHARDS] = {false};

	if (!lease)
		return;
	for (size_t i = 0; i < reply->count; i++) {
		const int64_t shard = reply->items[i].integer;

		if (shard >= 0 && shard < LEASE_SHARDS)
			ours[shard] = true;
	}
	tell(lease, ours);
}

/* The words of a script: keys, owner, life. */
struct words {
	char keys[FIRST_SHARD_KEY + LEASE_SHARDS][KEY_BYTES];
	char ttl[NUMBER_BYTES];
	struct slice list[FIRST_SHARD_KEY + LEASE_SHARDS + 2];
};

static void words_fill(const struct lease *lease, struct words *words)
{
	size_t count = 0;

	snprintf(words->keys[0], KEY_BYTES, "%sregistrars", lease->prefix);
	for (unsigned i = 0; i < LEASE_SHARDS; i++)
		snprintf(words->keys[FIRST_SHARD_KEY + i], KEY_BYTES,
			 "%sregistrar_part:%u", lease->prefix, i);
	for (; count < FIRST_SHARD_KEY + LEASE_SHARDS; count++)
		words->list[count] = slice_str(words->keys[count]);
	snprintf(words->ttl, sizeof(words->ttl), "%u", lease->ttl_ms);
	words->list[count++] = slice_str(lease->owner);
	words->list[count] = slice_str(words->ttl);
}

/* False: one is under way. */
static bool call_begin(struct lease *lease)
{
	if (lease->call)
		return false;
	lease->call = mem_alloc(sizeof(*lease->call));
	lease->call->lease = lease;
	return true;
}

void lease_renew(struct lease *lease)
{
	struct words words;

	if (!call_begin(lease))
		return;
	lease->renew_at_ms =
		agenda_now_ms(lease->agenda) + lease->ttl_ms / LEASE_RENEWALS;
	words_fill(lease, &words);
	cache_script(lease->cache, script, words.list,
		     sizeof(words.list) / sizeof(*words.list),
		     FIRST_SHARD_KEY + LEASE_SHARDS, lease->ttl_ms, on_renewed,
		     lease->call);
}

static void on_looked(void *arg, const struct cache_reply *reply,
		      enum err_code code)
{
	struct lease *lease = answered(arg, reply, code);

	if (!lease || reply->count != 2)
		return;
	const int64_t members = reply->items[0].integer;
	const int64_t taken = reply->items[1].integer;

	if (members == lease->members && taken == LEASE_SHARDS)
		return;
	lease->members = members;
	lease_renew(lease);
}

static unsigned look_ms(const struct lease *lease)
{
	const unsigned renewal_ms = lease->ttl_ms / LEASE_RENEWALS;

	return renewal_ms < LEASE_LOOK_MS ? renewal_ms : LEASE_LOOK_MS;
}

static void look(struct lease *lease)
{
	struct words words;

	if (!call_begin(lease))
		return;
	words_fill(lease, &words);
	/* An answer that comes later is in the way of the next. */
	cache_script(lease->cache, look_script, words.list,
		     FIRST_SHARD_KEY + LEASE_SHARDS,
		     FIRST_SHARD_KEY + LEASE_SHARDS, look_ms(lease), on_looked,
		     lease->call);
}

static void on_entry(void *arg)
{
	struct lease *lease = arg;

	if (agenda_now_ms(lease->agenda) >= lease->renew_at_ms)
		lease_renew(lease);
	else
		look(lease);
	agenda_set(lease->agenda, &lease->entry, look_ms(lease));
}

struct lease *lease_new(const struct lease_options *options)
{
	struct lease *lease = mem_alloc(sizeof(*lease));

	lease->cache = options->cache;
	lease->agenda = options->agenda;
	lease->prefix = options->prefix;
	lease->owner = options->owner;
	lease->ttl_ms = options->ttl_ms ? options->ttl_ms : LEASE_TTL_MS;
	lease->fn = options->fn;
	lease->arg = options->arg;
	lease->entry = (struct agenda_entry){.fn = on_entry, .arg = lease};
	agenda_set(lease->agenda, &lease->entry, 0);
	return lease;
}

static void end(struct lease *lease)
{
	if (lease->call)
		lease->call->lease = NULL;
	lease->call = NULL;
	agenda_clear(lease->agenda, &lease->entry);
}

void lease_release(struct lease *lease)
{
	struct words words;

	end(lease);
	words_fill(lease, &words);
	cache_script(lease->cache, release_script, words.list,
		     sizeof(words.list) / sizeof(*words.list),
		     FIRST_SHARD_KEY + LEASE_SHARDS, RELEASE_DEADLINE_MS, NULL,
		     NULL);
}

void lease_free(struct lease *lease)
{
	if (!lease)
		return;
	end(lease);
	free(lease);
}
