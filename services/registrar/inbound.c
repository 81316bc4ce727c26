#include "services/registrar/inbound.h"

#include "proto/mem.h"
#include "services/common/log.h"
#include "services/common/secrets.h"
#include "services/registrar/admission.h"
#include "services/registrar/sip/build.h"
#include "services/registrar/sip/check.h"
#include "services/registrar/sip/table.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum {
	TAG_BYTES = 17, /* 64 bits as hex, and NUL */
	DATE_BYTES = 32,

	SIP_PORT = 5060, /* where a Via names none (RFC 3261 18.2.2) */

	/* Seconds of Retry-After: some, and up to as many more, so that those
	 * who were turned away together do not come back together. */
	RETRY_AFTER_S = 5,
	RETRY_SPREAD_S = 10,

	/* An edge of the network that keeps less than this apart would not
	 * work with anything; what RFC 5626 4.4.1 has clients do without it.
	 */
	FLOW_TIMER_S = 120,

	/* Refusals told in the log within a second: whoever guesses passwords
	 * does not fill the disk. */
	LOG_REFUSED_MAX = 10,
};

static const char *const extensions[] = {"outbound", "path"};

static const struct sip_policy policy = {
	.methods = SIP_METHOD_BIT(SIP_METHOD_REGISTER) |
		   SIP_METHOD_BIT(SIP_METHOD_OPTIONS),
	.extensions = extensions,
	.extension_count = sizeof(extensions) / sizeof(extensions[0]),
};

/* Why a REGISTER was refused: the word in the log and the counter. */
#define REFUSAL_LIST(X)                                                        \
	X(REFUSED_MALFORMED, "malformed", "that could not be read")            \
	X(REFUSED_DOMAIN, "unknown_domain", "for a domain that is not ours")   \
	X(REFUSED_FORBIDDEN, "forbidden",                                      \
	  "of an unknown account, with a wrong password or for another's "     \
	  "address of record")                                                 \
	X(REFUSED_INTERVAL, "interval", "for a shorter time than allowed")     \
	X(REFUSED_EXTENSION, "extension",                                      \
	  "that lacked an extension or needed one")                            \
	X(REFUSED_FULL, "full", "with more contacts than allowed")             \
	X(REFUSED_ORDER, "order", "that were older than what there was")       \
	X(REFUSED_UNAVAILABLE, "unavailable",                                  \
	  "that could not be served at that time")

enum refusal {
#define REFUSAL_ENUM(name, word, text) name,
	REFUSAL_LIST(REFUSAL_ENUM)
#undef REFUSAL_ENUM
		REFUSALS,
};

static const struct {
	const char *word;
	const char *metric;
	const char *help;
} refusals[REFUSALS] = {
#define REFUSAL_ROW(name, word, text)                                          \
	[name] = {word, "registrar_register_refused_" word "_total",           \
		  "REGISTER requests refused " text "."},
	REFUSAL_LIST(REFUSAL_ROW)
#undef REFUSAL_ROW
};

struct counters {
	uint64_t requests;
	uint64_t responses;
	uint64_t dropped;
	uint64_t options;
	uint64_t registers;
	uint64_t challenged;
	uint64_t stale;
	uint64_t accepted;
	uint64_t absorbed;
	uint64_t refused[REFUSALS];
	uint64_t in_flight;
};

struct inbound {
	struct inbound_options options;
	struct admission *admission;
	unsigned char key[SECRETS_TAG_KEY_BYTES]; /* of transactions */
	struct sip_table calls;			  /* in flight */
	struct call *spare;
	/* Reused. */
	struct buffer out;
	struct buffer text;
	struct buffer user;
	struct buffer path;
	int64_t date_s; /* what date says */
	char date[DATE_BYTES];
	int64_t refused_s; /* the second of refused_told */
	unsigned refused_told;
	struct counters counters;
};

/* A REGISTER that waits for Redis. */
struct call {
	struct sip_link link;
	unsigned char tag[SECRETS_TAG_BYTES];
	struct inbound *inbound;
	struct call *next; /* spare */
	struct sip_flow flow;
	int64_t trunk_id, user_id; /* of the account */
	struct buffer aor;
	/* The start of a 200; of it, what every answer has starts at
	 * common_at and ends at common_end. */
	struct buffer answer;
	size_t common_at, common_end;
};

