#ifndef TENANT_PASSWORD_RULES_H
#define TENANT_PASSWORD_RULES_H

/* A tenant's password policy, as statements read it. */

#include "services/common/database.h"
#include "services/common/passwords.h"

/* The columns of password_policies p, for a SELECT. */
#define PASSWORD_RULES_COLUMNS                                                 \
	"p.min_length, p.max_length, p.contains_letters, "                     \
	"p.contains_numbers, p.contains_special_letters, "                     \
	"p.disable_sequential_characters, p.disable_repeating_characters, "    \
	"p.disable_account_information"

enum { PASSWORD_RULES_COLUMN_COUNT = 8 };

/* Reads them from the first columns of the first row. */
void password_rules_load(const struct database_result *result,
			 struct password_policy *out);

/* Whose password it is: texts it must not contain. Views. */
struct password_owner {
	struct slice name;
	struct slice extension_number;
	struct slice email;
	struct slice display_name;
};

/* As password_policy_check(). Texts of one or two characters do not count: too
 * many passwords have them by chance. */
enum err_code password_rules_check(const struct password_policy *policy,
				   const struct password_owner *owner,
				   struct slice password, const char *field,
				   struct err *err);

#endif
