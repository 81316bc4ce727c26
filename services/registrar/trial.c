#include "services/registrar/trial.h"

#include "proto/mem.h"
#include "proto/record.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/registrar/settings.h"
#include "services/registrar/trunk_auth.h"
#include "services/registrar/trunk_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

struct trial {
	struct trials *trials;
	LIST_ENTRY(trial) link;
	struct settings settings;
	struct trunk_state state;     /* Call-ID, CSeq, challenges */
	char user[REQUEST_TAG_BYTES]; /* of the Contact */
	trial_fn *fn;		      /* NULL: it was told */
	void *arg;

	enum trial_step_kind at;
	struct trial_step steps[TRIAL_STEPS];
	struct ladder ladder;
	struct sip_flow target;
	struct attempt *attempt;
	struct agenda_entry options_end;
	struct agenda_entry end;
	uint64_t started_ms;
	uint32_t deadline_ms;
	bool late;

	struct buffer contact; /* as sent last */
	uint32_t asked_s;
	bool register_sent;
	bool min_expires_done;
	struct trunk_auth auth; /* of the step */
};

struct trials {
	struct trunk_shared *shared;
	LIST_HEAD(, trial) running;
	size_t count;
};

static struct agenda *agenda_of(const struct trial *trial)
{
	return trial->trials->shared->attempts->agenda;
}

static bool registers(const struct trial *trial)
{
	const struct world_trunk *settings = &trial->settings.trunk;

	return settings->auth == WORLD_REGISTER_AUTH && settings->registration;
}

/* ---- what it comes to ---- */

/* The first row that fits is told; REJECTED and AUTH go by the SIP code. */
static const struct diagnosis {
	enum status_stage stage;
	unsigned first, last;
	const char *text;
} diagnoses[] = {
	{STATUS_DNS, 0, 0,
	 "The name could not be looked up: check hostname and "
	 "outbound_server."},
	{STATUS_CONNECT, 0, 0,
	 "No connection could be made: check the host, port and transport, and "
	 "the firewalls on the way."},
	{STATUS_TLS, 0, 0,
	 "The TLS handshake failed: the provider's certificate has to be valid "
	 "for this host name and of a CA that is known here."},
	{STATUS_TIMEOUT, 0, 0,
	 "Requests were sent and nothing came back: check the host, port and "
	 "transport, and whether the provider lets this address in."},
	{STATUS_AUTH, 401, 407,
	 "The provider does not take these credentials: check auth_id and "
	 "password."},
	{STATUS_REJECTED, 300, 399,
	 "The provider sends registrations elsewhere, which is not followed: "
	 "ask it for the host to register at."},
	{STATUS_REJECTED, 403, 403,
	 "The provider refuses this account: check username and hostname, and "
	 "whether it lets this address in."},
	{STATUS_REJECTED, 404, 404,
	 "The provider does not know this user: check username, auth_id and "
	 "hostname."},
	{STATUS_REJECTED, 405, 405,
	 "The provider takes no registrations here: check the host, or turn "
	 "registration off."},
	{STATUS_REJECTED, 408, 408,
	 "A proxy of the provider got no answer behind it: check hostname and "
	 "outbound_server."},
	{STATUS_REJECTED, 423, 423,
	 "The provider wants registrations of a length that cannot be asked "
	 "for: see its Min-Expires."},
	{STATUS_REJECTED, 500, 599,
	 "The provider has a fault or is overloaded: try again later."},
	{STATUS_REJECTED, 200, 699,
	 "The provider refuses the registration: see its answer for the "
	 "reason."},
};

static const char *fault_text(const struct status_fault *fault)
{
	for (size_t i = 0; i < sizeof(diagnoses) / sizeof(*diagnoses); i++) {
		const struct diagnosis *row = &diagnoses[i];

		if (row->stage == fault->stage &&
		    (row->last == 0 ||
		     (fault->code >= row->first && fault->code <= row->last)))
			return row->text;
	}
	return "It failed: see the steps for the reason.";
}

static bool good(const struct trial_step *step)
{
	return step->ended && step->fault.stage == STATUS_NONE;
}

static const char *good_text(const struct trial *trial)
{
	if (!registers(trial))
		return "The provider answers; these settings do not register, "
		       "so that no credentials were tried.";
	if (!good(&trial->steps[TRIAL_UNREGISTER]))
		return "The provider takes these settings; the registration "
		       "of this test could not be taken back and ends by "
		       "itself.";
	if (!good(&trial->steps[TRIAL_OPTIONS]))
		return "The provider takes these settings; it does not answer "
		       "OPTIONS, so leave keep_alive off.";
	return "The provider takes these settings: a registration was granted "
	       "and taken back.";
}

