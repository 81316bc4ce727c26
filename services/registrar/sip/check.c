#include "services/registrar/sip/check.h"

#include "services/registrar/sip/chars.h"

enum {
	/* "a 1-octet integer" (RFC 3261 20.22). */
	MAX_FORWARDS_MAX = 255,
};

static const struct sip_verdict accepted = {.outcome = SIP_VERDICT_ACCEPT};

static struct sip_verdict drop(const char *reason)
{
	return (struct sip_verdict){.outcome = SIP_VERDICT_DROP,
				    .reason = reason};
}

/* Responses and ACK are never answered (RFC 3261 8.1.3 and 17.1.1.3), nor can
 * be what does not say where it came from. */
static struct sip_verdict refuse(const struct sip_message *message,
				 unsigned status, const char *reason)
{
	struct sip_via via = {0};

	sip_message_via(message, &via);
	if (!message->request || message->method == SIP_METHOD_ACK ||
	    via.sent_by.kind == SIP_HOST_NONE)
		return drop(reason);
	return (struct sip_verdict){.outcome = SIP_VERDICT_REFUSE,
				    .status = status,
				    .reason = reason};
}

/* callid = word [ "@" word ] */
static bool is_call_id(struct slice value)
{
	struct cursor c = cursor_of(value);

	return cursor_span(&c, CH_WORD).size > 0 &&
	       (!cursor_take(&c, '@') || cursor_span(&c, CH_WORD).size > 0) &&
	       cursor_ended(&c);
}

/* Each checker is asked only where its header is there. It answers NULL or the
 * reason phrase of a 400. */
typedef const char *(*checker_fn)(const struct sip_message *message);

/* A line without a value is no topmost Via, whatever the next line has. */
static const char *check_vias(const struct sip_message *message)
{
	struct sip_list list = sip_list_of(message, SIP_VIA);
	struct sip_via via;
	size_t count = 1;
	enum err_code code;

	if (message->via_code != ERR_OK)
		return "Bad Via";
	list.rest = message->via_rest;
	list.left--;
	while ((code = sip_list_via(&list, &via)) == ERR_OK)
		count++;
	if (code != ERR_NOT_FOUND)
		return "Bad Via";
	/* RFC 3261 8.1.3.3: a response that is ours has the one Via we put
	 * there. */
	return !message->request && count > 1 ? "Too Many Vias" : NULL;
}

static const char *check_from(const struct sip_message *message)
{
	struct sip_address from;

	return sip_message_address(message, SIP_FROM, &from) == ERR_OK
		       ? NULL
		       : "Bad From";
}

/* RFC 3261 10.3: an address of record is a SIP or SIPS URI; RFC 4475 3.3.4. */
static const char *check_to(const struct sip_message *message)
{
	if (message->to_code != ERR_OK)
		return "Bad To";

	const enum sip_scheme scheme = message->to.uri.scheme;

	if (message->method == SIP_METHOD_REGISTER &&
	    scheme != SIP_SCHEME_SIP && scheme != SIP_SCHEME_SIPS)
		return "Bad Scheme In To";
	return NULL;
}

static const char *check_call_id(const struct sip_message *message)
{
	return is_call_id(sip_message_value(message, SIP_CALL_ID))
		       ? NULL
		       : "Bad Call-ID";
}

static const char *check_cseq(const struct sip_message *message)
{
	return message->cseq_code == ERR_OK ? NULL : "Bad CSeq";
}

static const char *check_max_forwards(const struct sip_message *message)
{
	uint32_t hops;

	return sip_message_number(message, SIP_MAX_FORWARDS, &hops) == ERR_OK &&
			       hops <= MAX_FORWARDS_MAX
		       ? NULL
		       : "Bad Max-Forwards";
}

static bool number_good(const struct sip_message *message,
			enum sip_header_name name)
{
	uint32_t number;

	return sip_message_number(message, name, &number) == ERR_OK;
}

static const char *check_expires(const struct sip_message *message)
{
	return number_good(message, SIP_EXPIRES) ? NULL : "Bad Expires";
}

static const char *check_min_expires(const struct sip_message *message)
{
	return number_good(message, SIP_MIN_EXPIRES) ? NULL : "Bad Min-Expires";
}

static const char *check_retry_after(const struct sip_message *message)
{
	return number_good(message, SIP_RETRY_AFTER) ? NULL : "Bad Retry-After";
}

static const char *check_date(const struct sip_message *message)
{
	int64_t unix_s;

	return sip_message_date(message, &unix_s) == ERR_OK ? NULL : "Bad Date";
}

/* All values of the header are addresses; *stars counts the "*" among them. */
static bool addresses_good(const struct sip_message *message,
			   enum sip_header_name name, size_t *count,
			   size_t *stars)
{
	struct sip_list list = sip_list_of(message, name);
	struct sip_address address;
	enum err_code code;

	*count = *stars = 0;
	while ((code = sip_list_address(&list, &address)) == ERR_OK) {
		++*count;
		*stars += address.star;
	}
	return code == ERR_NOT_FOUND;
}

/* RFC 3261 10.2.2 and 10.3, step 6: "*" stands alone, in a REGISTER with an
 * Expires of 0. */
