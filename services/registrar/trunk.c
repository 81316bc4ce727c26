#include "services/registrar/trunk.h"

#include "proto/mem.h"
#include "services/common/log.h"
#include "services/registrar/keepalive.h"
#include "services/registrar/settings.h"
#include "services/registrar/trunk_auth.h"
#include "services/registrar/trunk_policy.h"

#include <assert.h>
#include <stdlib.h>

#define PHASE_BIT(phase) (1U << (phase))

/* The moves of the drawing in trunk.h. */
static const unsigned moves[TRUNK_PHASES] = {
	[TRUNK_UNREGISTERED] =
		PHASE_BIT(TRUNK_RESOLVING) | PHASE_BIT(TRUNK_CONNECTING) |
		PHASE_BIT(TRUNK_TRYING) | PHASE_BIT(TRUNK_REGISTERED) |
		PHASE_BIT(TRUNK_BACKING_OFF) | PHASE_BIT(TRUNK_UNREGISTERING) |
		PHASE_BIT(TRUNK_DISABLED),
	[TRUNK_RESOLVING] =
		PHASE_BIT(TRUNK_CONNECTING) | PHASE_BIT(TRUNK_TRYING) |
		PHASE_BIT(TRUNK_BACKING_OFF) | PHASE_BIT(TRUNK_UNREGISTERED),
	[TRUNK_CONNECTING] = PHASE_BIT(TRUNK_TRYING) |
			     PHASE_BIT(TRUNK_BACKING_OFF) |
			     PHASE_BIT(TRUNK_UNREGISTERED),
	[TRUNK_TRYING] =
		PHASE_BIT(TRUNK_CHALLENGED) | PHASE_BIT(TRUNK_REGISTERED) |
		PHASE_BIT(TRUNK_CONNECTING) | PHASE_BIT(TRUNK_BACKING_OFF) |
		PHASE_BIT(TRUNK_UNREGISTERED),
	[TRUNK_CHALLENGED] =
		PHASE_BIT(TRUNK_TRYING) | PHASE_BIT(TRUNK_CONNECTING) |
		PHASE_BIT(TRUNK_BACKING_OFF) | PHASE_BIT(TRUNK_UNREGISTERED),
	[TRUNK_REGISTERED] = PHASE_BIT(TRUNK_RESOLVING) |
			     PHASE_BIT(TRUNK_BACKING_OFF) |
			     PHASE_BIT(TRUNK_UNREGISTERED),
	[TRUNK_BACKING_OFF] =
		PHASE_BIT(TRUNK_RESOLVING) | PHASE_BIT(TRUNK_UNREGISTERED),
	[TRUNK_UNREGISTERING] = PHASE_BIT(TRUNK_UNREGISTERED),
	[TRUNK_DISABLED] = PHASE_BIT(TRUNK_UNREGISTERED),
};

struct trunk {
	struct trunk_shared *shared;
	struct settings settings;
	struct settings pending; /* texts NULL: none; take over once the old
				    binding is removed */
	bool removing;		 /* ends once it is */

	enum trunk_phase phase;
	int64_t phase_since_ms;
	bool online;
	bool suspect; /* a keep-alive went unanswered since the last REGISTER */

	struct trunk_state state;
	struct agenda_entry due;    /* the refresh, the next try, the end of
				       waiting for an un-REGISTER */
	struct agenda_entry expiry; /* of the registration */
	struct attempt *attempt;

	/* Of the attempt under way. */
	struct trunk_auth auth;
	bool min_expires_done;
	uint32_t asked_s;
	uint32_t retry_after_s;
	struct buffer contact;

	struct keepalive *keepalive;
	bool kept; /* keep-alives go to kept_flow */
	struct sip_flow kept_flow;

	unsigned last_code;
	char last_reason[STATUS_REASON_BYTES];
	struct sip_flow target; /* tried last */
	struct ladder ladder;
};

static struct agenda *agenda_of(const struct trunk *trunk)
{
	return trunk->shared->attempts->agenda;
}

static int64_t unix_ms(const struct trunk *trunk)
{
	return agenda_unix_ms(agenda_of(trunk));
}

