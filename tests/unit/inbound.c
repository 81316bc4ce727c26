#include "services/registrar/inbound.h"

#include "proto/arena.h"
#include "services/common/secrets.h"
#include "services/registrar/admission.h"
#include "services/registrar/registrations.h"
#include "services/registrar/sip/digest.h"
#include "services/registrar/sip/nonce.h"

#include "servers.h"
#include "turn.h"
#include "world_double.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	DEADLINE_MS = 10000,
	NOW_S = 1800000000, /* the registrar's clock, Redis has its own */
	TEXT_BYTES = 16384,
	ANSWERS_MAX = 64,
};

#define REALM "trunk.example.com"

/* A registrar with a connection to Redis of its own. */
struct registrar {
	struct cache *cache;
	struct bindings *bindings;
	struct metrics metrics;
	struct inbound *inbound;
	int64_t now_s;
	/* What it sent. */
	size_t answers;
	char answer[TEXT_BYTES]; /* the last */
	struct sip_flow to;
	size_t responses; /* handed on */
};

static struct {
	struct servers_redis redis;
	struct loop *loop;
	struct world world;
	struct registrar a, b;
} bench;

static const struct world_trunk trunks[] = {
	{.id = 11, .auth_id = "alice", .password = "secret"},
	{.id = 12, .auth_id = "bob", .password = "builder"},
	{.id = 13, .auth_id = "nopass", .password = ""},
	{.id = 14,
	 .auth_id = "login",
	 .username = "4930123",
	 .password = "secret"},
};

static void world_fill(struct world *world)
{
	world->synced = true;
	world->count = sizeof(trunks) / sizeof(trunks[0]);
	for (size_t i = 0; i < world->count; i++) {
		struct world_trunk *trunk = &world->trunks[i];

		*trunk = trunks[i];
		trunk->auth = WORLD_ACCEPT_REGISTER;
		trunk->enabled = true;
		trunk->hostname = REALM;
		if (!trunk->username)
			trunk->username = "";
	}
}

static void on_send(void *arg, const struct sip_flow *flow,
		    struct slice message)
{
	struct registrar *registrar = arg;

	cr_assert_lt(message.size, sizeof(registrar->answer));
	memcpy(registrar->answer, message.data, message.size);
	registrar->answer[message.size] = '\0';
	registrar->to = *flow;
	registrar->answers++;
}

static void on_response(void *arg, const struct sip_flow *flow,
			const struct sip_message *response)
{
	struct registrar *registrar = arg;

	(void)flow;
	cr_assert_eq(response->status, 200);
	registrar->responses++;
}

static int64_t now_s(void *arg)
{
	return ((struct registrar *)arg)->now_s;
}

static void registrar_start(struct registrar *registrar, uint32_t min_s)
{
	static const unsigned char key[NONCE_KEY_BYTES] = "0123456789abcde";
	struct inbound_options options = {
		.world = &bench.world,
		.metrics = &registrar->metrics,
		.nonce_key = key,
		.nonces = 256,
		.now_s = now_s,
		.send = on_send,
		.response = on_response,
		.arg = registrar,
	};

	*registrar = (struct registrar){.now_s = NOW_S};
	cr_assert_eq(cache_new(bench.loop, bench.redis.url, NULL,
			       &registrar->cache, NULL),
		     ERR_OK);
	registrar->bindings =
		bindings_new(bench.loop, registrar->cache, &registrar->metrics);
	options.bindings = registrar->bindings;
	if (min_s > 0)
		options.expires = (struct contacts_bounds){
			.min_s = min_s, .max_s = 3600, .default_s = 300};
	registrar->inbound = inbound_new(&options);
}

static void registrar_stop(struct registrar *registrar)
{
	cache_free(registrar->cache);
	inbound_free(registrar->inbound);
	bindings_free(registrar->bindings);
}

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN); /* as processes do */
	cr_assert(secrets_init());
	servers_redis_start(&bench.redis, NULL);
	bench.loop = loop_new();
	world_fill(&bench.world);
	registrar_start(&bench.a, 0);
	registrar_start(&bench.b, 0);
}

static void tear_down(void)
{
	registrar_stop(&bench.a);
	registrar_stop(&bench.b);
	loop_free(bench.loop);
	servers_redis_stop(&bench.redis);
}

TestSuite(inbound, .init = set_up, .fini = tear_down);

/* --- What is sent --- */

static struct sip_flow flow_of(enum sip_transport transport)
{
	struct sip_flow flow = {.transport = transport};

	cr_assert(sip_endpoint_parse(slice_str("198.51.100.7"), 40000,
				     &flow.remote));
	cr_assert(
		sip_endpoint_parse(slice_str("192.0.2.1"), 5060, &flow.local));
	return flow;
}

static void receive_over(struct registrar *registrar, const char *text,
			 enum sip_transport transport)
{
	const struct sip_flow flow = flow_of(transport);
	struct sip_message message;

	cr_assert_eq(sip_message_parse(slice_str(text),
				       transport == SIP_TRANSPORT_UDP
					       ? SIP_DATAGRAM
					       : SIP_STREAM,
				       &message),
		     ERR_OK);
	inbound_receive(registrar->inbound, &flow, &message);
}

static void receive(struct registrar *registrar, const char *text)
{
	receive_over(registrar, text, SIP_TRANSPORT_UDP);
}

/* The status of the last answer. */
static unsigned status_of(const struct registrar *registrar)
{
	unsigned status = 0;

	cr_assert_eq(sscanf(registrar->answer, "SIP/2.0 %u ", &status), 1, "%s",
		     registrar->answer);
	return status;
}

static bool has(const struct registrar *registrar, const char *text)
{
	return strstr(registrar->answer, text) != NULL;
}

