#include "services/common/passwords.h"

#include <criterion/criterion.h>

static const struct password_policy strict = {
	.min_length = 6,
	.max_length = 12,
	.contains_letters = true,
	.contains_numbers = true,
	.contains_special_letters = true,
	.disable_sequential_characters = true,
	.disable_repeating_characters = true,
	.disable_account_information = true,
};

/* Nothing but the one rule. */
#define ALONE(rule)                                                            \
	{                                                                      \
		.max_length = 64, .rule = true                                 \
	}

static const struct password_policy letters = ALONE(contains_letters);
static const struct password_policy numbers = ALONE(contains_numbers);
static const struct password_policy special = ALONE(contains_special_letters);
static const struct password_policy sequence =
	ALONE(disable_sequential_characters);
static const struct password_policy repeat =
	ALONE(disable_repeating_characters);
static const struct password_policy account =
	ALONE(disable_account_information);
static const struct password_policy length = {.min_length = 2, .max_length = 4};

struct policy_case {
	const struct password_policy *policy;
	const char *password;
	size_t broken; /* rules */
};

static const struct policy_case policy_cases[] = {
	{&length, "", 1},
	{&length, "a", 1},
	{&length, "ab", 0},
	{&length, "abcd", 0},
	{&length, "abcde", 1},
	/* Characters, not bytes. */
	{&length, "\u00e4", 1},
	{&length, "\u00e4\u00f6\u00fc\u20ac", 0},
	{&length, "\U0001f600\U0001f600", 0},
	{&letters, "123!\u00e4", 1},
	{&letters, "123Z", 0},
	{&numbers, "abc!", 1},
	{&numbers, "abc4", 0},
	{&special, "abc123", 1},
	{&special, "Abc123", 0},
	{&special, "abc-123", 0},
	{&special, "abc\u20ac123", 0},
	{&special, "abc 123", 0},
	{&sequence, "a1b2c3", 0},
	{&sequence, "12a21", 0},
	{&sequence, "x123y", 1},
	{&sequence, "321", 1},
	{&sequence, "abc", 1},
	{&sequence, "cBa", 1},
	{&sequence, "xyz", 1},
	{&sequence, "ace135", 0},
	/* Neighbours of ASCII are no runs: 9: and Z[ and @A. */
	{&sequence, "89:@A", 0},
	{&sequence, "yz{", 0},
	{&sequence, "890", 0},
	{&repeat, "aab", 0},
	{&repeat, "abab", 0},
	{&repeat, "aaab", 1},
	{&repeat, "x111", 1},
	{&repeat, "Aaa", 0},
	{&repeat, "\u00e4\u00e4\u00e4", 1},
	{&repeat, "\u00e4\u00e4", 0},
	{&account, "my-alice!", 1},
	{&account, "my-ALICE!", 1},
	{&account, "alic", 0},
	{&account, "x1042", 1},
	{&account, "", 0},
	{&strict, "Tr0ub4dor", 0},
	{&strict, "aaa", 4},
	{&strict, "alice123", 3},
	{&password_policy_operator, "abcdefg1", 0},
	{&password_policy_operator, "abcdefgh", 1},
	{&password_policy_operator, "12345678", 1},
	{&password_policy_operator, "abc1", 1},
	{&password_policy_operator, "a1345678901234567890123456789012", 0},
	{&password_policy_operator, "a13456789012345678901234567890123", 1},
};

Test(passwords, policies)
{
	const struct slice names[] = {
		SLICE("alice"), SLICE(""), {0}, SLICE("1042")};

	for (size_t i = 0; i < sizeof(policy_cases) / sizeof(*policy_cases);
	     i++) {
		const struct policy_case *row = &policy_cases[i];
		struct err err = {0};
		const enum err_code code = password_policy_check(
			row->policy, slice_str(row->password), names, 4,
			"password", &err);

		cr_expect_eq(code, row->broken > 0 ? ERR_VALIDATE : ERR_OK,
			     "%zu: %s", i, row->password);
		cr_expect_eq(err.detail_count, row->broken, "%zu: %s", i,
			     row->password);
		if (row->broken > 0)
			cr_expect_str_eq(err.details[0].field, "password");
	}
}

/* What was broken before is not of this password. */
Test(passwords, tells_of_its_own_rules_only)
{
	struct err err = {0};

	err_field(&err, "name", "is missing");
	cr_expect_eq(password_policy_check(&password_policy_operator,
					   slice_str("abcdefg1"), NULL, 0,
					   "password", &err),
		     ERR_OK);
	cr_expect_eq(err.detail_count, 1);
}

/* Off by one at either end, no terminator: the bytes are a view. */
Test(passwords, reads_no_further_than_the_view)
{
	struct err err = {0};
	const struct slice name = SLICE("cd");

	cr_expect_eq(password_policy_check(&account, slice_of("abcd", 3), &name,
					   1, "password", &err),
		     ERR_OK);
	cr_expect_eq(password_policy_check(&sequence, slice_of("ab3c", 2), NULL,
					   0, "password", &err),
		     ERR_OK);
}
