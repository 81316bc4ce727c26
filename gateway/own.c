#include "gateway/own.h"

#include "gateway/scrape.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/reader.h"

#include <stdlib.h>

/* clang-format off */
static const struct route routes[] = {
	{ROUTE_GET, "/healthz", ROUTE_GATEWAY, "gateway.health", ROUTE_CALL,
	 .flags = ROUTE_OPEN | ROUTE_UNLIMITED,
	 .summary = "Whether the gateway runs"},
	{ROUTE_GET, "/readyz", ROUTE_GATEWAY, "gateway.ready", ROUTE_CALL,
	 .flags = ROUTE_OPEN | ROUTE_UNLIMITED,
	 .summary = "Whether everything is ready"},
	{ROUTE_GET, "/metrics", ROUTE_GATEWAY, "gateway.metrics", ROUTE_CALL,
	 .flags = ROUTE_OPEN | ROUTE_UNLIMITED,
	 .summary = "Counters, for Prometheus"},
	{ROUTE_GET, "/api/openapi.json", ROUTE_GATEWAY, "gateway.openapi",
	 ROUTE_CALL, .flags = ROUTE_OPEN, .summary = "This document"},
};
/* clang-format on */

static const char json_type[] = "application/json";

struct round;

/* The question to one service and its answer. */
struct probe {
	struct round *round;
	bool answered;	    /* else err says why not */
	struct buffer body; /* of the reply */
	struct err err;
};

typedef void round_fn(struct round *round, struct call *call);

/* One question put to every service; done when all have answered or not. */
struct round {
	struct call *call;
	round_fn *done;
	size_t pending; /* probes sent and not answered */
	struct probe probes[ROUTE_SERVICES];
};

static void round_over(struct round *round)
{
	round->done(round, round->call);
	for (size_t i = 0; i < ROUTE_SERVICES; i++)
		buffer_fini(&round->probes[i].body);
	free(round);
}

static void on_answer(void *arg, const struct reply *reply,
		      const struct err *err)
{
	struct probe *probe = arg;
	struct round *round = probe->round;

	if (err) {
		probe->err = *err;
	} else {
		probe->answered = true;
		buffer_append_slice(&probe->body, reply->body);
	}
	if (--round->pending == 0)
		round_over(round);
}

/* Nothing is waited for that is known to be away. */
static void probe_send(struct call *call, const struct request *request,
		       enum route_service service, struct probe *probe)
{
	struct bus_client *client = call->gateway->services[service];

	if (!bus_client_connected(client)) {
		err_set(&probe->err, ERR_UNAVAILABLE, "not connected");
		return;
	}
	probe->round->pending++;
	bus_client_call(client, BUS_PROBE, request, on_answer, probe);
}

static void round_start(struct call *call, const char *method, round_fn *done)
{
	static const char no_arguments[] = {(char)0x80}; /* an empty map */
	struct round *round = mem_alloc(sizeof(*round));
	struct request request = {
		.request_id = slice_str(call->request_id),
		.method = slice_str(method),
		.deadline_ms = OWN_PROBE_MS,
		.principal = {.kind = PRINCIPAL_SERVICE,
			      .name = SLICE("gateway"),
			      .role = SLICE("")},
		.args = {no_arguments, sizeof(no_arguments)},
	};

	request.principal.address = slice_str(call->peer);
	round->call = call;
	round->done = done;
	for (size_t i = 0; i < ROUTE_SERVICES; i++) {
		round->probes[i].round = round;
		probe_send(call, &request, i, &round->probes[i]);
	}
	if (round->pending == 0)
		round_over(round);
}

/* ---- /readyz ---- */