static size_t times(const struct registrar *registrar, const char *text)
{
	size_t count = 0;

	for (const char *at = registrar->answer; (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* Turns until one more answer is there than there was. */
static unsigned await(struct registrar *registrar, size_t before)
{
	TURN_UNTIL(bench.loop, registrar->answers > before);
	cr_assert_eq(registrar->answers, before + 1);
	return status_of(registrar);
}

/* A user agent. NULL and 0: what `usual` has. */
struct phone {
	struct registrar *registrar;
	const char *user; /* of the address of record */
	const char *auth; /* the digest's username; NULL: user */
	const char *password;
	const char *call_id;
	const char *realm;
	const char *uri; /* Request-URI */
	const char *to_host;
	const char *vias;		 /* more Via lines */
	enum digest_algorithm algorithm; /* OTHER: the best */
	bool no_rport;
	bool tcp;
	uint32_t cseq;
	/* The challenge in use. */
	char nonce[NONCE_BYTES];
	uint32_t nc;
	unsigned branch;
	char text[TEXT_BYTES]; /* the request sent last */
};

static struct phone phone_of(struct registrar *registrar, const char *user,
			     const char *password, const char *call_id)
{
	return (struct phone){.registrar = registrar,
			      .user = user,
			      .password = password,
			      .call_id = call_id,
			      .realm = REALM,
			      .uri = "sip:" REALM,
			      .to_host = REALM};
}

static struct phone alice_of(struct registrar *registrar, const char *call_id)
{
	return phone_of(registrar, "alice", "secret", call_id);
}

static void append_credentials(struct phone *phone, struct buffer *out)
{
	const struct digest_challenge challenge = {
		.realm = slice_str(phone->realm),
		.nonce = slice_str(phone->nonce),
		.algorithm = phone->algorithm ? phone->algorithm
					      : DIGEST_SHA_512_256,
		.algorithm_text = digest_algorithm_text(
			phone->algorithm ? phone->algorithm
					 : DIGEST_SHA_512_256),
		.qop = DIGEST_QOP_AUTH,
	};
	const struct digest_request request = {
		.username = slice_str(phone->auth ? phone->auth : phone->user),
		.secret = {.password = slice_str(phone->password)},
		.method = slice_str("REGISTER"),
		.uri = slice_str(phone->uri),
		.cnonce = slice_str("0a4f113b"),
		.nc = ++phone->nc,
	};
	struct digest_context *digest = digest_context_new();

	cr_assert_eq(digest_answer_build(digest, out, SIP_AUTHORIZATION,
					 &challenge, &request),
		     ERR_OK);
	digest_context_free(digest);
}

/* Writes phone->text: a REGISTER with the next CSeq and branch, credentials
 * where there is a challenge, and header lines. */
static void phone_write(struct phone *phone, const char *headers)
{
	const char *transport = phone->tcp ? "TCP" : "UDP";
	struct buffer out = {0};

	buffer_printf(&out,
		      "REGISTER %s SIP/2.0\r\n"
		      "Via: SIP/2.0/%s 10.0.0.1:5066;branch=z9hG4bK%s-%u%s\r\n"
		      "%s"
		      "From: <sip:%s@%s>;tag=1\r\n"
		      "To: <sip:%s@%s>\r\n"
		      "Call-ID: %s\r\n"
		      "CSeq: %u REGISTER\r\n"
		      "Max-Forwards: 70\r\n"
		      "User-Agent: phone/1\r\n"
		      "Content-Length: 0\r\n"
		      "%s",
		      phone->uri, transport, phone->call_id, ++phone->branch,
		      phone->no_rport ? "" : ";rport",
		      phone->vias ? phone->vias : "", phone->user, phone->realm,
		      phone->user, phone->to_host, phone->call_id,
		      ++phone->cseq, headers);
	if (phone->nonce[0])
		append_credentials(phone, &out);
	buffer_append_str(&out, "\r\n");
	snprintf(phone->text, sizeof(phone->text), "%.*s",
		 SLICE_ARG(buffer_slice(&out)));
	buffer_fini(&out);
}

/* Sends what was written, and waits for the answer. */
static unsigned phone_send(struct phone *phone)
{
	const size_t before = phone->registrar->answers;

	receive_over(phone->registrar, phone->text,
		     phone->tcp ? SIP_TRANSPORT_TCP : SIP_TRANSPORT_UDP);
	return await(phone->registrar, before);
}

/* The nonce of the answer's challenge. */
static void phone_take(struct phone *phone)
{
	const char *at = strstr(phone->registrar->answer, "nonce=\"");

	cr_assert_not_null(at, "%s", phone->registrar->answer);
	snprintf(phone->nonce, sizeof(phone->nonce), "%s",
		 at + sizeof("nonce=\"") - 1);
	phone->nc = 0;
}

/* A REGISTER with these header lines; answers the challenge where it has none
 * yet. */
static unsigned phone_ask(struct phone *phone, const char *headers)
{
	if (!phone->nonce[0]) {
		phone_write(phone, headers);
		const unsigned status = phone_send(phone);

		if (status != 401)
			return status;
		phone_take(phone);
	}
	phone_write(phone, headers);
	return phone_send(phone);
}

#define CONTACT_A "Contact: <sip:a@10.0.0.1:5066>"
#define CONTACT_B "Contact: <sip:b@10.0.0.2:5066>"
#define CRLF	  "\r\n"
#define URN	  "\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\""

/* --- Without an account --- */

#define REST                                                                   \
	"Via: SIP/2.0/UDP 10.0.0.1:5066;branch=z9hG4bK1;rport\r\n"             \
	"From: <sip:alice@" REALM ">;tag=1\r\n"                                \
	"To: <sip:alice@" REALM ">\r\n"                                        \
	"Call-ID: c1\r\n"                                                      \
	"Max-Forwards: 70\r\n"

/* clang-format off: table */
static const struct {
	const char *name;
	const char *text;
	unsigned status; /* 0: no answer */
	const char *holds;
} requests[] = {
	{"OPTIONS",
	 "OPTIONS sip:" REALM " SIP/2.0\r\n" REST "CSeq: 1 OPTIONS\r\n\r\n",
	 200, "\r\nAllow: REGISTER, OPTIONS\r\n"},
	{"OPTIONS: Accept",
	 "OPTIONS sip:" REALM " SIP/2.0\r\n" REST "CSeq: 1 OPTIONS\r\n\r\n",
	 200, "\r\nAccept: application/sdp\r\n"},
	{"OPTIONS: Supported",
	 "OPTIONS sip:" REALM " SIP/2.0\r\n" REST "CSeq: 1 OPTIONS\r\n\r\n",
	 200, "\r\nSupported: outbound, path\r\n"},
	{"received and rport",
	 "OPTIONS sip:" REALM " SIP/2.0\r\n" REST "CSeq: 1 OPTIONS\r\n\r\n",
	 200, ";received=198.51.100.7;rport=40000\r\n"},
	{"no hop is left",
	 "OPTIONS sip:" REALM " SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
	 "From: <sip:a@" REALM ">;tag=1\r\nTo: <sip:a@" REALM ">\r\n"
	 "Call-ID: c1\r\nMax-Forwards: 0\r\nCSeq: 1 OPTIONS\r\n\r\n",
	 200, ""},
	{"INVITE",
	 "INVITE sip:" REALM " SIP/2.0\r\n" REST "CSeq: 1 INVITE\r\n\r\n", 405,
	 "\r\nAllow: REGISTER, OPTIONS\r\n"},
	{"an unknown method",
	 "DANCE sip:" REALM " SIP/2.0\r\n" REST "CSeq: 1 DANCE\r\n\r\n", 501,
	 "\r\nAllow: REGISTER, OPTIONS\r\n"},
	{"ACK", "ACK sip:" REALM " SIP/2.0\r\n" REST "CSeq: 1 ACK\r\n\r\n", 0,
	 ""},
	{"another version",
	 "REGISTER sip:" REALM " SIP/3.0\r\n" REST "CSeq: 1 REGISTER\r\n\r\n",
	 505, ""},
	{"a scheme that is not ours",
	 "REGISTER http://" REALM " SIP/2.0\r\n" REST
	 "CSeq: 1 REGISTER\r\n\r\n",
	 416, ""},
	{"an extension that is not ours",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST
	 "Require: path, gruu\r\nCSeq: 1 REGISTER\r\n\r\n",
	 420, "\r\nUnsupported: gruu\r\n"},
	{"a broken CSeq",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST "CSeq: x REGISTER\r\n\r\n",
	 400, "SIP/2.0 400 Bad CSeq\r\n"},
	{"* with an Expires",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST
	 "Contact: *\r\nExpires: 60\r\nCSeq: 1 REGISTER\r\n\r\n",
	 400, ""},
	{"* without an Expires",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST
	 "Contact: *\r\nCSeq: 1 REGISTER\r\n\r\n",
	 400, ""},
	{"* beside another",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST
	 "Contact: *, <sip:a@10.0.0.1>\r\nExpires: 0\r\n"
	 "CSeq: 1 REGISTER\r\n\r\n",
	 400, ""},
	{"a domain that is not ours",
	 "REGISTER sip:other.example SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
	 "From: <sip:a@other.example>;tag=1\r\nTo: <sip:a@other.example>\r\n"
	 "Call-ID: c1\r\nCSeq: 1 REGISTER\r\n\r\n",
	 404, ""},
	{"the domain in any case",
	 "REGISTER sip:TRUNK.example.COM SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
	 "From: <sip:a@x>;tag=1\r\nTo: <sip:a@TRUNK.example.COM>\r\n"
	 "Call-ID: c1\r\nCSeq: 1 REGISTER\r\n\r\n",
	 401, "realm=\"" REALM "\""},
	{"an address in To",
	 "REGISTER sip:" REALM " SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
	 "From: <sip:a@x>;tag=1\r\nTo: <sip:a@192.0.2.1>\r\n"
	 "Call-ID: c1\r\nCSeq: 1 REGISTER\r\n\r\n",
	 401, "realm=\"" REALM "\""},
	{"an account of ours",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST "CSeq: 1 REGISTER\r\n\r\n",
	 401, "\r\nWWW-Authenticate: Digest "},
	{"an account nobody has",
	 "REGISTER sip:" REALM " SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
	 "From: <sip:a@x>;tag=1\r\nTo: <sip:nobody@" REALM ">\r\n"
	 "Call-ID: c1\r\nCSeq: 1 REGISTER\r\n\r\n",
	 401, "\r\nWWW-Authenticate: Digest "},
	{"credentials that cannot be read",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST
	 "Authorization: Digest realm=,\r\nCSeq: 1 REGISTER\r\n\r\n",
	 400, "Bad Authorization"},
	{"another scheme",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST
	 "Authorization: Basic YTpi\r\nCSeq: 1 REGISTER\r\n\r\n",
	 401, ""},
	{"another realm",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST
	 "Authorization: Digest username=\"alice\", realm=\"other\", "
	 "nonce=\"1\", uri=\"sip:other\", response=\"0\"\r\n"
	 "CSeq: 1 REGISTER\r\n\r\n",
	 401, ""},
	{"a nonce of somebody else",
	 "REGISTER sip:" REALM " SIP/2.0\r\n" REST
	 "Authorization: Digest username=\"alice\", realm=\"" REALM "\", "
	 "nonce=\"1\", uri=\"sip:" REALM "\", response=\"0\"\r\n"
	 "CSeq: 1 REGISTER\r\n\r\n",
	 401, ""},
};
/* clang-format on */

Test(inbound, requests_answered_at_once)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const size_t before = bench.a.answers;

		receive(&bench.a, requests[i].text);
		cr_assert_eq(bench.a.answers, before + (requests[i].status > 0),
			     "%s: %zu answers", requests[i].name,
			     bench.a.answers - before);
		if (requests[i].status == 0)
			continue;
		cr_expect_eq(status_of(&bench.a), requests[i].status, "%s: %s",
			     requests[i].name, bench.a.answer);
		cr_expect(has(&bench.a, requests[i].holds), "%s: %s",
			  requests[i].name, bench.a.answer);
		cr_expect(has(&bench.a, ";tag="), "%s: no To tag",
			  requests[i].name);
		cr_expect_not(has(&bench.a, "stale=true"), "%s",
			      requests[i].name);
	}
	cr_expect(inbound_idle(bench.a.inbound));
}

Test(inbound, responses_are_handed_on)
{
	receive(&bench.a, "SIP/2.0 200 OK\r\n" REST "CSeq: 1 REGISTER\r\n\r\n");
	cr_expect_eq(bench.a.answers, 0);
	cr_expect_eq(bench.a.responses, 1);
	/* Two Vias: it is not ours. */
	receive(&bench.a, "SIP/2.0 200 OK\r\n" REST
			  "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK2\r\n"
			  "CSeq: 1 REGISTER\r\n\r\n");
	cr_expect_eq(bench.a.responses, 1);
}

Test(inbound, unknown_only_yet)
{
	struct phone phone = alice_of(&bench.a, "c1");

	bench.world.synced = false;
	phone.to_host = "other.example";
	phone.uri = "sip:other.example";
	cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 503);
	cr_expect(has(&bench.a, "\r\nRetry-After: "));

	struct phone stranger = phone_of(&bench.a, "new", "x", "c2");

	cr_expect_eq(phone_ask(&stranger, CONTACT_A CRLF), 503);
	cr_expect(has(&bench.a, "\r\nRetry-After: "));

	struct phone known = alice_of(&bench.a, "c3");

	cr_expect_eq(phone_ask(&known, CONTACT_A CRLF), 200);
}

