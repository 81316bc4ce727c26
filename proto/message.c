#include "proto/message.h"

#include "proto/writer.h"

#include <stdio.h>

enum { REQUEST_MEMBERS = 7, REPLY_MEMBERS = 5 };

void message_request_encode(const struct request *request, struct buffer *out)
{
	writer_array(out, REQUEST_MEMBERS);
	writer_int(out, MESSAGE_VERSION);
	writer_uint(out, request->id);
	writer_str(out, request->request_id);
	writer_str(out, request->method);
	writer_uint(out, request->deadline_ms);
	principal_encode(&request->principal, out);
	writer_raw(out, request->args);
}

/* Reads the frame's array and its first two members, the same in every version
 * and direction. A frame of another version is read past, so that the frames
 * behind it can still be served. */
static enum err_code head_decode(struct reader *reader, uint32_t members,
				 uint64_t *id)
{
	const uint32_t count = reader_array(reader);
	const uint64_t version = count >= 2 ? reader_uint(reader) : 0;

	*id = count >= 2 ? reader_uint(reader) : 0;
	if (!reader_ok(reader) || count < 2)
		return ERR_MALFORMED;
	if (version == MESSAGE_VERSION)
		return count == members ? ERR_OK : ERR_MALFORMED;
	for (uint32_t i = 2; i < count; i++)
		reader_value(reader);
	return reader_ok(reader) ? ERR_VERSION : ERR_MALFORMED;
}

static struct slice bounded_str(struct reader *reader, size_t bytes_max)
{
	const struct slice text = reader_str(reader);

	if (text.size > bytes_max)
		reader_fail(reader);
	return text;
}

enum err_code message_request_decode(struct reader *reader, struct request *out)
{
	enum err_code code = head_decode(reader, REQUEST_MEMBERS, &out->id);

	if (code != ERR_OK)
		return code;
	out->request_id = bounded_str(reader, MESSAGE_REQUEST_ID_BYTES_MAX);
	out->method = bounded_str(reader, MESSAGE_METHOD_BYTES_MAX);
	const uint64_t deadline_ms = reader_uint(reader);

	out->deadline_ms = deadline_ms > MESSAGE_DEADLINE_MS_MAX
				   ? MESSAGE_DEADLINE_MS_MAX
				   : (uint32_t)deadline_ms;
	principal_decode(reader, &out->principal);
	if (reader_peek(reader) != READER_MAP)
		return ERR_MALFORMED;
	out->args = reader_value(reader);
	return reader_ok(reader) ? ERR_OK : ERR_MALFORMED;
}

void message_reply_encode(const struct reply *reply, struct buffer *out)
{
	writer_array(out, REPLY_MEMBERS);
	writer_int(out, MESSAGE_VERSION);
	writer_uint(out, reply->id);
	writer_int(out, reply->status);
	writer_uint(out, reply->object_version);
	if (reply->body.size > 0)
		writer_raw(out, reply->body);
	else
		writer_nil(out);
}

enum err_code message_reply_decode(struct reader *reader, struct reply *out)
{
	enum err_code code = head_decode(reader, REPLY_MEMBERS, &out->id);

	if (code != ERR_OK)
		return code;
	const uint64_t status = reader_uint(reader);

	out->status = err_known(status) ? (enum err_code)status : ERR_INTERNAL;
	out->object_version = reader_uint(reader);
	out->body = reader_value(reader);
	return reader_ok(reader) ? ERR_OK : ERR_MALFORMED;
}

void message_error_encode(const struct err *err, struct buffer *out)
{
	writer_map(out, 3);
	writer_text(out, "text");
	writer_text(out, err->text);
	writer_text(out, "retry_after_s");
	writer_uint(out, err->retry_after_s);
	writer_text(out, "details");
	writer_array(out, (uint32_t)err->detail_count);
	for (size_t i = 0; i < err->detail_count; i++) {
		writer_map(out, 2);
		writer_text(out, "field");
		writer_text(out, err->details[i].field);
		writer_text(out, "reason");
		writer_text(out, err->details[i].reason);
	}
}

static void copy_text(struct slice from, char *to, size_t size)
{
	snprintf(to, size, "%.*s", SLICE_ARG(from));
}

static void detail_decode(struct reader *reader, struct err *err)
{
	struct err_detail detail = {0};

	for (uint32_t pairs = reader_map(reader); pairs > 0; pairs--) {
		const struct slice key = reader_str(reader);
		const struct slice text = reader_str(reader);

		if (slice_is(key, "field"))
			copy_text(text, detail.field, sizeof(detail.field));
		else if (slice_is(key, "reason"))
			copy_text(text, detail.reason, sizeof(detail.reason));
	}
	if (reader_ok(reader) && err->detail_count < ERR_DETAILS_MAX)
		err->details[err->detail_count++] = detail;
}

void message_error_decode(enum err_code status, struct slice body,
			  struct err *err)
{
	struct reader reader;

	err_code_set(err, status);
	reader_init(&reader, body);
	for (uint32_t pairs = reader_map(&reader); pairs > 0; pairs--) {
		const struct slice key = reader_str(&reader);

		if (slice_is(key, "text")) {
			const struct slice text = reader_str(&reader);

			/* A text that shows nothing tells nothing. */
			if (text.size > 0 && text.data[0] != '\0')
				copy_text(text, err->text, sizeof(err->text));
		} else if (slice_is(key, "retry_after_s")) {
			err->retry_after_s = (unsigned)reader_uint(&reader);
		} else if (slice_is(key, "details")) {
			for (uint32_t n = reader_array(&reader); n > 0; n--)
				detail_decode(&reader, err);
		} else {
			reader_value(&reader);
		}
	}
}
