#include "gateway/rate.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* Small, so that a test can use it up. */
enum { LIMIT = 5 };

/* Some time since the machine started. */
#define START_MS ((uint64_t)1000 * 1000)

#define HOME "192.0.2.1"
#define AWAY "192.0.2.2"

/* The limiter of a test, with a clock. */
static struct metrics metrics;
static struct rate *rate;
static uint64_t now_ms;

static void set_up(void)
{
	cr_assert(secrets_init());
	metrics = (struct metrics){0};
	rate = rate_new(LIMIT, &metrics);
	now_ms = START_MS;
}

static void tear_down(void)
{
	rate_free(rate);
}

TestSuite(rate, .init = set_up, .fini = tear_down);

/* A request with a token from an address, whose token is then proved. */
static uint32_t ask(const char *token, const char *address, bool good)
{
	struct rate_charge charge;
	uint32_t wait_s =
		rate_token(rate, slice_str(token), address, now_ms, &charge);

	return wait_s > 0 ? wait_s
			  : rate_proved(rate, &charge, address, good, now_ms);
}

static uint32_t anonymous(const char *address)
{
	return rate_address(rate, address, now_ms);
}

/* How many of an address are let through from now on; the bound is for a fault
 * that lets through all. */
static uint32_t left_of(const char *address)
{
	uint32_t count = 0;

	while (count < 2 * LIMIT && anonymous(address) == 0)
		count++;
	return count;
}

static uint32_t left_of_token(const char *token, const char *address)
{
	uint32_t count = 0;

	while (count < 2 * LIMIT && ask(token, address, true) == 0)
		count++;
	return count;
}

static uint64_t limited(void)
{
	return *metrics.entries[0].value;
}

/* ---- the window ---- */

struct moment {
	const char *name;
	uint64_t after_ms; /* the first request */
	uint32_t wait_s;   /* of one too many; 0: it is let through */
};

static const struct moment moments[] = {
	{"at once", 0, 60},
	{"a millisecond later", 1, 60},
	{"a second later", 1000, 59},
	{"past a second", 1001, 59},
	{"in the middle", 30500, 30},
	{"the last second", 59000, 1},
	{"the last millisecond", 59999, 1},
	{"the end", 60000, 0},
	{"later", 1000000, 0},
};

Test(rate, waits_until_the_window_ends)
{
	for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
		const struct moment *moment = &moments[i];
		char address[24], token[24];

		snprintf(address, sizeof(address), "198.51.100.%zu", i);
		snprintf(token, sizeof(token), "token%zu", i);
		now_ms = START_MS;
		cr_expect_eq(left_of(address), LIMIT, "%s", moment->name);
		cr_expect_eq(left_of_token(token, AWAY), LIMIT, "%s",
			     moment->name);
		now_ms += moment->after_ms;
		cr_expect_eq(anonymous(address), moment->wait_s, "%s",
			     moment->name);
		cr_expect_eq(ask(token, AWAY, true), moment->wait_s, "%s",
			     moment->name);
	}
}

/* The wait that is told is the shortest: not earlier, and then all again. */
Test(rate, wait_is_enough)
{
	cr_assert_eq(left_of(HOME), LIMIT);
	now_ms += 1;
	now_ms += (uint64_t)(anonymous(HOME) - 1) * 1000;
	cr_expect_eq(anonymous(HOME), 1);
	now_ms += 1000;
	cr_expect_eq(left_of(HOME), LIMIT);
}

/* The window is the first request's, however late the last one came. */
Test(rate, window_does_not_slide)
{
	anonymous(HOME);
	now_ms += RATE_WINDOW_MS - 1;
	cr_expect_eq(left_of(HOME), LIMIT - 1);
	now_ms += 1;
	cr_expect_eq(left_of(HOME), LIMIT);
}

Test(rate, refused_ones_are_counted)
{
	cr_expect_str_eq(metrics.entries[0].name, "rate_limited_total");
	left_of(HOME); /* the last is refused */
	cr_expect_eq(limited(), 1);
	ask("good", HOME, true);
	cr_expect_eq(limited(), 2);
	left_of_token("good", AWAY);
	cr_expect_eq(limited(), 3);
}

Test(rate, zero_is_no_limit)
{
	rate_free(rate);
	metrics = (struct metrics){0};
	rate = rate_new(0, &metrics);
	for (int i = 0; i < 100 * LIMIT; i++) {
		cr_expect_eq(anonymous(HOME), 0);
		cr_expect_eq(ask("good", HOME, true), 0);
		cr_expect_eq(ask("bad", HOME, false), 0);
	}
	cr_expect_eq(limited(), 0);
}

/* ---- what counts on whom ---- */

Test(rate, each_token_has_its_own)
{
	cr_expect_eq(left_of_token("one", HOME), LIMIT);
	cr_expect_eq(left_of_token("two", HOME), LIMIT);
	/* One token is one, from wherever it comes. */
	cr_expect_eq(left_of_token("one", AWAY), 0);
}

Test(rate, each_address_has_its_own)
{
	cr_expect_eq(left_of(HOME), LIMIT);
	cr_expect_eq(left_of(AWAY), LIMIT);
}

Test(rate, good_tokens_do_not_count_on_the_address)
{
	for (int i = 0; i < 10 * LIMIT; i++) {
		char token[24];

		snprintf(token, sizeof(token), "token%d", i);
		cr_expect_eq(ask(token, HOME, true), 0);
	}
	cr_expect_eq(left_of(HOME), LIMIT);
}

Test(rate, bad_tokens_count_on_the_address)
{
	for (int i = 0; i < LIMIT; i++) {
		char token[24];

		snprintf(token, sizeof(token), "token%d", i);
		cr_expect_eq(ask(token, HOME, false), 0);
	}
	cr_expect_neq(ask("another", HOME, false), 0);
	cr_expect_neq(anonymous(HOME), 0);
	cr_expect_eq(left_of(AWAY), LIMIT);
}

