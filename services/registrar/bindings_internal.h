#ifndef REGISTRAR_BINDINGS_INTERNAL_H
#define REGISTRAR_BINDINGS_INTERNAL_H

/*
 * What the parts of bindings.h share: bindings.c has a change decided here and
 * put in place, refresh.c the refreshes that Redis decides, many at once,
 * bindings_list.c what is read.
 */

#include "proto/buffer.h"
#include "services/common/secrets.h"
#include "services/registrar/bindings.h"
#include "services/registrar/known.h"
#include "services/registrar/sip/table.h"

#define BINDINGS_KEY_PREFIX "binding:"
#define BINDINGS_INDEX_KEY  "bindings"
#define BINDINGS_OWNER_KEY  "bindings:" /* and a tenant's id */

/*
 * Who has changed bindings last: the claim of a registrar. Every script that
 * changes one sees to it that its registrar's claim stands here, by a new one
 * where another's did. So as long as a claim stands, what its registrar knows
 * is true, and once it does not, it never stands again.
 */
#define BINDINGS_CLAIM_KEY "bindings:claim"

/* How a script does so, before it writes. KEYS[1]: the claim's; ARGV[1]: the
 * one there should be; ARGV[2]: the one to be made. It has `claimed` then: 1
 * where that was made, else 0. */
#define BINDINGS_LUA_CLAIM                                                     \
	"local claimed = 0\n"                                                  \
	"if redis.call('GET', KEYS[1]) ~= ARGV[1] then\n"                      \
	"  redis.call('SET', KEYS[1], ARGV[2])\n"                              \
	"  claimed = 1\n"                                                      \
	"end\n"

/* How a script begins that is not to be done late; ARGV[3]: the word of
 * bindings_limit_word(). It has `time` then. */
#define BINDINGS_LUA_LIMIT                                                     \
	"local time = redis.call('TIME')\n"                                    \
	"if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[3]) then\n"        \
	"  return time\n"                                                      \
	"end\n"

enum {
	BINDINGS_NUMBER_BYTES = 24,
	BINDINGS_NAME_BYTES = 16,
	BINDINGS_CLAIM_BYTES = 48,
};

/* A number as the words of a command have it. */
struct bindings_number {
	char text[BINDINGS_NUMBER_BYTES];
};

struct slice bindings_number_word(struct bindings_number *number,
				  uint64_t value);

/* Whole digits only, as Redis writes them; 0 for anything else. */
int64_t bindings_number_of(const struct cache_reply *reply);

/* The name of an index: that of a tenant, or with 0 that of all. */
struct bindings_index {
	char text[sizeof(BINDINGS_OWNER_KEY) + BINDINGS_NUMBER_BYTES];
};

struct slice bindings_index_word(struct bindings_index *name,
				 int64_t tenant_id);

/* Its score there: a tenant's users come first. */
struct slice bindings_score_word(const struct binding *binding);

/* The claim of a number. */
struct bindings_claim {
	char text[BINDINGS_CLAIM_BYTES];
};

struct slice bindings_claim_word(const struct bindings *bindings,
				 uint64_t number, struct bindings_claim *claim);

/* Refreshes that wait: their words, as they lie one behind the other in bytes.
 */
enum { REFRESH_WORDS_MAX = 5 };

struct refresh_item {
	struct change *change;
	size_t sizes[REFRESH_WORDS_MAX];
};

struct refresh_batch {
	size_t count, room;
	struct refresh_item *items; /* owned */
	struct buffer bytes;
};

struct bindings {
	struct loop *loop;
	struct cache *cache;
	/* Reused: the cache copies a command's words. */
	struct buffer key;
	struct buffer head;

	/* Changes under way that may write, but for renewals, by the hash of
	 * their address of record: nothing is known of it meanwhile. */
	struct sip_table writing;

	struct known *known;
	uint64_t connection; /* of the cache: it was learned by */
	uint64_t claim;	     /* and by this claim */
	uint64_t claims;     /* numbers given out */
	char name[2 * BINDINGS_NAME_BYTES + 1]; /* of this one, in its claims */
	unsigned char hash_key[SECRETS_TAG_KEY_BYTES];

