#include "services/registrar/sip/tls.h"

#include "certificates.h"
#include "proto/buffer.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/acceptor.h"
#include "services/registrar/sip/stream.h"
#include "sip_peer.h"
#include "turn.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
/* Of ASan's public interface, whose header gcc does not bring along. */
size_t __sanitizer_get_current_allocated_bytes(void);

static size_t heap_bytes(void)
{
	return __sanitizer_get_current_allocated_bytes();
}
#else
#include <malloc.h>
static size_t heap_bytes(void)
{
	return mallinfo2().uordblks;
}
#endif

/* Two authorities and what they signed. */
struct papers {
	struct certificate *ours, *strange; /* authorities */
	struct certificate *good, *expired, *early, *nameless, *unknown;
	char *ca_file;				 /* ours */
	struct sip_tls_authorities *authorities; /* with ours */
};

static struct certificate *signed_by(struct certificate *issuer,
				     const char *name, const char *alternative,
				     long from_s, long until_s)
{
	const struct certificate_options options = {
		.name = name,
		.alternative = alternative,
		.issuer = issuer,
		.from_s = from_s,
		.until_s = until_s,
	};

	return certificate_new(&options);
}

static void papers_make(struct papers *papers)
{
	const struct certificate_options ours = {.name = "Our authority",
						 .authority = 1};
	const struct certificate_options strange = {.name = "Strange authority",
						    .authority = 1};
	static const char names[] = "DNS:localhost,IP:127.0.0.1";

	signal(SIGPIPE, SIG_IGN);
	cr_assert(secrets_init());
	papers->ours = certificate_new(&ours);
	papers->strange = certificate_new(&strange);
	papers->good = signed_by(papers->ours, "good", names, 0, 7200);
	papers->expired =
		signed_by(papers->ours, "expired", names, -7200, -3600);
	papers->early = signed_by(papers->ours, "early", names, 3600, 7200);
	papers->nameless =
		signed_by(papers->ours, "nameless", "DNS:other.example", 0, 0);
	papers->unknown = signed_by(papers->strange, "unknown", names, 0, 0);
	papers->ca_file = certificate_file(papers->ours);
	papers->authorities = sip_tls_authorities_new(papers->ca_file);
}

static void papers_free(struct papers *papers)
{
	certificate_free(papers->ours);
	certificate_free(papers->strange);
	certificate_free(papers->good);
	certificate_free(papers->expired);
	certificate_free(papers->early);
	certificate_free(papers->nameless);
	certificate_free(papers->unknown);
	sip_tls_authorities_free(papers->authorities);
	unlink(papers->ca_file);
	free(papers->ca_file);
}

static struct sip_tls_context *server_context(const struct papers *papers,
					      const struct certificate *c,
					      enum sip_tls_verify verify)
{
	const struct sip_tls_server_options options = {
		.certificate = certificate_pem(c),
		.key = certificate_key(c),
		.verify = verify,
		.authorities = papers->authorities,
	};
	struct sip_tls_context *context = NULL;
	struct err err = {0};

	cr_assert_eq(sip_tls_server_new(&options, &context, &err), ERR_OK, "%s",
		     err.text);
	return context;
}

/* --- Contexts --- */

Test(sip_tls, proves_a_pair_by_a_handshake)
{
	struct papers papers;
	struct err err = {0};

	papers_make(&papers);
	cr_expect_eq(sip_tls_prove(certificate_pem(papers.good),
				   certificate_key(papers.good), &err),
		     ERR_OK, "%s", err.text);

	struct buffer chain = {0};

	buffer_append_slice(&chain, certificate_pem(papers.good));
	buffer_append_slice(&chain, certificate_pem(papers.ours));
	cr_expect_eq(sip_tls_prove(buffer_slice(&chain),
				   certificate_key(papers.good), &err),
		     ERR_OK, "%s", err.text);
	buffer_fini(&chain);
	papers_free(&papers);
}

static void expect_refused(const char *name, struct slice certificate,
			   struct slice key, const char *why)
{
	struct err err = {0};

	cr_expect_eq(sip_tls_prove(certificate, key, &err), ERR_VALIDATE, "%s",
		     name);
	cr_expect(strstr(err.text, why), "%s: %s", name, err.text);
}