Test(inbound, the_way_back_over_udp)
{
	struct phone phone = alice_of(&bench.a, "c1");

	cr_expect_eq(phone_ask(&phone, ""), 200);
	cr_expect_eq(sip_endpoint_port(&bench.a.to.remote), 40000);
	phone.no_rport = true;
	cr_expect_eq(phone_ask(&phone, ""), 200);
	cr_expect_eq(sip_endpoint_port(&bench.a.to.remote), 5066);
	phone.tcp = true;
	cr_expect_eq(phone_ask(&phone, ""), 200);
	cr_expect_eq(sip_endpoint_port(&bench.a.to.remote), 40000);
}

/* --- Digest --- */

Test(inbound, challenges_strongest_first)
{
	struct phone phone = alice_of(&bench.a, "c1");

	phone_write(&phone, CONTACT_A CRLF);
	cr_assert_eq(phone_send(&phone), 401);
	cr_expect_eq(times(&bench.a, "WWW-Authenticate: Digest "), 3);
	const char *sha512 = strstr(bench.a.answer, "SHA-512-256");
	const char *sha256 = strstr(bench.a.answer, "algorithm=SHA-256");
	const char *md5 = strstr(bench.a.answer, "MD5");

	cr_assert(sha512 && sha256 && md5);
	cr_expect(sha512 < sha256 && sha256 < md5);
	cr_expect_eq(times(&bench.a, "qop=\"auth\""), 3);
}

Test(inbound, names_of_algorithms)
{
	static const struct {
		const char *names;
		unsigned set; /* 0: refused */
	} rows[] = {
		{"MD5", DIGEST_BIT(DIGEST_MD5)},
		{" sha-256 , MD5",
		 DIGEST_BIT(DIGEST_SHA_256) | DIGEST_BIT(DIGEST_MD5)},
		{"SHA-512-256,", DIGEST_BIT(DIGEST_SHA_512_256)},
		{"", 0},
		{",", 0},
		{"MD5,,SHA-256", 0},
		{"MD5-sess", 0},
		{"SHA-1", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = {0};
		unsigned set = 0;
		const enum err_code code =
			admission_algorithms_read(rows[i].names, &set, &err);

		cr_expect_eq(code, rows[i].set ? ERR_OK : ERR_VALIDATE, "%s",
			     rows[i].names);
		cr_expect_eq(set, rows[i].set, "%s", rows[i].names);
	}
}

Test(inbound, each_algorithm)
{
	static const enum digest_algorithm all[] = {DIGEST_MD5, DIGEST_SHA_256,
						    DIGEST_SHA_512_256};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct phone phone = alice_of(&bench.a, "c1");

		phone.algorithm = all[i];
		phone.cseq = (uint32_t)(10 * i);
		cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 200, "%s",
			     digest_algorithm_text(all[i]).data);
	}
	/* One that was not offered. */
	struct phone phone = alice_of(&bench.a, "c2");

	phone.algorithm = DIGEST_SHA_256_SESS;
	cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 401);
}

