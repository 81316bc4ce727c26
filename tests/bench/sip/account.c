#include "tests/bench/sip/account.h"

#include "services/registrar/sip/build.h"
#include "services/registrar/sip/names.h"

#include <stdlib.h>

/* Stands in for a nonce where the peer is an echo and gives none. */
#define ECHO_NONCE "6920a2d500c1e8f7a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"

static void append_user(struct buffer *out, uint32_t number)
{
	char digits[] = "u0000000";

	for (size_t i = sizeof(digits) - 2; i > 0; i--, number /= 10)
		digits[i] = (char)('0' + number % 10);
	buffer_append(out, digits, sizeof(digits) - 1);
}

static void append_aor(struct buffer *out, const struct dialect *dialect,
		       enum sip_header_name name, uint32_t number)
{
	sip_build_begin(out, name);
	buffer_append_str(out, "<sip:");
	append_user(out, number);
	buffer_append_char(out, '@');
	buffer_append_str(out, dialect->domain);
	buffer_append_char(out, '>');
	if (name == SIP_FROM) {
		buffer_append_str(out, ";tag=bench");
		buffer_append_uint(out, number);
	}
	sip_build_line_end(out);
}

static void append_contact_uri(struct buffer *out,
			       const struct dialect *dialect, uint32_t number)
{
	buffer_append_str(out, "sip:");
	append_user(out, number);
	buffer_append_char(out, '@');
	buffer_append_str(out, dialect->sent_by);
	if (dialect->transport != SIP_TRANSPORT_UDP)
		buffer_append_str(out, ";transport=tcp");
}

static void append_via(struct buffer *out, const struct dialect *dialect,
		       uint32_t cseq, uint32_t number)
{
	sip_build_begin(out, SIP_VIA);
	buffer_append_str(out, "SIP/2.0/");
	buffer_append_slice(out, sip_transport_text(dialect->transport));
	buffer_append_char(out, ' ');
	buffer_append_str(out, dialect->sent_by);
	buffer_append_str(out, ";branch=z9hG4bKbench");
	buffer_append_uint(out, number);
	buffer_append_char(out, 'x');
	buffer_append_uint(out, cseq);
	buffer_append_str(out, ";rport");
	sip_build_line_end(out);
}

static void append_credentials(struct buffer *out,
			       const struct dialect *dialect,
			       const struct account *account, uint32_t number)
{
	struct buffer user = {0};
	struct buffer uri = {0};
	char user_bytes[32], uri_bytes[512];

	/* Neither grows: no memory is taken for them. */
	user.data = user_bytes;
	user.capacity = sizeof(user_bytes);
	uri.data = uri_bytes;
	uri.capacity = sizeof(uri_bytes);
	append_user(&user, number);
	buffer_append_str(&uri, "sip:");
	buffer_append_str(&uri, dialect->domain);

	const struct digest_challenge challenge = {
		.realm = slice_str(dialect->domain),
		.nonce = slice_str(account->nonce),
		.algorithm = dialect->algorithm,
		.algorithm_text = digest_algorithm_text(dialect->algorithm),
		.qop = DIGEST_QOP_AUTH,
	};
	const struct digest_request request = {
		.username = buffer_slice(&user),
		.secret = {.password = slice_str(dialect->password)},
		.method = slice_str("REGISTER"),
		.uri = buffer_slice(&uri),
		.cnonce = slice_str(dialect->cnonce),
		.nc = account->nc,
	};

	if (digest_answer_build(dialect->digest, out, SIP_AUTHORIZATION,
				&challenge, &request) != ERR_OK)
		abort();
}

void account_repeat(const struct dialect *dialect,
		    const struct account *account, uint32_t number,
		    struct buffer *out)
{
	buffer_append_str(out, "REGISTER sip:");
	buffer_append_str(out, dialect->domain);
	buffer_append_str(out, " SIP/2.0\r\n");
	append_via(out, dialect, account->cseq, number);
	buffer_append_str(out, "Max-Forwards: 70\r\n");
	append_aor(out, dialect, SIP_FROM, number);
	append_aor(out, dialect, SIP_TO, number);
	sip_build_begin(out, SIP_CALL_ID);
	buffer_append_str(out, "bench-");
	buffer_append_uint(out, number);
	sip_build_line_end(out);
	sip_build_cseq(out, account->cseq, SIP_METHOD_REGISTER);
	sip_build_begin(out, SIP_CONTACT);
	buffer_append_char(out, '<');
	append_contact_uri(out, dialect, number);
	buffer_append_str(out, ">;expires=");
	buffer_append_uint(out, ACCOUNT_EXPIRES_S);
	sip_build_line_end(out);
	buffer_append_str(out, "User-Agent: Trunkline bench\r\n");
	if (account->nonce[0])
		append_credentials(out, dialect, account, number);
	sip_build_end(out, (struct slice){0}, (struct slice){0});
}

