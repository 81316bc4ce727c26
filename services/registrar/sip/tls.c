#include "services/registrar/sip/tls_internal.h"

#include "proto/mem.h"
#include "services/registrar/sip/endpoint.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* AES-GCM and ChaCha20 with forward secrecy; TLS 1.3 has nothing else. */
static const char tls12_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* Sessions are resumed by a server's own tickets under this name. */
static const unsigned char session_id[] = "sip";

enum {
	/* Steps of a handshake in memory: three flights and some room. */
	PROVE_STEPS = 16,
};

struct sip_tls_context {
	SSL_CTX *ssl;
	bool server;
	int64_t expires_s;
	unsigned owners;
};

struct sip_tls {
	SSL *ssl;
	bool server;
	bool broken; /* OpenSSL forbids a goodbye after a fatal error */
	char *name;  /* the peer's; NULL at the server's side */
};

/* --- Reasons --- */

/* What OpenSSL says: the first error of its queue has the cause. */
static const char *openssl_reason(void)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_SYSTEM_ERROR(error)
				     ? strerror(ERR_GET_REASON(error))
				     : ERR_reason_error_string(error);

	return reason ? reason : "cannot be used";
}

enum err_code sip_tls_refuse(struct err *err, const char *what)
{
	enum err_code code =
		err_set(err, ERR_VALIDATE, "%s: %s", what, openssl_reason());

	ERR_clear_error();
	return code;
}

/* The names a certificate is for, as many as are told. */
enum { NAMES_BYTES = 80 };

/* Appends what fits whole. Of a certificate nobody vouches for: text that could
 * be no host name is left out. */
static void name_append(char out[NAMES_BYTES], const ASN1_STRING *name)
{
	const char *text = (const char *)ASN1_STRING_get0_data(name);
	const size_t size = (size_t)ASN1_STRING_length(name);
	const size_t used = strlen(out);
	const char *before = used == 0 ? " but for " : ", ";

	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)text[i]) &&
		    !memchr("-._*", text[i], 4))
			return;
	if (size > 0 && used + strlen(before) + size < NAMES_BYTES)
		snprintf(out + used, NAMES_BYTES - used, "%s%.*s", before,
			 (int)size, text);
}

/* " but for a.example, b.example" of the peer's certificate; nothing where it
 * has no DNS names. */
static void names_print(const struct sip_tls *tls, char out[NAMES_BYTES])
{
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
	GENERAL_NAMES *names = NULL;

	out[0] = '\0';
	if (chain && sk_X509_num(chain) > 0)
		names = X509_get_ext_d2i(sk_X509_value(chain, 0),
					 NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			name_append(out, name->d.dNSName);
	}
	GENERAL_NAMES_free(names);
}

/* Why the peer's certificate was not taken. */
static void explain_verify(const struct sip_tls *tls, long result,
			   struct err *err)
{
	const char *whose = tls->server ? "client" : "server";
	const char *why = X509_verify_cert_error_string(result);
	char names[NAMES_BYTES];

	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		names_print(tls, names);
		err_set(err, ERR_UNAVAILABLE,
			"the server's certificate is not for %s%s", tls->name,
			names);
		return;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		err_set(err, ERR_UNAVAILABLE,
			"the %s's certificate has expired", whose);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		err_set(err, ERR_UNAVAILABLE,
			"the %s's certificate is not valid yet", whose);
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		err_set(err, ERR_UNAVAILABLE,
			"the %s's certificate is of an unknown authority: %s",
			whose, why);
		return;
	default:
		err_set(err, ERR_UNAVAILABLE,
			"the %s's certificate is refused: %s", whose, why);
	}
}

