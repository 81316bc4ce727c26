#include "services/registrar/sip/nonce.h"

#include "services/common/secrets.h"

#include <criterion/criterion.h>
#include <string.h>

enum { NOW_S = 1800000000, LIFETIME_S = 300 };

static const unsigned char key[NONCE_KEY_BYTES] = "0123456789abcdef";

static void set_up(void)
{
	cr_assert(secrets_init());
}

TestSuite(sip_nonce, .init = set_up);

/* A nonce made at NOW_S and asked about later, of an equal replica. */
static const struct {
	const char *name;
	int64_t later_s;
	enum nonce_verdict verdict;
} ages[] = {
	{"at once", 0, NONCE_GOOD},
	{"just in time", LIFETIME_S - 1, NONCE_GOOD},
	{"too late", LIFETIME_S, NONCE_STALE},
	{"a year on", 31536000, NONCE_STALE},
	{"a clock behind", -NONCE_SKEW_S, NONCE_GOOD},
	{"a clock far behind", -NONCE_SKEW_S - 1, NONCE_STALE},
};

Test(sip_nonce, age_at_another_replica)
{
	struct nonce_signer *maker = nonce_signer_new(key, LIFETIME_S);
	struct nonce_signer *checker = nonce_signer_new(key, LIFETIME_S);
	char nonce[NONCE_BYTES];

	nonce_make(maker, NOW_S, nonce);
	for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		struct nonce_stamp stamp = {0};

		cr_expect_eq(nonce_check(checker, slice_str(nonce),
					 NOW_S + ages[i].later_s, &stamp),
			     ages[i].verdict, "%s", ages[i].name);
		cr_expect_eq(stamp.issued_s, NOW_S, "%s", ages[i].name);
	}
	nonce_signer_free(maker);
	nonce_signer_free(checker);
}

Test(sip_nonce, each_is_another)
{
	struct nonce_signer *a = nonce_signer_new(key, LIFETIME_S);
	struct nonce_signer *b = nonce_signer_new(key, LIFETIME_S);
	char nonces[3][NONCE_BYTES];

	nonce_make(a, NOW_S, nonces[0]);
	nonce_make(a, NOW_S, nonces[1]);
	nonce_make(b, NOW_S, nonces[2]);
	cr_expect_str_neq(nonces[0], nonces[1]);
	cr_expect_str_neq(nonces[0], nonces[2]);
	cr_expect_str_neq(nonces[1], nonces[2]);
	nonce_signer_free(a);
	nonce_signer_free(b);
}

/* No digit can be another one. */
Test(sip_nonce, changed_is_forged)
{
	struct nonce_signer *signer = nonce_signer_new(key, LIFETIME_S);
	struct nonce_stamp stamp;
	char nonce[NONCE_BYTES];

	nonce_make(signer, NOW_S, nonce);
	for (size_t i = 0; i < NONCE_BYTES - 1; i++) {
		const char was = nonce[i];

		nonce[i] = was == '0' ? '1' : '0';
		cr_expect_eq(
			nonce_check(signer, slice_str(nonce), NOW_S, &stamp),
			NONCE_FORGED, "digit %zu", i);
		nonce[i] = was;
	}
	cr_expect_eq(nonce_check(signer, slice_str(nonce), NOW_S, &stamp),
		     NONCE_GOOD);
	nonce_signer_free(signer);
}

Test(sip_nonce, of_others_is_forged)
{
	static const char *const others[] = {
		"", "x", "dcd98b7102dd2f0e8b11d0f600bfb0c093",
		"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
		"00000000000000000000000000000000000000000000000000000000"};
	struct nonce_signer *ours = nonce_signer_new(key, LIFETIME_S);
	struct nonce_signer *theirs = nonce_signer_new(
		(const unsigned char *)"another key of 16", LIFETIME_S);
	struct nonce_stamp stamp;
	char nonce[NONCE_BYTES];

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_eq(
			nonce_check(ours, slice_str(others[i]), NOW_S, &stamp),
			NONCE_FORGED, "%s", others[i]);
	nonce_make(theirs, NOW_S, nonce);
	cr_expect_eq(nonce_check(ours, slice_str(nonce), NOW_S, &stamp),
		     NONCE_FORGED);
	/* One nonce has one text, or its count could be started anew. */
	nonce_make(ours, NOW_S, nonce);
	for (char *c = nonce; *c; c++)
		*c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
	cr_expect_eq(nonce_check(ours, slice_str(nonce), NOW_S, &stamp),
		     NONCE_FORGED);
	nonce_signer_free(ours);
	nonce_signer_free(theirs);
}