Test(rate, flood_does_not_touch_a_known_token)
{
	cr_assert_eq(ask("known", HOME, true), 0);
	left_of(HOME);
	cr_expect_eq(left_of_token("known", HOME), LIMIT - 1);
	now_ms += RATE_WINDOW_MS;
	left_of(HOME);
	cr_expect_eq(left_of_token("known", HOME), LIMIT, "in the next window");
	cr_expect_neq(ask("new", HOME, true), 0);
	cr_expect_eq(ask("new", AWAY, true), 0);
}

/* Signed out: counted on the address as soon as that is known. */
Test(rate, token_that_ends_counts_on_the_address)
{
	cr_assert_eq(ask("ended", HOME, true), 0);
	for (int i = 0; i < LIMIT; i++)
		cr_expect_eq(ask("ended", HOME, false), 0);
	cr_expect_neq(ask("ended", HOME, false), 0);
	cr_expect_neq(anonymous(HOME), 0);
}

/* What an answer shows of a token whose end fell in a flood is the answer. */
Test(rate, token_that_ends_in_a_flood_is_told)
{
	cr_assert_eq(ask("ended", HOME, true), 0);
	left_of(HOME);

	const uint64_t before = limited();

	cr_expect_eq(ask("ended", HOME, false), 0);
	cr_expect_eq(limited(), before);
}

/* Requests at work at once: none of a bad token slips through, and what good
 * ones held of the address comes back. */
Test(rate, unproved_ones_hold_their_place)
{
	struct rate_charge charges[LIMIT];
	struct slice token = SLICE("token");

	for (int i = 0; i < LIMIT; i++)
		cr_assert_eq(rate_token(rate, token, HOME, now_ms, &charges[i]),
			     0);
	cr_expect_neq(anonymous(HOME), 0);
	for (int i = 0; i < LIMIT; i++)
		cr_expect_eq(rate_proved(rate, &charges[i], HOME, true, now_ms),
			     0);
	cr_expect_neq(ask("token", HOME, true), 0);
	cr_expect_eq(left_of(HOME), LIMIT);
}

Test(rate, token_used_up_meanwhile)
{
	struct rate_charge charge;

	cr_assert_eq(
		rate_token(rate, slice_str("token"), HOME, now_ms, &charge), 0);
	cr_assert_eq(left_of_token("token", AWAY), LIMIT);
	now_ms += 10000;
	cr_expect_eq(rate_proved(rate, &charge, HOME, true, now_ms), 50);
}

Test(rate, nothing_is_given_back_to_another_window)
{
	struct rate_charge charge;

	cr_assert_eq(
		rate_token(rate, slice_str("token"), HOME, now_ms, &charge), 0);
	now_ms += RATE_WINDOW_MS;
	cr_assert_eq(left_of(HOME), LIMIT);
	cr_expect_eq(rate_proved(rate, &charge, HOME, true, now_ms), 0);
	cr_expect_eq(left_of(HOME), 0);
}

struct pair {
	const char *one, *other;
	bool same;
};

static const struct pair pairs[] = {
	{"2001:db8::1", "2001:db8::2", true},
	{"2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", true},
	{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
	{"192.0.2.1", "192.0.2.10", false},
	/* The same eight bytes, as text and as bits. */
	{"10.0.0.1", "3130:2e30:2e30:2e31::1", false},
};

Test(rate, addresses_are_told_apart)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		const struct pair *pair = &pairs[i];

		now_ms += RATE_WINDOW_MS;
		cr_expect_eq(left_of(pair->one), LIMIT, "%s", pair->one);
		cr_expect_eq(left_of(pair->other), pair->same ? 0 : LIMIT,
			     "%s and %s", pair->one, pair->other);
	}
}

/* ---- many ---- */

enum { ROOM = RATE_SETS * RATE_WAYS };

/* Far fewer than there is room for: none takes another's place. */
Test(rate, many_tokens_are_kept)
{
	enum { TOKENS = ROOM / 64 };
	char token[24];

	for (int i = 0; i < TOKENS; i++) {
		snprintf(token, sizeof(token), "token%d", i);
		for (int j = 0; j < LIMIT; j++)
			cr_assert_eq(ask(token, HOME, true), 0);
	}
	for (int i = 0; i < TOKENS; i++) {
		snprintf(token, sizeof(token), "token%d", i);
		cr_assert_neq(ask(token, HOME, true), 0, "%s", token);
	}
}

/* However many there are: the newest keep their count, an old one starts
 * anew. */
Test(rate, oldest_windows_give_way)
{
	char address[24];

	left_of(HOME);
	for (int i = 0; i < 8 * ROOM; i++) {
		now_ms += i % ROOM == 0;
		snprintf(address, sizeof(address), "10.%d.%d.%d", i >> 16,
			 i >> 8 & 255, i & 255);
		cr_assert_eq(anonymous(address), 0);
	}
	cr_expect_eq(anonymous(address), 0);
	cr_expect_eq(left_of(address), LIMIT - 2);
	cr_expect_eq(left_of(HOME), LIMIT);
}

/* Made-up tokens and many addresses leave a known token in its place. */
Test(rate, strangers_drive_no_token_out)
{
	char text[24];

	cr_assert_eq(left_of_token("known", HOME), LIMIT);
	for (int i = 0; i < 8 * ROOM; i++) {
		snprintf(text, sizeof(text), "10.%d.%d.%d", i >> 16,
			 i >> 8 & 255, i & 255);
		cr_assert_eq(ask(text, text, false), 0);
	}
	cr_expect_neq(ask("known", HOME, true), 0);
}
