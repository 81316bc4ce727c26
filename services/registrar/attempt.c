#include "services/registrar/attempt.h"

#include "proto/mem.h"
#include "services/common/secrets.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct attempt {
	struct attempt_shared *shared;
	TAILQ_ENTRY(attempt) link;
	bool waiting; /* for a lookup: in the list */
	char *host;   /* owned */
	uint16_t port;
	enum sip_transport transport;
	enum sip_method method;
	bool urgent;
	bool avoid;
	bool has_flow;
	struct sip_flow flow; /* options' prefer */
	const struct attempt_handlers *handlers;
	void *arg;

	struct resolve *resolve;
	struct pacing_ticket ticket;
	struct wire_waiting *connecting;
	bool connected; /* this destination had a connection made */
	struct sip_transaction *transaction;
	struct wire_way way;	  /* of the request under way */
	struct sip_outlet outlet; /* likewise, while there is one */
	bool sending;

	size_t at;
	size_t count;
	struct resolve_record records[RESOLVE_RECORDS_MAX];
};

static void on_waiting(void *arg);
static void on_paced(void *arg);
static void target_start(struct attempt *attempt, bool urgent);

void attempt_shared_init(struct attempt_shared *shared)
{
	TAILQ_INIT(&shared->waiting);
	shared->next = (struct agenda_entry){.fn = on_waiting, .arg = shared};
}

void attempt_shared_fini(struct attempt_shared *shared)
{
	assert(TAILQ_EMPTY(&shared->waiting) && shared->resolving == 0);
	agenda_clear(shared->agenda, &shared->next);
}

static void waiting_add(struct attempt *attempt)
{
	struct attempt_shared *shared = attempt->shared;

	TAILQ_INSERT_TAIL(&shared->waiting, attempt, link);
	attempt->waiting = true;
	if (shared->resolving < ATTEMPT_RESOLVING_MAX && !shared->next.place)
		agenda_set(shared->agenda, &shared->next, 0);
}

static void waiting_remove(struct attempt *attempt)
{
	if (attempt->waiting)
		TAILQ_REMOVE(&attempt->shared->waiting, attempt, link);
	attempt->waiting = false;
}

/* The place of a lookup is free for another. */
static void resolve_ended(struct attempt *attempt)
{
	struct attempt_shared *shared = attempt->shared;

	attempt->resolve = NULL;
	shared->resolving--;
	if (!TAILQ_EMPTY(&shared->waiting) && !shared->next.place)
		agenda_set(shared->agenda, &shared->next, 0);
}

static void send_end(struct attempt *attempt)
{
	sip_client_cancel(attempt->transaction);
	attempt->transaction = NULL;
	if (attempt->sending)
		sip_outlet_fini(&attempt->outlet);
	attempt->sending = false;
}

static void attempt_free(struct attempt *attempt)
{
	waiting_remove(attempt);
	if (attempt->resolve) {
		resolve_cancel(attempt->resolve);
		resolve_ended(attempt);
	}
	pacing_drop(&attempt->ticket);
	wire_cancel(attempt->connecting);
	send_end(attempt);
	free(attempt->host);
	free(attempt);
}

void attempt_cancel(struct attempt *attempt)
{
	if (attempt)
		attempt_free(attempt);
}

static void end_failed(struct attempt *attempt,
		       const struct status_fault *fault)
{
	const struct attempt_handlers *handlers = attempt->handlers;
	void *arg = attempt->arg;

	attempt_free(attempt);
	handlers->failed(arg, fault);
}

/* Where the destination in turn is; the local side is not known yet. */
static struct sip_flow target_flow(const struct attempt *attempt)
{
	const struct resolve_record *record = &attempt->records[attempt->at];

	return (struct sip_flow){
		.transport = record->transport,
		.remote = sip_endpoint_of(&record->address.any),
	};
}

static void next_target(struct attempt *attempt,
			const struct status_fault *fault)
{
	attempt->connected = false;
	if (++attempt->at < attempt->count)
		target_start(attempt, attempt->urgent);
	else
		end_failed(attempt, fault);
}

static void target_failed(struct attempt *attempt, enum status_stage stage,
			  const char *reason)
{
	const struct sip_flow flow = target_flow(attempt);
	struct status_fault fault;

	status_fault_set(&fault, stage, 0, slice_str(reason));
	attempt->handlers->missed(attempt->arg, &flow, &fault);
	next_target(attempt, &fault);
}

/* The verdict on an answer is the owner's; the copy outlives what it may free.
 */