static void judge(const struct trial *trial, struct trial_report *report)
{
	/* One that could not be taken back was granted. */
	const struct trial_step *last =
		&trial->steps[trial->at == TRIAL_UNREGISTER ? TRIAL_REGISTER
							    : trial->at];
	const bool late = trial->late && trial->at != TRIAL_UNREGISTER;

	report->ok = good(last);
	report->stage = last->fault.stage;
	if (report->ok)
		snprintf(report->diagnosis, sizeof(report->diagnosis), "%s",
			 good_text(trial));
	else if (late)
		snprintf(report->diagnosis, sizeof(report->diagnosis),
			 "No answer within %u s. %s",
			 (trial->deadline_ms + 999) / 1000,
			 fault_text(&last->fault));
	else
		snprintf(report->diagnosis, sizeof(report->diagnosis), "%s",
			 fault_text(&last->fault));
}

/* ---- life ---- */

static void attempt_stop(struct trial *trial)
{
	attempt_cancel(trial->attempt);
	trial->attempt = NULL;
	agenda_clear(agenda_of(trial), &trial->options_end);
}

static void trial_free(struct trial *trial)
{
	attempt_stop(trial);
	agenda_clear(agenda_of(trial), &trial->end);
	LIST_REMOVE(trial, link);
	trial->trials->count--;
	settings_fini(&trial->settings);
	trunk_state_fini(&trial->state);
	ladder_fini(&trial->ladder);
	buffer_fini(&trial->contact);
	free(trial);
}

static void tell(struct trial *trial)
{
	trial_fn *fn = trial->fn;
	struct trial_report report = {
		.took_ms = agenda_now_ms(agenda_of(trial)) - trial->started_ms,
		.steps = trial->steps,
		.ladder = &trial->ladder,
	};

	trial->fn = NULL;
	if (!fn)
		return;
	judge(trial, &report);
	fn(trial->arg, &report);
}

static void finish(struct trial *trial)
{
	tell(trial);
	trial_free(trial);
}

/* ---- steps ---- */

static void step_end(struct trial *trial, const struct status_fault *fault)
{
	struct trial_step *step = &trial->steps[trial->at];

	step->ended = true;
	step->ended_ms = agenda_now_ms(agenda_of(trial));
	step->flow = trial->target;
	step->fault = *fault;
}

/* Coming to a later step is the good end of the one before; coming back to one
 * is for another destination. */
static void step_enter(struct trial *trial, enum trial_step_kind kind)
{
	static const struct status_fault none;
	struct trial_step *step = &trial->steps[kind];

	if (kind > trial->at && !trial->steps[trial->at].ended)
		step_end(trial, &none);
	trial->at = kind;
	step->ended = false;
	if (step->begun)
		return;
	step->begun = true;
	step->began_ms = agenda_now_ms(agenda_of(trial));
}

static const struct attempt_handlers handlers;

static void request_start(struct trial *trial, enum sip_method method,
			  bool only)
{
	uint16_t port;
	const char *host = settings_next_hop(&trial->settings.trunk, &port);
	const struct attempt_options options = {
		.host = host,
		.port = port,
		.transport = trial->settings.trunk.transport,
		.method = method,
		.prefer = &trial->target,
		.only = only,
		.handlers = &handlers,
		.arg = trial,
	};

	trial->auth = (struct trunk_auth){0};
	trial->attempt =
		attempt_start(trial->trials->shared->attempts, &options);
}

static void register_start(struct trial *trial)
{
	step_enter(trial, TRIAL_REGISTER);
	request_start(trial, SIP_METHOD_REGISTER, false);
}

/* Over the very way that took the registration. */
static void unregister_start(struct trial *trial)
{
	step_enter(trial, TRIAL_UNREGISTER);
	request_start(trial, SIP_METHOD_REGISTER, true);
}

/* OPTIONS has its end; may free the trial. */
static void options_over(struct trial *trial)
{
	const struct status_fault *fault = &trial->steps[trial->at].fault;
	const bool goes_on =
		fault->stage == STATUS_NONE || fault->stage == STATUS_TIMEOUT;

	attempt_stop(trial);
	if (goes_on && registers(trial))
		register_start(trial);
	else
		finish(trial);
}

