#include "services/registrar/repeats.h"

#include "services/common/secrets.h"

#include <criterion/criterion.h>

enum {
	NOW_S = 1800000000,
	LIFETIME_S = 32, /* 64 * T1 */
	TEXT_BYTES = 65536,
};

static void set_up(void)
{
	cr_assert(secrets_init());
}

TestSuite(repeats, .init = set_up);

static struct sip_endpoint at(const char *host, uint16_t port)
{
	struct sip_endpoint endpoint;

	cr_assert(sip_endpoint_parse(slice_str(host), port, &endpoint));
	return endpoint;
}

static bool has(const struct repeats *repeats, struct slice text,
		const char *host, uint16_t port, int64_t now_s)
{
	const struct sip_endpoint source = at(host, port);
	const struct repeats_mark mark = repeats_mark(repeats, text, &source);

	return repeats_has(repeats, &mark, now_s);
}

static void add(struct repeats *repeats, struct slice text)
{
	const struct sip_endpoint source = at("192.0.2.1", 5060);
	const struct repeats_mark mark = repeats_mark(repeats, text, &source);

	repeats_add(repeats, &mark, NOW_S);
}

Test(repeats, known_from_there_for_a_time)
{
	struct repeats *repeats = repeats_new();
	const struct slice text = slice_str("REGISTER sip:a SIP/2.0\r\n\r\n");

	cr_expect_not(has(repeats, text, "192.0.2.1", 5060, NOW_S));
	add(repeats, text);
	cr_expect(has(repeats, text, "192.0.2.1", 5060, NOW_S));
	cr_expect(has(repeats, text, "192.0.2.1", 5060, NOW_S + LIFETIME_S));
	cr_expect_not(
		has(repeats, text, "192.0.2.1", 5060, NOW_S + LIFETIME_S + 1));
	cr_expect_not(has(repeats, text, "192.0.2.1", 5061, NOW_S));
	cr_expect_not(has(repeats, text, "192.0.2.2", 5060, NOW_S));
	repeats_free(repeats);
}

static void each_byte_counts(struct repeats *repeats, char *bytes, size_t size)
{
	const struct slice text = slice_of(bytes, size);

	add(repeats, text);
	cr_assert(has(repeats, text, "192.0.2.1", 5060, NOW_S));
	for (size_t i = 0; i < size; i += size / 100 + 1) {
		bytes[i] ^= 1;
		cr_assert_not(has(repeats, text, "192.0.2.1", 5060, NOW_S),
			      "byte %zu of %zu", i, size);
		bytes[i] ^= 1;
	}
}

Test(repeats, another_text_is_another)
{
	struct repeats *repeats = repeats_new();
	static char bytes[TEXT_BYTES];

	for (size_t size = 1; size <= 100; size++)
		each_byte_counts(repeats, bytes, size);
	/* The longest there is. */
	each_byte_counts(repeats, bytes, sizeof(bytes));
	repeats_free(repeats);
}

/* Trailing zeros are text too. */
Test(repeats, a_longer_text_is_another)
{
	struct repeats *repeats = repeats_new();
	static const char zeros[64];

	for (size_t size = 0; size < sizeof(zeros); size++) {
		cr_assert_not(has(repeats, slice_of(zeros, size), "192.0.2.1",
				  5060, NOW_S),
			      "%zu", size);
		add(repeats, slice_of(zeros, size));
	}
	repeats_free(repeats);
}
