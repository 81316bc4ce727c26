#include "proto/writer.h"

#include "proto/reader.h"

#include <msgpack.h>

static int append(void *out, const char *bytes, size_t size)
{
	buffer_append(out, bytes, size);
	return 0;
}

static msgpack_packer packer(struct buffer *out)
{
	return (msgpack_packer){.data = out, .callback = append};
}

void writer_nil(struct buffer *out)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_nil(&pk);
}

void writer_bool(struct buffer *out, bool value)
{
	msgpack_packer pk = packer(out);

	if (value)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

void writer_int(struct buffer *out, int64_t value)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_int64(&pk, value);
}

void writer_uint(struct buffer *out, uint64_t value)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_uint64(&pk, value);
}

void writer_float(struct buffer *out, double value)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_double(&pk, value);
}

void writer_str(struct buffer *out, struct slice value)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_str(&pk, value.size);
	buffer_append_slice(out, value);
}

void writer_text(struct buffer *out, const char *value)
{
	if (value)
		writer_str(out, slice_str(value));
	else
		writer_nil(out);
}

void writer_bin(struct buffer *out, struct slice value)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_bin(&pk, value.size);
	buffer_append_slice(out, value);
}

void writer_id(struct buffer *out, int64_t id)
{
	msgpack_packer pk = packer(out);
	char bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (char)((uint64_t)id >> (56 - 8 * i));
	msgpack_pack_ext(&pk, sizeof(bytes), WIRE_EXT_ID);
	buffer_append(out, bytes, sizeof(bytes));
}

void writer_time(struct buffer *out, int64_t seconds)
{
	msgpack_packer pk = packer(out);
	const msgpack_timestamp time = {.tv_sec = seconds, .tv_nsec = 0};

	msgpack_pack_timestamp(&pk, &time);
}

void writer_array(struct buffer *out, uint32_t count)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_array(&pk, count);
}

void writer_map(struct buffer *out, uint32_t pairs)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_map(&pk, pairs);
}

void writer_raw(struct buffer *out, struct slice msgpack)
{
	buffer_append_slice(out, msgpack);
}
