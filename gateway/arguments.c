#include "gateway/arguments.h"

#include "gateway/url.h"
#include "proto/id.h"
#include "proto/json.h"
#include "proto/reader.h"
#include "proto/record.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Everything one build needs. */
struct build {
	const struct dialect *dialect;
	const struct route_match *match;
	const struct arguments_input *input;
	struct arena *arena;
	struct buffer *out;
	struct err *err;
};

/* ---- query options ---- */

/* The parameters of a record, one place for each field; absent ones have no
 * data. */
struct options {
	const struct record *record;
	struct slice *values;
	uint32_t count;
};

/* A list's options may be written with the `$` of OData. */
static struct slice option_name(const struct record *record, struct slice name)
{
	if (record == &query_record && name.size > 0 && name.data[0] == '$')
		return slice_of(name.data + 1, name.size - 1);
	return name;
}

static enum err_code option_take(struct options *options, struct slice name,
				 struct slice value, struct err *err)
{
	size_t index = record_find(options->record, name, 0);
	if (index == SIZE_MAX)
		return ERR_OK;
	const struct field *field = &options->record->fields[index];
	/* Hidden ones are for our own processes. */
	if (field->flags & FIELD_HIDDEN)
		return ERR_OK;
	if (options->values[index].data)
		return err_field(err, field->name, "is given more than once");
	options->values[index] = value;
	options->count++;
	return ERR_OK;
}

static enum err_code options_read(const struct build *build,
				  const struct record *record,
				  struct options *options)
{
	struct url_query query;

	options->record = record;
	options->count = 0;
	options->values = arena_alloc(build->arena,
				      record->count * sizeof(*options->values));
	enum err_code code = url_query_parse(build->input->query, build->arena,
					     &query, build->err);
	for (size_t i = 0; code == ERR_OK && i < query.count; i++)
		code = option_take(options,
				   option_name(record, query.pairs[i].name),
				   query.pairs[i].value, build->err);
	return code;
}

static bool int_parse(struct slice text, int64_t *out)
{
	char digits[24];
	char *end;

	if (text.size == 0 || text.size >= sizeof(digits) ||
	    !strchr("-0123456789", text.data[0]))
		return false;
	memcpy(digits, text.data, text.size);
	digits[text.size] = '\0';
	errno = 0;
	*out = strtoll(digits, &end, 10);
	return errno == 0 && end == digits + text.size;
}

static enum err_code option_write(const struct build *build,
				  const struct field *field, struct slice value)
{
	int64_t number;

	switch (field->type) {
	case FIELD_INT:
		if (!int_parse(value, &number))
			return err_field(build->err, field->name,
					 "is not an integer");
		writer_int(build->out, number);
		return ERR_OK;
	case FIELD_BOOL:
		if (!slice_is(value, "true") && !slice_is(value, "false"))
			return err_field(build->err, field->name,
					 "is neither true nor false");
		writer_bool(build->out, slice_is(value, "true"));
		return ERR_OK;
	case FIELD_ID:
		if (!build->dialect->id_decode(value, &number))
			return err_field(build->err, field->name,
					 "is not an id");
		writer_id(build->out, number);
		return ERR_OK;
	default:
		writer_str(build->out, value);
		return ERR_OK;
	}
}

