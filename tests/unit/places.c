/* The names of the machine's own lists. */

#include "services/tenant/places.h"

#include <criterion/criterion.h>

struct place {
	bool (*has)(const struct places *places, struct slice name);
	const char *name;
	bool there;
};

static const struct place rows[] = {
	{places_has_zone, "Asia/Shanghai", true},
	{places_has_zone, "America/Argentina/Buenos_Aires", true},
	{places_has_zone, "Etc/GMT+12", true},
	{places_has_zone, "UTC", true},
	{places_has_zone, "US/Eastern", true}, /* another name of a zone */
	{places_has_zone, "America/New_York", true},
	{places_has_zone, "", false},
	{places_has_zone, "Asia", false},
	{places_has_zone, "asia/shanghai", false},
	{places_has_zone, "Asia/Shanghai ", false},
	{places_has_zone, "Asia//Shanghai", false},
	{places_has_zone, "../zoneinfo/UTC", false},
	{places_has_zone, "/usr/share/zoneinfo/UTC", false},
	{places_has_zone, "posixrules", false},
	{places_has_zone, "Mars/Olympus", false},
	{places_has_currency, "USD", true},
	{places_has_currency, "EUR", true},
	{places_has_currency, "usd", false},
	{places_has_currency, "US", false},
	{places_has_currency, "DEU", false},
	{places_has_currency, "", false},
	{places_has_region, "USA", true},
	{places_has_region, "DEU", true},
	{places_has_region, "US", false},
	{places_has_region, "usa", false},
	{places_has_region, "EUR", false},
	{places_has_region, "", false},
};

Test(places, names_are_looked_up)
{
	struct places *places = NULL;
	struct err err;

	cr_assert_eq(places_new(&places, &err), ERR_OK, "%s", err.text);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(rows[i].has(places, slice_str(rows[i].name)),
			     rows[i].there, "%s", rows[i].name);
	places_free(places);
}

Test(places, nothing_is_freed)
{
	places_free(NULL);
}