static void on_options_end(void *arg)
{
	struct trial *trial = arg;
	struct status_fault fault;

	status_fault_set(&fault, STATUS_TIMEOUT, 0, slice_str("no answer"));
	ladder_note(&trial->ladder, agenda_unix_ms(agenda_of(trial)),
		    &trial->target, fault.reason);
	step_end(trial, &fault);
	options_over(trial);
}

/* ---- the caller's deadline ---- */

static enum status_stage late_stage(enum trial_step_kind at)
{
	if (at == TRIAL_RESOLVE)
		return STATUS_DNS;
	return at == TRIAL_CONNECT ? STATUS_CONNECT : STATUS_TIMEOUT;
}

/* What was sent may still be granted: it is waited for and taken back. */
static void on_end(void *arg)
{
	struct trial *trial = arg;
	struct status_fault fault;

	if (!trial->fn) {
		trial_free(trial);
		return;
	}
	status_fault_set(&fault, late_stage(trial->at), 0,
			 slice_str("no answer in time"));
	trial->late = true;
	step_end(trial, &fault);
	tell(trial);
	if (trial->register_sent)
		agenda_set(agenda_of(trial), &trial->end, TRIAL_MAX_MS);
	else
		trial_free(trial);
}

/* ---- what an attempt asks and tells ---- */

static void on_step(void *arg, enum trunk_phase phase,
		    const struct sip_flow *flow)
{
	struct trial *trial = arg;

	if (flow->transport != SIP_TRANSPORT_OTHER)
		trial->target = *flow;
	if (trial->at > TRIAL_OPTIONS)
		return;
	if (phase == TRUNK_RESOLVING)
		step_enter(trial, TRIAL_RESOLVE);
	else if (phase == TRUNK_CONNECTING)
		step_enter(trial, TRIAL_CONNECT);
	else
		step_enter(trial, TRIAL_OPTIONS);
	if (phase == TRUNK_TRYING && registers(trial) &&
	    !trial->options_end.place)
		agenda_set(agenda_of(trial), &trial->options_end,
			   TRIAL_OPTIONS_MS);
}

static void register_build(struct trial *trial,
			   const struct trunk_request *request,
			   struct buffer *out)
{
	struct trunk_state *state = &trial->state;
	struct world_trunk known_as = *request->trunk;
	struct trunk_request contact = *request;

	known_as.username = trial->user;
	contact.trunk = &known_as;
	trial->asked_s = 0;
	if (trial->at == TRIAL_REGISTER) {
		trial->asked_s =
			policy_expires_s(TRIAL_EXPIRES_S, state->min_expires_s);
		trial->contact.size = 0;
		request_contact_append(&trial->contact, &contact);
		trial->register_sent = true;
	}
	request_register(out, request, buffer_slice(&trial->contact),
			 trial->asked_s);
	trunk_auth_append(state, trial->trials->shared->digest, request->trunk,
			  out);
}

static void on_build(void *arg, const struct wire_way *way, struct slice branch,
		     struct buffer *out)
{
	struct trial *trial = arg;
	struct sip_message message;
	const struct trunk_request request = {
		.self = &trial->trials->shared->self,
		.trunk = &trial->settings.trunk,
		.way = way,
		.branch = branch,
		.call_id = slice_str(trial->state.call_id),
		.tag = slice_str(trial->state.tag),
		.cseq = ++trial->state.cseq,
	};

	if (trial->at == TRIAL_OPTIONS)
		request_options(out, &request);
	else
		register_build(trial, &request, out);
	request_end(out);
	if (sip_message_parse(buffer_slice(out), SIP_DATAGRAM, &message) ==
	    ERR_OK)
		ladder_add(&trial->ladder, agenda_unix_ms(agenda_of(trial)),
			   LADDER_OUT, &way->flow, &message);
}

/* The attempt ends by the verdict, and the step with it. */
static enum attempt_verdict over(struct trial *trial, enum status_stage stage,
				 const struct sip_message *response,
				 const char *reason)
{
	struct status_fault fault;

	status_fault_set(&fault, stage, response->status,
			 reason ? slice_str(reason) : response->reason);
	trial->attempt = NULL;
	step_end(trial, &fault);
	if (trial->at == TRIAL_OPTIONS)
		options_over(trial);
	else if (trial->at == TRIAL_REGISTER && stage == STATUS_NONE)
		unregister_start(trial);
	else
		finish(trial);
	return ATTEMPT_DONE;
}