static enum err_code options_write(const struct build *build,
				   const struct options *options)
{
	for (size_t i = 0; options->count > 0 && i < options->record->count;
	     i++) {
		const struct field *field = &options->record->fields[i];
		if (!options->values[i].data)
			continue;
		writer_text(build->out, field->name);
		enum err_code code =
			option_write(build, field, options->values[i]);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/* ---- bodies ---- */

/* The charset of a media type's parameters is UTF-8, or not said. */
static bool charset_good(struct slice parameters)
{
	static const char charset[] = "charset=";
	char *text = strndupa(parameters.data, parameters.size);
	char *save = NULL;
	for (char *one = strtok_r(text, "; \t", &save); one;
	     one = strtok_r(NULL, "; \t", &save)) {
		if (strncasecmp(one, charset, strlen(charset)) != 0)
			continue;
		const char *name = one + strlen(charset);
		if (strcasecmp(name, "utf-8") != 0 &&
		    strcasecmp(name, "\"utf-8\"") != 0)
			return false;
	}
	return true;
}

enum { MEDIA_TYPE_BYTES_MAX = 256 }; /* more is no type we serve */

static bool media_type_is(struct slice content_type, const char *wanted)
{
	size_t size = strlen(wanted);
	if (content_type.size < size ||
	    content_type.size > MEDIA_TYPE_BYTES_MAX)
		return false;
	if (strncasecmp(content_type.data, wanted, size) != 0)
		return false;
	struct slice rest =
		slice_of(content_type.data + size, content_type.size - size);
	return rest.size == 0 ||
	       (strchr("; \t", rest.data[0]) && charset_good(rest));
}

static enum err_code media_type_check(const struct build *build,
				      const char *wanted)
{
	if (build->input->body.size == 0 ||
	    media_type_is(build->input->content_type, wanted))
		return ERR_OK;
	return err_set(build->err, ERR_MEDIA_TYPE,
		       "the Content-Type of the body has to be %s", wanted);
}

/* Whether a body of the record can hold an id. */
static bool has_ids(const struct record *record)
{
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (field->flags & FIELD_READ_ONLY)
			continue;
		if (field->type == FIELD_ID)
			return true;
		if (field->record && has_ids(field->record))
			return true;
	}
	return false;
}

/* Goes past a JSON value that is to be of the field, appending it with its ids
 * as ids. What breaks the field's rules stays as it is: its service says so. */
static void ids_copy(const struct build *build, const struct field *field,
		     struct reader *reader, struct buffer *out);

static void ids_copy_map(const struct build *build, const struct record *record,
			 struct reader *reader, struct buffer *out)
{
	uint32_t count = reader_map(reader);
	size_t hint = 0;

	writer_map(out, count);
	for (uint32_t i = 0; i < count; i++) {
		struct slice name = reader_str(reader);
		size_t index = record_find(record, name, hint);

		writer_str(out, name);
		if (index == SIZE_MAX) {
			writer_raw(out, reader_value(reader));
			continue;
		}
		ids_copy(build, &record->fields[index], reader, out);
		hint = index + 1;
	}
}

static void ids_copy_array(const struct build *build, const struct field *field,
			   struct reader *reader, struct buffer *out)
{
	uint32_t count = reader_array(reader);

	writer_array(out, count);
	for (uint32_t i = 0; i < count; i++) {
		if (reader_peek(reader) == READER_MAP)
			ids_copy_map(build, field->record, reader, out);
		else
			writer_raw(out, reader_value(reader));
	}
}

static void ids_copy(const struct build *build, const struct field *field,
		     struct reader *reader, struct buffer *out)
{
	const enum reader_kind kind = reader_peek(reader);
	int64_t id;

	if (field->type == FIELD_OBJECT && kind == READER_MAP) {
		ids_copy_map(build, field->record, reader, out);
	} else if (field->type == FIELD_OBJECTS && kind == READER_ARRAY) {
		ids_copy_array(build, field, reader, out);
	} else if (field->type == FIELD_ID && kind == READER_STR) {
		struct slice text = reader_str(reader);

		if (build->dialect->id_decode(text, &id))
			writer_id(out, id);
		else
			writer_str(out, text);
	} else {
		writer_raw(out, reader_value(reader));
	}
}

/* JSON has no ids: the texts of a body's, behind start in out, become ids. */
static void ids_make(const struct build *build, const struct record *record,
		     struct buffer *out, size_t start)
{
	struct reader reader;
	const struct slice body = slice_of(
		arena_strdup(build->arena,
			     slice_of(out->data + start, out->size - start)),
		out->size - start);

	reader_init(&reader, body);
	out->size = start;
	ids_copy_map(build, record, &reader, out);
	assert(reader_done(&reader));
}

static const struct record *body_record(const struct route *route)
{
	return route->shape == ROUTE_CALL ? route->body
					  : route->resource->record;
}

/* Appends the body's msgpack, which is a map. */
static enum err_code json_body_append(const struct build *build,
				      struct buffer *out)
{
	const struct record *record = body_record(build->match->route);
	struct slice body = build->input->body;
	enum err_code code = media_type_check(build, "application/json");
	if (code != ERR_OK)
		return code;
	if (body.size == 0) {
		writer_map(out, 0);
		return ERR_OK;
	}
	size_t start = out->size;
	code = json_to_msgpack(body, out, build->err);
	if (code != ERR_OK)
		return code;
	struct reader reader;
	reader_init(&reader, slice_of(out->data + start, out->size - start));
	if (reader_peek(&reader) != READER_MAP)
		return err_set(build->err, ERR_MALFORMED,
			       "the body is not a JSON object");
	if (has_ids(record))
		ids_make(build, record, out, start);
	return ERR_OK;
}

/* Members of a ROUTE_CALL's body: so many, as msgpack end to end. */
struct members {
	uint32_t count;
	struct buffer bytes;
};

static enum err_code form_members(const struct build *build,
				  struct members *members)
{
	struct url_query form;
	enum err_code code =
		media_type_check(build, "application/x-www-form-urlencoded");
	if (code == ERR_OK)
		code = url_query_parse(build->input->body, build->arena, &form,
				       build->err);
	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i < form.count; i++) {
		writer_str(&members->bytes, form.pairs[i].name);
		writer_str(&members->bytes, form.pairs[i].value);
	}
	members->count = (uint32_t)form.count;
	return ERR_OK;
}