/* One request and what is known of it. */
struct exchange {
	struct inbound *inbound;
	const struct sip_flow *flow; /* it came by */
	struct sip_flow back;	     /* the answer goes by */
	const struct sip_message *message;
	int64_t now_s;
	unsigned char tag[SECRETS_TAG_BYTES]; /* of the transaction */
	char to_tag[TAG_BYTES];
	char source[SIP_ENDPOINT_TEXT];
	struct sip_reply reply;
	/* REGISTER: */
	char domain[SIP_HOST_BYTES + 1]; /* of the address of record */
	struct slice user;		 /* likewise, without escapes */
};

static void register_metrics(struct inbound *inbound, struct metrics *metrics)
{
	struct counters *c = &inbound->counters;

	metrics_add(metrics, METRICS_COUNTER, "registrar_sip_requests_total",
		    "SIP requests received.", &c->requests);
	metrics_add(metrics, METRICS_COUNTER, "registrar_sip_responses_total",
		    "SIP responses received.", &c->responses);
	metrics_add(metrics, METRICS_COUNTER, "registrar_sip_dropped_total",
		    "SIP messages left unanswered.", &c->dropped);
	metrics_add(metrics, METRICS_COUNTER, "registrar_options_total",
		    "OPTIONS requests answered.", &c->options);
	metrics_add(metrics, METRICS_COUNTER, "registrar_register_total",
		    "REGISTER requests received.", &c->registers);
	metrics_add(
		metrics, METRICS_COUNTER, "registrar_register_challenged_total",
		"REGISTER requests answered with a challenge.", &c->challenged);
	metrics_add(metrics, METRICS_COUNTER, "registrar_register_stale_total",
		    "Of the challenges, those for a nonce too old or used.",
		    &c->stale);
	metrics_add(metrics, METRICS_COUNTER,
		    "registrar_register_accepted_total",
		    "REGISTER requests answered with 200.", &c->accepted);
	metrics_add(metrics, METRICS_COUNTER,
		    "registrar_register_absorbed_total",
		    "Retransmissions of a REGISTER in flight.", &c->absorbed);
	metrics_add(metrics, METRICS_GAUGE, "registrar_register_in_flight",
		    "REGISTER requests waiting for Redis.", &c->in_flight);
	for (size_t i = 0; i < REFUSALS; i++)
		metrics_add(metrics, METRICS_COUNTER, refusals[i].metric,
			    refusals[i].help, &c->refused[i]);
}

static int64_t system_now_s(void *arg)
{
	(void)arg;
	return time(NULL);
}

struct inbound *inbound_new(const struct inbound_options *options)
{
	struct inbound *inbound = mem_alloc(sizeof(*inbound));
	struct inbound_options *own = &inbound->options;

	*own = *options;
	own->nonce_key = NULL;
	if (own->nonce_lifetime_s == 0)
		own->nonce_lifetime_s = INBOUND_NONCE_LIFETIME_S;
	if (own->nonces == 0)
		own->nonces = INBOUND_NONCES;
	if (!own->now_s)
		own->now_s = system_now_s;
	if (own->expires.max_s == 0)
		own->expires = (struct contacts_bounds){
			.min_s = INBOUND_EXPIRES_MIN_S,
			.max_s = INBOUND_EXPIRES_MAX_S,
			.default_s = INBOUND_EXPIRES_DEFAULT_S};
	inbound_expires_set(inbound, &own->expires);
	inbound->admission = admission_new(&(struct admission_options){
		.world = own->world,
		.nonce_key = options->nonce_key,
		.nonce_lifetime_s = own->nonce_lifetime_s,
		.nonces = own->nonces,
		.algorithms = own->algorithms,
	});
	secrets_random(inbound->key, sizeof(inbound->key));
	if (own->metrics)
		register_metrics(inbound, own->metrics);
	return inbound;
}

static void call_free(struct call *call)
{
	buffer_fini(&call->aor);
	buffer_fini(&call->answer);
	free(call);
}