static void move(struct trunk *trunk, enum trunk_phase to)
{
	if (trunk->phase == to)
		return;
	assert(moves[trunk->phase] & PHASE_BIT(to));
	trunk->shared->stats.phases[trunk->phase]--;
	trunk->shared->stats.phases[to]++;
	trunk->phase = to;
	trunk->phase_since_ms = unix_ms(trunk);
}

/* The carrier holds a binding of ours. */
static bool bound(const struct trunk *trunk)
{
	return trunk->state.registered &&
	       trunk->state.expires_ms > unix_ms(trunk);
}

static bool is_online(const struct trunk *trunk)
{
	if (trunk->settings.trunk.auth == WORLD_REGISTER_AUTH)
		return bound(trunk) && !trunk->suspect &&
		       trunk->phase != TRUNK_UNREGISTERING;
	return keepalive_alive(trunk->keepalive)->alive;
}

/* Since when it is as it is: a restart that finds it so changes nothing. */
static void online_keep(struct trunk *trunk)
{
	if (trunk->state.online == trunk->online &&
	    trunk->state.online_since_ms > 0)
		return;
	trunk->state.online = trunk->online;
	trunk->state.online_since_ms = unix_ms(trunk);
}

/* True: it has changed, and is to be told. */
static bool online_update(struct trunk *trunk)
{
	const bool online = is_online(trunk);

	if (online == trunk->online)
		return false;
	if (online)
		trunk->shared->stats.online++;
	else
		trunk->shared->stats.online--;
	trunk->online = online;
	online_keep(trunk);
	log_event(LOG_INFO, online ? "trunk.online" : "trunk.offline",
		  LOG_INT("trunk", trunk->settings.trunk.id),
		  LOG_STR("name", trunk->settings.trunk.name));
	return true;
}

static void online_check(struct trunk *trunk)
{
	if (online_update(trunk))
		trunk->shared->changed(trunk->shared->arg, trunk);
}

static void save(struct trunk *trunk)
{
	trunk->shared->save(trunk->shared->arg, trunk);
}

static void attempt_stop(struct trunk *trunk)
{
	attempt_cancel(trunk->attempt);
	trunk->attempt = NULL;
	agenda_clear(agenda_of(trunk), &trunk->due);
}

static void keepalive_end(struct trunk *trunk)
{
	keepalive_stop(trunk->keepalive);
	trunk->kept = false;
	trunk->suspect = false;
}

static const struct attempt_handlers handlers;

static void attempt_begin(struct trunk *trunk, bool only, bool avoid)
{
	uint16_t port;
	const char *host = settings_next_hop(&trunk->settings.trunk, &port);
	const struct attempt_options options = {
		.host = host,
		.port = port,
		.transport = trunk->settings.trunk.transport,
		.method = SIP_METHOD_REGISTER,
		.prefer = bound(trunk) ? &trunk->state.flow : NULL,
		.only = only,
		.avoid = avoid,
		.handlers = &handlers,
		.arg = trunk,
	};

	attempt_stop(trunk);
	trunk->auth = (struct trunk_auth){0};
	trunk->min_expires_done = false;
	trunk->retry_after_s = 0;
	trunk->attempt = attempt_start(trunk->shared->attempts, &options);
}

static void start(struct trunk *trunk)
{
	attempt_begin(trunk, false, false);
}

/* The attempt's progress is the trunk's, but for an un-REGISTER, whose waiting
 * has an end. */
static void on_step(void *arg, enum trunk_phase phase,
		    const struct sip_flow *flow)
{
	struct trunk *trunk = arg;

	if (flow->transport != SIP_TRANSPORT_OTHER)
		trunk->target = *flow;
	if (trunk->phase != TRUNK_UNREGISTERING)
		move(trunk, phase);
	else if (phase == TRUNK_TRYING)
		agenda_set(agenda_of(trunk), &trunk->due, TRUNK_UNREGISTER_MS);
}

static void ladder_out(struct trunk *trunk, const struct sip_flow *flow,
		       const struct buffer *out)
{
	struct sip_message message;

	if (sip_message_parse(buffer_slice(out), SIP_DATAGRAM, &message) ==
	    ERR_OK)
		ladder_add(&trunk->ladder, unix_ms(trunk), LADDER_OUT, flow,
			   &message);
}

