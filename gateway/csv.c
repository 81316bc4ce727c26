#include "gateway/csv.h"

#include "proto/record.h"

#include <ctype.h>
#include <string.h>

static bool needs_quotes(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] && strchr("\",\r\n", text.data[i]))
			return true;
	}
	return false;
}

static void text_append(struct slice text, struct buffer *out)
{
	if (!needs_quotes(text)) {
		buffer_append_slice(out, text);
		return;
	}
	buffer_append_char(out, '"');
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '"')
			buffer_append_char(out, '"');
		buffer_append_char(out, text.data[i]);
	}
	buffer_append_char(out, '"');
}

/* Whether a spreadsheet takes a text for a formula: what a tenant calls its
 * trunk must not run where an administrator opens the export. A number with its
 * sign, as phone numbers are, is none. */
static bool is_formula(struct slice text)
{
	if (text.size == 0 || !text.data[0] ||
	    !strchr("=@+-\t\r", text.data[0]))
		return false;
	if (!strchr("+-", text.data[0]))
		return true;
	for (size_t i = 1; i < text.size; i++)
		if (!isdigit((unsigned char)text.data[i]))
			return true;
	return false;
}

/* The apostrophe says "text" to a spreadsheet, which does not show it. */
static void plain_append(struct slice text, struct arena *arena,
			 struct buffer *out)
{
	if (is_formula(text))
		text = slice_str(arena_printf(arena, "'%.*s", SLICE_ARG(text)));
	text_append(text, out);
}

/* Ids and times come from JSON in quotes, which nothing in them escapes. */
static struct slice unquote(struct slice json)
{
	if (json.size >= 2 && json.data[0] == '"')
		return slice_of(json.data + 1, json.size - 2);
	return json;
}

static enum err_code cell_append(struct slice msgpack, json_id_fn *id_append,
				 struct arena *arena, struct buffer *out,
				 struct err *err)
{
	struct reader reader;
	if (!msgpack.data)
		return ERR_OK;
	reader_init(&reader, msgpack);
	if (reader_peek(&reader) == READER_NIL)
		return ERR_OK;
	if (reader_peek(&reader) == READER_STR) {
		plain_append(reader_str(&reader), arena, out);
		return ERR_OK;
	}
	struct buffer json = {0};
	enum err_code code = json_from_msgpack(msgpack, id_append, &json, err);
	if (code == ERR_OK)
		text_append(unquote(buffer_slice(&json)), out);
	buffer_fini(&json);
	return code;
}

void csv_head_append(const struct record *record, struct buffer *out)
{
	const char *separator = "";

	for (size_t i = 0; i < record->count; i++) {
		if (!record_shows(RECORD_FULL, &record->fields[i]))
			continue;
		buffer_append_str(out, separator);
		buffer_append_str(out, record->fields[i].name);
		separator = ",";
	}
	buffer_append_str(out, "\r\n");
}

/* The values of an object's members, by the record's fields; absent where the
 * object has none. NULL: not a map. */
static struct slice *members_read(const struct record *record,
				  struct reader *reader, struct arena *arena)
{
	struct slice *values =
		arena_alloc(arena, record->count * sizeof(*values));
	uint32_t count = reader_map(reader);
	size_t index = 0;
	for (uint32_t i = 0; i < count && reader_ok(reader); i++) {
		index = record_find(record, reader_str(reader), index);
		struct slice value = reader_value(reader);

		if (index != SIZE_MAX)
			values[index] = value;
		index = index == SIZE_MAX ? 0 : index + 1;
	}
	return reader_ok(reader) ? values : NULL;
}

enum err_code csv_line_append(const struct record *record,
			      struct reader *reader, json_id_fn *id_append,
			      struct arena *arena, struct buffer *out,
			      struct err *err)
{
	const char *separator = "";
	struct slice *values = members_read(record, reader, arena);
	if (!values)
		return err_set(err, ERR_INTERNAL, "an object is not a map");
	for (size_t i = 0; i < record->count; i++) {
		if (!record_shows(RECORD_FULL, &record->fields[i]))
			continue;
		buffer_append_str(out, separator);
		enum err_code code =
			cell_append(values[i], id_append, arena, out, err);
		if (code != ERR_OK)
			return code;
		separator = ",";
	}
	buffer_append_str(out, "\r\n");
	return ERR_OK;
}
