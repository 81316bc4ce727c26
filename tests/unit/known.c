#include "services/registrar/known.h"

#include <criterion/criterion.h>

static const struct known_binding first = {
	.identity = 1, .cseq = 7, .registered_at = 1000, .expires_at = 1300};

static bool has(struct known *known, uint64_t aor, uint32_t cseq)
{
	const struct known_binding *found = known_find(known, aor);

	return found && found->cseq == cseq && found->identity == 1 &&
	       found->registered_at == 1000 && found->expires_at == 1300;
}

Test(known, put_find_and_drop)
{
	struct known *known = known_new();
	struct known_binding later = first;

	cr_expect_null(known_find(known, 5));
	known_put(known, 5, &first);
	cr_expect(has(known, 5, 7));
	cr_expect_null(known_find(known, 5 + 1024), "the same place");
	later.cseq = 8;
	known_put(known, 5, &later);
	cr_expect(has(known, 5, 8));
	known_drop(known, 5);
	cr_expect_null(known_find(known, 5));
	known_drop(known, 6);
	known_put(known, 5, &first);
	cr_expect(has(known, 5, 7));
	known_clear(known);
	cr_expect_null(known_find(known, 5));
	cr_expect_eq(known_count(known), 0);
	known_free(known);
}

/* The hash 0 is a hash. */
Test(known, zero)
{
	struct known *known = known_new();

	cr_expect_null(known_find(known, 0));
	known_put(known, 0, &first);
	cr_expect(has(known, 0, 7));
	known_drop(known, 0);
	cr_expect_null(known_find(known, 0));
	known_free(known);
}

/* All in one run of places, and a dropped one in the midst of it. */
Test(known, behind_what_was_dropped)
{
	struct known *known = known_new();

	for (uint64_t i = 1; i <= 4; i++)
		known_put(known, i << 32 | 3, &first);
	known_drop(known, (uint64_t)2 << 32 | 3);
	cr_expect(has(known, (uint64_t)1 << 32 | 3, 7));
	cr_expect_null(known_find(known, (uint64_t)2 << 32 | 3));
	cr_expect(has(known, (uint64_t)3 << 32 | 3, 7));
	cr_expect(has(known, (uint64_t)4 << 32 | 3, 7));
	known_free(known);
}

Test(known, many)
{
	enum { MANY = 100000 };

	struct known *known = known_new();

	for (uint64_t i = 1; i <= MANY; i++) {
		struct known_binding binding = first;

		binding.cseq = (uint32_t)i;
		known_put(known, i * 0x9e3779b97f4a7c15, &binding);
		/* Those that come and go do not fill it. */
		if (i % 2)
			known_drop(known, i * 0x9e3779b97f4a7c15);
	}
	for (uint64_t i = 1; i <= MANY; i++) {
		const uint64_t aor = i * 0x9e3779b97f4a7c15;

		if (i % 2)
			cr_assert_null(known_find(known, aor));
		else
			cr_assert(has(known, aor, (uint32_t)i));
	}
	known_clear(known);
	cr_expect_null(known_find(known, 0x9e3779b97f4a7c15));
	known_free(known);
}

Test(known, forgets_all_when_full)
{
	struct known *known = known_new();

	for (uint64_t i = 1; i <= KNOWN_MAX; i++)
		known_put(known, i * 0x9e3779b97f4a7c15, &first);
	cr_expect_eq(known_count(known), KNOWN_MAX);
	cr_expect(has(known, 0x9e3779b97f4a7c15, 7));
	known_put(known, 1, &first);
	cr_expect_eq(known_count(known), 1);
	cr_expect(has(known, 1, 7));
	cr_expect_null(known_find(known, 0x9e3779b97f4a7c15));
	known_free(known);
}