/* What an un-REGISTER takes back is the binding as it was made. */
static void contact_set(struct trunk *trunk,
			const struct trunk_request *request)
{
	trunk->contact.size = 0;
	if (trunk->phase == TRUNK_UNREGISTERING)
		buffer_append_str(&trunk->contact, trunk->state.contact);
	else
		request_contact_append(&trunk->contact, request);
}

static void on_build(void *arg, const struct wire_way *way, struct slice branch,
		     struct buffer *out)
{
	struct trunk *trunk = arg;
	struct trunk_state *state = &trunk->state;
	const struct world_trunk *settings = &trunk->settings.trunk;
	const bool removes = trunk->phase == TRUNK_UNREGISTERING;

	const struct trunk_request request = {
		.self = &trunk->shared->self,
		.trunk = settings,
		.way = way,
		.branch = branch,
		.call_id = slice_str(state->call_id),
		.tag = slice_str(state->tag),
		.cseq = ++state->cseq,
	};

	trunk->asked_s =
		removes ? 0
			: policy_expires_s(settings->register_interval_s,
					   state->min_expires_s);
	contact_set(trunk, &request);
	request_register(out, &request, buffer_slice(&trunk->contact),
			 trunk->asked_s);
	trunk_auth_append(state, trunk->shared->digest, settings, out);
	request_end(out);
	settings_tag(settings, trunk->shared->tag_key, state->settings);
	ladder_out(trunk, &way->flow, out);
	trunk->shared->stats.registers++;
	save(trunk);
}

/* A registration that still stands is not left to expire while we wait, unless
 * the carrier asked for that. */
static uint64_t retry_ms(struct trunk *trunk, enum policy_pace pace)
{
	const uint64_t delay_ms =
		policy_backoff_ms(pace, trunk->state.failures,
				  trunk->retry_after_s, &trunk->shared->random);
	uint64_t quarter_ms;

	if (!bound(trunk) || pace != POLICY_SOON || trunk->retry_after_s > 0)
		return delay_ms;
	quarter_ms = (uint64_t)(trunk->state.expires_ms - unix_ms(trunk)) / 4;
	if (quarter_ms < POLICY_REFRESH_MIN_MS)
		quarter_ms = POLICY_REFRESH_MIN_MS;
	return delay_ms < quarter_ms ? delay_ms : quarter_ms;
}

/* Told once for each way to fail, not for each try. */
static void failure_log(const struct trunk *trunk,
			const struct status_fault *fault)
{
	if (trunk->state.failures > 1 &&
	    fault->stage == trunk->state.fault.stage &&
	    fault->code == trunk->state.fault.code)
		return;
	log_event(LOG_WARN, "trunk.failed",
		  LOG_INT("trunk", trunk->settings.trunk.id),
		  LOG_STR("name", trunk->settings.trunk.name),
		  LOG_STR("stage", status_stage_text(fault->stage)),
		  LOG_INT("code", fault->code),
		  LOG_STR("reason", fault->reason));
}

static void fail(struct trunk *trunk, enum policy_pace pace,
		 const struct status_fault *fault)
{
	struct trunk_state *state = &trunk->state;

	trunk->attempt = NULL;
	trunk->shared->stats.failed++;
	if (state->failures < UINT32_MAX)
		state->failures++;
	failure_log(trunk, fault);
	state->fault = *fault;

	const uint64_t delay_ms = retry_ms(trunk, pace);

	state->next_ms = unix_ms(trunk) + (int64_t)delay_ms;
	move(trunk, TRUNK_BACKING_OFF);
	agenda_set(agenda_of(trunk), &trunk->due, delay_ms);
	save(trunk);
	online_check(trunk);
}

static enum attempt_verdict reject(struct trunk *trunk, enum policy_pace pace,
				   enum status_stage stage,
				   const struct sip_message *response,
				   const char *reason)
{
	struct status_fault fault;

	/* Or the next try would first send them again, with this nonce. */
	if (stage == STATUS_AUTH)
		for (unsigned i = 0; i < TRUNK_CHALLENGES; i++)
			trunk_state_challenge_set(&trunk->state, i,
						  (struct slice){0});
	status_fault_set(&fault, stage, response->status,
			 reason ? slice_str(reason) : response->reason);
	fail(trunk, pace, &fault);
	return ATTEMPT_DONE;
}

static void apply(struct trunk *trunk);