Test(inbound, who_may_not)
{
	static const struct {
		const char *name, *user, *auth, *password;
		unsigned status;
	} rows[] = {
		{"a wrong password", "alice", NULL, "wrong", 403},
		{"nobody", "nobody", NULL, "secret", 403},
		{"an address of record of another", "alice", "bob", "builder",
		 403},
		{"no password is no password", "nopass", NULL, "", 403},
		{"its login in the place of its user", "login", NULL, "secret",
		 403},
		{"its user and its login", "4930123", "login", "secret", 200},
		{"a user with escapes", "%61lice", "alice", "secret", 200},
	};
	char forbidden[TEXT_BYTES] = "";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct phone phone = phone_of(&bench.a, rows[i].user,
					      rows[i].password, "c1");

		phone.auth = rows[i].auth;
		cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), rows[i].status,
			     "%s: %s", rows[i].name, bench.a.answer);
		if (rows[i].status != 403)
			continue;
		/* They are not to be told apart. */
		bench.a.answer[strcspn(bench.a.answer, "\r")] = '\0';
		if (forbidden[0])
			cr_expect_str_eq(bench.a.answer, forbidden, "%s",
					 rows[i].name);
		strcpy(forbidden, bench.a.answer);
	}
}

/* --- Users of tenants --- */

enum { TENANT = 5, USER = 100 };

#define DOMAIN "pbx.example.com"

static void on_user_gone(void *arg, struct slice aor)
{
	(void)arg;
	(void)aor;
}

static void on_tenant_gone(void *arg, int64_t id)
{
	(void)arg;
	(void)id;
}

static void user_set(int64_t id, int64_t tenant_id, const char *extension,
		     bool enabled)
{
	const struct phones_user user = {.id = id,
					 .tenant_id = tenant_id,
					 .extension = extension,
					 .password = "secret",
					 .enabled = enabled};

	phones_user_set(bench.world.phones, &user);
}

/* Two tenants, each with an extension 4000. */
static void users_fill(void)
{
	const struct phones_listener listener = {
		.on_user_gone = on_user_gone, .on_tenant_gone = on_tenant_gone};

	bench.world.phones = phones_new(&listener);
	phones_tenant_set(bench.world.phones, TENANT, DOMAIN, true);
	phones_tenant_set(bench.world.phones, TENANT + 1, "other.example.com",
			  true);
	user_set(USER, TENANT, "4000", true);
	user_set(USER + 1, TENANT, "4001", false);
	user_set(USER + 2, TENANT + 1, "4000", true);
	user_set(USER + 3, TENANT + 1, "4003", true);
}

static struct phone user_of(const char *domain, const char *extension,
			    const char *password, const char *call_id)
{
	struct phone phone = phone_of(&bench.a, extension, password, call_id);

	phone.realm = domain;
	phone.to_host = domain;
	phone.uri = "sip:" DOMAIN;
	return phone;
}

struct read {
	bool done;
	size_t count;
	int64_t trunk_id, user_id, tenant_id;
};

static void on_set_read(void *arg, enum binding_outcome outcome,
			const struct binding_set *set, enum err_code code)
{
	struct read *read = arg;

	cr_expect_eq(outcome, BINDING_SAME);
	cr_assert_eq(code, ERR_OK);
	read->done = true;
	read->count = set->count;
	if (set->count == 0)
		return;
	read->trunk_id = set->items[0].trunk_id;
	read->user_id = set->items[0].user_id;
	read->tenant_id = set->items[0].tenant_id;
}

static struct read read_set(const char *aor)
{
	static const struct binding_change query;
	struct read read = {0};

	bindings_change(bench.b.bindings, slice_str(aor), &query, DEADLINE_MS,
			on_set_read, &read);
	TURN_UNTIL(bench.loop, read.done);
	return read;
}

Test(inbound, users_register)
{
	users_fill();

	struct phone first = user_of(DOMAIN, "4000", "secret", "c1");
	struct phone other =
		user_of("other.example.com", "4000", "secret", "c2");

	other.uri = "sip:other.example.com";
	cr_assert_eq(phone_ask(&first, CONTACT_A CRLF), 200);
	cr_assert_eq(phone_ask(&other, CONTACT_B CRLF), 200);
	cr_expect_not(has(&bench.a, "a@10.0.0.1"));
	cr_assert_eq(phone_ask(&first, CONTACT_A CRLF), 200);

	/* The domain's case is no part of it. */
	struct phone upper = user_of(DOMAIN, "4000", "secret", "c3");

	upper.to_host = "PBX.example.COM";
	cr_assert_eq(phone_ask(&upper, CONTACT_B CRLF), 200);
	cr_expect(has(&bench.a, "a@10.0.0.1"));
	const struct read read = read_set("4000@" DOMAIN);

	cr_expect_eq(read.count, 2);
	cr_expect_eq(read.trunk_id, 0);
	cr_expect_eq(read.user_id, USER);
	cr_expect_eq(read.tenant_id, TENANT);
	phones_free(bench.world.phones);
}

Test(inbound, users_that_may_not)
{
	static const struct {
		const char *name, *domain, *extension, *auth, *password;
		unsigned status;
	} rows[] = {
		{"a wrong password", DOMAIN, "4000", NULL, "wrong", 403},
		{"nobody", DOMAIN, "4999", NULL, "secret", 403},
		{"disabled", DOMAIN, "4001", NULL, "secret", 403},
		{"of another tenant", DOMAIN, "4003", NULL, "secret", 403},
		{"for another's", DOMAIN, "4001", "4000", "secret", 403},
		{"no tenant's domain", "nobody.example", "4000", NULL, "secret",
		 404},
	};
	char forbidden[TEXT_BYTES] = "";

	users_fill();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct phone phone = user_of(rows[i].domain, rows[i].extension,
					     rows[i].password, "c1");

		phone.auth = rows[i].auth;
		if (rows[i].status == 404)
			phone.uri = "sip:nobody.example";
		cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), rows[i].status,
			     "%s: %s", rows[i].name, bench.a.answer);
		if (rows[i].status != 403)
			continue;
		/* They are not to be told apart. */
		cr_expect(phone.nonce[0], "%s: no challenge", rows[i].name);
		bench.a.answer[strcspn(bench.a.answer, "\r")] = '\0';
		if (forbidden[0])
			cr_expect_str_eq(bench.a.answer, forbidden, "%s",
					 rows[i].name);
		strcpy(forbidden, bench.a.answer);
	}
	/* Nobody of a disabled tenant; it is challenged all the same. */
	struct phone phone = user_of(DOMAIN, "4000", "secret", "c9");

	phones_tenant_set(bench.world.phones, TENANT, DOMAIN, false);
	cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 403);
	cr_expect(phone.nonce[0]);
	phones_free(bench.world.phones);
}

