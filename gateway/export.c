#include "gateway/export.h"

#include "gateway/arguments.h"
#include "gateway/csv.h"
#include "proto/mem.h"
#include "services/common/log.h"

#include <stdlib.h>

struct export
{
	struct call *call;
	struct principal principal; /* its views are in the call's arena */
	struct buffer args;	    /* of the next page */
	struct buffer text;	    /* of this page, while it is sent */
	size_t bytes;		    /* sent in all */
	bool begun;
	bool last;
};

static void on_page(void *arg, const struct reply *reply,
		    const struct err *err);

static void export_over(struct export *export)
{
	struct call *call = export->call;

	call_over(call, 200, export->bytes);
	buffer_fini(&export->args);
	buffer_fini(&export->text);
	free(export);
}

/* What is sent already cannot be taken back: the stream is cut. */
static void export_fail(struct export *export, const struct err *err)
{
	struct call *call = export->call;
	if (export->begun) {
		log_event(LOG_WARN, "export.cut",
			  LOG_STR("request", call->request_id),
			  LOG_STR("reason", err->text));
		http_stream_end(call->request, false);
		export_over(export);
		return;
	}
	buffer_fini(&export->args);
	buffer_fini(&export->text);
	free(export);
	call_fail(call, err);
}

static void page_ask(struct export *export, struct slice args)
{
	struct call *call = export->call;
	struct gateway *gateway = call->gateway;
	const struct route *route = call->match.route;

	call->deadline_ms =
		loop_now_ms(gateway->loop) + gateway->export_deadline_ms;
	struct request request = call_request(call, &export->principal, args);
	bus_client_call(gateway->services[route->service], route->lane,
			&request, on_page, export);
}

static void on_taken(void *arg, bool open)
{
	struct export *export = arg;
	if (!open) {
		export_over(export);
		return;
	}
	export->text.size = 0;
	if (!export->last) {
		page_ask(export, buffer_slice(&export->args));
		return;
	}
	http_stream_end(export->call->request, true);
	export_over(export);
}

static void stream_begin(struct export *export)
{
	struct call *call = export->call;
	const struct resource *resource = call->match.route->resource;

	call_answer_start(call);
	call->answer.http.content_type = "application/octet-stream";
	answer_header(&call->answer, "Content-Disposition",
		      slice_str(arena_printf(&call->arena,
					     "attachment; filename=\"%s.csv\"",
					     resource->plural)));
	http_stream_begin(call->request, &call->answer.http, on_taken, export);
	export->begun = true;
}

static enum err_code lines_append(struct export *export, struct reader *reader,
				  struct err *err)
{
	struct call *call = export->call;
	uint32_t count = reader_array(reader);
	struct arena arena = {0};
	enum err_code code = ERR_OK;

	for (uint32_t i = 0; i < count && code == ERR_OK; i++)
		code = csv_line_append(call->match.route->resource->record,
				       reader, call->dialect->id_append, &arena,
				       &export->text, err);
	arena_fini(&arena);
	return code;
}

/* Reads {items, after}: the lines, and the arguments of the next page. */
static enum err_code page_read(struct export *export, struct slice body,
			       struct err *err)
{
	struct reader reader;
	struct slice after = slice_of(NULL, 0);
	enum err_code code = ERR_OK;

	reader_init(&reader, body);
	uint32_t count = reader_map(&reader);
	for (uint32_t i = 0; i < count && code == ERR_OK; i++) {
		struct slice name = reader_str(&reader);

		if (slice_is(name, "items"))
			code = lines_append(export, &reader, err);
		else if (slice_is(name, "after") &&
			 reader_peek(&reader) != READER_NIL)
			after = reader_value(&reader);
		else
			reader_value(&reader);
	}
	if (code == ERR_OK && !reader_done(&reader))
		code = err_set(err, ERR_INTERNAL, "a page is malformed");
	export->last = !after.data;
	if (code == ERR_OK && after.data) {
		export->args.size = 0;
		arguments_page(buffer_slice(&export->call->args), after,
			       &export->args);
	}
	return code;
}

static void on_page(void *arg, const struct reply *reply, const struct err *err)
{
	struct export *export = arg;
	struct call *call = export->call;
	if (err) {
		export_fail(export, err);
		return;
	}
	if (!export->begun)
		csv_head_append(call->match.route->resource->record,
				&export->text);
	struct err fault = {0};
	if (page_read(export, reply->body, &fault) != ERR_OK) {
		export_fail(export, &fault);
		return;
	}
	if (!export->begun)
		stream_begin(export);
	/* A page without lines has nothing to wait for. */
	if (export->text.size == 0) {
		on_taken(export, true);
		return;
	}
	export->bytes += export->text.size;
	if (!http_stream_send(call->request, buffer_slice(&export->text)))
		export_over(export);
}

void export_start(struct call *call, const struct principal *principal)
{
	struct export *export = mem_alloc(sizeof(*export));

	export->call = call;
	export->principal = *principal;
	export->principal.role =
		slice_str(arena_strdup(&call->arena, principal->role));
	export->principal.name =
		slice_str(arena_strdup(&call->arena, principal->name));
	page_ask(export, buffer_slice(&call->args));
}