/* The end of an un-REGISTER, whatever became of it. May free the trunk. */
static void unregistered(struct trunk *trunk)
{
	struct trunk_shared *shared = trunk->shared;

	attempt_stop(trunk);
	agenda_clear(agenda_of(trunk), &trunk->expiry);
	trunk->state.registered = false;
	trunk->state.expires_ms = 0;
	move(trunk, TRUNK_UNREGISTERED);
	if (trunk->removing) {
		shared->ended(shared->arg, trunk);
		return;
	}
	if (trunk->pending.texts) {
		settings_fini(&trunk->settings);
		trunk->settings = trunk->pending;
		trunk->pending = (struct settings){0};
	}
	save(trunk);
	apply(trunk);
	online_check(trunk);
}

static void unregister(struct trunk *trunk)
{
	attempt_stop(trunk);
	keepalive_end(trunk);
	move(trunk, TRUNK_UNREGISTERED);
	move(trunk, TRUNK_UNREGISTERING);
	attempt_begin(trunk, true, false);
}

static bool same_flow(const struct sip_flow *a, const struct sip_flow *b)
{
	return a->transport == b->transport && a->connection == b->connection &&
	       sip_endpoint_eq(&a->remote, &b->remote) &&
	       sip_endpoint_eq(&a->local, &b->local);
}

static void keepalive_follow(struct trunk *trunk)
{
	trunk->suspect = false;
	if (trunk->kept && same_flow(&trunk->kept_flow, &trunk->state.flow))
		return;
	trunk->kept = true;
	trunk->kept_flow = trunk->state.flow;
	keepalive_start(trunk->keepalive, &trunk->settings.trunk,
			&trunk->kept_flow);
}

static enum attempt_verdict on_registered(struct trunk *trunk,
					  const struct wire_way *way,
					  const struct sip_message *response)
{
	struct trunk_state *state = &trunk->state;
	const uint32_t granted_s = policy_granted_s(
		response, buffer_slice(&trunk->contact), trunk->asked_s);
	const uint64_t refresh_ms =
		policy_refresh_ms(granted_s, &trunk->shared->random);
	const int64_t now_ms = unix_ms(trunk);

	if (granted_s == 0)
		return reject(trunk, POLICY_SLOW, STATUS_REJECTED, response,
			      "granted for no time");
	trunk->attempt = NULL;
	trunk->shared->stats.registered++;
	trunk_state_contact_set(state, buffer_slice(&trunk->contact));
	state->registered = true;
	state->expires_ms = now_ms + (int64_t)granted_s * 1000;
	state->next_ms = now_ms + (int64_t)refresh_ms;
	state->flow = way->flow;
	state->failures = 0;
	state->fault = (struct status_fault){0};
	move(trunk, TRUNK_REGISTERED);
	agenda_set(agenda_of(trunk), &trunk->due, refresh_ms);
	agenda_set(agenda_of(trunk), &trunk->expiry,
		   (uint64_t)granted_s * 1000);
	keepalive_follow(trunk);
	online_check(trunk);
	save(trunk);
	return ATTEMPT_DONE;
}

/* NULL: answer it. */
static const char *challenge_fault(struct trunk *trunk,
				   const struct sip_message *response)
{
	return trunk_auth_take(&trunk->auth, &trunk->state,
			       trunk->shared->digest, &trunk->settings.trunk,
			       response);
}

static enum attempt_verdict on_challenge(struct trunk *trunk,
					 const struct sip_message *response)
{
	const char *fault = challenge_fault(trunk, response);

	if (fault)
		return reject(trunk, POLICY_SLOW, STATUS_AUTH, response, fault);
	move(trunk, TRUNK_CHALLENGED);
	return ATTEMPT_AGAIN;
}

static enum attempt_verdict on_min_expires(struct trunk *trunk,
					   const struct sip_message *response)
{
	if (trunk->min_expires_done ||
	    !policy_min_expires(response, trunk->asked_s,
				&trunk->state.min_expires_s))
		return reject(trunk, POLICY_SLOW, STATUS_REJECTED, response,
			      NULL);
	trunk->min_expires_done = true;
	trunk_auth_forget(&trunk->auth); /* its nonce may be good for one use */
	return ATTEMPT_AGAIN;
}