static enum attempt_verdict on_challenge(struct trial *trial,
					 const struct sip_message *response)
{
	const char *fault = trunk_auth_take(&trial->auth, &trial->state,
					    trial->trials->shared->digest,
					    &trial->settings.trunk, response);

	return fault ? over(trial, STATUS_AUTH, response, fault)
		     : ATTEMPT_AGAIN;
}

static enum attempt_verdict on_min_expires(struct trial *trial,
					   const struct sip_message *response)
{
	if (trial->min_expires_done ||
	    !policy_min_expires(response, trial->asked_s,
				&trial->state.min_expires_s))
		return over(trial, STATUS_REJECTED, response, NULL);
	trial->min_expires_done = true;
	/* Its nonce may be good for one use. */
	trunk_auth_forget(&trial->auth);
	return ATTEMPT_AGAIN;
}

static enum attempt_verdict on_granted(struct trial *trial,
				       const struct sip_message *response)
{
	if (trial->at == TRIAL_REGISTER &&
	    policy_granted_s(response, buffer_slice(&trial->contact),
			     trial->asked_s) == 0)
		return over(trial, STATUS_REJECTED, response,
			    "granted for no time");
	return over(trial, STATUS_NONE, response, NULL);
}

static enum attempt_verdict on_refused(struct trial *trial,
				       const struct sip_message *response)
{
	const bool wrong =
		response->status == 403 && trunk_auth_proved(&trial->auth);

	return over(trial, wrong ? STATUS_AUTH : STATUS_REJECTED, response,
		    NULL);
}

static enum attempt_verdict on_answer(void *arg, const struct wire_way *way,
				      const struct sip_message *response)
{
	struct trial *trial = arg;

	trial->target = way->flow;
	ladder_add(&trial->ladder, agenda_unix_ms(agenda_of(trial)), LADDER_IN,
		   &way->flow, response);
	if (trial->at == TRIAL_OPTIONS)
		return over(trial, STATUS_NONE, response, NULL);
	switch (policy_rule_of(response->status)->action) {
	case POLICY_REGISTERED:
		return on_granted(trial, response);
	case POLICY_CHALLENGE:
		return on_challenge(trial, response);
	case POLICY_MIN_EXPIRES:
		return on_min_expires(trial, response);
	case POLICY_NEXT:
		trunk_auth_forget(&trial->auth);
		return ATTEMPT_NEXT;
	case POLICY_FAIL:
		break;
	}
	return on_refused(trial, response);
}

static void on_missed(void *arg, const struct sip_flow *flow,
		      const struct status_fault *fault)
{
	struct trial *trial = arg;

	trunk_auth_forget(&trial->auth);
	ladder_note(&trial->ladder, agenda_unix_ms(agenda_of(trial)), flow,
		    fault->reason);
	step_end(trial, fault);
}

/* May free the trial. */
static void on_failed(void *arg, const struct status_fault *fault)
{
	struct trial *trial = arg;

	trial->attempt = NULL;
	step_end(trial, fault);
	if (trial->at == TRIAL_OPTIONS)
		options_over(trial);
	else
		finish(trial);
}

static const struct attempt_handlers handlers = {
	.step = on_step,
	.build = on_build,
	.answer = on_answer,
	.missed = on_missed,
	.failed = on_failed,
};

/* ---- all of them ---- */

struct trials *trials_new(struct trunk_shared *shared)
{
	struct trials *trials = mem_alloc(sizeof(*trials));

	trials->shared = shared;
	return trials;
}

void trials_free(struct trials *trials)
{
	if (!trials)
		return;
	while (!LIST_EMPTY(&trials->running))
		trial_free(LIST_FIRST(&trials->running));
	free(trials);
}

static struct trial *trial_new(struct trials *trials,
			       const struct world_trunk *settings)
{
	struct trial *trial = mem_alloc(sizeof(*trial));

	trial->trials = trials;
	LIST_INSERT_HEAD(&trials->running, trial, link);
	trials->count++;
	settings_init(&trial->settings, settings);
	trunk_state_init(&trial->state);
	request_tag(trial->user);
	trial->options_end =
		(struct agenda_entry){.fn = on_options_end, .arg = trial};
	trial->end = (struct agenda_entry){.fn = on_end, .arg = trial};
	return trial;
}

