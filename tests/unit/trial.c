#include "services/registrar/trial.h"

#include "carrier.h"
#include "outbound_sip.h"
#include "proto/json.h"
#include "servers.h"
#include "services/common/secrets.h"
#include "turn.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	T1_MS = 10,   /* a silence is over after 640 ms */
	LONG = 15000, /* more than any trial here takes */
	SHORT = 1000, /* before a silence is over */
};

/* A registrar's outbound half, a carrier, and what a trial told. */
struct world {
	struct servers_redis redis;
	struct loop *loop;
	struct cache *cache;
	struct sip_transports *transports;
	struct outbound *outbound;
	struct trials *trials;
	struct carrier carrier;
	struct arena arena;
	struct world_trunk settings;

	unsigned told;
	struct trial_report report;
	struct trial_step steps[TRIAL_STEPS];
	char *ladder;
	char *json;
};

static void outbound_begin(struct world *world, unsigned t1_ms)
{
	static const unsigned char key[SECRETS_TAG_KEY_BYTES] = "tag key";
	const struct outbound_options options = {
		.loop = world->loop,
		.cache = world->cache,
		.transports = world->transports,
		.port = outbound_sip_port,
		.user_agent = "Trunkline",
		.tag_key = key,
		.t1_ms = t1_ms,
		/* Nobody is there: every name fails, and at once. */
		.dns_servers = "127.0.0.1:1",
	};
	struct err err = {0};

	cr_assert_eq(outbound_new(&options, &world->outbound, &err), ERR_OK,
		     "%s", err.text);
	world->trials = trials_new(outbound_shared(world->outbound));
}

static void world_start(struct world *world, unsigned t1_ms)
{
	struct err err = {0};

	*world = (struct world){0};
	signal(SIGPIPE, SIG_IGN);
	cr_assert(secrets_init());
	world->loop = loop_new();
	servers_redis_start(&world->redis, NULL);
	cr_assert_eq(cache_new(world->loop, world->redis.url, NULL,
			       &world->cache, &err),
		     ERR_OK);
	world->transports =
		outbound_sip_new(world->loop, NULL, &world->outbound);
	outbound_begin(world, t1_ms);
	carrier_start(&world->carrier, world->loop, SIP_TRANSPORT_UDP, NULL);
	world->carrier.algorithms = DIGEST_BIT(DIGEST_SHA_256);
}

static void world_end(struct world *world)
{
	trials_free(world->trials);
	outbound_free(world->outbound);
	world->outbound = NULL;
	sip_transports_free(world->transports);
	cache_free(world->cache);
	carrier_stop(&world->carrier);
	arena_fini(&world->arena);
	free(world->ladder);
	free(world->json);
	loop_free(world->loop);
	servers_redis_stop(&world->redis);
}

/* Settings as REST sends them. */
static enum err_code settings_of(struct world *world, const char *json,
				 struct err *err)
{
	struct buffer msgpack = {0};

	cr_assert_eq(json_to_msgpack(slice_str(json), &msgpack, err), ERR_OK,
		     "%s", err->text);

	const struct request request = {
		.args = buffer_slice(&msgpack),
		.principal = {.kind = PRINCIPAL_SYSTEM},
	};
	const enum err_code code = trial_settings_read(&request, &world->arena,
						       &world->settings, err);

	buffer_fini(&msgpack);
	return code;
}

static void settings_good(struct world *world, const char *more)
{
	struct err err = {0};
	char json[1024];

	snprintf(json, sizeof(json),
		 "{\"name\":\"Carrier\",\"hostname\":\"carrier.example\","
		 "\"port\":5060,\"auth_id\":\"auth\",\"password\":\"secret\","
		 "\"outbound_server\":\"127.0.0.1\","
		 "\"outbound_server_port\":%u,\"transport\":\"UDP\","
		 "\"concurrency\":10%s}",
		 world->carrier.port, more);
	cr_assert_eq(settings_of(world, json, &err), ERR_OK, "%s: %s %s",
		     err.text, err.details[0].field, err.details[0].reason);
}

static char *text_take(struct buffer *buffer)
{
	buffer_append_char(buffer, '\0');
	return buffer->data;
}

static void on_told(void *arg, const struct trial_report *report)
{
	struct world *world = arg;
	struct buffer ladder = {0}, msgpack = {0}, json = {0};

	world->told++;
	world->report = *report;
	memcpy(world->steps, report->steps, sizeof(world->steps));
	world->report.steps = world->steps;
	ladder_text(report->ladder, &ladder);
	trial_report_encode(report, &msgpack);
	cr_assert_eq(
		json_from_msgpack(buffer_slice(&msgpack), NULL, &json, NULL),
		ERR_OK);
	buffer_fini(&msgpack);
	free(world->ladder);
	free(world->json);
	world->ladder = text_take(&ladder);
	world->json = text_take(&json);
}