Test(sip_tls, refuses_a_bad_pair_with_the_reason)
{
	struct papers papers;
	struct buffer torn = {0};

	papers_make(&papers);

	struct slice good = certificate_pem(papers.good);
	struct slice key = certificate_key(papers.good);

	expect_refused("another's key", good, certificate_key(papers.unknown),
		       "key: it is not the certificate's");
	expect_refused("no certificate", slice_str(""), key, "certificate:");
	expect_refused("no key", good, slice_of(NULL, 0), "key:");
	expect_refused("swapped", key, good, "certificate:");
	expect_refused("torn key", good, slice_of(key.data, key.size / 2),
		       "key:");
	expect_refused("torn certificate", slice_of(good.data, good.size / 2),
		       key, "certificate:");
	buffer_append_slice(&torn, good);
	buffer_append(&torn, good.data, good.size / 2);
	expect_refused("torn chain", buffer_slice(&torn), key, "certificate:");
	buffer_fini(&torn);
	papers_free(&papers);
}

Test(sip_tls, tells_when_the_certificate_ends)
{
	struct papers papers;

	papers_make(&papers);

	struct sip_tls_context *context =
		server_context(&papers, papers.good, SIP_TLS_DISABLE);
	int64_t left_s = sip_tls_context_expires_s(context) - time(NULL);

	cr_expect(left_s > 7000 && left_s <= 7200, "%lld", (long long)left_s);
	sip_tls_context_free(context);
	papers_free(&papers);
}

/* --- Connections --- */

struct world {
	struct loop *loop;
	struct sip_streams *streams;
	struct sip_acceptor *acceptor;
	struct sip_endpoint local;
	unsigned messages; /* at the accepting side; each is sent back */
	unsigned answers;  /* at the connecting side */
	unsigned ends;
	struct sip_flow ended;
	enum sip_stream_stage stage;
	struct err reason;
};

static void on_message(void *arg, const struct sip_flow *flow,
		       struct slice message)
{
	struct world *world = arg;

	cr_expect_eq(flow->transport, SIP_TRANSPORT_TLS);
	if (!sip_endpoint_eq(&flow->local, &world->local)) {
		world->answers++;
		return;
	}
	world->messages++;
	sip_streams_send(world->streams, flow, message);
}

static void on_close(void *arg, const struct sip_flow *flow,
		     enum sip_stream_stage stage, const struct err *reason)
{
	struct world *world = arg;

	world->ends++;
	world->ended = *flow;
	world->stage = stage;
	world->reason = *reason;
}

static const struct sip_stream_events events = {on_message, on_close, NULL};

static void world_open(struct world *world,
		       const struct sip_stream_limits *limits,
		       struct sip_tls_context *context)
{
	struct sip_endpoint local = peer_loopback(AF_INET);

	*world = (struct world){.loop = loop_new()};
	world->streams = sip_streams_new(world->loop, limits, &events, world);
	cr_assert_eq(sip_acceptor_new(world->streams, &local, context,
				      &world->acceptor, NULL),
		     ERR_OK);
	world->local = *sip_acceptor_local(world->acceptor);
}

static void world_close(struct world *world)
{
	sip_acceptor_free(world->acceptor);
	sip_streams_free(world->streams);
	loop_free(world->loop);
}

static const struct sip_stream_limits defaults;

static const struct slice hello = SLICE("A b SIP/2.0\r\nl:0\r\n\r\n");

enum paper { GOOD, EXPIRED, EARLY, NAMELESS, UNKNOWN };

static const struct certificate *paper_of(const struct papers *papers,
					  enum paper paper)
{
	const struct certificate *const all[] = {
		[GOOD] = papers->good,	     [EXPIRED] = papers->expired,
		[EARLY] = papers->early,     [NAMELESS] = papers->nameless,
		[UNKNOWN] = papers->unknown,
	};

	return all[paper];
}

struct verification {
	const char *name;
	enum paper server;
	const char *expected; /* whom the client wants to reach */
	const char *reason;   /* NULL: connected */
};

static const struct verification verifications[] = {
	{"by name", GOOD, "localhost", NULL},
	{"by name in capitals", GOOD, "LOCALHOST", NULL},
	{"by address", GOOD, "127.0.0.1", NULL},
	{"another name", GOOD, "example.com", "not for example.com"},
	{"another address", GOOD, "127.0.0.2", "not for 127.0.0.2"},
	{"an IPv6 address", GOOD, "[::1]", "not for [::1]"},
	{"a certificate for others", NAMELESS, "localhost",
	 "not for localhost"},
	{"expired", EXPIRED, "localhost", "has expired"},
	{"not yet", EARLY, "localhost", "not valid yet"},
	{"unknown authority", UNKNOWN, "localhost", "unknown authority"},
};

