#include "services/registrar/sip/nonce.h"

#include "proto/mem.h"
#include "services/common/secrets.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

enum {
	ISSUED_BYTES = 4, /* seconds since 1970, good until 2106 */
	NUMBER_BYTES = 8,
	STAMP_BYTES = ISSUED_BYTES + NUMBER_BYTES,
	RAW_BYTES = STAMP_BYTES + SECRETS_TAG_BYTES,
	HEX_BYTES = 2 * RAW_BYTES,
	LIFETIME_MAX_S = 86400,
	/* A bucket is two cache lines, and on average half full when the window
	 * is: then hardly any overflows, even where the numbers in use, parts
	 * of the replicas' counters, are spread by chance. */
	BUCKET_PLACES = 8,
	BUCKET_NONCES = 4,
};

static_assert(HEX_BYTES + 1 == NONCE_BYTES, "a nonce fits exactly");
static_assert((int)NONCE_KEY_BYTES == (int)SECRETS_TAG_KEY_BYTES,
	      "a key is a key");

struct nonce_signer {
	unsigned char key[NONCE_KEY_BYTES];
	uint32_t lifetime_s;
	/* Starts anywhere in 64 bits and counts up: two replicas, or two runs
	 * of one, do not meet. */
	uint64_t number;
};

/* A nonce in use. */
struct place {
	uint64_t number;
	uint32_t issued_s;
	uint32_t count; /* the highest seen; 0: the place is empty */
};

struct nonce_window {
	uint32_t lifetime_s;
	size_t buckets;
	struct place *places; /* owned; BUCKET_PLACES for each bucket */
	/* Owned; of each bucket, when the youngest nonce was issued that had
	 * to make room. One as old that is not found may have been used. */
	uint32_t *forgotten_s;
};

struct nonce_signer *nonce_signer_new(const unsigned char *key,
				      uint32_t lifetime_s)
{
	struct nonce_signer *signer = mem_alloc(sizeof(*signer));

	assert(lifetime_s > 0 && lifetime_s <= LIFETIME_MAX_S);
	memcpy(signer->key, key, sizeof(signer->key));
	signer->lifetime_s = lifetime_s;
	secrets_random(&signer->number, sizeof(signer->number));
	return signer;
}

void nonce_signer_free(struct nonce_signer *signer)
{
	if (!signer)
		return;
	secrets_wipe(signer, sizeof(*signer));
	free(signer);
}

static void big_endian_put(unsigned char *out, uint64_t value, size_t size)
{
	for (size_t i = size; i-- > 0; value >>= 8)
		out[i] = (unsigned char)value;
}

static uint64_t big_endian_get(const unsigned char *in, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | in[i];
	return value;
}

static void stamp_tag(const struct nonce_signer *signer,
		      const unsigned char *raw, unsigned char *tag)
{
	secrets_tag(signer->key, slice_of(raw, STAMP_BYTES), tag);
}

