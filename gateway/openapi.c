#include "gateway/openapi.h"

#include "proto/json.h"
#include "proto/record.h"
#include "proto/resources/resources.h"

#include <assert.h>
#include <stdio.h>

/* What a schema describes: a record has several faces. */
enum face {
	FACE_READ,    /* what a get answers */
	FACE_SUMMARY, /* an item of a list */
	FACE_CREATE,  /* the body of a create or call */
	FACE_UPDATE,  /* the body of an update */
	FACES
};

static const char *const face_suffix[FACES] = {"", "Summary", "Create",
					       "Update"};

enum { SCHEMAS_MAX = 256 }; /* records of the suite, asserted */

struct schema {
	const struct record *record;
	enum face face;
};

struct document {
	struct buffer *out;
	struct schema schemas[SCHEMAS_MAX]; /* referred to, each once */
	size_t count;
	bool stored; /* the record whose schema is being written is */
};

/* ---- JSON ---- */

static void raw(struct document *doc, const char *json)
{
	buffer_append_str(doc->out, json);
}

static void text(struct document *doc, const char *value)
{
	json_append_str(doc->out, slice_str(value));
}

/* A comma unless it is the first member. */
static void joint(struct document *doc, bool *first)
{
	if (!*first)
		raw(doc, ",");
	*first = false;
}

/* "key":"value" */
static void pair(struct document *doc, const char *key, const char *value)
{
	text(doc, key);
	raw(doc, ":");
	text(doc, value);
}

/* ---- schemas ---- */

/* Nested records look the same from every side. */
static enum face face_of_nested(enum face face)
{
	return face == FACE_SUMMARY ? FACE_READ : face;
}

static void refer(struct document *doc, const struct record *record,
		  enum face face)
{
	size_t i = 0;

	while (i < doc->count && (doc->schemas[i].record != record ||
				  doc->schemas[i].face != face))
		i++;
	if (i == doc->count) {
		assert(i < SCHEMAS_MAX);
		doc->schemas[doc->count++] = (struct schema){record, face};
	}
	buffer_printf(doc->out, "{\"$ref\":\"#/components/schemas/%s%s\"}",
		      record->name, face_suffix[face]);
}

static bool is_input(enum face face)
{
	return face == FACE_CREATE || face == FACE_UPDATE;
}

static bool is_in_face(const struct field *field, enum face face)
{
	if (face == FACE_READ)
		return record_shows(RECORD_FULL, field);
	if (face == FACE_SUMMARY)
		return record_shows(RECORD_SUMMARY, field);
	return !(field->flags & FIELD_READ_ONLY);
}

static bool is_stored(const struct record *record)
{
	for (size_t i = 0; i < record->count; i++)
		if (record->fields[i].column)
			return true;
	return false;
}

/* Whether null can stand in a field's place. What we make ourselves is there,
 * but for fields of a stored record that nothing is kept of. */
static bool is_nullable(const struct document *doc, const struct field *field,
			enum face face)
{
	if (is_input(face))
		return !(field->flags & FIELD_REQUIRED);
	if (field->flags & FIELD_READ_ONLY && (field->column || !doc->stored))
		return false;
	return !(field->flags & FIELD_REQUIRED) &&
	       field->fallback.kind == VALUE_ABSENT &&
	       field->type != FIELD_OBJECT;
}

static void enum_values(struct document *doc, const struct choices *choices,
			bool nullable)
{
	raw(doc, "\"enum\":[");
	for (size_t i = 0; i < choices->count; i++) {
		if (i > 0)
			raw(doc, ",");
		text(doc, choices->names[i]);
	}
	raw(doc, nullable ? ",null]" : "]");
}

static void type(struct document *doc, const char *name, bool nullable)
{
	if (nullable)
		buffer_printf(doc->out, "\"type\":[\"%s\",\"null\"]", name);
	else
		buffer_printf(doc->out, "\"type\":\"%s\"", name);
}

/* The members of a schema that say which values a field takes. */
static void value_schema(struct document *doc, const struct field *field,
			 enum face face)
{
	const bool nullable = is_nullable(doc, field, face);

