#include "proto/record.h"

#include "proto/writer.h"

#include <stdarg.h>
#include <stdio.h>

/* A place in a document: the path is put together only when a rule is broken
 * there. */
struct place {
	const struct place *parent; /* NULL: the document itself */
	const char *name;	    /* NULL: an item of its parent */
	size_t item;
};

/* One decoding: what all its steps share. */
struct decode {
	enum record_mode mode;
	struct reader *reader;
	struct arena *arena;
	struct err *err;
	bool lenient; /* record_load: what is not valid is left absent */
};

static size_t path_print(const struct place *place, char *path, size_t size)
{
	path[0] = '\0';
	if (!place->parent)
		return 0;
	size_t used = path_print(place->parent, path, size);

	if (place->name)
		used += (size_t)snprintf(path + used, size - used, "%s%s",
					 used > 0 ? "." : "", place->name);
	else
		used += (size_t)snprintf(path + used, size - used, "[%zu]",
					 place->item);
	return used < size ? used : size - 1;
}

static void broken(struct decode *decode, const struct place *place,
		   const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void broken(struct decode *decode, const struct place *place,
		   const char *format, ...)
{
	char path[ERR_FIELD_BYTES];
	char reason[ERR_REASON_BYTES];
	va_list args;

	if (decode->lenient)
		return;
	path_print(place, path, sizeof(path));
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	err_field(decode->err, path, "%s", reason);
}

size_t record_find(const struct record *record, struct slice name, size_t hint)
{
	for (size_t i = 0; i < record->count; i++) {
		const size_t at = (hint + i) % record->count;

		if (slice_is(name, record->fields[at].name))
			return at;
	}
	return SIZE_MAX;
}

static size_t choice_find(const struct choices *choices, struct slice name)
{
	for (size_t i = 0; i < choices->count; i++)
		if (slice_is(name, choices->names[i]))
			return i;
	return SIZE_MAX;
}

/* "must be one of A, B, C", cut where the reason is full. */
static void broken_choice(struct decode *decode, const struct place *place,
			  const struct choices *choices)
{
	char list[ERR_REASON_BYTES] = "";
	size_t used = 0;

	for (size_t i = 0; i < choices->count && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used,
					 "%s%s", i ? ", " : "",
					 choices->names[i]);
	broken(decode, place, "must be one of %s", list);
}

/* Code points of valid UTF-8: every byte but the continuations. */
static int64_t characters(struct slice text)
{
	int64_t count = 0;

	for (size_t i = 0; i < text.size; i++)
		count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
	return count;
}

/* C0, DEL: they would let a value break out of a SIP header or a log line. */
static bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
			return true;
	return false;
}

static bool string_obeys(struct decode *decode, const struct field *field,
			 const struct place *place, struct slice text)
{
	const int64_t length = characters(text);

	if (length < field->min || length > field->max) {
		broken(decode, place, "must have %lld to %lld characters",
		       (long long)field->min, (long long)field->max);
		return false;
	}
	/* PostgreSQL's text holds no NUL, free or not. */
	if (memchr(text.data, '\0', text.size) ||
	    (!(field->flags & FIELD_FREE_TEXT) && has_control(text))) {
		broken(decode, place, "must not contain control characters");
		return false;
	}
	return true;
}

static void read_string(struct decode *decode, const struct field *field,
			const struct place *place, struct value *out)
{
	const struct slice text = reader_str(decode->reader);

	if (!reader_ok(decode->reader) ||
	    !string_obeys(decode, field, place, text))
		return;
	*out = (struct value){.kind = VALUE_STR, .string = text};
}

static void read_enum(struct decode *decode, const struct field *field,
		      const struct place *place, struct value *out)
{
	const struct slice text = reader_str(decode->reader);

	if (!reader_ok(decode->reader))
		return;
	if (choice_find(field->choices, text) == SIZE_MAX) {
		broken_choice(decode, place, field->choices);
		return;
	}
	*out = (struct value){.kind = VALUE_STR, .string = text};
}

static void read_int(struct decode *decode, const struct field *field,
		     const struct place *place, struct value *out)
{
	/* An unsigned number past int64 is whole msgpack, but out of range. */
	struct reader probe = *decode->reader;
	const int64_t number = reader_int(&probe);

	reader_value(decode->reader);
	if (!reader_ok(decode->reader))
		return;
	if (!reader_ok(&probe) || number < field->min || number > field->max) {
		broken(decode, place, "must be %lld to %lld",
		       (long long)field->min, (long long)field->max);
		return;
	}
	*out = (struct value){.kind = VALUE_INT, .integer = number};
}

static bool listed(const struct slice *items, size_t count, struct slice item)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(items[i], item))
			return true;
	return false;
}