static enum attempt_verdict on_refused(struct trunk *trunk,
				       const struct policy_rule *rule,
				       const struct sip_message *response)
{
	if (response->status == 403 && trunk_auth_proved(&trunk->auth))
		return reject(trunk, POLICY_SLOW, STATUS_AUTH, response, NULL);
	return reject(trunk, rule->pace, STATUS_REJECTED, response, NULL);
}

static enum attempt_verdict answer(struct trunk *trunk,
				   const struct wire_way *way,
				   const struct sip_message *response)
{
	const struct policy_rule *rule = policy_rule_of(response->status);

	switch (rule->action) {
	case POLICY_REGISTERED:
		return on_registered(trunk, way, response);
	case POLICY_CHALLENGE:
		return on_challenge(trunk, response);
	case POLICY_MIN_EXPIRES:
		return on_min_expires(trunk, response);
	case POLICY_NEXT:
		trunk_auth_forget(&trunk->auth);
		return ATTEMPT_NEXT;
	case POLICY_FAIL:
		break;
	}
	return on_refused(trunk, rule, response);
}

/* Whatever a carrier says to an un-REGISTER but a challenge is its end. */
static enum attempt_verdict
unregister_answer(struct trunk *trunk, const struct sip_message *response)
{
	if ((response->status == 401 || response->status == 407) &&
	    !challenge_fault(trunk, response))
		return ATTEMPT_AGAIN;
	trunk->attempt = NULL; /* it ends by the verdict */
	unregistered(trunk);
	return ATTEMPT_DONE;
}

static enum attempt_verdict on_answer(void *arg, const struct wire_way *way,
				      const struct sip_message *response)
{
	struct trunk *trunk = arg;
	struct status_fault said;

	status_fault_set(&said, STATUS_NONE, response->status,
			 response->reason);
	trunk->last_code = said.code;
	memcpy(trunk->last_reason, said.reason, sizeof(said.reason));
	ladder_add(&trunk->ladder, unix_ms(trunk), LADDER_IN, &way->flow,
		   response);
	if (sip_message_number(response, SIP_RETRY_AFTER,
			       &trunk->retry_after_s) != ERR_OK)
		trunk->retry_after_s = 0;
	return trunk->phase == TRUNK_UNREGISTERING
		       ? unregister_answer(trunk, response)
		       : answer(trunk, way, response);
}

static void on_missed(void *arg, const struct sip_flow *flow,
		      const struct status_fault *fault)
{
	struct trunk *trunk = arg;

	trunk_auth_forget(&trunk->auth);
	trunk->retry_after_s = 0;
	ladder_note(&trunk->ladder, unix_ms(trunk), flow, fault->reason);
}

static void on_failed(void *arg, const struct status_fault *fault)
{
	struct trunk *trunk = arg;

	trunk->attempt = NULL;
	if (trunk->phase == TRUNK_UNREGISTERING)
		unregistered(trunk);
	else
		fail(trunk, POLICY_SOON, fault);
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
	struct trunk *trunk = arg;

	if (trunk->phase == TRUNK_UNREGISTERING)
		unregistered(trunk);
	else
		start(trunk);
}

static void on_expiry(void *arg)
{
	online_check(arg);
}

/* A registered trunk whose flow is silent is registered anew at once: what
 * takes that, lives. */
static void on_keepalive(void *arg, const struct status_alive *alive)
{
	struct trunk *trunk = arg;

	if (trunk->settings.trunk.auth == WORLD_REGISTER_AUTH) {
		trunk->suspect = !alive->alive;
		if (trunk->suspect && trunk->phase == TRUNK_REGISTERED &&
		    !trunk->attempt)
			attempt_begin(trunk, false, true);
	}
	online_check(trunk);
}

/* Begins what the settings ask for; nothing is under way. */
static void apply(struct trunk *trunk)
{
	const struct world_trunk *settings = &trunk->settings.trunk;

	if (!settings->enabled) {
		move(trunk, TRUNK_DISABLED);
		return;
	}
	if (trunk->phase == TRUNK_DISABLED)
		move(trunk, TRUNK_UNREGISTERED);
	if (settings_registers(settings))
		start(trunk);
	else if (settings->auth == WORLD_IP_AUTH)
		keepalive_start(trunk->keepalive, settings, NULL);
}