	switch (field->type) {
	case FIELD_BOOL:
		type(doc, "boolean", nullable);
		break;
	case FIELD_INT:
		type(doc, "integer", nullable);
		if (field->max > field->min)
			buffer_printf(
				doc->out, ",\"minimum\":%lld,\"maximum\":%lld",
				(long long)field->min, (long long)field->max);
		break;
	case FIELD_STRING:
		type(doc, "string", nullable);
		if (field->max > 0)
			buffer_printf(doc->out,
				      ",\"minLength\":%lld,\"maxLength\":%lld",
				      (long long)field->min,
				      (long long)field->max);
		break;
	case FIELD_ENUM:
		type(doc, "string", nullable);
		raw(doc, ",");
		enum_values(doc, field->choices, nullable);
		break;
	case FIELD_ENUM_LIST:
		type(doc, "array", nullable);
		raw(doc, ",\"uniqueItems\":true,\"items\":{");
		enum_values(doc, field->choices, false);
		raw(doc, "}");
		break;
	case FIELD_ID:
		type(doc, "string", nullable);
		break;
	case FIELD_TIME:
		type(doc, "string", nullable);
		raw(doc, ",\"format\":\"date-time\"");
		break;
	case FIELD_OBJECTS:
		type(doc, "array", nullable);
		raw(doc, ",\"items\":");
		refer(doc, field->record, face);
		break;
	case FIELD_OBJECT:
		break;
	}
}

static void default_value(struct document *doc, const struct field *field)
{
	if (field->fallback.kind == VALUE_ABSENT)
		return;
	raw(doc, ",\"default\":");
	record_store(field, &field->fallback, doc->out);
}

/* A nested record by reference; in input null, and for a shorthand the bare
 * value of its first member, stand for it too. */
static void object_schema(struct document *doc, const struct field *field,
			  enum face face)
{
	const enum face nested = face_of_nested(face);

	if (!is_input(face)) {
		raw(doc, "\"allOf\":[");
		refer(doc, field->record, nested);
		raw(doc, "]");
		return;
	}
	raw(doc, "\"anyOf\":[");
	refer(doc, field->record, nested);
	if (field->flags & FIELD_SHORTHAND) {
		raw(doc, ",{");
		value_schema(doc, &field->record->fields[0], face);
		raw(doc, "}");
	}
	raw(doc, ",{\"type\":\"null\"}]");
}

static void field_schema(struct document *doc, const struct field *field,
			 enum face face)
{
	raw(doc, "{");
	if (field->type == FIELD_OBJECT)
		object_schema(doc, field, face);
	else
		value_schema(doc, field, face);
	default_value(doc, field);
	if (field->flags & (FIELD_SECRET | FIELD_HASHED))
		raw(doc, ",\"writeOnly\":true");
	raw(doc, ",");
	pair(doc, "description", field->doc);
	raw(doc, "}");
}

static void required_list(struct document *doc, const struct record *record,
			  enum face face)
{
	bool first = true;

	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		/* An answer holds every field; a body, what it has to. */
		if (!is_in_face(field, face) ||
		    (is_input(face) &&
		     (face == FACE_UPDATE || !(field->flags & FIELD_REQUIRED))))
			continue;
		raw(doc, first ? ",\"required\":[" : ",");
		first = false;
		text(doc, field->name);
	}
	if (!first)
		raw(doc, "]");
}

static void record_schema(struct document *doc, const struct record *record,
			  enum face face)
{
	bool first = true;

	doc->stored = is_stored(record);
	raw(doc, "{\"type\":\"object\",\"properties\":{");
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (!is_in_face(field, face))
			continue;
		joint(doc, &first);
		text(doc, field->name);
		raw(doc, ":");
		field_schema(doc, field, face);
	}
	raw(doc, "}");
	required_list(doc, record, face);
	raw(doc, "}");
}

static const char error_schema[] =
	"\"Error\":{\"type\":\"object\",\"required\":[\"errors\"],"
	"\"properties\":{\"errors\":{\"type\":\"array\",\"items\":{"
	"\"type\":\"object\",\"required\":[\"code\",\"message\"],"
	"\"properties\":{\"code\":{\"type\":\"string\"},"
	"\"message\":{\"type\":\"string\"},\"detail\":{\"type\":\"array\","
	"\"items\":{\"type\":\"object\",\"properties\":{"
	"\"field\":{\"type\":\"string\"},"
	"\"reason\":{\"type\":\"string\"}}}}}}}}}";