void inbound_free(struct inbound *inbound)
{
	if (!inbound)
		return;
	assert(inbound_idle(inbound));
	while (inbound->spare) {
		struct call *call = inbound->spare;

		inbound->spare = call->next;
		call_free(call);
	}
	sip_table_fini(&inbound->calls);
	admission_free(inbound->admission);
	buffer_fini(&inbound->out);
	buffer_fini(&inbound->text);
	buffer_fini(&inbound->user);
	buffer_fini(&inbound->path);
	free(inbound);
}

void inbound_expires_set(struct inbound *inbound,
			 const struct contacts_bounds *bounds)
{
	assert(bounds->min_s <= bounds->default_s &&
	       bounds->default_s <= bounds->max_s);
	inbound->options.expires = *bounds;
}

bool inbound_idle(const struct inbound *inbound)
{
	return inbound->calls.count == 0;
}

/* --- Answers --- */

static void append_supported(struct buffer *out)
{
	sip_build_begin(out, SIP_SUPPORTED);
	for (size_t i = 0; i < policy.extension_count; i++) {
		if (i > 0)
			buffer_append_str(out, ", ");
		buffer_append_str(out, extensions[i]);
	}
	sip_build_line_end(out);
}

static void append_end(struct buffer *out)
{
	sip_build_end(out, (struct slice){0}, (struct slice){0});
}

/* Starts an answer in inbound->out; headers may follow. */
static struct buffer *answer_begin(struct exchange *exchange, unsigned status,
				   const char *reason)
{
	struct buffer *out = &exchange->inbound->out;

	out->size = 0;
	exchange->reply.status = status;
	exchange->reply.reason = slice_str(reason);
	sip_build_response(out, exchange->message, &exchange->reply);
	return out;
}

static void send_out(struct inbound *inbound, const struct sip_flow *flow,
		     struct buffer *out)
{
	inbound->options.send(inbound->options.arg, flow, buffer_slice(out));
}

static void answer_end(struct exchange *exchange)
{
	append_end(&exchange->inbound->out);
	send_out(exchange->inbound, &exchange->back, &exchange->inbound->out);
}

static void append_retry_after(struct buffer *out, const unsigned char *tag)
{
	sip_build_number(out, SIP_RETRY_AFTER,
			 RETRY_AFTER_S + tag[0] % RETRY_SPREAD_S);
}

/* Whether a refusal is to be told in the log. */
static bool refusal_told(struct inbound *inbound, int64_t now_s)
{
	if (inbound->refused_s != now_s) {
		inbound->refused_s = now_s;
		inbound->refused_told = 0;
	}
	return inbound->refused_told++ < LOG_REFUSED_MAX;
}

/* Counts and tells. */
static void note_refusal(struct inbound *inbound, enum refusal refusal,
			 unsigned status, struct slice aor,
			 const struct sip_flow *flow)
{
	char source[SIP_ENDPOINT_TEXT];

	inbound->counters.refused[refusal]++;
	if (!refusal_told(inbound,
			  inbound->options.now_s(inbound->options.arg)))
		return;
	log_event(LOG_INFO, "registrar.refused",
		  LOG_STR("reason", refusals[refusal].word),
		  LOG_INT("status", status), LOG_SLICE("aor", aor),
		  LOG_STR("source", sip_endpoint_text(&flow->remote, source)),
		  LOG_SLICE("transport", sip_transport_text(flow->transport)));
}

/* The address of record in inbound->text; empty while it is not known. */
static struct slice aor_of(struct exchange *exchange)
{
	struct buffer *text = &exchange->inbound->text;

	text->size = 0;
	buffer_append_slice(text, exchange->user);
	if (exchange->user.size > 0)
		buffer_append_char(text, '@');
	buffer_append_str(text, exchange->domain);
	return buffer_slice(text);
}

static void refuse(struct exchange *exchange, enum refusal refusal,
		   unsigned status, const char *reason)
{
	struct buffer *out = answer_begin(exchange, status, reason);

	if (status == 503)
		append_retry_after(out, exchange->tag);
	if (status == 423)
		sip_build_number(out, SIP_MIN_EXPIRES,
				 exchange->inbound->options.expires.min_s);
	/* The only one of ours: RFC 3327 5.3. */
	if (status == 420)
		sip_build_header(out, SIP_UNSUPPORTED, slice_str("path"));
	answer_end(exchange);
	note_refusal(exchange->inbound, refusal, status, aor_of(exchange),
		     exchange->flow);
}

