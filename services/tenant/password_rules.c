#include "services/tenant/password_rules.h"

void password_rules_load(const struct database_result *result,
			 struct password_policy *out)
{
	*out = (struct password_policy){
		.min_length = database_int(result, 0, 0),
		.max_length = database_int(result, 0, 1),
		.contains_letters = database_bool(result, 0, 2),
		.contains_numbers = database_bool(result, 0, 3),
		.contains_special_letters = database_bool(result, 0, 4),
		.disable_sequential_characters = database_bool(result, 0, 5),
		.disable_repeating_characters = database_bool(result, 0, 6),
		.disable_account_information = database_bool(result, 0, 7),
	};
}

/* What stands in front of the @. */
static struct slice mailbox_of(struct slice email)
{
	const char *at =
		email.size > 0 ? memchr(email.data, '@', email.size) : NULL;

	return at ? slice_of(email.data, (size_t)(at - email.data)) : email;
}

enum err_code password_rules_check(const struct password_policy *policy,
				   const struct password_owner *owner,
				   struct slice password, const char *field,
				   struct err *err)
{
	enum { BYTES_MIN = 3, TEXTS = 4 };

	struct slice texts[TEXTS] = {owner->name, owner->extension_number,
				     mailbox_of(owner->email),
				     owner->display_name};

	for (size_t i = 0; i < TEXTS; i++)
		if (texts[i].size < BYTES_MIN)
			texts[i].size = 0;
	return password_policy_check(policy, password, texts, TEXTS, field,
				     err);
}