static enum err_code members_read(const struct build *build,
				  struct members *members, struct slice *bytes)
{
	const struct route *route = build->match->route;
	enum err_code code = ERR_OK;

	*bytes = slice_of("", 0);
	if (!route->body)
		return ERR_OK;
	if (route->flags & ROUTE_FORM) {
		code = form_members(build, members);
		*bytes = buffer_slice(&members->bytes);
		return code;
	}
	code = json_body_append(build, &members->bytes);
	if (code != ERR_OK)
		return code;
	struct reader reader;
	reader_init(&reader, buffer_slice(&members->bytes));
	members->count = reader_map(&reader);
	*bytes = slice_of(reader.at, (size_t)(reader.end - reader.at));
	return ERR_OK;
}

/* ---- headers and path ---- */

/* The version of `If-Match: "7"` (RFC 9110 section 13.1.1); 0: any. */
static enum err_code if_match_read(const struct build *build, uint64_t *version)
{
	struct slice text = build->input->if_match;
	int64_t number;

	*version = 0;
	if (!text.data || slice_is(text, "*"))
		return ERR_OK;
	if (text.size < 3 || text.data[0] != '"' ||
	    text.data[text.size - 1] != '"' ||
	    !id_decimal_decode(slice_of(text.data + 1, text.size - 2), &number))
		return err_field(build->err, "If-Match",
				 "is not the ETag of an object");
	*version = (uint64_t)number;
	return ERR_OK;
}

static enum err_code key_check(const struct build *build)
{
	struct slice key = build->input->idempotency_key;
	if (!key.data)
		return ERR_OK;
	bool good = key.size > 0 && key.size <= IDEMPOTENCY_KEY_BYTES_MAX;
	for (size_t i = 0; good && i < key.size; i++)
		good = key.data[i] > ' ' && key.data[i] < 0x7f;
	if (good)
		return ERR_OK;
	return err_field(build->err, "Idempotency-Key",
			 "is not 1 to %d visible ASCII characters",
			 IDEMPOTENCY_KEY_BYTES_MAX);
}

/* The name of the next parameter of a route's path; absent: no more. */
static struct slice param_name(const char **path)
{
	const char *open = strchr(*path, '{');

	if (!open)
		return slice_of(NULL, 0);
	*path = strchr(open, '}');
	return slice_of(open + 1, (size_t)(*path - open - 1));
}

static bool is_id(struct slice name)
{
	return slice_is(name, "id") || slice_is(name, "tenant_id") ||
	       slice_is(name, "dealer_id");
}

static enum err_code param_write(const struct build *build, struct slice name,
				 struct slice value)
{
	int64_t id;

	writer_str(build->out, name);
	if (!is_id(name)) {
		writer_str(build->out, value);
		return ERR_OK;
	}
	if (build->dialect->id_decode(value, &id)) {
		writer_id(build->out, id);
		return ERR_OK;
	}
	if (build->match->route->shape == ROUTE_DESTROY)
		return err_field(build->err, arena_strdup(build->arena, name),
				 "is malformed");
	return err_code_set(build->err, ERR_NOT_FOUND);
}