/* Writing one schema may refer to further ones: they come behind. */
static void components(struct document *doc)
{
	raw(doc, "\"components\":{\"securitySchemes\":{\"bearer\":{"
		 "\"type\":\"http\",\"scheme\":\"bearer\"}},\"schemas\":{");
	raw(doc, error_schema);
	for (size_t i = 0; i < doc->count; i++) {
		const struct schema schema = doc->schemas[i];

		buffer_printf(doc->out, ",\"%s%s\":", schema.record->name,
			      face_suffix[schema.face]);
		record_schema(doc, schema.record, schema.face);
	}
	raw(doc, "}}");
}

/* ---- operations ---- */

static void parameter(struct document *doc, bool *first, const char *place,
		      const char *name, const char *schema, const char *about)
{
	joint(doc, first);
	buffer_printf(doc->out, "{\"name\":\"%s\",\"in\":\"%s\"%s,", name,
		      place,
		      strcmp(place, "path") == 0 ? ",\"required\":true" : "");
	pair(doc, "description", about);
	buffer_printf(doc->out, ",\"schema\":%s}", schema);
}

static void path_parameters(struct document *doc, const char *path, bool *first)
{
	while ((path = strchr(path, '{'))) {
		char name[32];

		snprintf(name, sizeof(name), "%.*s",
			 (int)strcspn(path + 1, "}"), path + 1);
		parameter(doc, first, "path", name, "{\"type\":\"string\"}",
			  strstr(name, "id") ? "The resource's id."
					     : "What is asked for.");
		path++;
	}
}

static void query_parameters(struct document *doc, const struct record *record,
			     bool *first)
{
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (field->flags & FIELD_HIDDEN)
			continue;
		joint(doc, first);
		raw(doc, "{\"in\":\"query\",");
		pair(doc, "name", field->name);
		raw(doc, ",");
		pair(doc, "description", field->doc);
		raw(doc, ",\"schema\":{");
		/* A query parameter is there or not, never null. */
		value_schema(doc, field, FACE_READ);
		default_value(doc, field);
		raw(doc, "}}");
	}
}

static const struct record *query_of(const struct route *route)
{
	if (route->shape == ROUTE_LIST || route->shape == ROUTE_EXPORT)
		return &query_record;
	return route->query;
}

static void parameters(struct document *doc, const struct route *route)
{
	bool first = true;
	char key_schema[64];

	snprintf(key_schema, sizeof(key_schema),
		 "{\"type\":\"string\",\"minLength\":1,\"maxLength\":%d}",
		 IDEMPOTENCY_KEY_BYTES_MAX);
	raw(doc, "\"parameters\":[");
	path_parameters(doc, route->path, &first);
	if (query_of(route))
		query_parameters(doc, query_of(route), &first);
	if (route->shape == ROUTE_CREATE)
		parameter(doc, &first, "header", "Idempotency-Key", key_schema,
			  "The same key again within a day gives the same "
			  "answer and makes nothing new.");
	if (route->shape == ROUTE_UPDATE || route->shape == ROUTE_DESTROY)
		parameter(doc, &first, "header", "If-Match",
			  "{\"type\":\"string\"}",
			  "The ETag of the object this is meant for.");
	raw(doc, "]");
}

static void request_body(struct document *doc, const struct route *route)
{
	const struct record *record = route->body;
	enum face face = FACE_CREATE;

	if (route->shape == ROUTE_CREATE || route->shape == ROUTE_UPDATE)
		record = route->resource->record;
	if (route->shape == ROUTE_UPDATE)
		face = FACE_UPDATE;
	if (!record)
		return;
	buffer_printf(doc->out,
		      ",\"requestBody\":{\"required\":true,\"content\":{"
		      "\"%s\":{\"schema\":",
		      route->flags & ROUTE_FORM
			      ? "application/x-www-form-urlencoded"
			      : "application/json");
	refer(doc, record, face);
	raw(doc, "}}}");
}