static void read_list(struct decode *decode, const struct field *field,
		      const struct place *place, struct value *out)
{
	struct reader *reader = decode->reader;
	const uint32_t count = reader_array(reader);
	struct slice *items = arena_alloc(
		decode->arena, field->choices->count * sizeof(struct slice));
	size_t kept = 0;
	bool good = true;

	for (uint32_t i = 0; i < count && reader_ok(reader); i++) {
		if (reader_peek(reader) != READER_STR) {
			reader_value(reader);
			good = false;
			continue;
		}
		const struct slice item = reader_str(reader);

		if (choice_find(field->choices, item) == SIZE_MAX)
			good = false;
		else if (!listed(items, kept, item))
			items[kept++] = item;
	}
	if (!reader_ok(reader))
		return;
	if (!good && !decode->lenient) {
		broken_choice(decode, place, field->choices);
		return;
	}
	out->kind = VALUE_LIST;
	out->list.items = items;
	out->list.count = kept;
}

static void read_map(struct decode *decode, const struct record *record,
		     const struct place *place, struct value *values);
static void read_value(struct decode *decode, const struct field *field,
		       const struct place *place, struct value *out);

static void read_object(struct decode *decode, const struct field *field,
			const struct place *place, struct value *out)
{
	const struct record *record = field->record;
	struct value *members =
		arena_alloc(decode->arena, record->count * sizeof(*members));

	if ((field->flags & FIELD_SHORTHAND) &&
	    reader_peek(decode->reader) != READER_MAP)
		read_value(decode, &record->fields[0], place, &members[0]);
	else
		read_map(decode, record, place, members);
	*out = (struct value){.kind = VALUE_OBJECT, .members = members};
}

static void read_objects(struct decode *decode, const struct field *field,
			 const struct place *place, struct value *out);

/* What a value of each type is on the wire, and what a client is told. */
static const struct {
	enum reader_kind kind;
	const char *told;
	void (*read)(struct decode *decode, const struct field *field,
		     const struct place *place, struct value *out);
} types[] = {
	[FIELD_BOOL] = {READER_BOOL, "true or false", NULL},
	[FIELD_INT] = {READER_INT, "an integer", read_int},
	[FIELD_STRING] = {READER_STR, "a string", read_string},
	[FIELD_ENUM] = {READER_STR, "a string", read_enum},
	[FIELD_ENUM_LIST] = {READER_ARRAY, "an array", read_list},
	[FIELD_OBJECT] = {READER_MAP, "an object", read_object},
	[FIELD_ID] = {READER_ID, "an id", NULL},
	[FIELD_TIME] = {READER_TIME, "a time", NULL},
	[FIELD_OBJECTS] = {READER_ARRAY, "an array", read_objects},
};

static bool type_fits(const struct decode *decode, const struct field *field,
		      enum reader_kind kind)
{
	if (kind == types[field->type].kind)
		return true;
	/* Stored JSON has no ids and times of its own. */
	if (decode->lenient &&
	    (field->type == FIELD_ID || field->type == FIELD_TIME))
		return kind == READER_INT;
	return (field->flags & FIELD_SHORTHAND) &&
	       kind == types[field->record->fields[0].type].kind;
}

static void apply_check(struct decode *decode, const struct field *field,
			const struct place *place, struct value *value)
{
	char reason[ERR_REASON_BYTES];

	if (!field->check || value->kind < VALUE_BOOL)
		return;
	if (!field->check(field, value, decode->arena, reason,
			  sizeof(reason))) {
		broken(decode, place, "%s", reason);
		value->kind = VALUE_ABSENT;
	}
}

/* One item of an array of records, into members. False: it broke a rule. */
static bool read_item(struct decode *decode, const struct field *field,
		      const struct place *place, struct value *members)
{
	struct value whole = {.kind = VALUE_OBJECT, .members = members};

	if (reader_peek(decode->reader) != READER_MAP) {
		reader_value(decode->reader);
		broken(decode, place, "must be an object");
		return false;
	}
	read_map(decode, field->record, place, members);
	apply_check(decode, field, place, &whole);
	return whole.kind == VALUE_OBJECT;
}

static void read_objects(struct decode *decode, const struct field *field,
			 const struct place *place, struct value *out)
{
	struct reader *reader = decode->reader;
	const enum record_mode mode = decode->mode;
	const size_t width = field->record->count;
	const uint32_t count = reader_array(reader);
	const bool fits = count <= field->max;
	struct value *values =
		arena_alloc(decode->arena,
			    (fits ? count + 1 : 1) * width * sizeof(*values));
	size_t kept = 0;

	/* An update puts whole items in the place of what was there. */
	decode->mode = RECORD_CREATE;
	for (uint32_t i = 0; i < count && reader_ok(reader); i++) {
		const struct place at = {place, NULL, i};

		if (!fits)
			reader_value(reader);
		else if (read_item(decode, field, &at, &values[kept * width]))
			kept++;
		else
			memset(&values[kept * width], 0,
			       width * sizeof(*values));
	}
	decode->mode = mode;
	if (!fits) {
		broken(decode, place, "must have at most %lld items",
		       (long long)field->max);
		return;
	}
	*out = (struct value){.kind = VALUE_OBJECTS, .objects = {values, kept}};
}