static void resume(struct trunk *trunk, enum trunk_phase phase,
		   uint64_t delay_ms)
{
	move(trunk, phase);
	agenda_set(agenda_of(trunk), &trunk->due, delay_ms);
}

/* What is stored is the wall clock's, which may have been set since: no wait is
 * longer than it can have been. */
static uint64_t left_ms(const struct trunk *trunk, int64_t until_ms,
			uint64_t max_ms)
{
	const int64_t left = until_ms - unix_ms(trunk);

	if (left <= 0)
		return 0;
	return (uint64_t)left < max_ms ? (uint64_t)left : max_ms;
}

static void resume_registered(struct trunk *trunk)
{
	const uint64_t expires_ms =
		left_ms(trunk, trunk->state.expires_ms,
			(uint64_t)POLICY_EXPIRES_MAX_S * 1000);
	uint64_t due_ms = left_ms(trunk, trunk->state.next_ms, expires_ms);

	if (due_ms < TRUNK_QUIET_MS &&
	    expires_ms > TRUNK_QUIET_MS + TRUNK_QUIET_LEFT_MS)
		due_ms = TRUNK_QUIET_MS;
	agenda_set(agenda_of(trunk), &trunk->expiry, expires_ms);
	keepalive_follow(trunk);
	resume(trunk,
	       trunk->state.failures > 0 ? TRUNK_BACKING_OFF : TRUNK_REGISTERED,
	       due_ms);
}

/* As it was when the process before this one ended. */
static void take_up(struct trunk *trunk)
{
	const struct trunk_state *state = &trunk->state;
	unsigned char tag[SECRETS_TAG_BYTES];

	settings_tag(&trunk->settings.trunk, trunk->shared->tag_key, tag);

	const bool same = memcmp(tag, state->settings, sizeof(tag)) == 0;
	const bool registers = settings_registers(&trunk->settings.trunk);

	if (!registers && bound(trunk))
		unregister(trunk);
	else if (registers && same && bound(trunk))
		resume_registered(trunk);
	else if (registers && same && state->failures > 0)
		resume(trunk, TRUNK_BACKING_OFF,
		       left_ms(trunk, state->next_ms, POLICY_SLOW_MAX_MS));
	else
		apply(trunk);
	online_update(trunk);
	online_keep(trunk);
}

struct trunk *trunk_new(struct trunk_shared *shared,
			const struct world_trunk *settings,
			struct trunk_state *state)
{
	struct trunk *trunk = mem_alloc(sizeof(*trunk));

	trunk->shared = shared;
	settings_init(&trunk->settings, settings);
	if (state) {
		trunk->state = *state;
		*state = (struct trunk_state){0};
	} else {
		trunk_state_init(&trunk->state);
	}
	trunk->due = (struct agenda_entry){.fn = on_due, .arg = trunk};
	trunk->expiry = (struct agenda_entry){.fn = on_expiry, .arg = trunk};
	trunk->target = trunk->state.flow;
	trunk->phase_since_ms = unix_ms(trunk);
	shared->stats.phases[TRUNK_UNREGISTERED]++;

	const struct keepalive_options options = {
		.shared = shared->attempts,
		.self = &shared->self,
		.random = &shared->random,
		.sent = &shared->stats.keepalives,
		.fn = on_keepalive,
		.arg = trunk,
	};

	trunk->keepalive = keepalive_new(&options);
	take_up(trunk);
	return trunk;
}

void trunk_free(struct trunk *trunk)
{
	if (!trunk)
		return;
	attempt_stop(trunk);
	agenda_clear(agenda_of(trunk), &trunk->expiry);
	keepalive_free(trunk->keepalive);
	trunk->shared->stats.phases[trunk->phase]--;
	if (trunk->online)
		trunk->shared->stats.online--;
	settings_fini(&trunk->settings);
	settings_fini(&trunk->pending);
	trunk_state_fini(&trunk->state);
	ladder_fini(&trunk->ladder);
	buffer_fini(&trunk->contact);
	free(trunk);
}

static void settings_replace(struct trunk *trunk,
			     const struct world_trunk *settings)
{
	settings_fini(&trunk->settings);
	settings_init(&trunk->settings, settings);
}

/* Another registrar, or another name there, has never heard of our Call-ID. */
static void identity_renew(struct trunk *trunk)
{
	trunk_state_fini(&trunk->state);
	trunk_state_init(&trunk->state);
}

