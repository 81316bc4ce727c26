#ifndef PROTO_RESOURCES_HOURS_H
#define PROTO_RESOURCES_HOURS_H

/* Working hours, as tenants, users and their forward rules have them: a day of
 * the week each. Times are HH:MM in the tenant's time zone. */

#include "proto/field.h"

extern const struct record hours_day_record;

/* The seven days and nothing else. */
extern const struct record hours_week_record;

#define HOURS_DAY(name_, day)                                                  \
	{                                                                      \
		name_, FIELD_OBJECT, .record = &hours_day_record,              \
				     .doc = "Hours of " day "s."               \
	}

/* Rows of the days, for a record that has more. */
#define HOURS_DAYS                                                             \
	HOURS_DAY("monday", "Monday"), HOURS_DAY("tuesday", "Tuesday"),        \
		HOURS_DAY("wednesday", "Wednesday"),                           \
		HOURS_DAY("thursday", "Thursday"),                             \
		HOURS_DAY("friday", "Friday"),                                 \
		HOURS_DAY("saturday", "Saturday"),                             \
		HOURS_DAY("sunday", "Sunday")

#endif