/* Reads one value that is there; out stays absent where a rule is broken. */
static void read_value(struct decode *decode, const struct field *field,
		       const struct place *place, struct value *out)
{
	struct reader *reader = decode->reader;
	const enum reader_kind kind = reader_peek(reader);

	if (kind == READER_NIL) {
		reader_nil(reader);
		out->kind = VALUE_NULL;
		return;
	}
	if (!type_fits(decode, field, kind)) {
		reader_value(reader);
		broken(decode, place, "must be %s", types[field->type].told);
		return;
	}
	if (types[field->type].read) {
		types[field->type].read(decode, field, place, out);
	} else if (field->type == FIELD_BOOL) {
		out->kind = VALUE_BOOL;
		out->boolean = reader_bool(reader);
	} else {
		out->kind = VALUE_INT;
		out->integer = kind == READER_INT	 ? reader_int(reader)
			       : field->type == FIELD_ID ? reader_id(reader)
							 : reader_time(reader);
	}
	if (field->type != FIELD_OBJECTS)
		apply_check(decode, field, place, out);
}

static void check_required(struct decode *decode, const struct record *record,
			   const struct place *place,
			   const struct value *values, const bool *seen)
{
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];
		const struct place at = {place, field->name, 0};

		if (!(field->flags & FIELD_REQUIRED))
			continue;
		if (values[i].kind == VALUE_NULL)
			broken(decode, &at, "must not be null");
		else if (!seen[i] && decode->mode == RECORD_CREATE)
			broken(decode, &at, "is required");
	}
}

/* One key and value of a map. seen has a flag per field. */
static size_t read_member(struct decode *decode, const struct record *record,
			  const struct place *place, struct value *values,
			  bool *seen, size_t hint)
{
	struct reader *reader = decode->reader;
	const struct slice key = reader_str(reader);
	const size_t index = record_find(record, key, hint);

	if (!reader_ok(reader))
		return hint;
	if (index == SIZE_MAX) {
		const struct place at = {place,
					 arena_strdup(decode->arena, key), 0};

		reader_value(reader);
		broken(decode, &at, "is not a field of %s", record->name);
		return hint;
	}
	const struct field *field = &record->fields[index];
	const struct place at = {place, field->name, 0};

	if (seen[index])
		broken(decode, &at, "is given twice");
	seen[index] = true;
	if (field->flags & (FIELD_READ_ONLY | FIELD_IGNORED))
		reader_value(reader);
	else
		read_value(decode, field, &at, &values[index]);
	return index + 1;
}

static void read_map(struct decode *decode, const struct record *record,
		     const struct place *place, struct value *values)
{
	bool *seen = arena_alloc(decode->arena, record->count * sizeof(bool));
	size_t hint = 0;

	for (uint32_t n = reader_map(decode->reader); n > 0; n--) {
		if (!reader_ok(decode->reader))
			return;
		hint = read_member(decode, record, place, values, seen, hint);
	}
	check_required(decode, record, place, values, seen);
}

enum err_code record_decode(const struct record *record, enum record_mode mode,
			    struct reader *reader, struct arena *arena,
			    struct value *values, struct err *err)
{
	struct err found = {0};
	struct decode decode = {mode, reader, arena, err ? err : &found, false};
	const struct place root = {0};

	memset(values, 0, record->count * sizeof(*values));
	decode.err->code = ERR_OK;
	decode.err->detail_count = 0;
	if (reader_peek(reader) != READER_MAP)
		return err_set(err, ERR_VALIDATE, "%s must be an object",
			       record->name);
	read_map(&decode, record, &root, values);
	if (!reader_ok(reader))
		return err_code_set(err, ERR_MALFORMED);
	return decode.err->code;
}

void record_default(const struct record *record, struct value *values)
{
	for (size_t i = 0; i < record->count; i++)
		if (values[i].kind < VALUE_BOOL &&
		    record->fields[i].fallback.kind != VALUE_ABSENT)
			values[i] = record->fields[i].fallback;
}

bool record_shows(enum record_view view, const struct field *field)
{
	if (field->flags & (FIELD_HIDDEN | FIELD_IGNORED | FIELD_HASHED))
		return false;
	if (field->flags & FIELD_SECRET)
		return view == RECORD_SECRET;
	/* Nested records steer calls: no process of ours looks at them, and
	 * they are most of an object's bytes. */
	if (view == RECORD_SECRET &&
	    (field->type == FIELD_OBJECT || field->type == FIELD_OBJECTS))
		return false;
	return view != RECORD_SUMMARY || (field->flags & FIELD_SUMMARY);
}

