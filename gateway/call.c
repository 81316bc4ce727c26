#include "gateway/call.h"

#include "gateway/arguments.h"
#include "gateway/credentials.h"
#include "gateway/export.h"
#include "gateway/own.h"
#include "proto/mem.h"
#include "services/common/clock.h"
#include "services/common/log.h"
#include "services/common/session.h"

#include <stdio.h>
#include <stdlib.h>

struct calls {
	struct call *spare;
	size_t count;
};

/* ---- memory of calls ---- */

struct calls *calls_new(void)
{
	return mem_alloc(sizeof(struct calls));
}

static void call_free(struct call *call)
{
	buffer_fini(&call->args);
	buffer_fini(&call->answer.body);
	free(call);
}

void calls_free(struct calls *calls)
{
	if (!calls)
		return;
	while (calls->spare) {
		struct call *call = calls->spare;

		calls->spare = call->next;
		call_free(call);
	}
	free(calls);
}

static struct call *call_take(struct gateway *gateway)
{
	struct calls *calls = gateway->calls;
	struct call *call = calls->spare;

	if (call) {
		calls->spare = call->next;
		calls->count--;
	} else {
		call = mem_alloc(sizeof(*call));
	}
	call->gateway = gateway;
	call->answer.arena = &call->arena;
	return call;
}

static void call_give(struct call *call)
{
	struct calls *calls = call->gateway->calls;

	arena_fini(&call->arena);
	if (calls->count >= CALL_SPARE_MAX ||
	    call->args.capacity > CALL_SPARE_BYTES_MAX ||
	    call->answer.body.capacity > CALL_SPARE_BYTES_MAX) {
		call_free(call);
		return;
	}
	call->next = calls->spare;
	calls->spare = call;
	calls->count++;
}

/* ---- the end of a call ---- */

static void log_access(const struct call *call, int status, size_t bytes,
		       uint64_t duration_ns)
{
	log_event(LOG_INFO, "http.access", LOG_STR("request", call->request_id),
		  LOG_STR("method", call->verb), LOG_STR("path", call->path),
		  LOG_INT("status", status), LOG_INT("bytes", bytes),
		  LOG_INT("us", duration_ns / 1000),
		  LOG_STR("user", call->user[0] ? call->user : NULL),
		  LOG_STR("address", call->peer));
}

void call_over(struct call *call, int status, size_t bytes)
{
	struct gateway *gateway = call->gateway;
	uint64_t duration_ns = clock_now_ns() - call->started_ns;

	traffic_count(gateway->traffic, call->row, status, duration_ns);
	if (gateway->access_log)
		log_access(call, status, bytes, duration_ns);
	call_give(call);
}

static void answer_send(struct call *call)
{
	const struct http_answer *answer = &call->answer.http;

	http_reply(call->request, answer);
	call_over(call, answer->status, answer->body.size);
}

void call_answer_start(struct call *call)
{
	answer_reset(&call->answer);
	answer_header(&call->answer, "X-Request-Id",
		      slice_str(call->request_id));
	answer_header(&call->answer, "Cache-Control", slice_str("no-store"));
}

void call_fail(struct call *call, const struct err *err)
{
	call_answer_start(call);
	answer_error(&call->answer, call->dialect, err);
	answer_send(call);
}

void call_fail_code(struct call *call, enum err_code code)
{
	err_code_set(&call->err, code);
	call_fail(call, &call->err);
}

void call_text(struct call *call, int status, const char *content_type,
	       struct slice text)
{
	call_answer_start(call);
	call->answer.http.status = status;
	call->answer.http.content_type = content_type;
	call->answer.http.body = text;
	answer_send(call);
}

static void fail_verb(struct call *call, const char *allow)
{
	err_code_set(&call->err, ERR_METHOD);
	call_answer_start(call);
	answer_header(&call->answer, "Allow", slice_str(allow));
	answer_error(&call->answer, call->dialect, &call->err);
	answer_send(call);
}

/* ---- rate ---- */

/* Goes on, or is answered. */
static bool within_rate(struct call *call, uint32_t wait_s)
{
	if (wait_s == 0)
		return true;
	err_code_set(&call->err, ERR_RATE_LIMITED);
	call->err.retry_after_s = wait_s;
	call_fail(call, &call->err);
	return false;
}

static bool rate_admits(struct call *call, struct slice token)
{
	struct rate *rate = call->gateway->rate;
	uint64_t now_ms = loop_now_ms(call->gateway->loop);
	uint32_t wait_s = token.data ? rate_token(rate, token, call->peer,
						  now_ms, &call->charge)
				     : rate_address(rate, call->peer, now_ms);

	return within_rate(call, wait_s);
}

static bool rate_admits_proved(struct call *call, bool good)
{
	uint32_t wait_s =
		rate_proved(call->gateway->rate, &call->charge, call->peer,
			    good, loop_now_ms(call->gateway->loop));

	return within_rate(call, wait_s);
}

/* ---- sent: the service answers ---- */

static void on_reply(void *arg, const struct reply *reply,
		     const struct err *err)
{
	struct call *call = arg;
	if (err) {
		call_fail(call, err);
		return;
	}
	call_answer_start(call);
	enum err_code code =
		answer_reply(&call->answer, call->match.route, call->dialect,
			     reply, call->secure, &call->err);
	if (code != ERR_OK) {
		log_event(LOG_ERROR, "call.unanswerable",
			  LOG_STR("request", call->request_id),
			  LOG_STR("method", call->match.route->method),
			  LOG_STR("reason", call->err.text));
		call_fail_code(call, ERR_INTERNAL);
		return;
	}
	answer_send(call);
}