/* Begins the map of arguments: the path's parameters and as many others. */
static enum err_code params_write(const struct build *build, uint32_t others)
{
	const struct route_match *match = build->match;
	const char *path = match->route->path;

	writer_map(build->out, (uint32_t)match->param_count + others);
	for (size_t i = 0; i < match->param_count; i++) {
		enum err_code code =
			param_write(build, param_name(&path), match->params[i]);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/* The same with the version the object of a write has to have. */
static enum err_code target_write(const struct build *build, uint32_t others)
{
	uint64_t version;
	enum err_code code = if_match_read(build, &version);
	if (code == ERR_OK)
		code = params_write(build, others + (version > 0));
	if (code != ERR_OK || version == 0)
		return code;
	writer_text(build->out, "if_version");
	writer_uint(build->out, version);
	return ERR_OK;
}

/* ---- the shapes ---- */

static enum err_code build_list(const struct build *build)
{
	struct options options;
	enum err_code code = options_read(build, &query_record, &options);
	if (code == ERR_OK)
		code = params_write(build, options.count);
	return code == ERR_OK ? options_write(build, &options) : code;
}

static enum err_code build_create(const struct build *build)
{
	bool keyed = build->input->idempotency_key.data;
	enum err_code code = key_check(build);
	if (code == ERR_OK)
		code = params_write(build, keyed ? 2 : 1);
	if (code != ERR_OK)
		return code;
	if (keyed) {
		writer_text(build->out, "idempotency_key");
		writer_str(build->out, build->input->idempotency_key);
	}
	writer_text(build->out, "object");
	return json_body_append(build, build->out);
}

static enum err_code build_update(const struct build *build)
{
	enum err_code code = target_write(build, 1);
	if (code != ERR_OK)
		return code;
	writer_text(build->out, "object");
	return json_body_append(build, build->out);
}

static enum err_code call_write(const struct build *build,
				struct members *members)
{
	const struct route *route = build->match->route;
	struct options options = {0};
	struct slice bytes;
	bool token = route->flags & ROUTE_TOKEN;
	enum err_code code = ERR_OK;

	if (route->query)
		code = options_read(build, route->query, &options);
	if (code == ERR_OK)
		code = members_read(build, members, &bytes);
	if (code == ERR_OK)
		code = params_write(build,
				    options.count + members->count + token);
	if (code == ERR_OK)
		code = options_write(build, &options);
	if (code != ERR_OK)
		return code;
	writer_raw(build->out, bytes);
	if (token) {
		writer_text(build->out, "access_token");
		writer_str(build->out, build->input->token);
	}
	return code;
}

static enum err_code build_call(const struct build *build)
{
	struct members members = {0};
	enum err_code code = call_write(build, &members);

	buffer_fini(&members.bytes);
	return code;
}

enum err_code arguments_build(const struct dialect *dialect,
			      const struct route_match *match,
			      const struct arguments_input *input,
			      struct arena *arena, struct buffer *out,
			      struct err *err)
{
	const struct build build = {dialect, match, input, arena, out, err};

	switch (match->route->shape) {
	case ROUTE_LIST:
	case ROUTE_EXPORT:
		return build_list(&build);
	case ROUTE_READ:
		return params_write(&build, 0);
	case ROUTE_CREATE:
		return build_create(&build);
	case ROUTE_UPDATE:
		return build_update(&build);
	case ROUTE_DESTROY:
		return target_write(&build, 0);
	case ROUTE_CALL:
		return build_call(&build);
	}
	return err_code_set(err, ERR_INTERNAL);
}

void arguments_page(struct slice first, struct slice after, struct buffer *out)
{
	struct reader reader;

	reader_init(&reader, first);
	uint32_t count = reader_map(&reader);
	assert(reader_ok(&reader));
	writer_map(out, count + 1);
	writer_raw(out, slice_of(reader.at, (size_t)(reader.end - reader.at)));
	writer_text(out, "after");
	writer_raw(out, after);
}