static void check_verification(const struct papers *papers,
			       struct sip_tls_context *client,
			       const struct verification *v)
{
	struct world world;
	struct sip_flow flow;
	struct sip_tls_context *server = server_context(
		papers, paper_of(papers, v->server), SIP_TLS_DISABLE);

	world_open(&world, &defaults, server);

	const struct sip_stream_target target = {
		.remote = world.local,
		.context = client,
		.name = v->expected,
	};

	cr_assert_eq(sip_streams_connect(world.streams, &target, &flow, NULL),
		     ERR_OK);
	sip_streams_send(world.streams, &flow, hello);
	TURN_UNTIL(world.loop, world.answers == 1 || world.ends == 1);
	cr_expect_eq(world.answers, v->reason ? 0 : 1, "%s: %s", v->name,
		     world.reason.text);
	if (v->reason) {
		cr_expect_eq(world.stage, SIP_STAGE_TLS, "%s", v->name);
		cr_expect(strstr(world.reason.text, v->reason), "%s: %s",
			  v->name, world.reason.text);
	}
	world_close(&world);
	sip_tls_context_free(server);
}

Test(sip_tls, a_client_believes_the_right_server_only)
{
	struct papers papers;
	struct sip_tls_context *client = NULL;

	papers_make(&papers);
	cr_assert_eq(sip_tls_client_new(papers.authorities, &client, NULL),
		     ERR_OK);
	for (size_t i = 0; i < sizeof(verifications) / sizeof(verifications[0]);
	     i++)
		check_verification(&papers, client, &verifications[i]);
	sip_tls_context_free(client);
	papers_free(&papers);
}

Test(sip_tls, without_our_authority_nobody_is_known)
{
	struct papers papers;
	struct sip_tls_authorities *authorities = sip_tls_authorities_new(NULL);
	struct sip_tls_context *client = NULL;
	struct err err = {0};

	papers_make(&papers);
	cr_assert_eq(sip_tls_client_new(authorities, &client, NULL), ERR_OK);
	check_verification(&papers, client,
			   &(struct verification){"system's authorities", GOOD,
						  "localhost",
						  "unknown authority"});
	sip_tls_context_free(client);
	sip_tls_authorities_free(authorities);
	authorities = sip_tls_authorities_new("/nowhere/ca.pem");
	cr_expect_eq(sip_tls_client_new(authorities, &client, &err),
		     ERR_VALIDATE);
	cr_expect(strstr(err.text, "/nowhere/ca.pem"), "%s", err.text);
	sip_tls_authorities_free(authorities);
	papers_free(&papers);
}

/* Puts an authority in the place of another, in a file of one size. */
static void authority_write(const char *path, const struct certificate *c)
{
	const struct slice pem = certificate_pem(c);
	char bytes[4096];
	FILE *file = fopen(path, "r+");

	cr_assert(file && pem.size < sizeof(bytes));
	memset(bytes, '\n', sizeof(bytes));
	memcpy(bytes, pem.data, pem.size);
	cr_assert_eq(fwrite(bytes, sizeof(bytes), 1, file), 1);
	cr_assert_eq(fclose(file), 0);
}

/* Whether a client that is made now believes a certificate of the authority. */
static void check_believed(const struct papers *papers, enum paper server,
			   const char *reason)
{
	struct sip_tls_context *client = NULL;

	cr_assert_eq(sip_tls_client_new(papers->authorities, &client, NULL),
		     ERR_OK);
	check_verification(papers, client,
			   &(struct verification){"authorities now", server,
						  "localhost", reason});
	sip_tls_context_free(client);
}

Test(sip_tls, authorities_are_read_again_when_their_file_is_another)
{
	static const char unknown[] = "unknown authority";
	struct papers papers;
	struct stat info;

	papers_make(&papers);
	authority_write(papers.ca_file, papers.ours);
	check_believed(&papers, GOOD, NULL);
	cr_assert_eq(stat(papers.ca_file, &info), 0);

	const struct timespec same[2] = {info.st_mtim, info.st_mtim};
	const struct timespec later[2] = {info.st_mtim,
					  {.tv_sec = info.st_mtim.tv_sec + 1}};

	authority_write(papers.ca_file, papers.strange);
	/* As far as can be seen it is the one that was read. */
	cr_assert_eq(utimensat(AT_FDCWD, papers.ca_file, same, 0), 0);
	check_believed(&papers, GOOD, NULL);
	check_believed(&papers, UNKNOWN, unknown);
	cr_assert_eq(utimensat(AT_FDCWD, papers.ca_file, later, 0), 0);
	check_believed(&papers, GOOD, unknown);
	check_believed(&papers, UNKNOWN, NULL);
	papers_free(&papers);
}