static uint32_t left_ms(const struct call *call)
{
	uint64_t now = loop_now_ms(call->gateway->loop);

	return now < call->deadline_ms ? (uint32_t)(call->deadline_ms - now)
				       : 1;
}

struct request call_request(const struct call *call,
			    const struct principal *principal,
			    struct slice args)
{
	struct request request = {
		.request_id = slice_str(call->request_id),
		.method = slice_str(call->match.route->method),
		.deadline_ms = left_ms(call),
		.principal = *principal,
		.args = args,
	};
	request.principal.address = slice_str(call->peer);
	return request;
}

static void ask(struct call *call, const struct principal *principal)
{
	const struct route *route = call->match.route;
	if (call->err.code != ERR_OK) {
		call_fail(call, &call->err);
		return;
	}
	if (route->shape == ROUTE_EXPORT) {
		export_start(call, principal);
		return;
	}
	struct request request =
		call_request(call, principal, buffer_slice(&call->args));
	bus_client_call(call->gateway->services[route->service], route->lane,
			&request, on_reply, call);
}

/* ---- session: who asks ---- */

static void on_session(void *arg, const struct session *session,
		       enum err_code code)
{
	struct call *call = arg;
	if (code == ERR_UNAUTHORIZED) {
		if (rate_admits_proved(call, false))
			call_fail_code(call, code);
		return;
	}
	if (code != ERR_OK) {
		err_set(&call->err, ERR_UNAVAILABLE,
			"sessions cannot be looked up: nothing was done");
		call_fail(call, &call->err);
		return;
	}
	snprintf(call->user, sizeof(call->user), "%.*s",
		 SLICE_ARG(session->principal.name));
	if (rate_admits_proved(call, true))
		ask(call, &session->principal);
}

/* ---- received ---- */

static struct slice token_of(const struct http_request *request,
			     const struct route *route)
{
	struct slice cookie = slice_of(NULL, 0);

	if (route->flags & ROUTE_COOKIE)
		cookie = http_request_header(request, "cookie");
	return credentials_token(http_request_header(request, "authorization"),
				 cookie);
}

static void arguments_make(struct call *call,
			   const struct http_request *request,
			   struct slice token)
{
	struct arguments_input input = {
		.query = request->query,
		.body = request->body,
		.content_type = http_request_header(request, "content-type"),
		.if_match = http_request_header(request, "if-match"),
		.idempotency_key =
			http_request_header(request, "idempotency-key"),
		.token = token,
	};
	call->args.size = 0;
	arguments_build(call->dialect, &call->match, &input, &call->arena,
			&call->args, &call->err);
}

static void route_call(struct call *call, const struct http_request *request)
{
	static const struct principal nobody = {.kind = PRINCIPAL_NOBODY};
	const struct route *route = call->match.route;
	bool open = route->flags & ROUTE_OPEN;
	struct slice token = slice_of(NULL, 0);

	if (!open)
		token = token_of(request, route);
	if (!(route->flags & ROUTE_UNLIMITED) && !rate_admits(call, token))
		return;
	if (route->service == ROUTE_GATEWAY) {
		own_answer(call);
		return;
	}
	if (!open && !token.data) {
		call_fail_code(call, ERR_UNAUTHORIZED);
		return;
	}
	/* The request's views are gone after this turn: read it all now. */
	arguments_make(call, request, token);
	if (open)
		ask(call, &nobody);
	else
		session_get(call->gateway->cache, token, left_ms(call),
			    on_session, call);
}

static void view_copy(char *to, size_t size, struct slice from)
{
	snprintf(to, size, "%.*s", (int)(from.size < size ? from.size : size),
		 from.data ? from.data : "");
}

static void call_fill(struct call *call, struct http_request *request)
{
	struct gateway *gateway = call->gateway;

	call->request = request;
	call->dialect = dialect_of_path(request->path);
	call->row = router_count(gateway->router);
	call->started_ns = clock_now_ns();
	call->deadline_ms =
		loop_now_ms(gateway->loop) + gateway->call_deadline_ms;
	call->secure = http_request_tls(request);
	call->err.code = ERR_OK;
	call->err.detail_count = 0;
	call->err.retry_after_s = 0;
	call->user[0] = '\0';
	request_id_make(&gateway->request_ids,
			http_request_header(request, "x-request-id"),
			call->request_id);
	view_copy(call->verb, sizeof(call->verb), request->verb);
	view_copy(call->path, sizeof(call->path), request->path);
	view_copy(call->peer, sizeof(call->peer), slice_str(request->peer));
}

static void fail_route(struct call *call, enum route_result result,
		       const char *allow)
{
	switch (result) {
	case ROUTE_FOUND:
		return;
	case ROUTE_NO_VERB:
		fail_verb(call, allow);
		return;
	case ROUTE_BAD_PATH:
		err_set(&call->err, ERR_MALFORMED,
			"the path is not valid percent-encoded UTF-8");
		call_fail(call, &call->err);
		return;
	case ROUTE_BAD_VERB:
		call_fail_code(call, ERR_UNKNOWN_METHOD);
		return;
	case ROUTE_NO_PATH:
		call_fail_code(call, ERR_NOT_FOUND);
		return;
	}
}

void call_start(void *arg, struct http_request *request)
{
	struct call *call = call_take(arg);
	const char *allow = NULL;

	call_fill(call, request);
	if (request->fault != ERR_OK) {
		err_set(&call->err, request->fault, "%s", request->fault_text);
		call_fail(call, &call->err);
		return;
	}
	enum route_result result =
		router_match(call->gateway->router, request->verb,
			     request->path, &call->arena, &call->match, &allow);
	if (result == ROUTE_FOUND) {
		call->row = call->match.index;
		route_call(call, request);
	} else if (rate_admits(call, slice_of(NULL, 0))) {
		fail_route(call, result, allow);
	}
}