static void explain(const struct sip_tls *tls, struct err *err)
{
	long result = SSL_get_verify_result(tls->ssl);

	if (result != X509_V_OK &&
	    ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		explain_verify(tls, result, err);
	else
		err_set(err, ERR_UNAVAILABLE, "TLS: %s", openssl_reason());
}

/* What a call that did not get on has to be told as. */
static enum sip_tls_io io_of(struct sip_tls *tls, int result, int number,
			     struct err *err)
{
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return SIP_TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return SIP_TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return SIP_TLS_CLOSED;
	case SSL_ERROR_SYSCALL:
		tls->broken = true;
		if (number == 0)
			return SIP_TLS_CLOSED;
		err_set(err, ERR_LOST, "%s", strerror(number));
		return SIP_TLS_FAILED;
	default:
		tls->broken = true;
		explain(tls, err);
		ERR_clear_error();
		return SIP_TLS_FAILED;
	}
}

/* --- Contexts --- */

/* OpenSSL would ask at the terminal. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *bio_of(struct slice pem)
{
	/* An absent text reads as an empty one. */
	return pem.size <= INT_MAX ? BIO_new_mem_buf(pem.data ? pem.data : "",
						     (int)pem.size)
				   : NULL;
}

/* The certificates behind the first; false: one of them cannot be read. */
static bool read_chain(BIO *bio, STACK_OF(X509) * chain)
{
	X509 *next;

	while ((next = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
		if (sk_X509_push(chain, next) == 0) {
			X509_free(next);
			return false;
		}
	/* The end of the text is the one good reason to stop. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return false;
	ERR_clear_error();
	return true;
}

static int64_t expiry_of(const X509 *certificate)
{
	struct tm end;

	return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1
		       ? (int64_t)timegm(&end)
		       : 0;
}

static enum err_code use_pair(struct sip_tls_context *context, BIO *certificate,
			      BIO *key, struct err *err)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *leaf = PEM_read_bio_X509(certificate, NULL, no_password, NULL);
	EVP_PKEY *pkey = NULL;
	enum err_code code = ERR_OK;

	if (!leaf || !chain || !read_chain(certificate, chain))
		code = sip_tls_refuse(err, "certificate");
	if (code == ERR_OK &&
	    !(pkey = PEM_read_bio_PrivateKey(key, NULL, no_password, NULL)))
		code = sip_tls_refuse(err, "key");
	if (code == ERR_OK && X509_check_private_key(leaf, pkey) != 1)
		code = err_set(err, ERR_VALIDATE,
			       "key: it is not the certificate's");
	if (code == ERR_OK &&
	    SSL_CTX_use_cert_and_key(context->ssl, leaf, pkey, chain, 1) != 1)
		code = sip_tls_refuse(err, "certificate");
	if (code == ERR_OK)
		context->expires_s = expiry_of(leaf);
	X509_free(leaf);
	EVP_PKEY_free(pkey);
	sk_X509_pop_free(chain, X509_free);
	ERR_clear_error();
	return code;
}

static enum err_code load_pair(struct sip_tls_context *context,
			       const struct sip_tls_server_options *options,
			       struct err *err)
{
	BIO *certificate = bio_of(options->certificate);
	BIO *key = bio_of(options->key);
	enum err_code code =
		certificate && key
			? use_pair(context, certificate, key, err)
			: err_set(err, ERR_INTERNAL, "no memory for the key");

	BIO_free(certificate);
	BIO_free(key);
	return code;
}

static enum err_code believe(struct sip_tls_context *context,
			     struct sip_tls_authorities *authorities,
			     struct err *err)
{
	X509_STORE *store;
	const enum err_code code =
		sip_tls_authorities_read(authorities, &store, err);

	if (code == ERR_OK)
		SSL_CTX_set1_cert_store(context->ssl, store);
	return code;
}

static struct sip_tls_context *context_new(const SSL_METHOD *method)
{
	struct sip_tls_context *context = mem_alloc(sizeof(*context));

	ERR_clear_error();
	context->owners = 1;
	context->ssl = SSL_CTX_new(method);
	if (!context->ssl) {
		free(context);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(context->ssl, tls12_ciphers);
	/* A connection cut without goodbye is an end like another: messages
	 * have lengths, so a cut one cannot pass for a whole one. */
	SSL_CTX_set_options(context->ssl,
			    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				    SSL_OP_IGNORE_UNEXPECTED_EOF |
				    SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* RELEASE_BUFFERS: an idle connection takes 15 kB, not 48. */
	SSL_CTX_set_mode(context->ssl,
			 SSL_MODE_RELEASE_BUFFERS |
				 SSL_MODE_ENABLE_PARTIAL_WRITE |
				 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
	return context;
}

static enum err_code server_set(struct sip_tls_context *context,
				const struct sip_tls_server_options *options,
				struct err *err)
{
	static const int modes[] = {
		[SIP_TLS_DISABLE] = SSL_VERIFY_NONE,
		[SIP_TLS_OPTIONAL] = SSL_VERIFY_PEER,
		[SIP_TLS_MANDATORY] =
			SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};

	context->server = true;
	/* Phones reconnect with one ticket at a time. */
	SSL_CTX_set_num_tickets(context->ssl, 1);
	SSL_CTX_set_session_id_context(context->ssl, session_id,
				       sizeof(session_id));
	SSL_CTX_set_verify(context->ssl, modes[options->verify], NULL);

	enum err_code code = load_pair(context, options, err);

	if (code != ERR_OK || options->verify == SIP_TLS_DISABLE)
		return code;
	return believe(context, options->authorities, err);
}

enum err_code sip_tls_server_new(const struct sip_tls_server_options *options,
				 struct sip_tls_context **out, struct err *err)
{
	struct sip_tls_context *context = context_new(TLS_server_method());

	if (!context)
		return err_set(err, ERR_INTERNAL, "OpenSSL gives no context");

	enum err_code code = server_set(context, options, err);

	if (code != ERR_OK) {
		sip_tls_context_free(context);
		return code;
	}
	*out = context;
	return ERR_OK;
}

enum err_code sip_tls_client_new(struct sip_tls_authorities *authorities,
				 struct sip_tls_context **out, struct err *err)
{
	struct sip_tls_context *context = context_new(TLS_client_method());

	if (!context)
		return err_set(err, ERR_INTERNAL, "OpenSSL gives no context");
	SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);

	enum err_code code = believe(context, authorities, err);

	if (code != ERR_OK) {
		sip_tls_context_free(context);
		return code;
	}
	*out = context;
	return ERR_OK;
}

struct sip_tls_context *sip_tls_context_share(struct sip_tls_context *context)
{
	context->owners++;
	return context;
}

void sip_tls_context_free(struct sip_tls_context *context)
{
	if (!context || --context->owners > 0)
		return;
	SSL_CTX_free(context->ssl);
	free(context);
}

int64_t sip_tls_context_expires_s(const struct sip_tls_context *context)
{
	return context->expires_s;
}

/* --- The proof --- */

/* One side's turn; false: it failed. */
static bool prove_step(SSL *ssl)
{
	int result = SSL_do_handshake(ssl);

	return result == 1 || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
}

static enum err_code prove_pair(SSL *server, SSL *client, struct err *err)
{
	for (int i = 0; i < PROVE_STEPS; i++) {
		if (!prove_step(client) || !prove_step(server))
			return sip_tls_refuse(err, "handshake");
		if (SSL_is_init_finished(client) &&
		    SSL_is_init_finished(server))
			return ERR_OK;
	}
	return err_set(err, ERR_VALIDATE, "handshake: it does not end");
}

static enum err_code prove_with(SSL_CTX *server_context,
				SSL_CTX *client_context, struct err *err)
{
	SSL *server = SSL_new(server_context);
	SSL *client = SSL_new(client_context);
	BIO *server_end = NULL;
	BIO *client_end = NULL;
	enum err_code code = ERR_INTERNAL;

	if (server && client &&
	    BIO_new_bio_pair(&server_end, 0, &client_end, 0) == 1) {
		SSL_set_bio(server, server_end, server_end);
		SSL_set_bio(client, client_end, client_end);
		SSL_set_accept_state(server);
		SSL_set_connect_state(client);
		code = prove_pair(server, client, err);
	} else {
		err_set(err, code, "OpenSSL gives no session");
	}
	SSL_free(server);
	SSL_free(client);
	return code;
}

enum err_code sip_tls_prove(struct slice certificate, struct slice key,
			    struct err *err)
{
	const struct sip_tls_server_options options = {
		.certificate = certificate,
		.key = key,
	};
	struct sip_tls_context *server = NULL;
	enum err_code code = sip_tls_server_new(&options, &server, err);

	if (code != ERR_OK)
		return code;

	/* It believes anything: who believes the certificate is a question for
	 * the clients there will be. */
	struct sip_tls_context *client = context_new(TLS_client_method());

	code = client ? prove_with(server->ssl, client->ssl, err)
		      : err_set(err, ERR_INTERNAL, "OpenSSL gives no context");
	sip_tls_context_free(client);
	sip_tls_context_free(server);
	return code;
}

/* --- Sessions --- */

/* Whom the server's certificate has to be for (RFC 5922 7.3). */
static bool expect_name(SSL *ssl, const char *name)
{
	struct sip_endpoint address;

	if (sip_endpoint_parse(slice_str(name), 0, &address)) {
		char text[SIP_ENDPOINT_TEXT];

		/* No SNI: RFC 6066 section 3 allows names only. */
		return X509_VERIFY_PARAM_set1_ip_asc(
			       SSL_get0_param(ssl),
			       sip_endpoint_host_text(&address, text)) == 1;
	}
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return name[0] != '\0' && SSL_set1_host(ssl, name) == 1 &&
	       SSL_set_tlsext_host_name(ssl, name) == 1;
}

enum err_code sip_tls_new(struct sip_tls_context *context, int fd,
			  const char *name, struct sip_tls **out,
			  struct err *err)
{
	ERR_clear_error();

	SSL *ssl = SSL_new(context->ssl);

	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return err_set(err, ERR_INTERNAL, "OpenSSL gives no session");
	}
	if (!context->server && !expect_name(ssl, name)) {
		SSL_free(ssl);
		ERR_clear_error();
		return err_set(err, ERR_VALIDATE,
			       "\"%s\" is no name of a TLS server", name);
	}
	if (context->server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);

	struct sip_tls *tls = mem_alloc(sizeof(*tls));

	tls->ssl = ssl;
	tls->server = context->server;
	tls->name = context->server ? NULL : mem_strdup(name);
	*out = tls;
	return ERR_OK;
}

void sip_tls_free(struct sip_tls *tls)
{
	if (!tls)
		return;
	ERR_clear_error();
	if (!tls->broken && SSL_is_init_finished(tls->ssl))
		SSL_shutdown(tls->ssl);
	ERR_clear_error();
	SSL_free(tls->ssl);
	free(tls->name);
	free(tls);
}

enum sip_tls_io sip_tls_handshake(struct sip_tls *tls, struct err *err)
{
	ERR_clear_error();
	errno = 0;

	int result = SSL_do_handshake(tls->ssl);

	return result == 1 ? SIP_TLS_DONE : io_of(tls, result, errno, err);
}

enum sip_tls_io sip_tls_read(struct sip_tls *tls, void *data, size_t room,
			     size_t *size, struct err *err)
{
	ERR_clear_error();
	errno = 0;

	int result = SSL_read_ex(tls->ssl, data, room, size);

	return result == 1 ? SIP_TLS_DONE : io_of(tls, result, errno, err);
}

enum sip_tls_io sip_tls_write(struct sip_tls *tls, struct slice bytes,
			      size_t *size, struct err *err)
{
	assert(bytes.size > 0);
	ERR_clear_error();
	errno = 0;

	int result = SSL_write_ex(tls->ssl, bytes.data, bytes.size, size);

	return result == 1 ? SIP_TLS_DONE : io_of(tls, result, errno, err);
}
