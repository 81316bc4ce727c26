#ifndef TENANT_PLACES_H
#define TENANT_PLACES_H

/*
 * The time zones, currencies and countries there are, as the packages tzdata
 * and iso-codes of the machine list them. Read once, at start: names that
 * clients send are looked up in memory and never become paths.
 */

#include "proto/error.h"
#include "proto/slice.h"

#include <stdbool.h>

struct places;

/* Blocks on the files. ERR_UNAVAILABLE names the one that cannot be read. */
enum err_code places_new(struct places **out, struct err *err);
void places_free(struct places *places);

/* Names are looked up with their case. */
bool places_has_zone(const struct places *places, struct slice name);
bool places_has_currency(const struct places *places, struct slice code);
bool places_has_region(const struct places *places, struct slice code);

#endif