/* The uses of one nonce, in turn. */
static const struct {
	const char *name;
	uint32_t count;
	enum nonce_use use;
} uses[] = {
	{"zero is no count", 0, NONCE_REPLAYED},
	{"the first", 1, NONCE_FRESH},
	{"again", 1, NONCE_REPLAYED},
	{"the next", 2, NONCE_FRESH},
	{"one back", 1, NONCE_REPLAYED},
	{"a gap", 9, NONCE_FRESH},
	{"into the gap", 5, NONCE_REPLAYED},
	{"once and for all", NONCE_COUNT_ONCE, NONCE_FRESH},
	{"once more", NONCE_COUNT_ONCE, NONCE_REPLAYED},
	{"after all", 10, NONCE_REPLAYED},
};

Test(sip_nonce, counts_go_up)
{
	struct nonce_window *window = nonce_window_new(100, LIFETIME_S);
	struct nonce_stamp stamp = {.number = 7, .issued_s = NOW_S};
	struct nonce_stamp other = {.number = 8, .issued_s = NOW_S};

	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		cr_expect_eq(
			nonce_window_use(window, &stamp, uses[i].count, NOW_S),
			uses[i].use, "%s", uses[i].name);
	cr_expect_eq(nonce_window_use(window, &other, 1, NOW_S), NONCE_FRESH);
	nonce_window_free(window);
}

/* Of the nonces of one second nobody makes room; what is too old does. */
Test(sip_nonce, full_until_some_are_old)
{
	enum { NONCES = 64 };
	struct nonce_window *window = nonce_window_new(NONCES, LIFETIME_S);
	struct nonce_stamp stamp = {.issued_s = NOW_S};
	size_t taken = 0;

	for (stamp.number = 0;
	     nonce_window_use(window, &stamp, 1, NOW_S) == NONCE_FRESH;
	     stamp.number++)
		taken++;
	cr_expect_geq(taken, NONCES);
	cr_expect_leq(taken, (size_t)2 * NONCES);
	for (stamp.number = 0; stamp.number < taken; stamp.number++)
		cr_expect_eq(nonce_window_use(window, &stamp, 1, NOW_S),
			     NONCE_REPLAYED);
	cr_expect_eq(nonce_window_use(window, &stamp, 1, NOW_S), NONCE_FULL);
	/* Known ones go on meanwhile. */
	stamp.number = 0;
	cr_expect_eq(nonce_window_use(window, &stamp, 2, NOW_S), NONCE_FRESH);
	stamp = (struct nonce_stamp){.number = taken,
				     .issued_s = NOW_S + LIFETIME_S};
	cr_expect_eq(nonce_window_use(window, &stamp, 1, NOW_S + LIFETIME_S),
		     NONCE_FRESH);
	nonce_window_free(window);
}

/* Many times more than there is room for within a lifetime: new ones are taken
 * all the same, and what made room for them cannot be used again. */
Test(sip_nonce, old_ones_make_room)
{
	enum { NONCES = 64, SECONDS = 50 };
	struct nonce_window *window = nonce_window_new(NONCES, LIFETIME_S);
	struct nonce_stamp stamp = {0};
	size_t stale = 0;

	for (uint32_t s = 0; s < SECONDS; s++)
		for (int i = 0; i < NONCES; i++, stamp.number++) {
			stamp.issued_s = NOW_S + s;
			cr_expect_eq(
				nonce_window_use(window, &stamp, 1, NOW_S + s),
				NONCE_FRESH);
		}
	for (stamp.number = 0; stamp.number < (uint64_t)SECONDS * NONCES;
	     stamp.number++) {
		stamp.issued_s = NOW_S + (uint32_t)(stamp.number / NONCES);

		enum nonce_use use =
			nonce_window_use(window, &stamp, 1, NOW_S + SECONDS);

		cr_expect_neq(use, NONCE_FRESH);
		stale += use == NONCE_FULL;
	}
	cr_expect_geq(stale, (size_t)(SECONDS - 4) * NONCES);
	nonce_window_free(window);
}

/* Numbers spread by chance, as those of several replicas are. */
Test(sip_nonce, window_holds_about_what_it_says)
{
	enum { NONCES = 10000 };
	struct nonce_window *window = nonce_window_new(NONCES, LIFETIME_S);
	struct nonce_stamp stamp = {.issued_s = NOW_S};
	size_t full = 0;

	for (uint64_t i = 0; i < NONCES; i++) {
		stamp.number = i * UINT64_C(0x9e3779b97f4a7c15) >> 7;
		full += nonce_window_use(window, &stamp, 1, NOW_S) ==
			NONCE_FULL;
	}
	cr_expect_leq(full, NONCES / 100);
	nonce_window_free(window);
}
