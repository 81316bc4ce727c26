/* What the methods of every resource take: the options of a list (PortSIP v22,
 * OData-like), the id of one object. */

#include "proto/resources/resources.h"

/* clang-format off: table */
static const struct field fields[QUERY_FIELDS] = {
	[QUERY_FILTER] = {"filter", FIELD_STRING, FIELD_FREE_TEXT, .max = 4096,
			  .doc = "Only what this expression is true for, e.g. "
				 "startswith(name,'a') and port gt 5060."},
	[QUERY_ORDERBY] = {"orderby", FIELD_STRING, .max = 512,
			   .doc = "Comma separated fields, each with asc "
				  "(default) or desc."},
	[QUERY_SEARCH] = {"search", FIELD_STRING, .max = 256,
			  .doc = "Only what holds one of these texts, joined "
				 "by ' or ', in a searched field."},
	[QUERY_SKIP] = {"skip", FIELD_INT, .max = INT32_MAX,
			.fallback = DEFAULT_INT(0),
			.doc = "How many matches to leave out."},
	[QUERY_TOP] = {"top", FIELD_INT, .min = 1, .max = 100,
		       .fallback = DEFAULT_INT(100),
		       .doc = "How many matches to answer."},
	[QUERY_COUNT] = {"count", FIELD_BOOL, .fallback = DEFAULT_BOOL(true),
			 .doc = "Whether to count all matches."},
	[QUERY_AFTER] = {"after", FIELD_ID, FIELD_HIDDEN,
			 .doc = "Export: where the last page ended."},
};
/* clang-format on */

const struct record query_record = {.name = "Query", RECORD_FIELDS(fields)};

static const struct field id_fields[ID_FIELDS] = {
	[ID_ID] = {"id", FIELD_ID, FIELD_REQUIRED, .doc = "The object's id."},
};

const struct record id_record = {.name = "Id", RECORD_FIELDS(id_fields)};
