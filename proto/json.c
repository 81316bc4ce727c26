#include "proto/json.h"

#include "proto/json_keys.h"
#include "proto/json_plain.h"
#include "proto/reader.h"
#include "proto/utf8.h"
#include "proto/writer.h"

#include <math.h>
#include <stdlib.h>

struct parser {
	const uint8_t *start;
	const uint8_t *at;
	const uint8_t *end;
	struct buffer *out;
	size_t base;	       /* of out: where the text's msgpack starts */
	struct buffer scratch; /* a string with escapes, or a number */
	struct json_keys keys;
	unsigned depth;
	const char *fault; /* what is wrong at `at` */
};

static bool fail(struct parser *p, const char *fault)
{
	p->fault = fault;
	return false;
}

static bool fail_at(struct parser *p, size_t text_at, const char *fault)
{
	p->at = p->start + text_at;
	return fail(p, fault);
}

static void skip_space(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' ||
				  *p->at == '\r' || *p->at == '\t'))
		p->at++;
}

/* Reads past one byte if it is the next. */
static bool take(struct parser *p, char c)
{
	if (p->at == p->end || *p->at != (uint8_t)c)
		return false;
	p->at++;
	return true;
}

static bool is_digit(const struct parser *p)
{
	return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

/* The four hexadecimal digits of a \u escape. */
static bool take_hex(struct parser *p, uint32_t *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++) {
		if (p->at == p->end)
			return fail(p, "unfinished escape");

		uint8_t c = *p->at;
		uint8_t lower = c | 0x20;

		if (c >= '0' && c <= '9')
			*unit = *unit << 4 | (uint32_t)(c - '0');
		else if (lower >= 'a' && lower <= 'f')
			*unit = *unit << 4 | (uint32_t)(lower - 'a' + 10);
		else
			return fail(p, "bad \\u escape");
		p->at++;
	}
	return true;
}

/* RFC 8259 section 7: what is outside the basic plane is written as a
 * surrogate pair. Half a pair has no UTF-8 and is refused. */
static bool take_unicode(struct parser *p)
{
	uint32_t high, low;

	if (!take_hex(p, &high))
		return false;
	if (high >= 0xdc00 && high <= 0xdfff)
		return fail(p, "lone surrogate");
	if (high >= 0xd800 && high <= 0xdbff) {
		if (!take(p, '\\') || !take(p, 'u'))
			return fail(p, "lone surrogate");
		if (!take_hex(p, &low))
			return false;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(p, "lone surrogate");
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	}
	p->scratch.size += utf8_char_put(buffer_reserve(&p->scratch, 4), high);
	return true;
}

static bool take_escape(struct parser *p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	p->at++;
	if (p->at == p->end)
		return fail(p, "unfinished escape");
	if (take(p, 'u'))
		return take_unicode(p);

	const char *found = memchr(from, *p->at, sizeof(from) - 1);

	if (!found)
		return fail(p, "unknown escape");
	p->at++;
	buffer_append_char(&p->scratch, to[found - from]);
	return true;
}

/* Whole, well-formed characters outside ASCII. */
static bool skip_wide(struct parser *p)
{
	while (p->at < p->end && *p->at >= 0x80) {
		size_t size = utf8_char_size(
			slice_of(p->at, (size_t)(p->end - p->at)));

		if (size == 0)
			return fail(p, "invalid UTF-8");
		p->at += size;
	}
	return true;
}

/* The string whose quote is next: a view of the text, or of scratch where it
 * has escapes. */
static bool take_string(struct parser *p, struct slice *string)
{
	const uint8_t *run = ++p->at;
	bool escaped = false;

	for (;;) {
		p->at = json_plain_end(p->at, p->end);
		if (!skip_wide(p))
			return false;
		if (p->at == p->end)
			return fail(p, "unfinished string");
		if (json_is_plain(*p->at))
			continue;
		if (*p->at == '"')
			break;
		if (*p->at < 0x20)
			return fail(p, "control character in a string");
		if (!escaped)
			p->scratch.size = 0;
		escaped = true;
		buffer_append(&p->scratch, run, (size_t)(p->at - run));
		if (!take_escape(p))
			return false;
		run = p->at;
	}
	*string = slice_of(run, (size_t)(p->at - run));
	if (escaped) {
		buffer_append_slice(&p->scratch, *string);
		*string = buffer_slice(&p->scratch);
	}
	p->at++;
	return true;
}

/* Reads past digits and adds them to *value; false: they overflow it. */
static bool take_digits(struct parser *p, uint64_t *value)
{
	bool fits = true;

	for (; is_digit(p); p->at++) {
		fits = fits && !__builtin_mul_overflow(*value, 10, value) &&
		       !__builtin_add_overflow(*value, (uint64_t)(*p->at - '0'),
					       value);
	}
	return fits;
}

/* Reads past fraction and exponent, at least one of which is there. */
static bool skip_fraction(struct parser *p)
{
	uint64_t ignored = 0;

	if (take(p, '.')) {
		if (!is_digit(p))
			return fail(p, "digit expected");
		take_digits(p, &ignored);
	}
	if (take(p, 'e') || take(p, 'E')) {
		if (!take(p, '-'))
			take(p, '+');
		if (!is_digit(p))
			return fail(p, "digit expected");
		take_digits(p, &ignored);
	}
	return true;
}

/* strtod() follows the locale, which no process of ours sets, and wants its
 * text terminated. */