/* A user admitted in the very turn it is dropped in is dropped. */
static bool is_any(void *arg, const struct binding *binding)
{
	(void)arg;
	(void)binding;
	return true;
}

static void on_any_dropped(void *arg, enum binding_outcome outcome,
			   const struct binding_set *set, enum err_code code)
{
	cr_expect_eq(code, ERR_OK);
	cr_expect_eq(outcome, BINDING_REMOVED);
	cr_expect_eq(set->count, 0);
	*(bool *)arg = true;
}

Test(inbound, dropped_after_what_came_before)
{
	const struct binding_change drop = {.drop = is_any};
	bool dropped = false;

	users_fill();

	struct phone phone = user_of(DOMAIN, "4000", "secret", "c1");

	phone_write(&phone, CONTACT_A CRLF);
	cr_assert_eq(phone_send(&phone), 401);
	phone_take(&phone);
	phone_write(&phone, CONTACT_A CRLF);
	const size_t before = bench.a.answers;

	receive(&bench.a, phone.text);
	bindings_change(bench.a.bindings, slice_str("4000@" DOMAIN), &drop,
			DEADLINE_MS, on_any_dropped, &dropped);
	cr_expect_eq(await(&bench.a, before), 200);
	TURN_UNTIL(bench.loop, dropped);
	cr_expect_eq(read_set("4000@" DOMAIN).count, 0);
	phones_free(bench.world.phones);
}

Test(inbound, a_stale_nonce)
{
	struct phone phone = alice_of(&bench.a, "c1");

	cr_assert_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
	cr_assert_eq(phone_ask(&phone, CONTACT_A CRLF), 200,
		     "a nonce may be used again");
	bench.a.now_s += INBOUND_NONCE_LIFETIME_S;
	cr_assert_eq(phone_ask(&phone, CONTACT_A CRLF), 401);
	cr_expect_eq(times(&bench.a, "stale=true"), 3);
	phone_take(&phone);
	cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
}

Test(inbound, a_nonce_of_another_registrar)
{
	struct phone phone = alice_of(&bench.a, "c1");

	phone_write(&phone, CONTACT_A CRLF);
	cr_assert_eq(phone_send(&phone), 401);
	phone_take(&phone);
	phone.registrar = &bench.b;
	cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
}

Test(inbound, a_replay_is_refused)
{
	struct phone phone = alice_of(&bench.a, "c1");
	struct phone spy;

	cr_assert_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
	spy = phone;
	/* The very nonce-count again, in a request of one's own. */
	spy.nc--;
	cr_expect_eq(phone_ask(&spy, CONTACT_B CRLF), 401);
	cr_expect(has(&bench.a, "stale=true"));
	/* The same branch, Call-ID and CSeq, and another contact. */
	spy = phone;
	spy.nc--;
	spy.cseq--;
	spy.branch--;
	cr_expect_eq(phone_ask(&spy, CONTACT_B CRLF), 401);
	cr_expect(has(&bench.a, "stale=true"));
	cr_expect_eq(phone_ask(&phone, ""), 200);
	cr_expect_eq(times(&bench.a, "Contact: "), 1);
	cr_expect(has(&bench.a, "sip:a@10.0.0.1"));
}

Test(inbound, credentials_for_another_host)
{
	struct phone phone = alice_of(&bench.a, "c1");

	phone_write(&phone, CONTACT_A CRLF);
	cr_assert_eq(phone_send(&phone), 401);
	phone_take(&phone);
	phone_write(&phone, CONTACT_A CRLF);
	/* The digest is that of another uri: only the check can tell. */
	char *uri = strstr(phone.text, "uri=\"sip:trunk");

	cr_assert_not_null(uri);
	memcpy(uri + 9, "other", 5);
	cr_expect_eq(phone_send(&phone), 400);
}

/* --- Contacts --- */

/* clang-format off: table */
static const struct {
	const char *name;
	const char *headers;
	unsigned status;
	const char *holds;
} contacts[] = {
	{"nothing said", CONTACT_A CRLF, 200, ">;expires=300\r\n"},
	{"Expires", CONTACT_A CRLF "Expires: 120\r\n", 200,
	 ">;expires=120\r\n"},
	{"the contact's own goes first",
	 CONTACT_A ";expires=150\r\nExpires: 120\r\n", 200,
	 ">;expires=150\r\n"},
	{"too long", CONTACT_A ";expires=99999\r\n", 200, ">;expires=3600\r\n"},
	{"as long as can be", CONTACT_A ";expires=4294967295\r\n", 200,
	 ">;expires=3600\r\n"},
	{"no number", CONTACT_A ";expires=soon\r\n", 200, ">;expires=3600\r\n"},
	{"the least", CONTACT_A ";expires=90\r\n", 200, ">;expires=90\r\n"},
	{"too short", CONTACT_A ";expires=89\r\n", 423,
	 "\r\nMin-Expires: 90\r\n"},
	{"too short in a header", CONTACT_A "\r\nExpires: 1\r\n", 423,
	 "423 Interval Too Brief\r\n"},
	{"one too short",
	 CONTACT_A ";expires=90," CRLF " <sip:b@10.0.0.2>;expires=5\r\n", 423,
	 "\r\nMin-Expires: 90\r\n"},
	{"a date", CONTACT_A CRLF, 200,
	 "\r\nDate: Fri, 15 Jan 2027 "
	 "08:00:00 GMT\r\n"},
	{"a preference", CONTACT_A ";q=0.5\r\n", 200, ";q=0.500\r\n"},
	{"a display name and a tel URI", "Contact: \"A, B\" <tel:+4930123>\r\n",
	 200, "Contact: <tel:+4930123>;expires=300\r\n"},
	{"Path without Supported", CONTACT_A "\r\nPath: <sip:e.example;lr>\r\n",
	 420, "\r\nUnsupported: path\r\n"},
	{"Path",
	 CONTACT_A "\r\nSupported: path\r\n"
		   "Path: <sip:e1.example;lr>\r\nPath: <sip:e2.example;lr>\r\n",
	 200, "\r\nPath: <sip:e1.example;lr>, <sip:e2.example;lr>\r\n"},
	{"a flow",
	 CONTACT_A ";reg-id=1;+sip.instance=" URN
		   "\r\nSupported: outbound, path\r\n",
	 200, "\r\nRequire: outbound\r\n"},
	{"a flow: its contact",
	 CONTACT_A ";reg-id=1;+sip.instance=" URN
		   "\r\nSupported: outbound, path\r\n",
	 200, ";+sip.instance=" URN ";reg-id=1\r\n"},
	{"two flows in one request",
	 CONTACT_A ";reg-id=1;+sip.instance=" URN "," CRLF
		   " <sip:b@10.0.0.2>;reg-id=2;+sip.instance=" URN
		   "\r\nSupported: outbound\r\n",
	 400, ""},
	{"a Call-ID of somebody else's", CONTACT_A CRLF, 200, ""},
};
/* clang-format on */