static enum err_code start(struct world *world, uint32_t deadline_ms,
			   struct err *err)
{
	return trial_start(world->trials, &world->settings, deadline_ms,
			   on_told, world, err);
}

static void run(struct world *world, uint32_t deadline_ms)
{
	struct err err = {0};

	cr_assert_eq(start(world, deadline_ms, &err), ERR_OK, "%s", err.text);
	cr_expect_eq(world->told, 0, "told before it returned");
	TURN_UNTIL(world->loop, world->told == 1);
}

static bool step_good(const struct world *world, enum trial_step_kind kind)
{
	const struct trial_step *step = &world->steps[kind];

	return step->ended && step->fault.stage == STATUS_NONE;
}

#define EXPECT_SAYS(world, part)                                               \
	cr_expect(strstr((world)->report.diagnosis, part), "%s",               \
		  (world)->report.diagnosis)

Test(trial, good_settings_register_and_leave_nothing)
{
	struct world world;

	world_start(&world, 0);
	settings_good(&world, "");
	run(&world, LONG);
	cr_expect(world.report.ok);
	EXPECT_SAYS(&world, "granted and taken back");
	cr_expect(step_good(&world, TRIAL_RESOLVE));
	cr_expect(step_good(&world, TRIAL_OPTIONS));
	cr_expect_eq(world.steps[TRIAL_OPTIONS].fault.code, 405,
		     "any answer is good");
	cr_expect(step_good(&world, TRIAL_REGISTER));
	cr_expect(step_good(&world, TRIAL_UNREGISTER));
	cr_expect_eq(world.carrier.granted, 1);
	cr_expect_eq(world.carrier.removed, 1);
	cr_expect_str_eq(world.carrier.user, "auth");
	cr_expect(strstr(world.json, "\"name\":\"unregister\",\"ok\":true"),
		  "%s", world.json);
	world_end(&world);
}

/* Or the un-REGISTER would take a live trunk's binding with it. */
Test(trial, the_contact_is_not_that_of_the_trunk)
{
	struct world world;

	world_start(&world, 0);
	settings_good(&world, "");
	run(&world, LONG);
	cr_expect_null(strstr(world.carrier.contact, "auth@"), "%s",
		       world.carrier.contact);
	cr_expect(strstr(world.carrier.to, "auth@carrier.example"), "%s",
		  world.carrier.to);
	world_end(&world);
}

Test(trial, the_ladder_has_no_password)
{
	struct world world;

	world_start(&world, 0);
	settings_good(&world, "");
	run(&world, LONG);
	cr_expect(strstr(world.ladder, "response=\"***\""), "%s", world.ladder);
	cr_expect(strstr(world.ladder, "OPTIONS sip:carrier.example"));
	cr_expect_null(strstr(world.json, "secret"));
	world_end(&world);
}

static const struct wrong_row {
	const char *name;
	unsigned wrong_code;
} wrong_rows[] = {{"challenged again", 0}, {"forbidden", 403}};

Test(trial, a_wrong_password_is_tried_once)
{
	for (size_t i = 0; i < sizeof(wrong_rows) / sizeof(*wrong_rows); i++) {
		const struct wrong_row *row = &wrong_rows[i];
		struct world world;

		world_start(&world, 0);
		world.carrier.password = "another";
		world.carrier.wrong_code = row->wrong_code;
		settings_good(&world, "");
		run(&world, LONG);
		cr_expect_not(world.report.ok, "%s", row->name);
		cr_expect_eq(world.report.stage, STATUS_AUTH, "%s", row->name);
		cr_expect_eq(world.steps[TRIAL_REGISTER].fault.code,
			     row->wrong_code ? row->wrong_code : 401);
		EXPECT_SAYS(&world, "credentials");
		cr_expect_eq(world.carrier.refused, 1, "%s", row->name);
		cr_expect_not(world.steps[TRIAL_UNREGISTER].begun);
		world_end(&world);
	}
}

Test(trial, a_name_that_is_none)
{
	struct world world;

	world_start(&world, 0);
	settings_good(&world, "");
	world.settings.outbound_server = "no-such-carrier.invalid";
	run(&world, LONG);
	cr_expect_not(world.report.ok);
	cr_expect_eq(world.report.stage, STATUS_DNS);
	EXPECT_SAYS(&world, "looked up");
	cr_expect_eq(world.steps[TRIAL_RESOLVE].fault.stage, STATUS_DNS);
	cr_expect_not(world.steps[TRIAL_OPTIONS].begun);
	world_end(&world);
}

/* The carrier listens on UDP only. */
Test(trial, nobody_takes_the_connection)
{
	struct world world;

	world_start(&world, 0);
	settings_good(&world, "");
	world.settings.transport = SIP_TRANSPORT_TCP;
	run(&world, LONG);
	cr_expect_not(world.report.ok);
	cr_expect_eq(world.report.stage, STATUS_CONNECT);
	EXPECT_SAYS(&world, "No connection");
	cr_expect(step_good(&world, TRIAL_RESOLVE));
	cr_expect_eq(world.steps[TRIAL_CONNECT].fault.stage, STATUS_CONNECT);
	cr_expect_not(world.steps[TRIAL_OPTIONS].begun);
	world_end(&world);
}

