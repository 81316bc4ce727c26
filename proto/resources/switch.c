/* Acting as a tenant: POST /api/tenants/switch (document 004). */

#include "proto/resources/switch.h"

/* Longer than any token of ours. */
enum { TOKEN_CHARS_MAX = 512 };

/* clang-format off: tables */

#define SWITCH_ID_FIELD                                                        \
	{                                                                      \
		"id", FIELD_ID,                                                \
			.doc = "The tenant to act as; left out: none any "     \
			       "more."                                         \
	}

static const struct field query_fields[SWITCH_QUERY_FIELDS] = {
	[SWITCH_ID] = SWITCH_ID_FIELD,
};

static const struct field fields[SWITCH_FIELDS] = {
	[SWITCH_ID] = SWITCH_ID_FIELD,
	[SWITCH_ACCESS_TOKEN] =
		{"access_token", FIELD_STRING, FIELD_REQUIRED | FIELD_SECRET,
		 .max = TOKEN_CHARS_MAX,
		 .doc = "The caller's own access token, added by the gateway."},
};

/* clang-format on */

const struct record switch_query_record = {.name = "SwitchQuery",
					   RECORD_FIELDS(query_fields)};
const struct record switch_record = {.name = "Switch", RECORD_FIELDS(fields)};
