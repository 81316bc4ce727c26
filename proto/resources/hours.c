#include "proto/resources/hours.h"

#include "proto/resources/checks.h"

#include <stdio.h>

enum {
	CLOCK_CHARS = 5, /* HH:MM */
	RANGES_MAX = 24, /* of a day: one an hour */
};

/* from and to are HH:MM, so that they compare as texts. */
static bool check_range(const struct field *field, struct value *value,
			struct arena *arena, char *reason, size_t size)
{
	const struct value *from = &value->members[0];
	const struct value *to = &value->members[1];

	(void)field;
	(void)arena;
	if (from->kind != VALUE_STR || to->kind != VALUE_STR ||
	    memcmp(from->string.data, to->string.data, from->string.size) < 0)
		return true;
	snprintf(reason, size, "from must be before to");
	return false;
}

/* clang-format off: tables */

static const struct field range_fields[] = {
	{"from", FIELD_STRING, FIELD_REQUIRED, .min = CLOCK_CHARS,
	 .max = CLOCK_CHARS, .check = check_clock,
	 .doc = "HH:MM, when work begins."},
	{"to", FIELD_STRING, FIELD_REQUIRED, .min = CLOCK_CHARS,
	 .max = CLOCK_CHARS, .check = check_clock,
	 .doc = "HH:MM, when it ends; later than from."},
};

static const struct record range_record = {.name = "HoursRange",
					   RECORD_FIELDS(range_fields)};

static const struct field day_fields[] = {
	{"enabled", FIELD_BOOL, .fallback = DEFAULT_BOOL(false),
	 .doc = "The day is worked."},
	{"ranges", FIELD_OBJECTS, .max = RANGES_MAX, .record = &range_record,
	 .fallback = DEFAULT_EMPTY, .check = check_range,
	 .doc = "When it is worked."},
};

const struct record hours_day_record = {.name = "HoursDay",
					RECORD_FIELDS(day_fields)};

static const struct field week_fields[] = {HOURS_DAYS};

/* clang-format on */

const struct record hours_week_record = {.name = "HoursWeek",
					 RECORD_FIELDS(week_fields)};
