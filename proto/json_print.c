#include "proto/json.h"

#include "proto/id.h"
#include "proto/json_plain.h"
#include "proto/reader.h"
#include "proto/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A character of a string that does not stand for itself, and is ASCII. */
static void append_escaped(struct buffer *out, uint8_t c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *found = memchr(from, c, sizeof(from) - 1);

	if (found)
		buffer_append(out, (char[]){'\\', to[found - from]}, 2);
	else
		buffer_printf(out, "\\u%04x", c);
}

/* What is not UTF-8 becomes U+FFFD. False: there was such. */
static bool append_string(struct buffer *out, struct slice text)
{
	const uint8_t *at = (const uint8_t *)(text.data ? text.data : "");
	const uint8_t *end = at + text.size;
	const uint8_t *run = at;

	bool good = true;

	buffer_append_char(out, '"');
	while ((at = json_plain_end(at, end)) < end) {
		size_t size = utf8_char_size(slice_of(at, (size_t)(end - at)));

		if (size > 1) {
			at += size;
			continue;
		}
		buffer_append(out, run, (size_t)(at - run));
		if (size == 1)
			append_escaped(out, *at);
		else
			buffer_append_str(out, "\xef\xbf\xbd");
		good = good && size == 1;
		run = ++at;
	}
	buffer_append(out, run, (size_t)(at - run));
	buffer_append_char(out, '"');
	return good;
}

void json_append_str(struct buffer *out, struct slice text)
{
	append_string(out, text);
}

static void append_int(struct buffer *out, struct reader *reader)
{
	struct reader probe = *reader;
	int64_t number = reader_int(&probe);

	if (!reader_ok(&probe)) {
		buffer_append_uint(out, reader_uint(reader)); /* past int64 */
		return;
	}
	*reader = probe;
	if (number < 0)
		buffer_append_char(out, '-');
	buffer_append_uint(out, number < 0 ? 0 - (uint64_t)number
					   : (uint64_t)number);
}

/* The fewest digits that read back the same; 17 always do. With a fraction or
 * an exponent, so that it does not read back as an integer. */
static void append_float(struct buffer *out, double number)
{
	char text[40];

	if (!isfinite(number)) {
		buffer_append_str(out, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	buffer_append_str(out, text);
	if (!strpbrk(text, ".e"))
		buffer_append_str(out, ".0");
}

/* RFC 3339 section 5.6, which has years of four digits only. */
static bool append_time(struct buffer *out, int64_t seconds)
{
	const int64_t year_0 = -62167219200, year_10000 = 253402300800;
	time_t time = seconds;
	struct tm tm;

	if (seconds < year_0 || seconds >= year_10000 || !gmtime_r(&time, &tm))
		return false;
	buffer_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02dZ\"",
		      tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		      tm.tm_min, tm.tm_sec);
	return true;
}

/* Where the walk over a msgpack value is. Its functions fail the reader. */
struct printer {
	struct reader reader;
	json_id_fn *id_fn;
	struct buffer *out;
	unsigned depth;
};

static void put_value(struct printer *p);

static void put_string(struct printer *p)
{
	struct slice text = reader_str(&p->reader);

	if (reader_ok(&p->reader) && !append_string(p->out, text))
		reader_fail(&p->reader);
}

static void put_id(struct printer *p)
{
	int64_t id = reader_id(&p->reader);

	if (id > 0)
		p->id_fn(p->out, id);
	else
		reader_fail(&p->reader);
}

static void put_array(struct printer *p)
{
	uint32_t count = reader_array(&p->reader);

	buffer_append_char(p->out, '[');
	for (uint32_t i = 0; i < count && reader_ok(&p->reader); i++) {
		if (i > 0)
			buffer_append_char(p->out, ',');
		put_value(p);
	}
	buffer_append_char(p->out, ']');
}

static void put_map(struct printer *p)
{
	uint32_t pairs = reader_map(&p->reader);

	buffer_append_char(p->out, '{');
	for (uint32_t i = 0; i < pairs && reader_ok(&p->reader); i++) {
		if (i > 0)
			buffer_append_char(p->out, ',');
		put_string(p);
		buffer_append_char(p->out, ':');
		put_value(p);
	}
	buffer_append_char(p->out, '}');
}

static void put_nested(struct printer *p, void (*put)(struct printer *p))
{
	if (p->depth == JSON_DEPTH_MAX) {
		reader_fail(&p->reader);
		return;
	}
	p->depth++;
	put(p);
	p->depth--;
}

static void put_value(struct printer *p)
{
	switch (reader_peek(&p->reader)) {
	case READER_NIL:
		reader_nil(&p->reader);
		buffer_append_str(p->out, "null");
		break;
	case READER_BOOL:
		buffer_append_str(p->out,
				  reader_bool(&p->reader) ? "true" : "false");
		break;
	case READER_INT:
		append_int(p->out, &p->reader);
		break;
	case READER_FLOAT:
		append_float(p->out, reader_float(&p->reader));
		break;
	case READER_STR:
		put_string(p);
		break;
	case READER_ARRAY:
		put_nested(p, put_array);
		break;
	case READER_MAP:
		put_nested(p, put_map);
		break;
	case READER_ID:
		put_id(p);
		break;
	case READER_TIME:
		if (!append_time(p->out, reader_time(&p->reader)))
			reader_fail(&p->reader);
		break;
	case READER_END:
	case READER_INVALID:
	case READER_BIN:
	case READER_EXT:
		reader_fail(&p->reader);
		break;
	}
}

enum err_code json_from_msgpack(struct slice msgpack, json_id_fn *id_fn,
				struct buffer *out, struct err *err)
{
	struct printer p = {.id_fn = id_fn ? id_fn : id_decimal_append,
			    .out = out};
	size_t start = out->size;

	reader_init(&p.reader, msgpack);
	buffer_reserve(out, msgpack.size + 1);
	put_value(&p);
	if (reader_done(&p.reader))
		return ERR_OK;
	out->size = start;
	return err_set(err, ERR_INTERNAL,
		       "msgpack that has no JSON form at byte %zu",
		       (size_t)((const char *)p.reader.at - msgpack.data));
}