Test(sip_tls, connections_are_reused_for_the_same_name_only)
{
	struct papers papers;
	struct world world;
	struct sip_tls_context *client = NULL;
	struct sip_flow flow, again;

	papers_make(&papers);
	cr_assert_eq(sip_tls_client_new(papers.authorities, &client, NULL),
		     ERR_OK);

	struct sip_tls_context *server =
		server_context(&papers, papers.good, SIP_TLS_DISABLE);

	world_open(&world, &defaults, server);

	struct sip_stream_target target = {
		.remote = world.local, .context = client, .name = "localhost"};

	cr_assert_eq(sip_streams_connect(world.streams, &target, &flow, NULL),
		     ERR_OK);
	cr_expect(sip_streams_find(world.streams, &target, &again));
	target.name = "example.com";
	cr_expect(!sip_streams_find(world.streams, &target, &again));
	target.context = NULL;
	cr_expect(!sip_streams_find(world.streams, &target, &again));
	target.context = client;
	target.name = "";
	cr_expect_eq(sip_streams_connect(world.streams, &target, &flow, NULL),
		     ERR_VALIDATE);
	world_close(&world);
	sip_tls_context_free(server);
	sip_tls_context_free(client);
	papers_free(&papers);
}

/* --- A plain OpenSSL client, for what ours never does --- */

struct caller {
	SSL_CTX *context;
	SSL *ssl;
	int fd;
};

static void caller_open(struct caller *caller, const struct world *world,
			const struct certificate *own)
{
	caller->context = SSL_CTX_new(TLS_client_method());
	if (own) {
		struct slice pem = certificate_pem(own);
		struct slice key = certificate_key(own);
		BIO *pem_bio = BIO_new_mem_buf(pem.data, (int)pem.size);
		BIO *key_bio = BIO_new_mem_buf(key.data, (int)key.size);
		X509 *x509 = PEM_read_bio_X509(pem_bio, NULL, NULL, NULL);
		EVP_PKEY *pkey =
			PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);

		cr_assert_eq(SSL_CTX_use_cert_and_key(caller->context, x509,
						      pkey, NULL, 1),
			     1);
		X509_free(x509);
		EVP_PKEY_free(pkey);
		BIO_free(pem_bio);
		BIO_free(key_bio);
	}
	caller->ssl = SSL_new(caller->context);
	caller->fd = peer_connect(&world->local);
	SSL_set_fd(caller->ssl, caller->fd);
	SSL_set_connect_state(caller->ssl);
}

static void caller_close(struct caller *caller)
{
	SSL_free(caller->ssl);
	SSL_CTX_free(caller->context);
	close(caller->fd);
	ERR_clear_error();
}