static bool take_float(struct parser *p, const uint8_t *first)
{
	if (!skip_fraction(p))
		return false;
	p->scratch.size = 0;
	buffer_append(&p->scratch, first, (size_t)(p->at - first));
	buffer_append_char(&p->scratch, '\0');

	double value = strtod(p->scratch.data, NULL);

	if (isinf(value))
		return fail_at(p, (size_t)(first - p->start),
			       "number out of range");
	writer_float(p->out, value);
	return true;
}

static bool take_number(struct parser *p)
{
	const uint8_t *first = p->at;
	bool negative = take(p, '-');
	uint64_t value = 0;

	if (!is_digit(p))
		return fail(p, negative ? "digit expected" : "value expected");

	bool fits = true;

	if (!take(p, '0'))
		fits = take_digits(p, &value);
	else if (is_digit(p))
		return fail(p, "leading zero");
	if (p->at < p->end && (*p->at == '.' || (*p->at | 0x20) == 'e'))
		return take_float(p, first);
	if (!fits || (negative && value > (uint64_t)INT64_MAX + 1))
		return fail_at(p, (size_t)(first - p->start),
			       "integer out of range");
	if (negative)
		writer_int(p->out, (int64_t)(0 - value));
	else
		writer_uint(p->out, value);
	return true;
}

static bool take_word(struct parser *p, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(p->end - p->at) < size || memcmp(p->at, word, size) != 0)
		return fail(p, "value expected");
	p->at += size;
	return true;
}

/* A msgpack container starts with its count, which is known only at its end:
 * the head is written there and moved in front. Containers nest at most
 * JSON_DEPTH_MAX deep, so no byte moves more often than that. */
static void head_insert(struct buffer *out, size_t at, size_t count,
			void (*write)(struct buffer *out, uint32_t count))
{
	size_t end = out->size;
	char head[8];

	write(out, (uint32_t)count);

	size_t size = out->size - end;

	memcpy(head, out->data + end, size);
	memmove(out->data + at + size, out->data + at, end - at);
	memcpy(out->data + at, head, size);
}

static bool take_value(struct parser *p);

static bool take_array(struct parser *p)
{
	size_t start = p->out->size;
	size_t count = 0;

	p->at++;
	skip_space(p);
	if (!take(p, ']')) {
		do {
			if (!take_value(p))
				return false;
			count++;
		} while (take(p, ','));
		if (!take(p, ']'))
			return fail(p, "',' or ']' expected");
	}
	head_insert(p->out, start, count, writer_array);
	return true;
}

static bool take_member(struct parser *p, struct json_object *object)
{
	struct slice key;

	skip_space(p);

	size_t text_at = (size_t)(p->at - p->start);

	if (p->at == p->end || *p->at != '"')
		return fail(p, "key expected");
	if (!take_string(p, &key))
		return false;
	writer_str(p->out, key);
	if (!json_keys_add(&p->keys, object, p->out->data + p->base,
			   p->out->size - p->base - key.size, key.size,
			   text_at))
		return fail_at(p, text_at, "repeated key");
	skip_space(p);
	if (!take(p, ':'))
		return fail(p, "':' expected");
	return take_value(p);
}

static bool take_object(struct parser *p)
{
	struct json_object object = json_keys_open(&p->keys);
	size_t start = p->out->size, text_at;

	p->at++;
	skip_space(p);
	if (!take(p, '}')) {
		do {
			if (!take_member(p, &object))
				return false;
		} while (take(p, ','));
		if (!take(p, '}'))
			return fail(p, "',' or '}' expected");
	}
	if (!json_keys_close(&p->keys, &object, p->out->data + p->base,
			     &text_at))
		return fail_at(p, text_at, "repeated key");
	head_insert(p->out, start, object.count, writer_map);
	return true;
}

static bool take_nested(struct parser *p)
{
	if (p->depth == JSON_DEPTH_MAX)
		return fail(p, "nested too deep");
	p->depth++;

	bool good = *p->at == '{' ? take_object(p) : take_array(p);

	p->depth--;
	return good;
}

static bool take_scalar(struct parser *p)
{
	struct slice string;

	switch (*p->at) {
	case '"':
		if (!take_string(p, &string))
			return false;
		writer_str(p->out, string);
		return true;
	case 't':
		writer_bool(p->out, true);
		return take_word(p, "true");
	case 'f':
		writer_bool(p->out, false);
		return take_word(p, "false");
	case 'n':
		writer_nil(p->out);
		return take_word(p, "null");
	default:
		return take_number(p);
	}
}

/* One value and the white space on both sides of it. */
static bool take_value(struct parser *p)
{
	skip_space(p);
	if (p->at == p->end)
		return fail(p, "value expected");

	bool nested = *p->at == '{' || *p->at == '[';

	if (nested ? !take_nested(p) : !take_scalar(p))
		return false;
	skip_space(p);
	return true;
}

enum err_code json_to_msgpack(struct slice json, struct buffer *out,
			      struct err *err)
{
	if (json.size > JSON_BYTES_MAX)
		return err_set(err, ERR_MALFORMED, "JSON: text too long");

	const uint8_t *start = (const uint8_t *)json.data;
	struct parser p = {.start = start,
			   .at = start,
			   .end = start ? start + json.size : start,
			   .out = out,
			   .base = out->size};

	/* The usual size; a place even for nothing. */
	buffer_reserve(out, json.size + 1);
	if (take_value(&p) && p.at < p.end)
		fail(&p, "end of text expected");
	json_keys_fini(&p.keys);
	buffer_fini(&p.scratch);
	if (!p.fault)
		return ERR_OK;
	out->size = p.base;
	return err_set(err, ERR_MALFORMED, "JSON: %s at byte %zu", p.fault,
		       (size_t)(p.at - p.start));
}
