/* Batches of frames from an untrusted peer: every view lies in the input, and
 * what was read, written again, reads the same. */

#include "proto/event.h"
#include "proto/message.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void inside(struct slice view, struct slice input)
{
	require(view.size == 0 ||
		(view.data >= input.data &&
		 view.data + view.size <= input.data + input.size));
}

static void request_inside(const struct request *request, struct slice input)
{
	inside(request->request_id, input);
	inside(request->method, input);
	inside(request->principal.role, input);
	inside(request->principal.name, input);
	inside(request->principal.address, input);
	inside(request->args, input);
}

static void request_same(const struct request *a, const struct request *b)
{
	const struct principal *p = &a->principal;
	const struct principal *q = &b->principal;

	require(a->id == b->id && a->deadline_ms == b->deadline_ms);
	require(slice_eq(a->request_id, b->request_id));
	require(slice_eq(a->method, b->method));
	require(slice_eq(a->args, b->args));
	require(p->kind == q->kind && p->id == q->id);
	require(p->tenant_id == q->tenant_id && p->dealer_id == q->dealer_id);
	require(p->acting_as == q->acting_as);
	require(slice_eq(p->role, q->role) && slice_eq(p->name, q->name));
	require(slice_eq(p->address, q->address));
}

static void request_again(const struct request *request)
{
	struct buffer bytes = {0};
	struct reader reader;
	struct request again = {0};

	message_request_encode(request, &bytes);
	reader_init(&reader, buffer_slice(&bytes));
	require(message_request_decode(&reader, &again) == ERR_OK);
	require(reader_done(&reader));
	request_same(request, &again);
	buffer_fini(&bytes);
}

static void reply_again(const struct reply *reply)
{
	struct buffer bytes = {0};
	struct reader reader;
	struct reply again = {0};

	message_reply_encode(reply, &bytes);
	reader_init(&reader, buffer_slice(&bytes));
	require(message_reply_decode(&reader, &again) == ERR_OK);
	require(reader_done(&reader));
	require(again.id == reply->id && again.status == reply->status);
	require(again.object_version == reply->object_version);
	require(slice_eq(again.body, reply->body));
	buffer_fini(&bytes);
}

static void error_again(enum err_code status, struct slice body)
{
	struct buffer bytes = {0};
	struct err err = {0};
	struct err again = {0};

	message_error_decode(status, body, &err);
	require(err.code == status && err.detail_count <= ERR_DETAILS_MAX);
	require(memchr(err.text, '\0', sizeof(err.text)));
	message_error_encode(&err, &bytes);
	message_error_decode(status, buffer_slice(&bytes), &again);
	require(again.retry_after_s == err.retry_after_s);
	require(again.detail_count == err.detail_count);
	require(err.text[0] != '\0' && strcmp(again.text, err.text) == 0);
	buffer_fini(&bytes);
}

static void requests(struct slice input)
{
	struct reader reader;
	enum err_code code = ERR_OK;

	reader_init(&reader, input);
	while (code != ERR_MALFORMED && reader.at != reader.end) {
		struct request request = {0};

		code = message_request_decode(&reader, &request);
		if (code != ERR_OK)
			continue;
		request_inside(&request, input);
		request_again(&request);
	}
}

static void replies(struct slice input)
{
	struct reader reader;
	enum err_code code = ERR_OK;

	reader_init(&reader, input);
	while (code != ERR_MALFORMED && reader.at != reader.end) {
		struct reply reply = {0};

		code = message_reply_decode(&reader, &reply);
		if (code != ERR_OK)
			continue;
		inside(reply.body, input);
		reply_again(&reply);
		error_again(reply.status, reply.body);
	}
}

static void event_again(const struct event *event)
{
	struct buffer bytes = {0};
	struct reader reader;
	struct event again = {0};

	event_encode(event, &bytes);
	require(bytes.size <= EVENT_BYTES_MAX);
	reader_init(&reader, buffer_slice(&bytes));
	require(event_decode(&reader, &again) == ERR_OK);
	require(reader_done(&reader));
	require(slice_eq(again.resource, event->resource));
	require(again.id == event->id && again.version == event->version);
	require(again.kind == event->kind);
	buffer_fini(&bytes);
}

static void events(struct slice input)
{
	struct reader reader;
	enum err_code code = ERR_OK;

	reader_init(&reader, input);
	while (code != ERR_MALFORMED && reader.at != reader.end) {
		struct event event = {0};

		code = event_decode(&reader, &event);
		if (code != ERR_OK)
			continue;
		inside(event.resource, input);
		event_again(&event);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice input = slice_of(data, size);

	requests(input);
	replies(input);
	events(input);
	return 0;
}