static bool again(struct caller *caller, int result)
{
	int error = SSL_get_error(caller->ssl, result);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Whether hello comes back. */
static bool caller_served(struct caller *caller, struct world *world)
{
	uint64_t end_ms = loop_now_ms(world->loop) + TURN_DEADLINE_MS;
	char got[64];
	int result;

	ERR_clear_error();
	while ((result = SSL_write(caller->ssl, hello.data, (int)hello.size)) <=
	       0) {
		if (!again(caller, result) || loop_now_ms(world->loop) > end_ms)
			return false;
		loop_turn(world->loop, 1);
	}
	while ((result = SSL_read(caller->ssl, got, sizeof(got))) <= 0) {
		if (!again(caller, result) || loop_now_ms(world->loop) > end_ms)
			return false;
		loop_turn(world->loop, 1);
	}
	return slice_eq(slice_of(got, (size_t)result), hello);
}

struct mode {
	const char *name;
	enum sip_tls_verify verify;
	int own; /* enum paper; -1: none */
	bool served;
};

static const struct mode modes[] = {
	{"disabled, none", SIP_TLS_DISABLE, -1, true},
	{"disabled, a bad one", SIP_TLS_DISABLE, UNKNOWN, true},
	{"optional, none", SIP_TLS_OPTIONAL, -1, true},
	{"optional, a good one", SIP_TLS_OPTIONAL, GOOD, true},
	{"optional, a bad one", SIP_TLS_OPTIONAL, UNKNOWN, false},
	{"mandatory, none", SIP_TLS_MANDATORY, -1, false},
	{"mandatory, a good one", SIP_TLS_MANDATORY, GOOD, true},
	{"mandatory, a bad one", SIP_TLS_MANDATORY, UNKNOWN, false},
	{"mandatory, an expired one", SIP_TLS_MANDATORY, EXPIRED, false},
};

Test(sip_tls, a_server_asks_for_certificates_as_told)
{
	struct papers papers;

	papers_make(&papers);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		const struct mode *mode = &modes[i];
		struct world world;
		struct caller caller;
		struct sip_tls_context *server =
			server_context(&papers, papers.good, mode->verify);

		world_open(&world, &defaults, server);
		caller_open(&caller, &world,
			    mode->own < 0
				    ? NULL
				    : paper_of(&papers, (enum paper)mode->own));
		cr_expect_eq(caller_served(&caller, &world), mode->served, "%s",
			     mode->name);
		cr_expect_eq(world.messages, mode->served ? 1 : 0, "%s",
			     mode->name);
		cr_expect_eq(sip_acceptor_stats(world.acceptor)->errors,
			     mode->served ? 0 : 1, "%s", mode->name);
		caller_close(&caller);
		world_close(&world);
		sip_tls_context_free(server);
	}
	papers_free(&papers);
}

struct dialect {
	const char *name;
	int version;	     /* 0: any */
	const char *ciphers; /* TLS 1.2; NULL: OpenSSL's own */
	bool served;
};

static const struct dialect dialects[] = {
	{"TLS 1.3", TLS1_3_VERSION, NULL, true},
	{"TLS 1.2", TLS1_2_VERSION, NULL, true},
	{"TLS 1.2, AES-GCM", TLS1_2_VERSION, "ECDHE+AESGCM", true},
	{"TLS 1.2, ChaCha20", TLS1_2_VERSION, "ECDHE+CHACHA20", true},
	{"TLS 1.2, CBC", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", false},
	{"TLS 1.2, CCM", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM", false},
	{"TLS 1.1", TLS1_1_VERSION, "ALL:@SECLEVEL=0", false},
	{"TLS 1.0", TLS1_VERSION, "ALL:@SECLEVEL=0", false},
};

Test(sip_tls, speaks_new_tls_with_good_ciphers_only)
{
	struct papers papers;
	struct world world;

	papers_make(&papers);

	struct sip_tls_context *server =
		server_context(&papers, papers.good, SIP_TLS_DISABLE);

	world_open(&world, &defaults, server);
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
		const struct dialect *d = &dialects[i];
		struct caller caller;

		caller_open(&caller, &world, NULL);
		SSL_set_min_proto_version(caller.ssl, d->version);
		SSL_set_max_proto_version(caller.ssl, d->version);
		if (d->ciphers)
			cr_assert_eq(
				SSL_set_cipher_list(caller.ssl, d->ciphers), 1);
		cr_expect_eq(caller_served(&caller, &world), d->served, "%s",
			     d->name);
		caller_close(&caller);
	}
	world_close(&world);
	sip_tls_context_free(server);
	papers_free(&papers);
}

/* --- What is no TLS --- */

Test(sip_tls, a_peer_without_tls_is_told_of)
{
	struct papers papers;
	struct world world;
	struct sip_acceptor *plain = NULL;
	struct sip_endpoint local = peer_loopback(AF_INET);
	const struct sip_stream_limits limits = {.handshake_ms = 50};
	struct sip_tls_context *client = NULL;
	struct sip_flow flow;

	papers_make(&papers);
	cr_assert_eq(sip_tls_client_new(papers.authorities, &client, NULL),
		     ERR_OK);

	struct sip_tls_context *server =
		server_context(&papers, papers.good, SIP_TLS_DISABLE);

	world_open(&world, &limits, server);

	/* A phone that speaks TCP to the TLS port. */
	int fd = peer_connect(&world.local);

	peer_send(world.loop, fd, hello);
	cr_expect(peer_ended(world.loop, fd));
	cr_expect_eq(world.messages, 0);
	close(fd);

	/* One that says nothing. */
	fd = peer_connect(&world.local);
	cr_expect(peer_ended(world.loop, fd));
	cr_expect_eq(sip_acceptor_stats(world.acceptor)->errors, 2);
	close(fd);

	/* A carrier that does not answer our handshake. */
	cr_assert_eq(
		sip_acceptor_new(world.streams, &local, NULL, &plain, NULL),
		ERR_OK);

	const struct sip_stream_target target = {
		.remote = *sip_acceptor_local(plain),
		.context = client,
		.name = "localhost",
	};

	cr_assert_eq(sip_streams_connect(world.streams, &target, &flow, NULL),
		     ERR_OK);
	TURN_UNTIL(world.loop, world.ends == 1);
	cr_expect_eq(world.stage, SIP_STAGE_TLS);
	cr_expect_eq(world.reason.code, ERR_DEADLINE);
	sip_acceptor_free(plain);
	world_close(&world);
	sip_tls_context_free(server);
	sip_tls_context_free(client);
	papers_free(&papers);
}

/* --- Large and slow --- */

Test(sip_tls, large_messages_come_through_whole)
{
	enum { BODY = 60000, COUNT = 40 };
	struct papers papers;
	struct world world;
	struct sip_tls_context *client = NULL;
	struct sip_flow flow;
	struct buffer message = {0};

	papers_make(&papers);
	cr_assert_eq(sip_tls_client_new(papers.authorities, &client, NULL),
		     ERR_OK);

	struct sip_tls_context *server =
		server_context(&papers, papers.good, SIP_TLS_DISABLE);

	world_open(&world, &defaults, server);

	const struct sip_stream_target target = {
		.remote = world.local, .context = client, .name = "localhost"};

	peer_message(&message, 1, BODY);
	cr_assert_eq(sip_streams_connect(world.streams, &target, &flow, NULL),
		     ERR_OK);
	for (unsigned sent = 0; sent < COUNT;) {
		if (sip_streams_send(world.streams, &flow,
				     buffer_slice(&message)) == ERR_OK)
			sent++;
		loop_turn(world.loop, 1);
	}
	TURN_UNTIL(world.loop, world.answers == COUNT);
	cr_expect_eq(world.ends, 0);
	buffer_fini(&message);
	world_close(&world);
	sip_tls_context_free(server);
	sip_tls_context_free(client);
	papers_free(&papers);
}

/* --- Other certificates while connections live --- */

/* The common name a new connection is shown. */
static void shown_name(struct world *world, char *name, int size)
{
	struct caller caller;

	caller_open(&caller, world, NULL);
	cr_assert(caller_served(&caller, world));

	X509 *x509 = SSL_get1_peer_certificate(caller.ssl);

	cr_assert(x509);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName,
				  name, size);
	X509_free(x509);
	caller_close(&caller);
}

