#include "services/registrar/trunk_auth.h"

#include "services/registrar/settings.h"

/* By slot: that of the registrar itself, that of a proxy before it. */
static const struct {
	enum sip_header_name challenge;
	enum sip_header_name credentials;
} slots[TRUNK_CHALLENGES] = {
	{SIP_WWW_AUTHENTICATE, SIP_AUTHORIZATION},
	{SIP_PROXY_AUTHENTICATE, SIP_PROXY_AUTHORIZATION},
};

unsigned trunk_auth_slot(unsigned status)
{
	return status == 407 ? 1 : 0;
}

static bool is_part(struct slice whole, struct slice part)
{
	return part.data >= whole.data && part.data < whole.data + whole.size;
}

enum trunk_auth trunk_auth_take(struct trunk_state *state,
				const struct digest_context *digest,
				const struct sip_message *response)
{
	const unsigned slot = trunk_auth_slot(response->status);
	const struct sip_header *header =
		sip_message_first(response, slots[slot].challenge);
	struct digest_choice choice = {0};
	struct slice value = {0};

	for (; header; header = sip_message_next(response, header)) {
		digest_choice_offer(&choice, digest, header->value);
		if (choice.found && is_part(header->value, choice.best.nonce))
			value = header->value;
	}
	trunk_state_challenge_set(state, slot, value);
	if (!state->challenges[slot])
		return TRUNK_AUTH_NONE;
	return choice.best.stale ? TRUNK_AUTH_TAKEN_STALE : TRUNK_AUTH_TAKEN;
}

static enum err_code slot_append(struct trunk_state *state, unsigned slot,
				 struct digest_context *digest,
				 const struct world_trunk *trunk,
				 struct buffer *out)
{
	struct digest_challenge challenge;
	char cnonce[DIGEST_CNONCE_BYTES];
	struct buffer uri = {0};
	enum err_code code = digest_challenge_decode(
		slice_str(state->challenges[slot]), &challenge);

	if (code != ERR_OK)
		return code;
	digest_cnonce(cnonce);
	request_uri_append(&uri, trunk);

	const struct digest_request request = {
		.username = slice_str(settings_auth_user(trunk)),
		.secret = {.password = slice_str(trunk->password)},
		.method = sip_method_text(SIP_METHOD_REGISTER),
		.uri = buffer_slice(&uri),
		.cnonce = slice_str(cnonce),
		.nc = ++state->nonce_counts[slot],
	};

	code = digest_answer_build(digest, out, slots[slot].credentials,
				   &challenge, &request);
	buffer_fini(&uri);
	return code;
}

void trunk_auth_append(struct trunk_state *state, struct digest_context *digest,
		       const struct world_trunk *trunk, struct buffer *out)
{
	for (unsigned i = 0; i < TRUNK_CHALLENGES; i++)
		if (state->challenges[i] &&
		    slot_append(state, i, digest, trunk, out) != ERR_OK)
			trunk_state_challenge_set(state, i, (struct slice){0});
}

enum digest_algorithm trunk_auth_algorithm(const struct trunk_state *state)
{
	struct digest_challenge challenge;

	for (unsigned i = 0; i < TRUNK_CHALLENGES; i++)
		if (state->challenges[i] &&
		    digest_challenge_decode(slice_str(state->challenges[i]),
					    &challenge) == ERR_OK)
			return challenge.algorithm;
	return DIGEST_OTHER;
}