static void challenge(struct exchange *exchange, bool stale)
{
	struct inbound *inbound = exchange->inbound;
	struct buffer *out = answer_begin(exchange, 401, NULL);

	inbound->counters.challenged++;
	inbound->counters.stale += stale;
	admission_challenge(inbound->admission, exchange->domain, stale,
			    exchange->now_s, out);
	answer_end(exchange);
}

/* --- The request as such --- */

/* RFC 3261 17.2.3, and what makes it hold for senders of RFC 2543, whose
 * branches are none; the source keeps strangers out of it. */
static void transaction_tag(struct exchange *exchange,
			    const struct sip_via *via)
{
	struct inbound *inbound = exchange->inbound;
	const struct sip_message *message = exchange->message;
	struct buffer *text = &inbound->text;
	const uint64_t source = sip_endpoint_hash(&exchange->flow->remote, 0);

	text->size = 0;
	buffer_append(text, &source, sizeof(source));
	buffer_append(text, &via->sent_by.port, sizeof(via->sent_by.port));
	buffer_append_slice(text, via->sent_by.name);
	buffer_append_char(text, '\0');
	buffer_append_slice(text, via->branch);
	buffer_append_char(text, '\0');
	buffer_append_slice(text, sip_message_value(message, SIP_CALL_ID));
	buffer_append_char(text, '\0');
	buffer_append_slice(text, sip_message_value(message, SIP_CSEQ));
	secrets_tag(inbound->key, buffer_slice(text), exchange->tag);
}

static void tag_print(char out[TAG_BYTES], const unsigned char *bytes)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < (TAG_BYTES - 1) / 2; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[TAG_BYTES - 1] = '\0';
}

/* RFC 3261 18.2.2, RFC 3581 4: over UDP, where the packet came from if it asked
 * for that, else to the port of sent-by there. */
static struct sip_flow way_back(const struct sip_flow *flow,
				const struct sip_via *via)
{
	struct sip_flow back = *flow;

	if (flow->transport == SIP_TRANSPORT_UDP && !via->has_rport)
		sip_endpoint_port_set(&back.remote, via->sent_by.port
							    ? via->sent_by.port
							    : SIP_PORT);
	return back;
}

static void exchange_init(struct exchange *exchange, struct inbound *inbound,
			  const struct sip_flow *flow,
			  const struct sip_message *message)
{
	struct sip_via via = {0};

	/* A broken one leaves what is needed here, or its message is dropped.
	 */
	sip_message_via(message, &via);
	exchange->inbound = inbound;
	exchange->flow = flow;
	exchange->back = way_back(flow, &via);
	exchange->message = message;
	exchange->now_s = inbound->options.now_s(inbound->options.arg);
	exchange->domain[0] = '\0';
	exchange->user = (struct slice){0};
	transaction_tag(exchange, &via);
	/* The same for a retransmission, as RFC 3261 8.2.7 asks. */
	tag_print(exchange->to_tag, exchange->tag + SECRETS_TAG_BYTES / 2);
	sip_endpoint_host_text(&flow->remote, exchange->source);
	exchange->reply = (struct sip_reply){
		.to_tag = slice_str(exchange->to_tag),
		.source = {.kind = sip_endpoint_family(&flow->remote) ==
						   AF_INET6
					   ? SIP_HOST_IPV6
					   : SIP_HOST_IPV4,
			   .name = slice_str(exchange->source),
			   .port = sip_endpoint_port(&flow->remote)},
	};
}

/* RFC 3261 11.2. */
static void on_options(struct exchange *exchange)
{
	struct buffer *out = answer_begin(exchange, 200, NULL);

	exchange->inbound->counters.options++;
	sip_build_allow(out, policy.methods);
	/* What the header says where it is missing (RFC 3261 11.2); an empty
	 * one would be truer and is not understood by all. */
	sip_build_header(out, SIP_ACCEPT, slice_str("application/sdp"));
	append_supported(out);
	answer_end(exchange);
}