Test(sip_tls, a_thousand_certificates_while_connections_live)
{
	enum { SWAPS = 1000, WARM = 100, CALLERS = 10, SLACK_BYTES = 65536 };
	struct papers papers;
	struct world world;
	struct caller callers[CALLERS];
	size_t warm_bytes = 0;
	char name[64];

	papers_make(&papers);

	struct sip_tls_context *context =
		server_context(&papers, papers.good, SIP_TLS_DISABLE);

	world_open(&world, &defaults, context);
	sip_tls_context_free(context);
	for (size_t i = 0; i < CALLERS; i++) {
		caller_open(&callers[i], &world, NULL);
		cr_assert(caller_served(&callers[i], &world));
	}
	shown_name(&world, name, sizeof(name));
	cr_expect_str_eq(name, "good");
	for (unsigned i = 0; i < SWAPS; i++) {
		context = server_context(&papers,
					 i % 2 ? papers.good : papers.nameless,
					 SIP_TLS_DISABLE);
		sip_acceptor_tls_set(world.acceptor, context);
		sip_tls_context_free(context);
		if (i % 50 == 0) {
			shown_name(&world, name, sizeof(name));
			cr_assert_str_eq(name, "nameless");
			cr_assert(caller_served(&callers[i / 50 % CALLERS],
						&world));
		}
		if (i == WARM)
			warm_bytes = heap_bytes();
	}
	loop_turn(world.loop, 1);
	cr_expect_leq(heap_bytes(), warm_bytes + SLACK_BYTES);
	for (size_t i = 0; i < CALLERS; i++) {
		cr_expect(caller_served(&callers[i], &world), "lost");
		caller_close(&callers[i]);
	}
	world_close(&world);
	papers_free(&papers);
}