Test(inbound, contacts)
{
	for (size_t i = 0; i < sizeof(contacts) / sizeof(contacts[0]); i++) {
		char call_id[32];
		struct phone phone;

		snprintf(call_id, sizeof(call_id), "row-%zu", i);
		phone = alice_of(&bench.a, call_id);
		cr_expect_eq(phone_ask(&phone, contacts[i].headers),
			     contacts[i].status, "%s: %s", contacts[i].name,
			     bench.a.answer);
		cr_expect(has(&bench.a, contacts[i].holds), "%s: %s",
			  contacts[i].name, bench.a.answer);
		/* The next row begins with nothing. */
		phone_ask(&phone, "Contact: *\r\nExpires: 0\r\n");
		cr_expect_eq(status_of(&bench.a), 200);
		cr_expect_not(has(&bench.a, "Contact:"), "%s", bench.a.answer);
	}
}

Test(inbound, flows)
{
	struct phone first = alice_of(&bench.a, "c1");
	struct phone second = alice_of(&bench.a, "c2");

	first.tcp = true;
	cr_assert_eq(phone_ask(&first, CONTACT_A ";reg-id=1;+sip.instance=" URN
						 "\r\nSupported: outbound\r\n"),
		     200);
	cr_expect(has(&bench.a, "\r\nFlow-Timer: 120\r\n"));
	cr_assert_eq(phone_ask(&second,
			       CONTACT_A ";reg-id=2;+sip.instance=" URN
					 "\r\nSupported: outbound\r\n"),
		     200);
	cr_expect_not(has(&bench.a, "Flow-Timer"));
	cr_expect_eq(times(&bench.a, "Contact: "), 2);
	/* The device is new at another address: its flow is the same. */
	first.call_id = "c3";
	cr_assert_eq(phone_ask(&first, CONTACT_B ";reg-id=1;+sip.instance=" URN
						 "\r\nSupported: outbound\r\n"),
		     200);
	cr_expect_eq(times(&bench.a, "Contact: "), 2);
	cr_expect(has(&bench.a, "<sip:b@10.0.0.2:5066>;expires=300"));
	cr_expect(has(&bench.a, ";reg-id=2"));
}

Test(inbound, flows_that_are_none)
{
	struct phone plain = alice_of(&bench.a, "c1");
	struct phone proxied = alice_of(&bench.a, "c2");

	cr_assert_eq(phone_ask(&plain,
			       CONTACT_A ";reg-id=1;+sip.instance=" URN CRLF),
		     200);
	cr_expect_not(has(&bench.a, "Require: outbound"));
	cr_expect_not(has(&bench.a, "reg-id"), "%s", bench.a.answer);
	cr_expect(has(&bench.a, "+sip.instance=" URN));
	proxied.vias = "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK9\r\n";
	cr_expect_eq(phone_ask(&proxied,
			       CONTACT_A ";reg-id=1;+sip.instance=" URN
					 "\r\nSupported: outbound, path\r\n"),
		     439);
	cr_expect_eq(phone_ask(&proxied,
			       CONTACT_A ";reg-id=1;+sip.instance=" URN
					 "\r\nSupported: outbound, path\r\n"
					 "Path: <sip:e.example;lr;ob>\r\n"),
		     200);
	cr_expect(has(&bench.a, "Require: outbound"));
}

Test(inbound, several_contacts)
{
	struct phone phone = alice_of(&bench.a, "c1");

	cr_assert_eq(phone_ask(&phone, CONTACT_A ", <sip:b@10.0.0.2:5066>"
						 ";expires=100\r\n"),
		     200);
	cr_expect_eq(times(&bench.a, "Contact: "), 2);
	cr_expect(has(&bench.a, "<sip:a@10.0.0.1:5066>;expires=300\r\n"));
	cr_expect(has(&bench.a, "<sip:b@10.0.0.2:5066>;expires=100\r\n"));
	/* One goes, the other stays. */
	cr_assert_eq(phone_ask(&phone, CONTACT_A ";expires=0\r\n"), 200);
	cr_expect_eq(times(&bench.a, "Contact: "), 1);
	cr_expect(has(&bench.a, "<sip:b@10.0.0.2:5066>"));
	/* A query changes nothing. */
	cr_assert_eq(phone_ask(&phone, ""), 200);
	cr_expect_eq(times(&bench.a, "Contact: "), 1);
}

Test(inbound, too_many_contacts)
{
	struct phone phone = alice_of(&bench.a, "c1");
	char headers[1024] = "";

	for (size_t i = 0; i < BINDING_MAX; i++) {
		snprintf(headers, sizeof(headers),
			 "Contact: <sip:%zu@10.0.0.1>\r\n", i);
		cr_assert_eq(phone_ask(&phone, headers), 200);
		cr_expect_eq(times(&bench.a, "Contact: "), i + 1);
	}
	cr_expect_eq(phone_ask(&phone, CONTACT_B CRLF), 403);
	cr_expect(has(&bench.a, "403 Too Many Contacts\r\n"));
	headers[0] = '\0';
	for (size_t i = 0; i <= BINDING_MAX; i++)
		snprintf(headers + strlen(headers),
			 sizeof(headers) - strlen(headers),
			 "Contact: <sip:%zu@10.0.0.1>\r\n", i);
	cr_expect_eq(phone_ask(&phone, headers), 403);
	cr_expect_eq(phone_ask(&phone, ""), 200);
	cr_expect_eq(times(&bench.a, "Contact: "), BINDING_MAX);
}

Test(inbound, too_long)
{
	struct phone phone = alice_of(&bench.a, "c1");
	char headers[2048];

	snprintf(headers, sizeof(headers), "Contact: <sip:%0600d@10.0.0.1>\r\n",
		 0);
	cr_expect_eq(phone_ask(&phone, headers), 400);
	snprintf(headers, sizeof(headers),
		 CONTACT_A "\r\nSupported: path\r\n"
			   "Path: <sip:%01100d@10.0.0.1>\r\n",
		 0);
	cr_expect_eq(phone_ask(&phone, headers), 400);
}

/* --- Order --- */

Test(inbound, order_of_cseq)
{
	struct phone phone = alice_of(&bench.a, "c1");
	struct phone late;

	phone.cseq = 100;
	cr_assert_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
	late = phone;
	late.cseq = 50;
	cr_expect_eq(phone_ask(&late, CONTACT_A ";expires=0\r\n"), 500);
	cr_expect(has(&bench.a, "500 CSeq Out Of Order\r\n"));
	cr_expect(has(&bench.a, "\r\nCSeq: 51 REGISTER\r\n"));
	late.cseq = 60;
	cr_expect_eq(phone_ask(&late, "Contact: *\r\nExpires: 0\r\n"), 500);
	/* The same CSeq in another request: answered, nothing is changed. */
	late.cseq = phone.cseq - 1;
	cr_expect_eq(phone_ask(&late, CONTACT_A ";expires=200\r\n"), 200);
	cr_expect(has(&bench.a, ";expires=300\r\n") ||
		  has(&bench.a, ";expires=299\r\n"));
	/* A phone that has started again has another Call-ID. */
	late.call_id = "c2";
	late.cseq = 0;
	cr_expect_eq(phone_ask(&late, CONTACT_A ";expires=200\r\n"), 200);
	cr_expect(has(&bench.a, ";expires=200\r\n"));
	cr_expect_eq(times(&bench.a, "Contact: "), 1);
}