	struct loop_timer *end; /* of the turn */
	struct refresh_batch compared, renewed;
	uint64_t guard;	      /* the connection that watches the claim, or 0 */
	uint64_t guard_asked; /* while it is asked for: the same */
	int64_t clock_ms;     /* the clock of Redis less that of the loop */
	bool clock_known;

	uint64_t corrupt_total;
	uint64_t retried_total;
	uint64_t renewed_total;
};

/* One change under way. What it was given is copied behind it. */
struct change {
	struct sip_link link; /* of `writing`, while it writes */
	bool writes;
	struct bindings *bindings;
	bindings_change_fn *done;
	void *arg;
	uint64_t deadline_ms; /* of the loop's clock */
	struct slice aor;
	struct binding_change wanted;
	unsigned attempts;

	/* A refresh: what is known once it is done. */
	struct known_binding then;

	/* What is put in the place of another value, and the claim that is
	 * made with it. */
	struct buffer value;
	uint64_t claim;
	int64_t now_s;
	enum binding_outcome outcome;
	struct binding contacts[];
};

/* What is left for the next step; the cache ends one that is too late. */
uint32_t bindings_left_ms(const struct bindings *bindings,
			  uint64_t deadline_ms);

/* The key of an address of record, good until the next one is asked for. */
struct slice bindings_key(struct bindings *bindings, struct slice aor);

/* From the seconds and microseconds that Redis tells. */
void bindings_clock_set(struct bindings *bindings,
			const struct cache_reply *time);

/* What its clock says now, as it was told last: since 1970 UTC. */
uint64_t bindings_now_ms(const struct bindings *bindings);

/* Until when Redis may do what is sent now, by its own clock: later its sender
 * was told that it failed, and may have gone to another registrar. */
struct slice bindings_limit_word(const struct bindings *bindings,
				 uint32_t left_ms,
				 struct bindings_number *number);

/* Whether a script came after that limit, so that it has done nothing. */
bool bindings_was_late(struct bindings *bindings,
		       const struct cache_reply *reply);

/* An empty value is none. False: it is no value; it counts as none too, and is
 * told. */
bool bindings_decode(struct bindings *bindings, struct slice aor,
		     struct slice value, int64_t now_s,
		     struct binding_set *out);

uint64_t bindings_hash(const struct bindings *bindings, struct slice text);

/* What is known no longer is. */
void bindings_forget(struct bindings *bindings);

/* A script has made this claim: what was known before it no longer is. */
void bindings_claimed(struct bindings *bindings, uint64_t number);

/* Something of ours may still come to be done, and late: the next to write
 * makes a new claim first, so that it is not. */
void bindings_disclaim(struct bindings *bindings);

/* The words of the claim there should be, and of one to be made where it is
 * not; returns the number of the latter. */
struct bindings_claims {
	struct bindings_claim now, next;
};

uint64_t bindings_claim_words(struct bindings *bindings,
			      struct bindings_claims *claims,
			      struct slice words[2]);

/* It may write from now on, and not what is known to be right. */
void bindings_change_writes(struct change *change);

/* No other is under way that may write to its address of record. */
bool bindings_change_alone(const struct change *change);

/* Calls done and frees. */
void bindings_change_end(struct change *change, enum binding_outcome outcome,
			 const struct binding_set *set, enum err_code code);

/* Goes on with what was found instead of what a script may change of itself:
 * {seconds, microseconds, value}; anything else is ERR_INTERNAL. */
void bindings_change_decide(struct change *change,
			    const struct cache_reply *reply);

/* Of one contact that stays, to be sent with the others of this turn. */
void refresh_add(struct change *change);

/* Sends what waits, but for renewals while others are under way. */
void refresh_flush(struct bindings *bindings);

/* Those that wait to be renewed are compared. */
void refresh_compare(struct bindings *bindings);

/* Sends what waits for an address of record, by its hash: what is sent after it
 * is done after it. */
void refresh_settle(struct bindings *bindings, uint64_t aor);

/* Of both batches, which are empty. */
void refresh_fini(struct bindings *bindings);

#endif