static void on_answer(struct attempt *attempt,
		      const struct sip_message *response)
{
	const struct wire_way way = attempt->way;
	struct status_fault fault;

	switch (attempt->handlers->answer(attempt->arg, &way, response)) {
	case ATTEMPT_DONE:
		attempt_free(attempt);
		return;
	case ATTEMPT_AGAIN:
		target_start(attempt, true);
		return;
	case ATTEMPT_NEXT:
		status_fault_set(&fault, STATUS_REJECTED, response->status,
				 response->reason);
		next_target(attempt, &fault);
		return;
	}
}

static void on_client(void *arg, enum sip_client_event event,
		      const struct sip_message *response)
{
	struct attempt *attempt = arg;

	const bool udp = attempt->way.flow.transport == SIP_TRANSPORT_UDP;

	if (event == SIP_CLIENT_PROVISIONAL)
		return;
	attempt->transaction = NULL;
	send_end(attempt);
	if (event == SIP_CLIENT_FINAL)
		on_answer(attempt, response);
	else if (event == SIP_CLIENT_TIMEOUT)
		target_failed(attempt, STATUS_TIMEOUT, "no answer");
	else if (udp)
		target_failed(attempt, STATUS_CONNECT,
			      "the port is closed, or there is no way there");
	else
		target_failed(attempt, STATUS_CONNECT, "the connection ended");
}

static unsigned deadline_ms(const struct attempt *attempt)
{
	const unsigned t1_ms =
		attempt->shared->t1_ms ? attempt->shared->t1_ms : SIP_T1_MS;

	return t1_ms * (attempt->at + 1 < attempt->count ? ATTEMPT_NEXT_T1
							 : ATTEMPT_LAST_T1);
}

static void send_request(struct attempt *attempt)
{
	struct attempt_shared *shared = attempt->shared;
	struct buffer message = {0};
	char branch[SIP_BRANCH_BYTES];

	sip_client_branch(shared->client, branch);
	attempt->handlers->step(attempt->arg, TRUNK_TRYING, &attempt->way.flow);
	attempt->handlers->build(attempt->arg, &attempt->way, slice_str(branch),
				 &message);

	const struct sip_client_request request = {
		.sink = &attempt->outlet.sink,
		.branch = branch,
		.method = attempt->method,
		.message = buffer_slice(&message),
		.deadline_ms = deadline_ms(attempt),
		.fn = on_client,
		.arg = attempt,
	};

	sip_outlet_init(&attempt->outlet, wire_transports(shared->wire),
			&attempt->way.flow);
	attempt->sending = true;

	const enum err_code code = sip_client_send(shared->client, &request,
						   &attempt->transaction);

	if (message.data)
		secrets_wipe(message.data, message.size);
	buffer_fini(&message);
	if (code != ERR_OK)
		send_end(attempt);
	if (code == ERR_LIMIT)
		target_failed(attempt, STATUS_CONNECT,
			      "too many requests are under way");
	else if (code != ERR_OK)
		target_failed(attempt, STATUS_CONNECT,
			      "the transport takes nothing");
}

static void on_connect(void *arg, enum status_stage stage, const char *reason)
{
	struct attempt *attempt = arg;

	attempt->connecting = NULL;
	if (stage != STATUS_NONE) {
		target_failed(attempt, stage, reason);
		return;
	}
	attempt->connected = true;
	target_start(attempt, true);
}

static struct wire_route route_of(const struct attempt *attempt)
{
	const struct sip_flow target = target_flow(attempt);
	const bool same =
		attempt->has_flow &&
		attempt->flow.transport == target.transport &&
		sip_endpoint_eq(&attempt->flow.remote, &target.remote);

	return (struct wire_route){
		.transport = target.transport,
		.remote = target.remote,
		.host = attempt->host,
		.flow = same ? &attempt->flow : NULL,
	};
}

static void on_paced(void *arg)
{
	struct attempt *attempt = arg;
	const struct wire_route route = route_of(attempt);
	const struct sip_flow flow = target_flow(attempt);

	if (wire_find(attempt->shared->wire, &route, &attempt->way)) {
		send_request(attempt);
		return;
	}
	if (attempt->connected) {
		target_failed(attempt, STATUS_CONNECT,
			      "the connection was closed at once");
		return;
	}
	attempt->handlers->step(attempt->arg, TRUNK_CONNECTING, &flow);
	attempt->connecting =
		wire_wait(attempt->shared->wire, &route, on_connect, attempt);
}

static void target_start(struct attempt *attempt, bool urgent)
{
	const struct sip_flow flow = target_flow(attempt);

	pacing_ask(attempt->shared->pacing, &attempt->ticket, &flow.remote,
		   urgent, on_paced, attempt);
}