void account_request(const struct dialect *dialect, struct account *account,
		     uint32_t number, struct buffer *out)
{
	account->cseq++;
	if (account->nonce[0])
		account->nc++;
	account_repeat(dialect, account, number, out);
}

uint32_t account_number(const struct sip_message *answer)
{
	struct slice text = sip_message_value(answer, SIP_CALL_ID);
	const struct slice prefix = slice_str("bench-");
	uint32_t number = 0;

	if (!slice_starts(text, prefix) || text.size > prefix.size + 9)
		return UINT32_MAX;
	for (size_t i = prefix.size; i < text.size; i++)
		number = number * 10 + (uint32_t)(text.data[i] - '0');
	return number;
}

static void nonce_forget(struct account *account)
{
	account->nonce[0] = '\0';
	account->nc = 0;
}

static bool nonce_set(struct account *account, struct slice nonce)
{
	if (nonce.size == 0 || nonce.size >= sizeof(account->nonce))
		return false;
	memcpy(account->nonce, nonce.data, nonce.size);
	account->nonce[nonce.size] = '\0';
	account->nc = 0;
	return true;
}

static enum account_answer take_challenge(const struct dialect *dialect,
					  struct account *account,
					  const struct sip_message *answer)
{
	const struct sip_header *line =
		sip_message_first(answer, SIP_WWW_AUTHENTICATE);

	for (; line; line = sip_message_next(answer, line)) {
		struct digest_challenge challenge;

		if (digest_challenge_decode(line->value, &challenge) !=
			    ERR_OK ||
		    !slice_is(challenge.realm, dialect->domain) ||
		    !(challenge.qop & DIGEST_QOP_AUTH))
			continue;
		if (challenge.algorithm_text.size == 0)
			challenge.algorithm = DIGEST_MD5;
		if (challenge.algorithm != dialect->algorithm)
			continue;
		/* Refused what was made of a nonce it gave just now. */
		if (account->nc == 1 && !challenge.stale)
			return ACCOUNT_WRONG;
		return nonce_set(account, challenge.nonce) ? ACCOUNT_AGAIN
							   : ACCOUNT_WRONG;
	}
	return ACCOUNT_WRONG;
}

/* The 200 lists the binding, with the time it has. */
static bool has_binding(const struct dialect *dialect, uint32_t number,
			const struct sip_message *answer)
{
	struct sip_list list = sip_list_of(answer, SIP_CONTACT);
	struct sip_address contact;
	struct buffer uri = {0};
	char bytes[512];
	uint32_t expires_s;

	uri.data = bytes;
	uri.capacity = sizeof(bytes);
	append_contact_uri(&uri, dialect, number);
	while (sip_list_address(&list, &contact) == ERR_OK) {
		if (slice_eq(contact.uri.text, buffer_slice(&uri)))
			return sip_address_expires(&contact, &expires_s) ==
				       ERR_OK &&
			       expires_s > 0 && expires_s <= ACCOUNT_EXPIRES_S;
	}
	return false;
}

static enum account_answer take_echo(const struct dialect *dialect,
				     struct account *account,
				     const struct sip_message *echo)
{
	if (sip_message_value(echo, SIP_AUTHORIZATION).size == 0) {
		nonce_set(account, slice_str(ECHO_NONCE));
		return ACCOUNT_AGAIN;
	}
	if (!dialect->cached)
		nonce_forget(account);
	return ACCOUNT_DONE;
}

enum account_answer account_take(const struct dialect *dialect,
				 struct account *account, uint32_t number,
				 const struct sip_message *answer)
{
	struct sip_cseq cseq;

	if (sip_message_cseq(answer, &cseq) != ERR_OK ||
	    cseq.method != SIP_METHOD_REGISTER || cseq.number > account->cseq)
		return ACCOUNT_WRONG;
	if (cseq.number < account->cseq)
		return ACCOUNT_LATE;
	if (dialect->echo)
		return take_echo(dialect, account, answer);
	if (answer->request)
		return ACCOUNT_WRONG;
	if (answer->status == 401)
		return take_challenge(dialect, account, answer);
	if (answer->status != 200 || !has_binding(dialect, number, answer))
		return ACCOUNT_WRONG;
	if (!dialect->cached)
		nonce_forget(account);
	return ACCOUNT_DONE;
}