static void on_broken(struct exchange *exchange,
		      const struct sip_verdict *verdict)
{
	struct inbound *inbound = exchange->inbound;

	inbound->out.size = 0;
	sip_build_refusal(&inbound->out, exchange->message, verdict, &policy,
			  &exchange->reply);
	send_out(inbound, &exchange->back, &inbound->out);
	if (exchange->message->method != SIP_METHOD_REGISTER)
		return;
	inbound->counters.registers++;
	note_refusal(inbound,
		     verdict->status == 420 ? REFUSED_EXTENSION
					    : REFUSED_MALFORMED,
		     verdict->status, (struct slice){0}, exchange->flow);
}

/* --- REGISTER --- */

static struct call *call_find(const struct inbound *inbound,
			      const unsigned char *tag)
{
	uint64_t hash;

	memcpy(&hash, tag, sizeof(hash));
	for (struct sip_link *link = sip_table_first(&inbound->calls, hash);
	     link; link = sip_table_next(link)) {
		struct call *call = TABLE_OF(link, struct call, link);

		if (memcmp(call->tag, tag, sizeof(call->tag)) == 0)
			return call;
	}
	return NULL;
}

static struct call *call_begin(struct exchange *exchange)
{
	struct inbound *inbound = exchange->inbound;
	struct call *call = inbound->spare;
	uint64_t hash;

	if (call)
		inbound->spare = call->next;
	else
		call = mem_alloc(sizeof(*call));
	call->inbound = inbound;
	call->flow = exchange->back;
	call->aor.size = 0;
	call->answer.size = 0;
	memcpy(call->tag, exchange->tag, sizeof(call->tag));
	memcpy(&hash, call->tag, sizeof(hash));
	sip_table_add(&inbound->calls, &call->link, hash);
	inbound->counters.in_flight = inbound->calls.count;
	return call;
}

static void call_end(struct call *call)
{
	struct inbound *inbound = call->inbound;

	sip_table_remove(&inbound->calls, &call->link);
	inbound->counters.in_flight = inbound->calls.count;
	call->next = inbound->spare;
	inbound->spare = call;
}