static bool is_flow(const struct attempt *attempt, size_t i)
{
	const struct sip_endpoint remote =
		sip_endpoint_of(&attempt->records[i].address.any);

	return attempt->records[i].transport == attempt->flow.transport &&
	       sip_endpoint_eq(&remote, &attempt->flow.remote);
}

/* The preferred destination goes to the front, or to the end. */
static void order(struct attempt *attempt)
{
	size_t i = 0;

	while (i < attempt->count && !is_flow(attempt, i))
		i++;
	if (!attempt->has_flow || i == attempt->count)
		return;

	const struct resolve_record record = attempt->records[i];
	struct resolve_record *const list = attempt->records;

	if (attempt->avoid) {
		memmove(list + i, list + i + 1,
			(attempt->count - i - 1) * sizeof(*list));
		list[attempt->count - 1] = record;
	} else {
		memmove(list + 1, list, i * sizeof(*list));
		list[0] = record;
	}
}

static void use_flow(struct attempt *attempt)
{
	struct resolve_record *record = &attempt->records[0];

	*record = (struct resolve_record){.transport = attempt->flow.transport};
	if (sip_endpoint_family(&attempt->flow.remote) == AF_INET6)
		record->address.v6 = attempt->flow.remote.v6;
	else
		record->address.v4 = attempt->flow.remote.v4;
	attempt->count = 1;
}

static void dns_failed(struct attempt *attempt,
		       const struct resolve_result *result)
{
	char reason[STATUS_REASON_BYTES];
	struct status_fault fault;

	snprintf(reason, sizeof(reason), "%s: %s: %.80s",
		 resolve_stage_text(result->stage),
		 dns_reason_text(result->reason), attempt->host);
	status_fault_set(&fault, STATUS_DNS, 0, slice_str(reason));
	attempt->handlers->missed(attempt->arg, &(struct sip_flow){0}, &fault);
	end_failed(attempt, &fault);
}

static void on_resolved(void *arg, const struct resolve_result *result)
{
	struct attempt *attempt = arg;

	resolve_ended(attempt);
	if (result->reason == DNS_OK && result->count > 0) {
		attempt->count = result->count;
		memcpy(attempt->records, result->records,
		       result->count * sizeof(*result->records));
		order(attempt);
	} else if (attempt->has_flow) {
		use_flow(attempt);
	} else {
		dns_failed(attempt, result);
		return;
	}
	target_start(attempt, attempt->urgent);
}

static bool resolve_begin(struct attempt *attempt)
{
	const struct resolve_target target = {
		.host = slice_str(attempt->host),
		.port = attempt->port,
		.transport = attempt->transport,
		.secure = attempt->transport == SIP_TRANSPORT_TLS,
	};

	attempt->resolve =
		resolve_start(attempt->shared->resolver, &target,
			      ATTEMPT_RESOLVE_MS, on_resolved, attempt);
	if (attempt->resolve)
		attempt->shared->resolving++;
	return attempt->resolve;
}

/* A resolver that is full is asked again in a moment. */
static void on_waiting(void *arg)
{
	enum { FULL_MS = 100 };
	struct attempt_shared *shared = arg;

	while (!TAILQ_EMPTY(&shared->waiting) &&
	       shared->resolving < ATTEMPT_RESOLVING_MAX) {
		struct attempt *attempt = TAILQ_FIRST(&shared->waiting);

		if (!resolve_begin(attempt)) {
			agenda_set(shared->agenda, &shared->next, FULL_MS);
			return;
		}
		waiting_remove(attempt);
		attempt->handlers->step(attempt->arg, TRUNK_RESOLVING,
					&(struct sip_flow){0});
	}
}

struct attempt *attempt_start(struct attempt_shared *shared,
			      const struct attempt_options *options)
{
	struct attempt *attempt = mem_alloc(sizeof(*attempt));

	attempt->shared = shared;
	attempt->host = mem_strdup(options->host);
	attempt->port = options->port;
	attempt->transport = options->transport;
	attempt->method = options->method;
	attempt->urgent = options->urgent;
	attempt->avoid = options->avoid;
	attempt->handlers = options->handlers;
	attempt->arg = options->arg;
	if (options->prefer && sip_endpoint_family(&options->prefer->remote)) {
		attempt->has_flow = true;
		attempt->flow = *options->prefer;
	}
	if (options->only && attempt->has_flow) {
		use_flow(attempt);
		target_start(attempt, attempt->urgent);
	} else {
		waiting_add(attempt);
	}
	return attempt;
}
