#include "services/registrar/status.h"

#include "proto/utf8.h"
#include "proto/writer.h"

#include <assert.h>

static const char *const phase_texts[TRUNK_PHASES] = {
#define PHASE_TEXT(name, text) [name] = (text),
	STATUS_PHASE_LIST(PHASE_TEXT)
#undef PHASE_TEXT
};

static const char *const stage_texts[STATUS_STAGES] = {
#define STAGE_TEXT(name, text) [name] = (text),
	STATUS_STAGE_LIST(STAGE_TEXT)
#undef STAGE_TEXT
};

const char *status_phase_text(enum trunk_phase phase)
{
	assert(phase < TRUNK_PHASES);
	return phase_texts[phase];
}

const char *status_stage_text(enum status_stage stage)
{
	assert(stage < STATUS_STAGES);
	return stage_texts[stage];
}

static bool find(const char *const *texts, unsigned count, struct slice text,
		 unsigned *out)
{
	for (unsigned i = 0; i < count; i++)
		if (slice_is(text, texts[i])) {
			*out = i;
			return true;
		}
	return false;
}

bool status_phase_find(struct slice text, enum trunk_phase *out)
{
	unsigned found;

	if (!find(phase_texts, TRUNK_PHASES, text, &found))
		return false;
	*out = found;
	return true;
}

bool status_stage_find(struct slice text, enum status_stage *out)
{
	unsigned found;

	if (!find(stage_texts, STATUS_STAGES, text, &found))
		return false;
	*out = found;
	return true;
}

/* A reason phrase is any bytes; cut at a whole character it is text. */
static void reason_copy(char out[STATUS_REASON_BYTES], struct slice reason)
{
	size_t used = 0;

	while (reason.size > 0) {
		const size_t size = utf8_char_size(reason);
		const size_t step = size > 0 ? size : 1;

		if (used + step >= STATUS_REASON_BYTES)
			break;
		if (size > 0)
			memcpy(out + used, reason.data, size);
		else
			out[used] = '?';
		used += step;
		reason = slice_of(reason.data + step, reason.size - step);
	}
	out[used] = '\0';
}

void status_fault_set(struct status_fault *fault, enum status_stage stage,
		      unsigned code, struct slice reason)
{
	fault->stage = stage;
	fault->code = code;
	reason_copy(fault->reason, reason);
}

const char *status_online_text(bool online)
{
	return online ? "ONLINE" : "OFFLINE";
}

static void key_time(struct buffer *out, const char *key, int64_t unix_ms)
{
	writer_text(out, key);
	if (unix_ms == 0)
		writer_nil(out);
	else
		writer_time(out, unix_ms / 1000);
}

static void key_text(struct buffer *out, const char *key, const char *text)
{
	writer_text(out, key);
	writer_text(out, *text ? text : NULL);
}

static void key_code(struct buffer *out, const char *key, unsigned code)
{
	writer_text(out, key);
	if (code == 0)
		writer_nil(out);
	else
		writer_uint(out, code);
}

static void key_slice(struct buffer *out, const char *key, struct slice text)
{
	writer_text(out, key);
	if (text.size == 0)
		writer_nil(out);
	else
		writer_str(out, text);
}

static void key_stage(struct buffer *out, const char *key,
		      enum status_stage stage)
{
	key_text(out, key, stage == STATUS_NONE ? "" : stage_texts[stage]);
}

static void alive_encode(const struct status_alive *alive, struct buffer *out)
{
	writer_text(out, "keep_alive");
	writer_map(out, 5);
	writer_text(out, "answered");
	if (alive->asked)
		writer_bool(out, alive->alive);
	else
		writer_nil(out);
	key_time(out, "at", alive->at_ms);
	key_stage(out, "failed_stage", alive->fault.stage);
	key_code(out, "code", alive->fault.code);
	key_text(out, "reason", alive->fault.reason);
}

void status_encode(const struct trunk_status *status,
		   const struct ladder *ladder, struct buffer *out)
{
	char target[SIP_ENDPOINT_TEXT];

	writer_map(out, ladder ? 17 : 16);
	key_text(out, "status", status_online_text(status->online));
	key_time(out, "status_since", status->online_since_ms);
	key_text(out, "state", status_phase_text(status->phase));
	key_time(out, "state_since", status->phase_since_ms);
	key_stage(out, "failed_stage", status->fault.stage);
	key_code(out, "failed_code", status->fault.code);
	key_text(out, "failed_reason", status->fault.reason);
	key_code(out, "last_code", status->last_code);
	key_text(out, "last_reason", status->last_reason);
	key_slice(out, "transport", sip_transport_text(status->transport));
	key_text(out, "target", sip_endpoint_text(&status->target, target));
	key_slice(out, "algorithm", digest_algorithm_text(status->algorithm));
	writer_text(out, "consecutive_failures");
	writer_uint(out, status->failures);
	key_time(out, "expires", status->expires_ms);
	key_time(out, "next_attempt", status->next_attempt_ms);
	alive_encode(&status->alive, out);
	if (!ladder)
		return;
	writer_text(out, "ladder");
	ladder_encode(ladder, out);
}