enum err_code trial_start(struct trials *trials,
			  const struct world_trunk *settings,
			  uint32_t deadline_ms, trial_fn *fn, void *arg,
			  struct err *err)
{
	if (settings->auth != WORLD_REGISTER_AUTH &&
	    settings->auth != WORLD_IP_AUTH)
		return err_field(err, "auth_mode",
				 "nothing is sent to such a trunk");
	if (trials->count >= TRIAL_COUNT_MAX) {
		err_set(err, ERR_RATE_LIMITED, "%d tests are running already",
			TRIAL_COUNT_MAX);
		err->retry_after_s = 1;
		return ERR_RATE_LIMITED;
	}
	struct trial *trial = trial_new(trials, settings);

	trial->fn = fn;
	trial->arg = arg;
	trial->deadline_ms =
		deadline_ms < TRIAL_MAX_MS ? deadline_ms : TRIAL_MAX_MS;
	trial->started_ms = agenda_now_ms(agenda_of(trial));
	agenda_set(agenda_of(trial), &trial->end, trial->deadline_ms);
	step_enter(trial, TRIAL_RESOLVE);
	request_start(trial, SIP_METHOD_OPTIONS, false);
	return ERR_OK;
}

enum err_code trial_settings_read(const struct request *request,
				  struct arena *arena, struct world_trunk *out,
				  struct err *err)
{
	struct value *values =
		arena_alloc(arena, provider_record.count * sizeof(*values));
	struct reader reader;

	reader_init(&reader, request->args);
	enum err_code code = record_decode(&provider_record, RECORD_CREATE,
					   &reader, arena, values, err);

	if (code != ERR_OK)
		return code;
	record_default(&provider_record, values);
	code = (enum err_code)provider_resource.complete(
		values, &request->principal, arena, err);
	if (code != ERR_OK)
		return code;
	*out = (struct world_trunk){0};
	world_trunk_read(out, values, arena);
	return ERR_OK;
}

/* ---- the report on the wire ---- */

static const char *const step_names[TRIAL_STEPS] = {
	[TRIAL_RESOLVE] = "resolve",	   [TRIAL_CONNECT] = "connect",
	[TRIAL_OPTIONS] = "options",	   [TRIAL_REGISTER] = "register",
	[TRIAL_UNREGISTER] = "unregister",
};

static void stage_write(enum status_stage stage, struct buffer *out)
{
	writer_text(out,
		    stage == STATUS_NONE ? NULL : status_stage_text(stage));
}

static void step_write(const struct trial_step *step, const char *name,
		       struct buffer *out)
{
	const struct slice transport = sip_transport_text(step->flow.transport);
	char target[SIP_ENDPOINT_TEXT];

	sip_endpoint_text(&step->flow.remote, target);
	writer_map(out, 8);
	writer_text(out, "name");
	writer_text(out, name);
	writer_text(out, "ok");
	writer_bool(out, good(step));
	writer_text(out, "stage");
	stage_write(step->fault.stage, out);
	writer_text(out, "code");
	if (step->fault.code > 0)
		writer_uint(out, step->fault.code);
	else
		writer_nil(out);
	writer_text(out, "reason");
	writer_text(out, *step->fault.reason ? step->fault.reason : NULL);
	writer_text(out, "transport");
	if (transport.size > 0)
		writer_str(out, transport);
	else
		writer_nil(out);
	writer_text(out, "target");
	writer_text(out, *target ? target : NULL);
	writer_text(out, "milliseconds");
	writer_uint(out, step->ended_ms - step->began_ms);
}

void trial_report_encode(const struct trial_report *report, struct buffer *out)
{
	uint32_t ended = 0;

	for (int i = 0; i < TRIAL_STEPS; i++)
		ended += report->steps[i].ended;
	writer_map(out, 6);
	writer_text(out, "ok");
	writer_bool(out, report->ok);
	writer_text(out, "diagnosis");
	writer_text(out, report->diagnosis);
	writer_text(out, "failed_stage");
	stage_write(report->stage, out);
	writer_text(out, "milliseconds");
	writer_uint(out, report->took_ms);
	writer_text(out, "steps");
	writer_array(out, ended);
	for (int i = 0; i < TRIAL_STEPS; i++)
		if (report->steps[i].ended)
			step_write(&report->steps[i], step_names[i], out);
	writer_text(out, "ladder");
	ladder_encode(report->ladder, out);
}