/* Why a service is not ready: of {ready, reason}, "" where it is. */
static struct slice not_ready_reason(const struct probe *probe)
{
	if (!probe->answered)
		return slice_str(probe->err.text);
	struct reader reader;
	bool ready = false;
	struct slice reason = SLICE("not said");
	reader_init(&reader, buffer_slice(&probe->body));
	uint32_t count = reader_map(&reader);
	for (uint32_t i = 0; i < count; i++) {
		struct slice name = reader_str(&reader);

		if (slice_is(name, "ready"))
			ready = reader_bool(&reader);
		else if (slice_is(name, "reason") &&
			 reader_peek(&reader) == READER_STR)
			reason = reader_str(&reader);
		else
			reader_value(&reader);
	}
	if (!reader_done(&reader))
		return slice_str("malformed answer");
	return ready ? slice_str("") : reason;
}

static void not_ready_append(const char *name, struct slice reason,
			     const char **separator, struct buffer *out)
{
	buffer_append_str(out, *separator);
	buffer_append_str(out, "{\"name\":");
	json_append_str(out, slice_str(name));
	buffer_append_str(out, ",\"reason\":");
	json_append_str(out, reason);
	buffer_append_char(out, '}');
	*separator = ",";
}

static void on_ready_round(struct round *round, struct call *call)
{
	struct gateway *gateway = call->gateway;
	struct buffer list = {0};
	struct buffer text = {0};
	const char *separator = "";

	for (size_t i = 0; i < ROUTE_SERVICES; i++) {
		struct slice reason = not_ready_reason(&round->probes[i]);

		if (reason.size > 0)
			not_ready_append(gateway_service_name(i), reason,
					 &separator, &list);
	}
	if (!cache_ready(gateway->cache))
		not_ready_append("redis", slice_str("not connected"),
				 &separator, &list);
	buffer_append_str(&text, list.size > 0 ? "{\"ready\":false,"
					       : "{\"ready\":true,");
	buffer_append_str(&text, "\"not_ready\":[");
	buffer_append_slice(&text, buffer_slice(&list));
	buffer_append_str(&text, "]}");
	call_text(call, list.size > 0 ? 503 : 200, json_type,
		  buffer_slice(&text));
	buffer_fini(&list);
	buffer_fini(&text);
}

/* ---- /metrics ---- */

static void on_metrics_round(struct round *round, struct call *call)
{
	struct gateway *gateway = call->gateway;
	struct scrape *scrape = scrape_new();
	struct buffer text = {0};

	scrape_own(scrape, "gateway", &gateway->metrics);
	for (size_t i = 0; i < ROUTE_SERVICES; i++) {
		const struct probe *probe = &round->probes[i];

		scrape_service(scrape, gateway_service_name(i), probe->answered,
			       buffer_slice(&probe->body));
	}
	traffic_append(gateway->traffic, &text);
	scrape_append(scrape, &text);
	call_text(call, 200, "text/plain; version=0.0.4; charset=utf-8",
		  buffer_slice(&text));
	buffer_fini(&text);
	scrape_free(scrape);
}

/* ---- dispatch ---- */

static void answer_health(struct call *call)
{
	call_text(call, 200, json_type, slice_str("{\"status\":\"ok\"}"));
}

static void answer_ready(struct call *call)
{
	round_start(call, "service.health", on_ready_round);
}

static void answer_metrics(struct call *call)
{
	round_start(call, "service.metrics", on_metrics_round);
}

static void answer_openapi(struct call *call)
{
	call_text(call, 200, json_type, buffer_slice(&call->gateway->openapi));
}

void own_routes_add(struct router *router)
{
	router_add(router, routes, sizeof(routes) / sizeof(*routes));
}

void own_answer(struct call *call)
{
	static const struct {
		const char *method;
		void (*answer)(struct call *call);
	} answers[] = {
		{"gateway.health", answer_health},
		{"gateway.ready", answer_ready},
		{"gateway.metrics", answer_metrics},
		{"gateway.openapi", answer_openapi},
	};
	struct slice method = slice_str(call->match.route->method);

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		if (slice_is(method, answers[i].method)) {
			answers[i].answer(call);
			return;
		}
	}
	call_fail_code(call, ERR_NOT_FOUND);
}