Test(inbound, retransmissions)
{
	struct phone phone = alice_of(&bench.a, "c1");
	char first[TEXT_BYTES];
	const char *const headers[] = {CONTACT_A CRLF,
				       CONTACT_A ";expires=0\r\n", ""};

	phone_write(&phone, CONTACT_A CRLF);
	cr_assert_eq(phone_send(&phone), 401);
	phone_take(&phone);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		const size_t before = bench.a.answers;

		phone_write(&phone, headers[i]);
		/* While Redis works. */
		receive(&bench.a, phone.text);
		receive(&bench.a, phone.text);
		receive(&bench.a, phone.text);
		cr_assert_eq(bench.a.answers, before);
		cr_expect_eq(await(&bench.a, before), 200);
		cr_expect(inbound_idle(bench.a.inbound));
		strcpy(first, bench.a.answer);
		/* The answer was lost. A second may have passed. */
		cr_expect_eq(phone_send(&phone), 200);
		cr_expect_eq(strcspn(bench.a.answer, "x"), strcspn(first, "x"));
		cr_expect_eq(strstr(first, "Contact:") != NULL,
			     has(&bench.a, "Contact:"));
		const char *tag = strstr(first, ";tag=");

		cr_assert_not_null(tag);
		cr_expect(strncmp(strstr(bench.a.answer, "\r\nTo:"),
				  strstr(first, "\r\nTo:"), 60) == 0);
	}
}

/* --- Several registrars, and Redis --- */

Test(inbound, a_second_registrar_knows)
{
	struct phone phone = alice_of(&bench.a, "c1");
	struct phone late;

	cr_assert_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
	/* The first is gone: this is what the one started after a kill sees. */
	registrar_stop(&bench.a);
	phone.registrar = &bench.b;
	late = phone;
	late.cseq -= 2;
	cr_expect_eq(phone_ask(&late, CONTACT_A CRLF), 500);
	phone.nc = late.nc;
	cr_expect_eq(phone_ask(&phone, ""), 200);
	cr_expect_eq(times(&bench.b, "Contact: "), 1);
	cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
	registrar_start(&bench.a, 0);
}

enum { PHONES = 8, ROUNDS = 5 };

/* Eight phones of one account, each to another registrar than the one before,
 * all at once. */
Test(inbound, two_registrars_agree)
{
	struct phone phones[PHONES];
	char headers[PHONES][64];
	char ids[PHONES][16];

	for (size_t i = 0; i < PHONES; i++) {
		snprintf(ids[i], sizeof(ids[i]), "c%zu", i);
		snprintf(headers[i], sizeof(headers[i]),
			 "Contact: <sip:%zu@10.0.0.1>\r\n", i);
		phones[i] = alice_of(i % 2 ? &bench.a : &bench.b, ids[i]);
		phone_write(&phones[i], headers[i]);
		cr_assert_eq(phone_send(&phones[i]), 401);
		phone_take(&phones[i]);
	}
	for (size_t round = 0; round < ROUNDS; round++) {
		const size_t a = bench.a.answers, b = bench.b.answers;

		for (size_t i = 0; i < PHONES; i++) {
			phones[i].registrar =
				(i + round) % 2 ? &bench.a : &bench.b;
			phone_write(&phones[i], headers[i]);
			receive(phones[i].registrar, phones[i].text);
		}
		TURN_UNTIL(bench.loop,
			   bench.a.answers == a + PHONES / 2 &&
				   bench.b.answers == b + PHONES / 2);
		cr_expect_eq(status_of(&bench.a), 200);
		cr_expect_eq(status_of(&bench.b), 200);
	}
	cr_expect_eq(phone_ask(&phones[0], ""), 200);
	cr_expect_eq(times(phones[0].registrar, "Contact: "), PHONES);
}

Test(inbound, without_redis)
{
	struct phone phone = alice_of(&bench.a, "c1");

	cr_assert_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
	servers_redis_kill(&bench.redis);
	cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 503);
	cr_expect(has(&bench.a, "\r\nRetry-After: "));
	cr_expect(has(&bench.a, "\r\nContent-Length: 0\r\n\r\n"));
	cr_expect_not(has(&bench.a, "Contact:"));
	cr_expect(inbound_idle(bench.a.inbound));
	servers_redis_start(&bench.redis, NULL);
	TURN_UNTIL(bench.loop, cache_ready(bench.a.cache));
	cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
}

static void on_command(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	(void)reply;
	cr_assert_eq(code, ERR_OK);
	*(bool *)arg = true;
}

static void redis_set(const char *key, struct slice value)
{
	const struct slice words[] = {slice_str("SET"), slice_str(key), value};
	bool done = false;

	cache_run(bench.a.cache, words, 3, DEADLINE_MS, on_command, &done);
	TURN_UNTIL(bench.loop, done);
}

static uint64_t counter(const struct registrar *registrar, const char *name)
{
	for (size_t i = 0; i < registrar->metrics.count; i++)
		if (strcmp(registrar->metrics.entries[i].name, name) == 0)
			return *registrar->metrics.entries[i].value;
	cr_assert_fail("no counter %s", name);
	return 0;
}

Test(inbound, a_broken_value_is_none)
{
	struct phone phone = alice_of(&bench.a, "c1");
	static const struct slice broken[] = {SLICE("no msgpack"),
					      SLICE("\x91\x9d\xc4\x01"),
					      SLICE("\x90 and more")};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		redis_set("binding:alice@" REALM, broken[i]);
		cr_expect_eq(phone_ask(&phone, CONTACT_A CRLF), 200);
		cr_expect_eq(times(&bench.a, "Contact: "), 1);
	}
	cr_expect_eq(counter(&bench.a, "registrar_bindings_broken_total"), 3);
}

Test(inbound, bindings_end)
{
	const struct contacts_bounds short_s = {
		.min_s = 1, .max_s = 60, .default_s = 60};
	struct phone phone = alice_of(&bench.a, "c1");
	uint64_t end_ms = loop_now_ms(bench.loop) + TURN_DEADLINE_MS;

	inbound_expires_set(bench.a.inbound, &short_s);
	cr_assert_eq(phone_ask(&phone, CONTACT_A ";expires=1," CRLF
						 " <sip:b@10.0.0.2>\r\n"),
		     200);
	do {
		cr_assert_lt(loop_now_ms(bench.loop), end_ms);
		loop_turn(bench.loop, 10);
		cr_assert_eq(phone_ask(&phone, ""), 200);
	} while (has(&bench.a, "sip:a@"));
	cr_expect_eq(times(&bench.a, "Contact: "), 1);
	cr_expect(has(&bench.a, "<sip:b@10.0.0.2>;expires="));
}

/* --- Listing --- */

struct listed {
	bool done;
	enum err_code code;
	size_t total, count;
	char aors[512]; /* joined by spaces */
	struct buffer body;
};

static void on_listed(void *arg, const struct bindings_page *page,
		      enum err_code code)
{
	struct listed *listed = arg;

	cr_assert_eq(page != NULL, code == ERR_OK);
	listed->done = true;
	listed->code = code;
	if (!page)
		return;
	listed->total = page->total;
	listed->count = page->count;
	for (size_t i = 0; i < page->count; i++)
		snprintf(listed->aors + strlen(listed->aors),
			 sizeof(listed->aors) - strlen(listed->aors), "%.*s ",
			 SLICE_ARG(page->entries[i].aor));
	registrations_encode(page, 0, &listed->body);
}