Test(trial, silence_is_told_by_the_deadline)
{
	struct world world;

	world_start(&world, 0);
	world.carrier.silent = true;
	settings_good(&world, ",\"registration\":false");
	run(&world, SHORT);
	cr_expect_not(world.report.ok);
	cr_expect_eq(world.report.stage, STATUS_TIMEOUT);
	EXPECT_SAYS(&world, "No answer within 1 s");
	cr_expect_eq(world.carrier.registers, 0);
	world_end(&world);
}

Test(trial, a_carrier_silent_to_options_may_register)
{
	struct world world;

	world_start(&world, T1_MS);
	world.carrier.silent_options = true;
	settings_good(&world, "");
	run(&world, LONG);
	cr_expect(world.report.ok);
	EXPECT_SAYS(&world, "does not answer OPTIONS");
	cr_expect_eq(world.steps[TRIAL_OPTIONS].fault.stage, STATUS_TIMEOUT);
	cr_expect_geq(world.carrier.removed, 1);
	world_end(&world);
}

Test(trial, a_longer_registration_is_asked_for_once)
{
	struct world world;

	world_start(&world, 0);
	world.carrier.min_expires_s = 600;
	settings_good(&world, "");
	run(&world, LONG);
	cr_expect(world.report.ok);
	cr_expect_eq(world.carrier.granted, 1);
	cr_expect_eq(world.carrier.removed, 1);
	world_end(&world);
}

static const struct refusal_row {
	unsigned status;
	const char *says;
} refusal_rows[] = {
	{302, "elsewhere"},
	{403, "refuses this account"},
	{404, "does not know"},
	{405, "takes no registrations"},
	{423, "length"},
	{486, "refuses the registration"},
	{503, "fault or is overload"},
	{603, "refuses the registration"},
};

Test(trial, a_refusal_is_told_in_words)
{
	for (size_t i = 0; i < sizeof(refusal_rows) / sizeof(*refusal_rows);
	     i++) {
		const struct refusal_row *row = &refusal_rows[i];
		struct world world;

		world_start(&world, 0);
		carrier_say(&world.carrier, row->status, "");
		settings_good(&world, "");
		run(&world, LONG);
		cr_expect_not(world.report.ok, "%u", row->status);
		cr_expect_eq(world.report.stage, STATUS_REJECTED, "%u",
			     row->status);
		cr_expect_eq(world.steps[TRIAL_REGISTER].fault.code,
			     row->status);
		EXPECT_SAYS(&world, row->says);
		world_end(&world);
	}
}

/* REGISTERs are lost until the deadline has passed; a copy is answered. */
static void silence_ends(void *arg)
{
	struct world *world = arg;

	world->carrier.silent = world->told == 0;
}

Test(trial, what_is_granted_too_late_is_taken_back)
{
	struct world world;

	world_start(&world, 0);
	world.carrier.on_register = silence_ends;
	world.carrier.arg = &world;
	settings_good(&world, "");
	run(&world, SHORT);
	cr_expect_not(world.report.ok);
	cr_expect_eq(world.report.stage, STATUS_TIMEOUT);
	cr_expect_eq(world.carrier.granted, 0);
	TURN_UNTIL(world.loop, world.carrier.removed > 0);
	cr_expect_eq(world.told, 1);
	world_end(&world);
}

Test(trial, no_more_at_once_than_may)
{
	struct world world;
	struct err err = {0};

	world_start(&world, 0);
	world.carrier.silent = true;
	settings_good(&world, "");
	for (int i = 0; i < TRIAL_COUNT_MAX; i++)
		cr_assert_eq(start(&world, LONG, &err), ERR_OK);
	cr_expect_eq(start(&world, LONG, &err), ERR_RATE_LIMITED);
	cr_expect_gt(err.retry_after_s, 0);
	/* They end untold. */
	world_end(&world);
	cr_expect_eq(world.told, 0);
}

Test(trial, settings_that_send_nothing_are_refused)
{
	struct world world;
	struct err err = {0};

	world_start(&world, 0);
	settings_good(&world, ",\"auth_mode\":\"ACCEPT_REGISTER\"");
	cr_expect_eq(start(&world, LONG, &err), ERR_VALIDATE);
	cr_expect_str_eq(err.details[0].field, "auth_mode");
	world_end(&world);
}

Test(trial, settings_are_validated_as_on_create)
{
	struct world world = {0};
	struct err err = {0};

	cr_expect_eq(settings_of(&world, "{\"hostname\":\"a.example\"}", &err),
		     ERR_VALIDATE);
	cr_expect_eq(err.details[0].reason[0] != '\0', true);
	arena_fini(&world.arena);
}