void nonce_make(struct nonce_signer *signer, int64_t now_s,
		char out[NONCE_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[RAW_BYTES];

	big_endian_put(raw, (uint32_t)now_s, ISSUED_BYTES);
	big_endian_put(raw + ISSUED_BYTES, signer->number++, NUMBER_BYTES);
	stamp_tag(signer, raw, raw + STAMP_BYTES);
	for (size_t i = 0; i < RAW_BYTES; i++) {
		out[2 * i] = digits[raw[i] >> 4];
		out[2 * i + 1] = digits[raw[i] & 15];
	}
	out[NONCE_BYTES - 1] = '\0';
}

/* What a digit is worth, and one more; 0: it is none. Lower case only: one
 * nonce has one text. */
static const unsigned char digit_worths[UCHAR_MAX + 1] = {
	['0'] = 1,  ['1'] = 2,	['2'] = 3,  ['3'] = 4,	['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,	['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

static bool raw_decode(struct slice nonce, unsigned char raw[RAW_BYTES])
{
	const unsigned char *hex = (const unsigned char *)nonce.data;

	if (nonce.size != HEX_BYTES)
		return false;
	for (size_t i = 0; i < RAW_BYTES; i++) {
		const unsigned high = digit_worths[hex[2 * i]];
		const unsigned low = digit_worths[hex[2 * i + 1]];

		if (high == 0 || low == 0)
			return false;
		raw[i] = (unsigned char)((high - 1) << 4 | (low - 1));
	}
	return true;
}

enum nonce_verdict nonce_check(const struct nonce_signer *signer,
			       struct slice nonce, int64_t now_s,
			       struct nonce_stamp *stamp)
{
	unsigned char raw[RAW_BYTES];
	unsigned char tag[SECRETS_TAG_BYTES];

	if (!raw_decode(nonce, raw))
		return NONCE_FORGED;
	stamp_tag(signer, raw, tag);
	if (!secrets_equal(tag, raw + STAMP_BYTES, sizeof(tag)))
		return NONCE_FORGED;
	stamp->issued_s = (uint32_t)big_endian_get(raw, ISSUED_BYTES);
	stamp->number = big_endian_get(raw + ISSUED_BYTES, NUMBER_BYTES);

	const int64_t age_s = now_s - (int64_t)stamp->issued_s;

	return age_s < -NONCE_SKEW_S || age_s >= (int64_t)signer->lifetime_s
		       ? NONCE_STALE
		       : NONCE_GOOD;
}

struct nonce_window *nonce_window_new(size_t nonces, uint32_t lifetime_s)
{
	struct nonce_window *window = mem_alloc(sizeof(*window));

	assert(nonces > 0);
	window->lifetime_s = lifetime_s;
	window->buckets = (nonces + BUCKET_NONCES - 1) / BUCKET_NONCES;
	window->places = mem_alloc(window->buckets * BUCKET_PLACES *
				   sizeof(*window->places));
	window->forgotten_s =
		mem_alloc(window->buckets * sizeof(*window->forgotten_s));
	return window;
}

void nonce_window_free(struct nonce_window *window)
{
	if (!window)
		return;
	free(window->places);
	free(window->forgotten_s);
	free(window);
}

/* As long as nonce_check() may call it good, whatever replica's clock it was
 * made by: nothing is added for the skew, since age is by our clock in both. */
static bool place_is_free(const struct nonce_window *window,
			  const struct place *place, int64_t now_s)
{
	return place->count == 0 ||
	       now_s - (int64_t)place->issued_s >= (int64_t)window->lifetime_s;
}

static struct place *place_find(struct place *bucket,
				const struct nonce_stamp *stamp)
{
	for (struct place *p = bucket; p < bucket + BUCKET_PLACES; p++)
		if (p->count != 0 && p->number == stamp->number &&
		    p->issued_s == stamp->issued_s)
			return p;
	return NULL;
}

/* The one that has been there longest, by when it was issued. */
static struct place *place_oldest(struct place *bucket)
{
	struct place *oldest = bucket;

	for (struct place *p = bucket; p < bucket + BUCKET_PLACES; p++) {
		if (p->count == 0)
			return p;
		if (p->issued_s < oldest->issued_s)
			oldest = p;
	}
	return oldest;
}

enum nonce_use nonce_window_use(struct nonce_window *window,
				const struct nonce_stamp *stamp, uint32_t count,
				int64_t now_s)
{
	const size_t index = stamp->number % window->buckets;
	struct place *bucket = window->places + index * BUCKET_PLACES;
	struct place *place = place_find(bucket, stamp);

	/* RFC 7616 3.4: the first use of a nonce counts as 1. */
	if (count == 0 || (place && count <= place->count))
		return NONCE_REPLAYED;
	if (place) {
		place->count = count;
		return NONCE_FRESH;
	}
	if (stamp->issued_s <= window->forgotten_s[index])
		return NONCE_FULL;
	place = place_oldest(bucket);
	if (!place_is_free(window, place, now_s)) {
		if (place->issued_s >= stamp->issued_s)
			return NONCE_FULL;
		window->forgotten_s[index] = place->issued_s;
	}
	*place = (struct place){.number = stamp->number,
				.issued_s = stamp->issued_s,
				.count = count};
	return NONCE_FRESH;
}