static bool take_domain(struct exchange *exchange, const struct sip_uri *uri)
{
	const struct slice name = uri->host.name;

	if (name.size == 0 || name.size >= sizeof(exchange->domain))
		return false;
	for (size_t i = 0; i < name.size; i++) {
		const char c = name.data[i];

		exchange->domain[i] =
			c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	exchange->domain[name.size] = '\0';
	return world_realm(exchange->inbound->options.world, exchange->domain);
}

static bool has_escapes(struct slice text)
{
	return text.size > 0 && memchr(text.data, '%', text.size);
}

/* Whose domain it is: that of the address of record. Gateways that were given
 * an address for a host name put it into To, and the name into the Request-URI.
 */
static bool find_domain(struct exchange *exchange)
{
	struct buffer *user = &exchange->inbound->user;
	struct sip_address to;
	struct sip_uri uri;

	/* Both were checked. */
	if (sip_message_address(exchange->message, SIP_TO, &to) != ERR_OK ||
	    sip_message_uri(exchange->message, &uri) != ERR_OK)
		return false;
	exchange->user = to.uri.user;
	if (has_escapes(to.uri.user)) {
		user->size = 0;
		sip_unescape_append(user, to.uri.user);
		exchange->user = buffer_slice(user);
	}
	return take_domain(exchange, &to.uri) || take_domain(exchange, &uri);
}

static void append_date(struct inbound *inbound, struct buffer *out)
{
	const time_t now = (time_t)inbound->options.now_s(inbound->options.arg);
	struct tm tm;

	if (inbound->date_s != now) {
		gmtime_r(&now, &tm);
		strftime(inbound->date, sizeof(inbound->date),
			 "%a, %d %b %Y %H:%M:%S GMT", &tm);
		inbound->date_s = now;
	}
	sip_build_header(out, SIP_DATE, slice_str(inbound->date));
}

static void append_contact(struct buffer *out, const struct binding *binding)
{
	sip_build_begin(out, SIP_CONTACT);
	buffer_append_char(out, '<');
	sip_build_text(out, binding->contact);
	buffer_append_str(out, ">;expires=");
	buffer_append_uint(out, binding->expires_s);
	if (binding->q < 1000)
		buffer_printf(out, ";q=0.%03u", binding->q);
	if (binding->instance.size > 0) {
		buffer_append_str(out, ";+sip.instance=\"");
		sip_build_text(out, binding->instance);
		buffer_append_char(out, '"');
	}
	if (binding->reg_id > 0) {
		buffer_append_str(out, ";reg-id=");
		buffer_append_uint(out, binding->reg_id);
	}
	sip_build_line_end(out);
}

/* RFC 3261 10.3, step 8. */
static void answer_good(struct call *call, const struct binding_set *set)
{
	struct inbound *inbound = call->inbound;
	struct buffer *out = &call->answer;

	for (size_t i = 0; i < set->count; i++)
		append_contact(out, &set->items[i]);
	append_date(inbound, out);
	append_end(out);
	send_out(inbound, &call->flow, out);
	inbound->counters.accepted++;
}

/* Instead of the 200 that was begun. */
static void answer_refused(struct call *call, enum refusal refusal,
			   unsigned status, const char *reason)
{
	struct inbound *inbound = call->inbound;
	struct buffer *out = &inbound->out;

	out->size = 0;
	buffer_printf(out, "SIP/2.0 %u %s\r\n", status, reason);
	buffer_append(out, call->answer.data + call->common_at,
		      call->common_end - call->common_at);
	if (status == 503)
		append_retry_after(out, call->tag);
	append_end(out);
	send_out(inbound, &call->flow, out);
	note_refusal(inbound, refusal, status, buffer_slice(&call->aor),
		     &call->flow);
}

/* What changes who can be reached is told; refreshes come by the thousand. */
static void tell(const struct call *call, enum binding_outcome outcome,
		 const struct binding_set *set)
{
	const enum log_level level =
		outcome == BINDING_REFRESHED ? LOG_DEBUG : LOG_INFO;
	char source[SIP_ENDPOINT_TEXT];

	if (outcome == BINDING_SAME || !log_writes(level))
		return;
	log_event(level,
		  outcome == BINDING_REMOVED ? "registrar.unregistered"
					     : "registrar.registered",
		  LOG_SLICE("aor", buffer_slice(&call->aor)),
		  LOG_INT(call->user_id ? "user" : "trunk",
			  call->user_id ? call->user_id : call->trunk_id),
		  LOG_INT("contacts", set->count),
		  LOG_STR("source",
			  sip_endpoint_text(&call->flow.remote, source)),
		  LOG_SLICE("transport",
			    sip_transport_text(call->flow.transport)));
}

static void on_changed(void *arg, enum binding_outcome outcome,
		       const struct binding_set *set, enum err_code code)
{
	struct call *call = arg;

	if (code) {
		answer_refused(call, REFUSED_UNAVAILABLE, 503,
			       "Service Unavailable");
	} else if (outcome == BINDING_OUT_OF_ORDER) {
		/* RFC 3261 10.3, step 7: the request fails; with what a
		 * CSeq that is too low gets elsewhere (12.2.2). */
		answer_refused(call, REFUSED_ORDER, 500, "CSeq Out Of Order");
	} else if (outcome == BINDING_FULL) {
		answer_refused(call, REFUSED_FULL, 403, "Too Many Contacts");
	} else {
		tell(call, outcome, set);
		answer_good(call, set);
	}
	call_end(call);
}

/* Begins the 200, since the message does not last until Redis has answered. */
static void prepare(struct call *call, struct exchange *exchange,
		    const struct contacts *contacts)
{
	struct buffer *out = &call->answer;

	exchange->reply.status = 200;
	exchange->reply.reason = slice_str("OK");
	sip_build_response(out, exchange->message, &exchange->reply);
	call->common_at = sizeof("SIP/2.0 200 OK\r\n") - 1;
	call->common_end = out->size;
	if (contacts->path->size > 0)
		sip_build_header(out, SIP_PATH, buffer_slice(contacts->path));
	append_supported(out);
	if (!contacts->outbound)
		return;
	sip_build_header(out, SIP_REQUIRE, slice_str("outbound"));
	/* Over UDP keep-alive is STUN's (RFC 5626 4.4.2), not ours. */
	if (call->flow.transport != SIP_TRANSPORT_UDP)
		buffer_printf(out, "Flow-Timer: %d\r\n", FLOW_TIMER_S);
}

static enum refusal refusal_of(const struct contacts_fault *fault)
{
	switch (fault->status) {
	case 403:
		return REFUSED_FULL;
	case 420:
	case 439:
		return REFUSED_EXTENSION;
	case 423:
		return REFUSED_INTERVAL;
	default:
		return REFUSED_MALFORMED;
	}
}

static void on_admitted(struct exchange *exchange,
			const struct world_account *account)
{
	struct inbound *inbound = exchange->inbound;
	const struct slice aor = aor_of(exchange);
	struct contacts contacts;

	contacts.path = &inbound->path;
	const struct contacts_fault fault =
		contacts_read(exchange->message, exchange->flow,
			      &inbound->options.expires, account, &contacts);

	if (fault.status) {
		refuse(exchange, refusal_of(&fault), fault.status,
		       fault.reason);
		return;
	}
	if (inbound->calls.count >= INBOUND_CALLS_MAX) {
		refuse(exchange, REFUSED_UNAVAILABLE, 503, NULL);
		return;
	}
	struct call *call = call_begin(exchange);

	call->trunk_id = account->trunk_id;
	call->user_id = account->user_id;
	buffer_append_slice(&call->aor, aor);
	prepare(call, exchange, &contacts);
	bindings_change(inbound->options.bindings, buffer_slice(&call->aor),
			&contacts.change, INBOUND_DEADLINE_MS, on_changed,
			call);
}

static void on_register(struct exchange *exchange)
{
	struct inbound *inbound = exchange->inbound;
	const struct world *world = inbound->options.world;
	struct world_account account;

	inbound->counters.registers++;
	if (call_find(inbound, exchange->tag)) {
		inbound->counters.absorbed++;
		return;
	}
	if (!find_domain(exchange)) {
		if (world_complete(world, exchange->domain))
			refuse(exchange, REFUSED_DOMAIN, 404, NULL);
		else
			refuse(exchange, REFUSED_UNAVAILABLE, 503, NULL);
		return;
	}
	const struct admission_request request = {
		.message = exchange->message,
		.realm = exchange->domain,
		.user = exchange->user,
		.source = &exchange->flow->remote,
		.now_s = exchange->now_s,
	};

	switch (admission_check(inbound->admission, &request, &account)) {
	case ADMISSION_CHALLENGE:
		challenge(exchange, false);
		return;
	case ADMISSION_STALE:
		challenge(exchange, true);
		return;
	case ADMISSION_FORBIDDEN:
		refuse(exchange, REFUSED_FORBIDDEN, 403, NULL);
		return;
	case ADMISSION_MALFORMED:
		refuse(exchange, REFUSED_MALFORMED, 400, "Bad Authorization");
		return;
	case ADMISSION_UNKNOWN_YET:
		refuse(exchange, REFUSED_UNAVAILABLE, 503, NULL);
		return;
	case ADMISSION_GOOD:
		on_admitted(exchange, &account);
		return;
	}
}

static void on_response(struct inbound *inbound, const struct sip_flow *flow,
			const struct sip_message *message)
{
	inbound->counters.responses++;
	if (inbound->options.response)
		inbound->options.response(inbound->options.arg, flow, message);
}

void inbound_receive(struct inbound *inbound, const struct sip_flow *flow,
		     const struct sip_message *message)
{
	const struct sip_verdict verdict = sip_message_check(message, &policy);
	struct exchange exchange;

	if (verdict.outcome == SIP_VERDICT_DROP) {
		inbound->counters.dropped++;
		return;
	}
	if (!message->request) {
		on_response(inbound, flow, message);
		return;
	}
	inbound->counters.requests++;
	exchange_init(&exchange, inbound, flow, message);
	if (verdict.outcome == SIP_VERDICT_REFUSE)
		on_broken(&exchange, &verdict);
	else if (message->method == SIP_METHOD_REGISTER)
		on_register(&exchange);
	else
		on_options(&exchange);
}