static struct listed list(size_t skip, size_t top)
{
	struct listed listed = {0};

	bindings_list(bench.b.bindings, 0, skip, top, DEADLINE_MS, on_listed,
		      &listed);
	cr_assert_not(listed.done, "called back from within");
	TURN_UNTIL(bench.loop, listed.done);
	buffer_fini(&listed.body);
	return listed;
}

Test(inbound, pages)
{
	struct phone alice = alice_of(&bench.a, "c1");
	struct phone bob = phone_of(&bench.a, "bob", "builder", "c2");
	struct phone third = phone_of(&bench.a, "4930123", "secret", "c3");
	struct listed listed;

	listed = list(0, 10);
	cr_expect_eq(listed.code, ERR_OK);
	cr_expect_eq(listed.total, 0);
	third.auth = "login";
	cr_assert_eq(phone_ask(&bob, CONTACT_A CRLF), 200);
	cr_assert_eq(phone_ask(&alice, CONTACT_A CRLF), 200);
	cr_assert_eq(phone_ask(&third, CONTACT_A CRLF), 200);
	listed = list(0, 10);
	cr_expect_eq(listed.total, 3);
	cr_expect_str_eq(listed.aors,
			 "4930123@" REALM " alice@" REALM " bob@" REALM " ");
	listed = list(1, 1);
	cr_expect_eq(listed.total, 3);
	cr_expect_str_eq(listed.aors, "alice@" REALM " ");
	cr_assert_eq(phone_ask(&alice, "Contact: *\r\nExpires: 0\r\n"), 200);
	listed = list(0, 10);
	cr_expect_eq(listed.total, 2);
	cr_expect_str_eq(listed.aors, "4930123@" REALM " bob@" REALM " ");
	listed = list(5, 10);
	cr_expect_eq(listed.code, ERR_OK);
	cr_expect_eq(listed.count, 0);
}

Test(inbound, what_ended_leaves_the_list)
{
	const struct slice gone[] = {
		slice_str("ZADD"), slice_str("bindings"),
		slice_str("0"),	   slice_str("binding:aaa@x"),
		slice_str("0"),	   slice_str("binding:aab@x")};
	struct phone alice = alice_of(&bench.a, "c1");
	struct listed listed;
	bool done = false;

	cr_assert_eq(phone_ask(&alice, CONTACT_A CRLF), 200);
	cache_run(bench.a.cache, gone, 6, DEADLINE_MS, on_command, &done);
	TURN_UNTIL(bench.loop, done);
	listed = list(0, 1);
	cr_expect_eq(listed.total, 1);
	cr_expect_str_eq(listed.aors, "alice@" REALM " ");
}

Test(inbound, registrations)
{
	const struct binding binding = {
		.contact = slice_str("sip:a@10.0.0.1"),
		.call_id = slice_str("c1"),
		.instance = slice_str("<urn:uuid:1>"),
		.reg_id = 2,
		.expires_s = 17,
		.registered_at = NOW_S,
		.received = slice_str("198.51.100.7:40000"),
		.transport = SIP_TRANSPORT_TLS,
		.user_agent = slice_str("caf\xe9"),
		.trunk_id = 11,
		.tenant_id = 5,
	};
	struct bindings_entry entry = {
		.aor = slice_str("alice@" REALM),
		.set = {.count = 1, .items[0] = binding}};
	const struct bindings_page page = {
		.total = 5, .count = 1, .entries = &entry};
	struct buffer out = {0};
	struct reader reader;
	size_t found = 0;

	registrations_encode(&page, 5, &out);
	reader_init(&reader, buffer_slice(&out));
	cr_assert_eq(reader_map(&reader), 2);
	cr_expect(slice_is(reader_str(&reader), "count"));
	cr_expect_eq(reader_int(&reader), 5);
	cr_expect(slice_is(reader_str(&reader), "items"));
	cr_assert_eq(reader_array(&reader), 1);
	for (uint32_t left = reader_map(&reader); left > 0; left--) {
		const struct slice name = reader_str(&reader);

		if (slice_is(name, "id")) {
			cr_expect_gt(reader_id(&reader), 0);
		} else if (slice_is(name, "aor")) {
			cr_expect(
				slice_is(reader_str(&reader), "alice@" REALM));
		} else if (slice_is(name, "trunk_id")) {
			cr_expect_eq(reader_id(&reader), 11);
		} else if (slice_is(name, "tenant_id")) {
			cr_expect_eq(reader_id(&reader), 5);
		} else if (slice_is(name, "user_id")) {
			reader_nil(&reader);
		} else if (slice_is(name, "transport")) {
			cr_expect(slice_is(reader_str(&reader), "TLS"));
		} else if (slice_is(name, "expires_in")) {
			cr_expect_eq(reader_int(&reader), 17);
		} else if (slice_is(name, "user_agent")) {
			cr_expect(slice_is(reader_str(&reader), "caf?"));
		} else if (slice_is(name, "path")) {
			reader_nil(&reader);
		} else if (slice_is(name, "registered_at")) {
			cr_expect_eq(reader_time(&reader), NOW_S);
		} else {
			reader_value(&reader);
			continue;
		}
		found++;
	}
	cr_expect(reader_done(&reader));
	cr_expect_eq(found, 10);
	/* Another tenant has none of them. */
	out.size = 0;
	registrations_encode(&page, 6, &out);
	reader_init(&reader, buffer_slice(&out));
	cr_assert_eq(reader_map(&reader), 2);
	reader_value(&reader);
	reader_value(&reader);
	reader_value(&reader);
	cr_expect_eq(reader_array(&reader), 0);
	cr_expect(reader_done(&reader));
	buffer_fini(&out);
}

/* --- Counting --- */

Test(inbound, counters)
{
	static const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"registrar_register_total", 6},
		{"registrar_register_challenged_total", 2},
		{"registrar_register_accepted_total", 1},
		{"registrar_register_absorbed_total", 1},
		{"registrar_register_in_flight", 0},
		{"registrar_register_refused_forbidden_total", 1},
		{"registrar_register_refused_interval_total", 1},
		{"registrar_register_refused_malformed_total", 0},
		{"registrar_options_total", 1},
		{"registrar_sip_requests_total", 7},
	};
	struct phone alice = alice_of(&bench.a, "c1");
	struct phone wrong = phone_of(&bench.a, "alice", "wrong", "c2");
	size_t before;

	receive(&bench.a, requests[0].text); /* OPTIONS */
	cr_assert_eq(phone_ask(&wrong, CONTACT_A CRLF), 403);
	cr_assert_eq(phone_ask(&alice, CONTACT_A ";expires=1\r\n"), 423);
	phone_write(&alice, CONTACT_A CRLF);
	before = bench.a.answers;
	receive(&bench.a, alice.text);
	receive(&bench.a, alice.text);
	cr_assert_eq(await(&bench.a, before), 200);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(
			counter(&bench.a, rows[i].name), rows[i].value,
			"%s: %llu", rows[i].name,
			(unsigned long long)counter(&bench.a, rows[i].name));
}