static const char *check_contacts(const struct sip_message *message)
{
	size_t count, stars;
	uint32_t expires_s;

	if (!addresses_good(message, SIP_CONTACT, &count, &stars))
		return "Bad Contact";
	if (stars == 0)
		return NULL;
	if (count > 1 || message->method != SIP_METHOD_REGISTER ||
	    sip_message_number(message, SIP_EXPIRES, &expires_s) != ERR_OK ||
	    expires_s != 0)
		return "Bad Use Of *";
	return NULL;
}

static bool routes_good(const struct sip_message *message,
			enum sip_header_name name)
{
	size_t count, stars;

	return addresses_good(message, name, &count, &stars) && stars == 0;
}

static const char *check_paths(const struct sip_message *message)
{
	return routes_good(message, SIP_PATH) ? NULL : "Bad Path";
}

static const char *check_routes(const struct sip_message *message)
{
	return routes_good(message, SIP_ROUTE) ? NULL : "Bad Route";
}

static bool tokens_good(const struct sip_message *message,
			enum sip_header_name name)
{
	struct sip_list list = sip_list_of(message, name);
	struct slice word;
	enum err_code code;

	while ((code = sip_list_token(&list, &word)) == ERR_OK)
		;
	return code == ERR_NOT_FOUND;
}

static const char *check_require(const struct sip_message *message)
{
	return tokens_good(message, SIP_REQUIRE) ? NULL : "Bad Require";
}

static const char *check_supported(const struct sip_message *message)
{
	return tokens_good(message, SIP_SUPPORTED) ? NULL : "Bad Supported";
}

/* In the order in which they are asked. */
static const struct {
	enum sip_header_name name;
	const char *missing; /* what to say where it is; NULL: it may be */
	checker_fn check;
} checks[] = {
	{SIP_VIA, "Missing Via", check_vias},
	{SIP_FROM, "Missing From", check_from},
	{SIP_TO, "Missing To", check_to},
	{SIP_CALL_ID, "Missing Call-ID", check_call_id},
	{SIP_CSEQ, "Missing CSeq", check_cseq},
	{SIP_MAX_FORWARDS, NULL, check_max_forwards},
	{SIP_EXPIRES, NULL, check_expires},
	{SIP_CONTACT, NULL, check_contacts},
	{SIP_PATH, NULL, check_paths},
	{SIP_ROUTE, NULL, check_routes},
	{SIP_REQUIRE, NULL, check_require},
	{SIP_SUPPORTED, NULL, check_supported},
	{SIP_MIN_EXPIRES, NULL, check_min_expires},
	{SIP_RETRY_AFTER, NULL, check_retry_after},
	{SIP_DATE, NULL, check_date},
};

/* The first fault of the header fields; NULL: none. */
static const char *check_headers(const struct sip_message *message)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const char *fault = sip_message_first(message, checks[i].name)
					    ? checks[i].check(message)
					    : checks[i].missing;

		if (fault)
			return fault;
	}
	return NULL;
}

bool sip_policy_extends(const struct sip_policy *policy, struct slice tag)
{
	for (size_t i = 0; i < policy->extension_count; i++)
		if (sip_word_is(tag, policy->extensions[i]))
			return true;
	return false;
}

/* RFC 3261 8.2.2.3; Proxy-Require is for proxies (RFC 4475 3.3.5). */
static bool requires_unknown(const struct sip_message *message,
			     const struct sip_policy *policy)
{
	struct sip_list list = sip_list_of(message, SIP_REQUIRE);
	struct slice tag;

	while (sip_list_token(&list, &tag) == ERR_OK)
		if (!sip_policy_extends(policy, tag))
			return true;
	return false;
}

/* RFC 3261 8.2.1 and 8.2.2, in that order. An unknown method is a 501 even
 * where CSeq names another (RFC 4475 3.1.2.18). */
static struct sip_verdict check_request(const struct sip_message *message,
					const struct sip_policy *policy)
{
	if (message->method == SIP_METHOD_OTHER)
		return refuse(message, 501, "Not Implemented");
	if (!slice_eq(message->cseq.method_text, message->method_text))
		return refuse(message, 400, "CSeq Method Mismatch");
	if (!(policy->methods & SIP_METHOD_BIT(message->method)))
		return refuse(message, 405, "Method Not Allowed");
	if (message->uri_code != ERR_OK)
		return refuse(message, 400, "Bad Request-URI");
	if (message->uri.scheme == SIP_SCHEME_OTHER)
		return refuse(message, 416, "Unsupported URI Scheme");
	/* RFC 3261 19.1.1, table 1: no headers in a Request-URI. */
	if (message->uri.headers.data)
		return refuse(message, 400, "Headers In Request-URI");
	if (requires_unknown(message, policy))
		return refuse(message, 420, "Bad Extension");
	return accepted;
}

struct sip_verdict sip_message_check(const struct sip_message *message,
				     const struct sip_policy *policy)
{
	if (message->fault)
		return refuse(message, message->fault_status, message->fault);

	const char *fault = check_headers(message);

	if (fault)
		return refuse(message, 400, fault);
	return message->request ? check_request(message, policy) : accepted;
}
