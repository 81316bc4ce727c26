#include "services/registrar/wire.h"

#include "proto/mem.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct wire {
	struct sip_transports *transports;
	struct agenda *agenda;
	wire_port_fn *port;
	void *arg;
	struct sip_table waiting; /* by connection */
	size_t count;
};

struct wire_waiting {
	struct wire *wire;
	struct sip_link link;
	bool linked;		   /* to a connection being made */
	struct agenda_entry entry; /* else: tells what is known already */
	enum status_stage stage;
	char reason[STATUS_REASON_BYTES];
	wire_fn *fn;
	void *arg;
};

struct wire *wire_new(struct sip_transports *transports, struct agenda *agenda,
		      wire_port_fn *port, void *arg)
{
	struct wire *wire = mem_alloc(sizeof(*wire));

	wire->transports = transports;
	wire->agenda = agenda;
	wire->port = port;
	wire->arg = arg;
	return wire;
}

void wire_free(struct wire *wire)
{
	if (!wire)
		return;
	assert(wire->count == 0);
	sip_table_fini(&wire->waiting);
	free(wire);
}

struct sip_transports *wire_transports(const struct wire *wire)
{
	return wire->transports;
}

/* Begins to make a connection where there is none. */
static enum err_code reach(struct wire *wire, const struct wire_route *route,
			   struct sip_flow *flow, struct err *err)
{
	const struct sip_target target = {
		.transport = route->transport,
		.remote = route->remote,
		.name = route->host,
	};

	return sip_transports_reach(wire->transports, &target, flow, err);
}

static void way_fill(const struct wire *wire, struct wire_way *way)
{
	uint16_t port = 0;

	way->at = way->flow.local;
	if (way->flow.transport != SIP_TRANSPORT_UDP)
		port = wire->port(wire->arg, way->flow.transport);
	if (port > 0)
		sip_endpoint_port_set(&way->at, port);
}

bool wire_find(struct wire *wire, const struct wire_route *route,
	       struct wire_way *out)
{
	struct err err;

	if (route->flow && sip_transports_opened(wire->transports, route->flow))
		out->flow = *route->flow;
	else if (reach(wire, route, &out->flow, &err) != ERR_OK ||
		 !sip_transports_opened(wire->transports, &out->flow))
		return false;
	way_fill(wire, out);
	return true;
}

static void unlink_waiting(struct wire_waiting *waiting)
{
	if (waiting->linked)
		sip_table_remove(&waiting->wire->waiting, &waiting->link);
	waiting->linked = false;
	agenda_clear(waiting->wire->agenda, &waiting->entry);
}

void wire_cancel(struct wire_waiting *waiting)
{
	if (!waiting)
		return;
	unlink_waiting(waiting);
	waiting->wire->count--;
	free(waiting);
}

static void tell(struct wire_waiting *waiting, enum status_stage stage,
		 const char *reason)
{
	wire_fn *fn = waiting->fn;
	void *arg = waiting->arg;

	wire_cancel(waiting);
	fn(arg, stage, reason);
}

static void on_entry(void *arg)
{
	struct wire_waiting *waiting = arg;
	char reason[STATUS_REASON_BYTES];

	memcpy(reason, waiting->reason, sizeof(reason));
	tell(waiting, waiting->stage, reason);
}

struct wire_waiting *wire_wait(struct wire *wire,
			       const struct wire_route *route, wire_fn *fn,
			       void *arg)
{
	struct wire_waiting *waiting = mem_alloc(sizeof(*waiting));
	struct sip_flow flow;
	struct err err;

	waiting->wire = wire;
	waiting->fn = fn;
	waiting->arg = arg;
	waiting->entry = (struct agenda_entry){.fn = on_entry, .arg = waiting};
	wire->count++;
	if (reach(wire, route, &flow, &err) != ERR_OK) {
		waiting->stage = STATUS_CONNECT;
		snprintf(waiting->reason, sizeof(waiting->reason), "%.*s",
			 STATUS_REASON_BYTES - 1, err.text);
		agenda_set(wire->agenda, &waiting->entry, 0);
	} else if (sip_transports_opened(wire->transports, &flow)) {
		agenda_set(wire->agenda, &waiting->entry, 0);
	} else {
		waiting->linked = true;
		sip_table_add(&wire->waiting, &waiting->link, flow.connection);
	}
	return waiting;
}

/* Anew from the start each time: what the callbacks do may end others that
 * wait. Those that begin to wait for a flow that is gone get another one. */
static void tell_all(struct wire *wire, const struct sip_flow *flow,
		     enum status_stage stage, const char *reason)
{
	struct sip_link *link;

	while ((link = sip_table_first(&wire->waiting, flow->connection)))
		tell(TABLE_OF(link, struct wire_waiting, link), stage, reason);
}

void wire_on_open(struct wire *wire, const struct sip_flow *flow)
{
	tell_all(wire, flow, STATUS_NONE, "");
}

void wire_on_close(struct wire *wire, const struct sip_flow *flow,
		   enum sip_stream_stage stage, const struct err *reason)
{
	tell_all(wire, flow,
		 stage == SIP_STAGE_TLS ? STATUS_TLS : STATUS_CONNECT,
		 reason && reason->text[0] ? reason->text
					   : "the connection was closed");
}