static uint32_t shown(const struct record *record, enum record_view view)
{
	uint32_t count = 0;

	for (size_t i = 0; i < record->count; i++)
		count += record_shows(view, &record->fields[i]);
	return count;
}

static void write_objects(const struct record *record,
			  const struct value *value, struct buffer *out)
{
	writer_array(out, (uint32_t)value->objects.count);
	for (size_t i = 0; i < value->objects.count; i++)
		record_encode(record, RECORD_FULL,
			      &value->objects.values[i * record->count], out);
}

/* A value of one field; absent and null ones as the default. */
static void write_value(const struct field *field, const struct value *value,
			struct buffer *out)
{
	if (field->type == FIELD_OBJECT) {
		record_encode(field->record, RECORD_FULL,
			      value->kind == VALUE_OBJECT ? value->members
							  : NULL,
			      out);
		return;
	}
	if (value->kind < VALUE_BOOL)
		value = &field->fallback;
	switch (value->kind) {
	case VALUE_BOOL:
		writer_bool(out, value->boolean);
		break;
	case VALUE_INT:
		if (field->type == FIELD_ID)
			writer_id(out, value->integer);
		else if (field->type == FIELD_TIME)
			writer_time(out, value->integer);
		else
			writer_int(out, value->integer);
		break;
	case VALUE_STR:
		writer_str(out, value->string);
		break;
	case VALUE_LIST:
		writer_array(out, (uint32_t)value->list.count);
		for (size_t i = 0; i < value->list.count; i++)
			writer_str(out, value->list.items[i]);
		break;
	case VALUE_OBJECTS:
		write_objects(field->record, value, out);
		break;
	case VALUE_OBJECT:
	case VALUE_ABSENT:
	case VALUE_NULL:
		writer_nil(out);
		break;
	}
}

void record_encode(const struct record *record, enum record_view view,
		   const struct value *values, struct buffer *out)
{
	static const struct value absent;

	writer_map(out, shown(record, view));
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (!record_shows(view, field))
			continue;
		writer_text(out, field->name);
		write_value(field, values ? &values[i] : &absent, out);
	}
}

static void store_members(const struct record *record,
			  const struct value *members, struct buffer *out)
{
	bool first = true;

	buffer_append_char(out, '{');
	for (size_t i = 0; i < record->count; i++) {
		if (members[i].kind == VALUE_ABSENT)
			continue;
		if (!first)
			buffer_append_char(out, ',');
		first = false;
		json_append_str(out, slice_str(record->fields[i].name));
		buffer_append_char(out, ':');
		record_store(&record->fields[i], &members[i], out);
	}
	buffer_append_char(out, '}');
}

static void store_list(const struct value *value, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (size_t i = 0; i < value->list.count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		json_append_str(out, value->list.items[i]);
	}
	buffer_append_char(out, ']');
}

static void store_objects(const struct record *record,
			  const struct value *value, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (size_t i = 0; i < value->objects.count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		store_members(record, &value->objects.values[i * record->count],
			      out);
	}
	buffer_append_char(out, ']');
}

void record_store(const struct field *field, const struct value *value,
		  struct buffer *out)
{
	switch (value->kind) {
	case VALUE_BOOL:
		buffer_append_str(out, value->boolean ? "true" : "false");
		break;
	case VALUE_INT:
		buffer_printf(out, "%lld", (long long)value->integer);
		break;
	case VALUE_STR:
		json_append_str(out, value->string);
		break;
	case VALUE_LIST:
		store_list(value, out);
		break;
	case VALUE_OBJECT:
		store_members(field->record, value->members, out);
		break;
	case VALUE_OBJECTS:
		store_objects(field->record, value, out);
		break;
	case VALUE_ABSENT:
	case VALUE_NULL:
		buffer_append_str(out, "null");
		break;
	}
}

enum err_code record_load(const struct field *field, struct slice json,
			  struct arena *arena, struct value *value)
{
	struct buffer wire = {0};
	struct err err = {0};
	enum err_code code = json_to_msgpack(json, &wire, &err);

	value->kind = VALUE_ABSENT;
	if (code == ERR_OK) {
		/* The views of the value point into the arena's copy. */
		char *bytes = arena_strdup(arena, buffer_slice(&wire));
		struct reader reader;
		struct decode decode = {RECORD_UPDATE, &reader, arena, &err,
					true};
		const struct place root = {0};

		reader_init(&reader, slice_of(bytes, wire.size));
		read_value(&decode, field, &root, value);
	}
	buffer_fini(&wire);
	return code == ERR_OK ? ERR_OK : ERR_INTERNAL;
}
