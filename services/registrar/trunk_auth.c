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

static bool is_part(struct slice whole, struct slice part)
{
	return part.data >= whole.data && part.data < whole.data + whole.size;
}

/* Keeps the best challenge of a slot: false: none that we can answer. stale:
 * it says that only the nonce was old. */
static bool challenge_keep(struct trunk_state *state, unsigned slot,
			   const struct digest_context *digest,
			   const struct sip_message *response, bool *stale)
{
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
	*stale = choice.best.stale;
	return state->challenges[slot];
}

const char *trunk_auth_take(struct trunk_auth *auth, struct trunk_state *state,
			    const struct digest_context *digest,
			    const struct world_trunk *trunk,
			    const struct sip_message *response)
{
	const unsigned slot = response->status == 407 ? 1 : 0;
	bool stale;

	if (!challenge_keep(state, slot, digest, response, &stale))
		return "no challenge with an algorithm we have";
	if (auth->answered[slot] && !stale)
		return "wrong credentials";
	if (++auth->challenged > TRUNK_CHALLENGED_MAX)
		return "challenged too often";
	if (!*settings_auth_user(trunk) || !*trunk->password)
		return "no credentials are configured";
	auth->answered[slot] = true;
	return NULL;
}

void trunk_auth_forget(struct trunk_auth *auth)
{
	memset(auth->answered, 0, sizeof(auth->answered));
}

bool trunk_auth_proved(const struct trunk_auth *auth)
{
	return auth->answered[0] || auth->answered[1];
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