/* Nothing that is under way has to be touched. */
static bool edit_is_quiet(const struct world_trunk *was,
			  const struct world_trunk *is)
{
	return was->auth == is->auth && was->enabled == is->enabled &&
	       was->registration == is->registration &&
	       settings_compare(was, is) == SETTINGS_SAME;
}

static void keepalive_edited(struct trunk *trunk, bool was_kept,
			     uint32_t was_interval_s)
{
	const struct world_trunk *settings = &trunk->settings.trunk;

	if (settings->keep_alive == was_kept &&
	    settings->keep_alive_interval_s == was_interval_s)
		return;
	if (trunk->kept)
		keepalive_start(trunk->keepalive, settings, &trunk->kept_flow);
	else if (settings->auth == WORLD_IP_AUTH && settings->enabled)
		keepalive_start(trunk->keepalive, settings, NULL);
	online_check(trunk);
}

/* Starts over: an edit is somebody's attempt to mend it. */
static void restart(struct trunk *trunk, const struct world_trunk *settings,
		    bool rebind)
{
	const bool stays = !rebind && settings_registers(settings);

	attempt_stop(trunk);
	if (!stays || trunk->phase != TRUNK_REGISTERED)
		move(trunk, TRUNK_UNREGISTERED);
	if (!stays)
		keepalive_end(trunk);
	if (rebind)
		identity_renew(trunk);
	trunk->state.failures = 0;
	trunk->state.fault = (struct status_fault){0};
	settings_replace(trunk, settings);
	apply(trunk);
	online_check(trunk);
}

void trunk_configure(struct trunk *trunk, const struct world_trunk *settings)
{
	const struct world_trunk *was = &trunk->settings.trunk;
	const bool rebind = settings_compare(was, settings) == SETTINGS_REBIND;
	const bool was_kept = was->keep_alive;
	const uint32_t was_interval_s = was->keep_alive_interval_s;

	if (trunk->phase == TRUNK_UNREGISTERING) {
		trunk->removing = false;
		settings_fini(&trunk->pending);
		settings_init(&trunk->pending, settings);
	} else if (edit_is_quiet(was, settings)) {
		settings_replace(trunk, settings);
		keepalive_edited(trunk, was_kept, was_interval_s);
	} else if (bound(trunk) && (rebind || !settings_registers(settings))) {
		settings_init(&trunk->pending, settings);
		unregister(trunk);
		online_check(trunk);
	} else {
		restart(trunk, settings, rebind);
	}
}

bool trunk_remove(struct trunk *trunk)
{
	if (trunk->phase != TRUNK_UNREGISTERING) {
		if (!bound(trunk))
			return true;
		unregister(trunk);
	}
	trunk->removing = true;
	return false;
}

bool trunk_register_now(struct trunk *trunk)
{
	if (!settings_registers(&trunk->settings.trunk) || trunk->attempt)
		return false;
	start(trunk);
	return true;
}

int64_t trunk_id(const struct trunk *trunk)
{
	return trunk->settings.trunk.id;
}

bool trunk_online(const struct trunk *trunk)
{
	return trunk->online;
}

const struct ladder *trunk_ladder(const struct trunk *trunk)
{
	return &trunk->ladder;
}

const struct trunk_state *trunk_state_of(const struct trunk *trunk)
{
	return &trunk->state;
}

void trunk_status_get(const struct trunk *trunk, struct trunk_status *out)
{
	const struct trunk_state *state = &trunk->state;

	*out = (struct trunk_status){
		.phase = trunk->phase,
		.phase_since_ms = trunk->phase_since_ms,
		.online = trunk->online,
		.online_since_ms = trunk->state.online_since_ms,
		.fault = state->fault,
		.last_code = trunk->last_code,
		.transport = trunk->target.transport,
		.target = trunk->target.remote,
		.algorithm = trunk_auth_algorithm(state),
		.failures = state->failures,
		.expires_ms = bound(trunk) ? state->expires_ms : 0,
		.next_attempt_ms =
			trunk->due.place && trunk->phase != TRUNK_UNREGISTERING
				? state->next_ms
				: 0,
		.alive = *keepalive_alive(trunk->keepalive),
	};
	memcpy(out->last_reason, trunk->last_reason, sizeof(out->last_reason));
}
