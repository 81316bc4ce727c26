#include "services/registrar/repeats.h"

#include "proto/mem.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/stream.h"
#include "services/registrar/sip/udp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Requests admitted within LIFETIME_S that are known again; one that is
	 * pushed out and sent again is challenged and comes back. 1.5 MiB. */
	PLACES = 65536,

	/* How long a request may be sent again over UDP: 64 * T1 (RFC 3261
	 * 17.1.2.2, timer F). */
	LIFETIME_S = 32,

	/* The longest message there is. */
	TEXT_BYTES = SIP_STREAM_MESSAGE_BYTES,

	WORD_BYTES = sizeof(uint64_t),
	PAIR_BYTES = 2 * WORD_BYTES,
	KEY_WORDS = 2 + TEXT_BYTES / WORD_BYTES,
};

static_assert((int)TEXT_BYTES >= (int)SIP_UDP_BYTES_MAX &&
		      TEXT_BYTES % PAIR_BYTES == 0,
	      "all that comes can be marked");

struct place {
	struct repeats_mark mark;
	int64_t at_s; /* 0: none */
};

struct repeats {
	struct place places[PLACES]; /* by the mark */
	uint64_t key[KEY_WORDS];
};

struct repeats *repeats_new(void)
{
	struct repeats *repeats = mem_alloc(sizeof(*repeats));

	secrets_random(repeats->key, sizeof(repeats->key));
	return repeats;
}

void repeats_free(struct repeats *repeats)
{
	free(repeats);
}

typedef unsigned __int128 sum128;

static sum128 pair_of(const uint64_t *key, uint64_t a, uint64_t b)
{
	return (sum128)(a + key[0]) * (b + key[1]);
}

/*
 * NH, the hash below UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC:
 * Fast and Secure Message Authentication", CRYPTO 1999), with words of 64 bits:
 * two texts that differ meet with a chance of 2^-64. It takes a fifth of what
 * SipHash does. Length and source are the first pair, so that texts of
 * different length differ in a pair that both have.
 */
struct repeats_mark repeats_mark(const struct repeats *repeats,
				 struct slice text,
				 const struct sip_endpoint *source)
{
	const uint64_t *key = repeats->key;
	const size_t size = text.size < TEXT_BYTES ? text.size : TEXT_BYTES;
	sum128 sum = pair_of(key, text.size, sip_endpoint_hash(source, 0));
	uint64_t words[2];
	size_t i = 0;

	for (; i + PAIR_BYTES <= size; i += PAIR_BYTES) {
		memcpy(words, text.data + i, PAIR_BYTES);
		sum += pair_of(key += 2, words[0], words[1]);
	}
	if (i < size) {
		memset(words, 0, PAIR_BYTES);
		memcpy(words, text.data + i, size - i);
		sum += pair_of(key + 2, words[0], words[1]);
	}
	return (struct repeats_mark){.low = (uint64_t)sum,
				     .high = (uint64_t)(sum >> 64)};
}

/* The middle bits of a product are the evenest. */
static size_t place_of(const struct repeats_mark *mark)
{
	return mark->high % PLACES;
}

bool repeats_has(const struct repeats *repeats, const struct repeats_mark *mark,
		 int64_t now_s)
{
	const struct place *place = &repeats->places[place_of(mark)];

	return place->at_s != 0 && place->mark.low == mark->low &&
	       place->mark.high == mark->high &&
	       now_s - place->at_s <= LIFETIME_S;
}

void repeats_add(struct repeats *repeats, const struct repeats_mark *mark,
		 int64_t now_s)
{
	repeats->places[place_of(mark)] =
		(struct place){.mark = *mark, .at_s = now_s};
}
