#include "services/tenant/rules.h"

#include "proto/resources/tenants.h"
#include "services/tenant/tenant.h"

static struct value *value_of(const struct resource_change *change,
			      const char *name)
{
	const size_t index =
		record_find(change->resource->record, slice_str(name), 0);

	return index == SIZE_MAX ? NULL : &change->values[index];
}

static const struct {
	const char *field;
	bool (*has)(const struct places *places, struct slice name);
	const char *rule;
} places[] = {
	{"timezone", places_has_zone, "must be an IANA time zone"},
	{"currency", places_has_currency, "must be a currency of ISO 4217"},
	{"region", places_has_region,
	 "must be a country of ISO 3166-1, alpha-3"},
};

static enum err_code check_places(const struct resource_change *change,
				  struct err *err)
{
	const struct tenant *tenant = change->service->own;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct value *value = value_of(change, places[i].field);

		if (value->kind == VALUE_STR &&
		    !places[i].has(tenant->places, value->string))
			err_field(err, places[i].field, "%s", places[i].rule);
	}
	return err->code;
}

static void seal(const struct resource_change *change, struct value *secret)
{
	if (secret->kind != VALUE_STR || secret->string.size == 0)
		return;
	secret->string =
		slice_str(secrets_seal_dup(change->service->key, secret->string,
					   bus_call_arena(change->call)));
}

static void seal_event(const struct resource_change *change, const char *name)
{
	const struct record *record = &tenant_event_record;
	struct value *event = value_of(change, name);

	if (event->kind != VALUE_OBJECT)
		return;
	for (size_t i = 0; i < record->count; i++)
		if (record->fields[i].flags & FIELD_SECRET)
			seal(change, &event->members[i]);
}

void rules_before(struct resource_change *change)
{
	struct err err = {0};

	if (check_places(change, &err) != ERR_OK) {
		bus_reply_error(change->call, &err);
		return;
	}
	seal_event(change, "cdr_event");
	seal_event(change, "extension_event");
	resource_change_go_on(change);
}

void rules_after(struct resource_change *change)
{
	const struct value *enabled = value_of(change, "enabled");

	if (change->kind != EVENT_UPDATED || !enabled ||
	    enabled->kind != VALUE_BOOL || enabled->boolean) {
		resource_change_answer(change);
		return;
	}
	resource_change_end_sessions(change);
}