static bool has_json_answer(const struct route *route)
{
	return route->answer || route->shape == ROUTE_LIST ||
	       route->shape == ROUTE_CREATE || route->shape == ROUTE_READ;
}

/* {count, items: [...]}; a bare one has no count. */
static void page_schema(struct document *doc, const struct record *record,
			enum face face, bool bare)
{
	raw(doc, "{\"type\":\"object\",\"required\":[\"items\"],"
		 "\"properties\":{");
	if (!bare)
		raw(doc, "\"count\":{\"type\":\"integer\",\"minimum\":0},");
	raw(doc, "\"items\":{\"type\":\"array\",\"items\":");
	refer(doc, record, face);
	raw(doc, "}}}");
}

static void answer_schema(struct document *doc, const struct route *route)
{
	if (route->flags & (ROUTE_ITEMS | ROUTE_BARE_ITEMS))
		page_schema(doc, route->answer, FACE_READ,
			    route->flags & ROUTE_BARE_ITEMS);
	else if (route->answer)
		refer(doc, route->answer, FACE_READ);
	else if (route->shape == ROUTE_READ)
		refer(doc, route->resource->record, FACE_READ);
	else if (route->shape == ROUTE_LIST)
		page_schema(doc, route->resource->record, FACE_SUMMARY, false);
	else
		raw(doc, "{\"type\":\"object\",\"required\":[\"id\"],"
			 "\"properties\":{\"id\":{\"type\":\"string\"}}}");
}

static void responses(struct document *doc, const struct route *route)
{
	/* For operation, not of a dialect: no record says what they answer. */
	if (route->service == ROUTE_GATEWAY) {
		raw(doc, ",\"responses\":{\"default\":{"
			 "\"description\":\"Answered\","
			 "\"content\":{\"*/*\":{}}}}");
		return;
	}
	buffer_printf(doc->out,
		      ",\"responses\":{\"%d\":{\"description\":\"Done\"",
		      route_good_status(route));
	if (route->shape == ROUTE_EXPORT)
		raw(doc, ",\"content\":{\"application/octet-stream\":{}}");
	if (has_json_answer(route)) {
		raw(doc, ",\"content\":{\"application/json\":{\"schema\":");
		answer_schema(doc, route);
		raw(doc, "}}");
	}
	raw(doc, "},\"default\":{\"description\":\"Failed\",\"content\":{"
		 "\"application/json\":{\"schema\":{"
		 "\"$ref\":\"#/components/schemas/Error\"}}}}}");
}

static void operation(struct document *doc, const struct route *route)
{
	raw(doc, route->verb == ROUTE_GET ? "\"get\":{" : "\"post\":{");
	pair(doc, "summary", route->summary);
	raw(doc, ",");
	if (route->flags & ROUTE_OPEN)
		raw(doc, "\"security\":[],");
	parameters(doc, route);
	request_body(doc, route);
	responses(doc, route);
	raw(doc, "}");
}

/* Whether an earlier row has the same path. */
static bool was_seen(const struct router *router, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(router_get(router, i)->path,
			   router_get(router, index)->path) == 0)
			return true;
	return false;
}

static void path_item(struct document *doc, const struct router *router,
		      size_t index)
{
	const char *path = router_get(router, index)->path;
	bool first = true;

	text(doc, path);
	raw(doc, ":{");
	for (size_t i = index; i < router_count(router); i++) {
		const struct route *route = router_get(router, i);

		if (strcmp(route->path, path) != 0)
			continue;
		joint(doc, &first);
		operation(doc, route);
	}
	raw(doc, "}");
}

void openapi_build(const struct router *router, struct buffer *out)
{
	struct document doc = {.out = out};
	bool first = true;

	raw(&doc, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Trunkline\","
		  "\"version\":\"" TRUNKLINE_VERSION "\"},"
		  "\"security\":[{\"bearer\":[]}],\"paths\":{");
	for (size_t i = 0; i < router_count(router); i++) {
		if (was_seen(router, i))
			continue;
		joint(&doc, &first);
		path_item(&doc, router, i);
	}
	raw(&doc, "},");
	components(&doc);
	raw(&doc, "}");
}
