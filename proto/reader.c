#include "proto/reader.h"

void reader_init(struct reader *reader, struct slice bytes)
{
	reader->at = (const uint8_t *)bytes.data;
	reader->end = reader->at ? reader->at + bytes.size : reader->at;
	reader->failed = false;
}

bool reader_ok(const struct reader *reader)
{
	return !reader->failed;
}

bool reader_done(const struct reader *reader)
{
	return !reader->failed && reader->at == reader->end;
}

void reader_fail(struct reader *reader)
{
	reader->failed = true;
}

static size_t left(const struct reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

/* size bytes, or NULL with the error set. */
static const uint8_t *take(struct reader *reader, size_t size)
{
	if (reader->failed || left(reader) < size) {
		reader->failed = true;
		return NULL;
	}
	const uint8_t *bytes = reader->at;

	reader->at += size;
	return bytes;
}

/* An unsigned big-endian number of 1, 2, 4 or 8 bytes. */
static uint64_t take_number(struct reader *reader, size_t size)
{
	const uint8_t *bytes = take(reader, size);
	uint64_t number = 0;

	for (size_t i = 0; bytes && i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

/* The bytes of a number, or length, whose tag is one of the row that starts at
 * first: 1, 2, 4, 8. */
static size_t width(uint8_t tag, uint8_t first)
{
	return (size_t)1 << ((tag - first) & 3);
}

/* The next byte, which says type and often size; 0xc1 (never used by msgpack)
 * with the error set. */
static uint8_t take_tag(struct reader *reader)
{
	const uint8_t *byte = take(reader, 1);

	return byte ? *byte : 0xc1;
}

/* The bytes of the ext head at the cursor, of its data, and its type. */
static bool ext_head(const struct reader *reader, size_t *head, size_t *size,
		     int8_t *type)
{
	const uint8_t *at = reader->at;
	const uint8_t tag = at[0];

	if (tag >= 0xd4 && tag <= 0xd8) {
		*head = 2;
		*size = (size_t)1 << (tag - 0xd4);
	} else {
		*head = tag == 0xc7 ? 3 : tag == 0xc8 ? 4 : 6;
		if (left(reader) < *head)
			return false;
		*size = 0;
		for (size_t i = 1; i + 1 < *head; i++)
			*size = *size << 8 | at[i];
	}
	if (left(reader) < *head)
		return false;
	*type = (int8_t)at[*head - 1];
	return true;
}

static enum reader_kind ext_kind(const struct reader *reader)
{
	size_t head, size;
	int8_t type;

	if (!ext_head(reader, &head, &size, &type))
		return READER_INVALID;
	if (type == WIRE_EXT_ID && size == 8)
		return READER_ID;
	if (type == WIRE_EXT_TIME && (size == 4 || size == 8 || size == 12))
		return READER_TIME;
	return READER_EXT;
}

enum reader_kind reader_peek(const struct reader *reader)
{
	if (reader->failed)
		return READER_INVALID;
	if (reader->at == reader->end)
		return READER_END;
	const uint8_t tag = *reader->at;

	if (tag <= 0x7f || tag >= 0xe0)
		return READER_INT;
	if (tag <= 0x8f)
		return READER_MAP;
	if (tag <= 0x9f)
		return READER_ARRAY;
	if (tag <= 0xbf)
		return READER_STR;
	switch (tag) {
	case 0xc0:
		return READER_NIL;
	case 0xc1:
		return READER_INVALID;
	case 0xc2:
	case 0xc3:
		return READER_BOOL;
	case 0xc4:
	case 0xc5:
	case 0xc6:
		return READER_BIN;
	case 0xca:
	case 0xcb:
		return READER_FLOAT;
	case 0xd9:
	case 0xda:
	case 0xdb:
		return READER_STR;
	case 0xdc:
	case 0xdd:
		return READER_ARRAY;
	case 0xde:
	case 0xdf:
		return READER_MAP;
	default:
		return tag >= 0xcc && tag <= 0xd3 ? READER_INT
						  : ext_kind(reader);
	}
}

/* Sets the error unless the next value is of this kind. */
static bool expect(struct reader *reader, enum reader_kind kind)
{
	if (reader_peek(reader) == kind)
		return true;
	reader->failed = true;
	return false;
}

void reader_nil(struct reader *reader)
{
	if (expect(reader, READER_NIL))
		take(reader, 1);
}

bool reader_bool(struct reader *reader)
{
	return expect(reader, READER_BOOL) && take_tag(reader) == 0xc3;
}

double reader_float(struct reader *reader)
{
	if (!expect(reader, READER_FLOAT))
		return 0;
	if (take_tag(reader) == 0xcb) {
		const uint64_t bits = take_number(reader, 8);
		double value;

		memcpy(&value, &bits, sizeof(value));
		return value;
	}
	const uint32_t bits = (uint32_t)take_number(reader, 4);
	float value;

	memcpy(&value, &bits, sizeof(value));
	return (double)value;
}

/* The signed number whose tag is one of 0xd0 to 0xd3. */
static int64_t take_signed(struct reader *reader, uint8_t tag)
{
	const uint64_t bits = take_number(reader, width(tag, 0xd0));

	switch (tag) {
	case 0xd0:
		return (int8_t)bits;
	case 0xd1:
		return (int16_t)bits;
	case 0xd2:
		return (int32_t)bits;
	default:
		return (int64_t)bits;
	}
}

/* The next integer: its 64 bits, and whether they are of a negative number. */
static uint64_t take_integer(struct reader *reader, bool *negative)
{
	*negative = false;
	if (!expect(reader, READER_INT))
		return 0;
	const uint8_t tag = take_tag(reader);

	if (tag <= 0x7f)
		return tag;
	if (tag >= 0xcc && tag <= 0xcf)
		return take_number(reader, width(tag, 0xcc));
	const int64_t number =
		tag >= 0xe0 ? (int8_t)tag : take_signed(reader, tag);

	*negative = number < 0;
	return (uint64_t)number;
}

int64_t reader_int(struct reader *reader)
{
	bool negative;
	const uint64_t bits = take_integer(reader, &negative);

	if (!negative && bits > INT64_MAX) {
		reader->failed = true;
		return 0;
	}
	return (int64_t)bits;
}

uint64_t reader_uint(struct reader *reader)
{
	bool negative;
	const uint64_t bits = take_integer(reader, &negative);

	if (negative) {
		reader->failed = true;
		return 0;
	}
	return bits;
}

static struct slice take_slice(struct reader *reader, size_t size)
{
	const uint8_t *bytes = take(reader, size);

	return bytes ? slice_of(bytes, size) : (struct slice){0};
}

struct slice reader_str(struct reader *reader)
{
	if (!expect(reader, READER_STR))
		return (struct slice){0};
	const uint8_t tag = take_tag(reader);

	if (tag <= 0xbf)
		return take_slice(reader, tag & 0x1f);
	return take_slice(reader, take_number(reader, width(tag, 0xd9)));
}

struct slice reader_bin(struct reader *reader)
{
	if (!expect(reader, READER_BIN))
		return (struct slice){0};
	const uint8_t tag = take_tag(reader);

	return take_slice(reader, take_number(reader, width(tag, 0xc4)));
}

/* The data of the ext value at the cursor, which reader_peek() has seen. */
static struct slice take_ext(struct reader *reader)
{
	size_t head, size;
	int8_t type;

	if (!ext_head(reader, &head, &size, &type)) {
		reader->failed = true;
		return (struct slice){0};
	}
	take(reader, head);
	return take_slice(reader, size);
}

int64_t reader_id(struct reader *reader)
{
	if (!expect(reader, READER_ID))
		return 0;
	struct reader data;

	reader_init(&data, take_ext(reader));
	return (int64_t)take_number(&data, 8);
}

/* The three forms of msgpack's timestamp: 32 bit seconds; 30 bit nanoseconds
 * and 34 bit seconds; 32 bit nanoseconds and 64 bit seconds. */
int64_t reader_time(struct reader *reader)
{
	if (!expect(reader, READER_TIME))
		return 0;
	const struct slice bytes = take_ext(reader);
	struct reader data;

	reader_init(&data, bytes);
	if (bytes.size == 8)
		return (int64_t)(take_number(&data, 8) & 0x3ffffffff);
	if (bytes.size == 12)
		take(&data, 4);
	return (int64_t)take_number(&data, bytes.size == 12 ? 8 : 4);
}

/* Every item takes a byte at least, so a count past that is a lie, told before
 * anybody makes room for it. */
static uint32_t bounded(struct reader *reader, uint64_t count, unsigned bytes)
{
	if (reader->failed || count > left(reader) / bytes) {
		reader->failed = true;
		return 0;
	}
	return (uint32_t)count;
}

uint32_t reader_array(struct reader *reader)
{
	if (!expect(reader, READER_ARRAY))
		return 0;
	const uint8_t tag = take_tag(reader);

	if (tag <= 0x9f)
		return bounded(reader, tag & 0x0f, 1);
	return bounded(reader, take_number(reader, tag == 0xdc ? 2 : 4), 1);
}

uint32_t reader_map(struct reader *reader)
{
	if (!expect(reader, READER_MAP))
		return 0;
	const uint8_t tag = take_tag(reader);

	if (tag <= 0x8f)
		return bounded(reader, tag & 0x0f, 2);
	return bounded(reader, take_number(reader, tag == 0xde ? 2 : 4), 2);
}

static void skip(struct reader *reader, int depth)
{
	if (depth > READER_DEPTH_MAX) {
		reader->failed = true;
		return;
	}
	uint64_t items = 0;
	bool negative;

	switch (reader_peek(reader)) {
	case READER_NIL:
	case READER_BOOL:
		take(reader, 1);
		break;
	case READER_INT:
		take_integer(reader, &negative);
		break;
	case READER_FLOAT:
		reader_float(reader);
		break;
	case READER_STR:
		reader_str(reader);
		break;
	case READER_BIN:
		reader_bin(reader);
		break;
	case READER_ID:
	case READER_TIME:
	case READER_EXT:
		take_ext(reader);
		break;
	case READER_ARRAY:
		items = reader_array(reader);
		break;
	case READER_MAP:
		items = 2 * (uint64_t)reader_map(reader);
		break;
	case READER_END:
	case READER_INVALID:
		reader->failed = true;
		break;
	}
	while (items-- > 0 && !reader->failed)
		skip(reader, depth + 1);
}

struct slice reader_value(struct reader *reader)
{
	const uint8_t *start = reader->at;

	skip(reader, 0);
	if (reader->failed)
		return (struct slice){0};
	return slice_of(start, (size_t)(reader->at - start));
}
