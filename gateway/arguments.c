#include "gateway/arguments.h"

#include "gateway/url.h"
#include "proto/id.h"
#include "proto/json.h"
#include "proto/reader.h"
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
static struct slice option_name(const struct build *build, struct slice name)
{
	if (build->match->route->shape != ROUTE_CALL && name.size > 0 &&
	    name.data[0] == '$')
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
				   option_name(build, query.pairs[i].name),
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

/* Appends the body's msgpack, which is a map. */
static enum err_code json_body_append(const struct build *build,
				      struct buffer *out)
{
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
	if (reader_peek(&reader) == READER_MAP)
		return ERR_OK;
	return err_set(build->err, ERR_MALFORMED,
		       "the body is not a JSON object");
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

static enum err_code id_read(const struct build *build, int64_t *id)
{
	assert(build->match->param_count > 0);
	if (build->dialect->id_decode(build->match->params[0], id))
		return ERR_OK;
	if (build->match->route->shape == ROUTE_DESTROY)
		return err_field(build->err, "id", "is malformed");
	return err_code_set(build->err, ERR_NOT_FOUND);
}

static void id_write(const struct build *build, int64_t id)
{
	writer_text(build->out, "id");
	writer_id(build->out, id);
}

/* The one object a write is for, and the version it has to have; 0: any. */
struct target {
	int64_t id;
	uint64_t version;
};

static enum err_code target_read(const struct build *build,
				 struct target *target)
{
	enum err_code code = id_read(build, &target->id);

	return code == ERR_OK ? if_match_read(build, &target->version) : code;
}

/* Begins the map of arguments, which has as many others beside. */
static void target_write(const struct build *build, const struct target *target,
			 uint32_t others)
{
	writer_map(build->out, others + (target->version > 0 ? 2 : 1));
	id_write(build, target->id);
	if (target->version == 0)
		return;
	writer_text(build->out, "if_version");
	writer_uint(build->out, target->version);
}

/* ---- the shapes ---- */

static enum err_code build_list(const struct build *build)
{
	struct options options;
	enum err_code code = options_read(build, &query_record, &options);
	if (code != ERR_OK)
		return code;
	writer_map(build->out, options.count);
	return options_write(build, &options);
}

static enum err_code build_read(const struct build *build)
{
	int64_t id;
	enum err_code code = id_read(build, &id);
	if (code != ERR_OK)
		return code;
	writer_map(build->out, 1);
	id_write(build, id);
	return ERR_OK;
}

static enum err_code build_create(const struct build *build)
{
	bool keyed = build->input->idempotency_key.data;
	enum err_code code = key_check(build);
	if (code != ERR_OK)
		return code;
	writer_map(build->out, keyed ? 2 : 1);
	if (keyed) {
		writer_text(build->out, "idempotency_key");
		writer_str(build->out, build->input->idempotency_key);
	}
	writer_text(build->out, "object");
	return json_body_append(build, build->out);
}

static enum err_code build_update(const struct build *build)
{
	struct target target;
	enum err_code code = target_read(build, &target);
	if (code != ERR_OK)
		return code;
	target_write(build, &target, 1);
	writer_text(build->out, "object");
	return json_body_append(build, build->out);
}

static enum err_code build_destroy(const struct build *build)
{
	struct target target;
	enum err_code code = target_read(build, &target);
	if (code == ERR_OK)
		target_write(build, &target, 0);
	return code;
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

/* Parameters of the path go along by their names; "id" is an id. */
static enum err_code params_write(const struct build *build)
{
	const char *path = build->match->route->path;

	for (size_t i = 0; i < build->match->param_count; i++) {
		const struct slice name = param_name(&path);
		int64_t id;

		if (!slice_is(name, "id")) {
			writer_str(build->out, name);
			writer_str(build->out, build->match->params[i]);
			continue;
		}
		enum err_code code = id_read(build, &id);

		if (code != ERR_OK)
			return code;
		id_write(build, id);
	}
	return ERR_OK;
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
	if (code != ERR_OK)
		return code;
	writer_map(build->out, (uint32_t)build->match->param_count +
				       options.count + members->count + token);
	code = params_write(build);
	if (code == ERR_OK)
		code = options_write(build, &options);
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
		return build_read(&build);
	case ROUTE_CREATE:
		return build_create(&build);
	case ROUTE_UPDATE:
		return build_update(&build);
	case ROUTE_DESTROY:
		return build_destroy(&build);
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
