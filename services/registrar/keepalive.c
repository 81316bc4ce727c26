#include "services/registrar/keepalive.h"

#include "proto/mem.h"
#include "services/registrar/settings.h"
#include "services/registrar/trunk_policy.h"

#include <stdlib.h>

struct keepalive {
	struct attempt_shared *shared;
	const struct request_self *self;
	uint64_t *random;
	uint64_t *sent;
	keepalive_fn *fn;
	void *arg;
	const struct world_trunk *trunk; /* NULL: idle */
	bool pinned;			 /* to the flow, and no other */
	bool has_flow;
	struct sip_flow flow; /* pinned to, or that answered last */
	struct agenda_entry entry;
	struct attempt *attempt;
	struct status_alive alive;
};

static void on_due(void *arg);

struct keepalive *keepalive_new(const struct keepalive_options *options)
{
	struct keepalive *keepalive = mem_alloc(sizeof(*keepalive));

	keepalive->shared = options->shared;
	keepalive->self = options->self;
	keepalive->random = options->random;
	keepalive->sent = options->sent;
	keepalive->fn = options->fn;
	keepalive->arg = options->arg;
	keepalive->entry =
		(struct agenda_entry){.fn = on_due, .arg = keepalive};
	return keepalive;
}

void keepalive_free(struct keepalive *keepalive)
{
	if (!keepalive)
		return;
	keepalive_stop(keepalive);
	free(keepalive);
}

const struct status_alive *keepalive_alive(const struct keepalive *keepalive)
{
	return &keepalive->alive;
}

void keepalive_stop(struct keepalive *keepalive)
{
	attempt_cancel(keepalive->attempt);
	keepalive->attempt = NULL;
	agenda_clear(keepalive->shared->agenda, &keepalive->entry);
	keepalive->trunk = NULL;
	keepalive->alive = (struct status_alive){0};
}

static uint64_t interval_ms(const struct keepalive *keepalive)
{
	const uint64_t ms =
		(uint64_t)keepalive->trunk->keep_alive_interval_s * 1000;

	return ms > KEEPALIVE_MIN_MS ? ms : KEEPALIVE_MIN_MS;
}

/* Somewhere in the last tenth before ms, so that those which started together
 * drift apart. */
static void schedule(struct keepalive *keepalive, uint64_t ms)
{
	agenda_set(keepalive->shared->agenda, &keepalive->entry,
		   ms - policy_random(keepalive->random) % (ms / 10 + 1));
}

void keepalive_start(struct keepalive *keepalive,
		     const struct world_trunk *trunk,
		     const struct sip_flow *flow)
{
	keepalive_stop(keepalive);
	if (!trunk->keep_alive || trunk->keep_alive_interval_s == 0)
		return;
	keepalive->trunk = trunk;
	keepalive->pinned = flow;
	keepalive->has_flow = flow;
	if (flow)
		keepalive->flow = *flow;

	/* A registration that was just answered has shown that the flow lives;
	 * of the others nothing is known yet. */
	uint64_t first_ms = interval_ms(keepalive);

	if (!flow && first_ms > KEEPALIVE_FIRST_MS)
		first_ms = KEEPALIVE_FIRST_MS;
	agenda_set(keepalive->shared->agenda, &keepalive->entry,
		   policy_random(keepalive->random) % (first_ms + 1));
}

static void on_step(void *arg, enum trunk_phase phase,
		    const struct sip_flow *flow)
{
	(void)arg;
	(void)phase;
	(void)flow;
}

static void on_build(void *arg, const struct wire_way *way, struct slice branch,
		     struct buffer *out)
{
	struct keepalive *keepalive = arg;
	char call_id[REQUEST_CALL_ID_BYTES];
	char tag[REQUEST_TAG_BYTES];

	request_call_id(call_id);
	request_tag(tag);

	const struct trunk_request request = {
		.self = keepalive->self,
		.trunk = keepalive->trunk,
		.way = way,
		.branch = branch,
		.call_id = slice_str(call_id),
		.tag = slice_str(tag),
		.cseq = 1,
	};

	request_options(out, &request);
	request_end(out);
	++*keepalive->sent;
}

/* The last act: fn may stop or start it. */
static void tell(struct keepalive *keepalive, bool alive,
		 const struct status_fault *fault)
{
	uint64_t next_ms = interval_ms(keepalive);

	keepalive->attempt = NULL;
	keepalive->alive = (struct status_alive){
		.asked = true,
		.alive = alive,
		.at_ms = agenda_unix_ms(keepalive->shared->agenda),
		.fault = *fault,
	};
	if (!alive && !keepalive->pinned && next_ms > KEEPALIVE_FAILED_MS)
		next_ms = KEEPALIVE_FAILED_MS;
	schedule(keepalive, next_ms);

	const struct status_alive told = keepalive->alive;

	keepalive->fn(keepalive->arg, &told);
}

static enum attempt_verdict on_answer(void *arg, const struct wire_way *way,
				      const struct sip_message *response)
{
	struct keepalive *keepalive = arg;
	struct status_fault answer;

	status_fault_set(&answer, STATUS_NONE, response->status,
			 response->reason);
	if (!keepalive->pinned) {
		keepalive->has_flow = true;
		keepalive->flow = way->flow;
	}
	tell(keepalive, true, &answer);
	return ATTEMPT_DONE;
}

static void on_missed(void *arg, const struct sip_flow *flow,
		      const struct status_fault *fault)
{
	(void)arg;
	(void)flow;
	(void)fault;
}

static void on_failed(void *arg, const struct status_fault *fault)
{
	struct keepalive *keepalive = arg;

	if (!keepalive->pinned)
		keepalive->has_flow = false;
	tell(keepalive, false, fault);
}

static const struct attempt_handlers handlers = {
	.step = on_step,
	.build = on_build,
	.answer = on_answer,
	.missed = on_missed,
	.failed = on_failed,
};

static void on_due(void *arg)
{
	struct keepalive *keepalive = arg;
	uint16_t port;
	const char *host = settings_next_hop(keepalive->trunk, &port);

	const struct attempt_options options = {
		.host = host,
		.port = port,
		.transport = keepalive->trunk->transport,
		.method = SIP_METHOD_OPTIONS,
		.prefer = keepalive->has_flow ? &keepalive->flow : NULL,
		.only = keepalive->pinned,
		.handlers = &handlers,
		.arg = keepalive,
	};

	keepalive->attempt = attempt_start(keepalive->shared, &options);
}
