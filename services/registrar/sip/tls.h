#ifndef REGISTRAR_SIP_TLS_H
#define REGISTRAR_SIP_TLS_H

/*
 * TLS 1.2 and 1.3 over a non-blocking socket, AES-GCM and ChaCha20 only
 * (OpenSSL stands behind it). A context is a certificate with its rules, or
 * the rules of a client; a session is one connection's. The process ignores
 * SIGPIPE.
 */

#include "proto/error.h"
#include "proto/slice.h"

#include <stddef.h>
#include <stdint.h>

struct sip_tls_authorities;
struct sip_tls_context;
struct sip_tls;

/* --- Authorities --- */

/* Who has to have signed the certificates of peers: the system's authorities
 * and those of ca_file (PEM; NULL: none). They are read for the first context
 * that is made with them and again for one made after a file has become
 * another: contexts share them, for parsing those of a system takes 25 ms. */
struct sip_tls_authorities *sip_tls_authorities_new(const char *ca_file);

/* Contexts keep what they were made with. */
void sip_tls_authorities_free(struct sip_tls_authorities *authorities);

/* --- Contexts --- */

/* What a server wants of its clients' certificates. */
enum sip_tls_verify {
	SIP_TLS_DISABLE,   /* does not ask for one */
	SIP_TLS_OPTIONAL,  /* asks; the one that comes has to be good */
	SIP_TLS_MANDATORY, /* without a good one there is no connection */
};

struct sip_tls_server_options {
	struct slice certificate; /* PEM, and its chain behind it */
	struct slice key;	  /* PEM, not encrypted */
	enum sip_tls_verify verify;
	/* Of the clients' certificates; NULL with SIP_TLS_DISABLE alone. */
	struct sip_tls_authorities *authorities;
};

/* ERR_VALIDATE: the text names certificate, key or authorities, and what is
 * wrong. Blocks on the files. */
enum err_code sip_tls_server_new(const struct sip_tls_server_options *options,
				 struct sip_tls_context **out, struct err *err);

/* Verifies servers. ERR_VALIDATE: the text names the authorities, likewise. */
enum err_code sip_tls_client_new(struct sip_tls_authorities *authorities,
				 struct sip_tls_context **out, struct err *err);

/* One more owner, to be freed like the first: listeners share a context. Each
 * session keeps what it needs by itself. */
struct sip_tls_context *sip_tls_context_share(struct sip_tls_context *context);
void sip_tls_context_free(struct sip_tls_context *context);

/* When the server's own certificate ends, unix time; 0: a client's context. */
int64_t sip_tls_context_expires_s(const struct sip_tls_context *context);

/* Makes a whole handshake in memory with this certificate and key, before they
 * replace ones that work. ERR_VALIDATE with the reason. An expired certificate
 * passes: whether to use it is its owner's decision. Takes a millisecond or
 * two. */
enum err_code sip_tls_prove(struct slice certificate, struct slice key,
			    struct err *err);

/* --- Sessions --- */

enum sip_tls_io {
	SIP_TLS_DONE,
	SIP_TLS_WANT_READ,  /* again when the socket is readable */
	SIP_TLS_WANT_WRITE, /* again when it is writable */
	SIP_TLS_CLOSED,	    /* the peer ended it */
	SIP_TLS_FAILED,	    /* err says why; the connection has to go */
};

/* A session over fd, which stays the caller's: the server's side with a
 * server's context, else the client's. name: whom a client wants to reach, a
 * DNS name (also sent as SNI) or an address; its certificate has to be for it.
 * ERR_VALIDATE: that is no name. */
enum err_code sip_tls_new(struct sip_tls_context *context, int fd,
			  const char *name, struct sip_tls **out,
			  struct err *err);

/* Says goodbye where the socket takes it at once. */
void sip_tls_free(struct sip_tls *tls);

/* Until SIP_TLS_DONE. A failure is told in words: not for this name, expired,
 * unknown authority, no certificate, no TLS. */
enum sip_tls_io sip_tls_handshake(struct sip_tls *tls, struct err *err);

/* SIP_TLS_DONE: *size bytes were moved, at least one. With 16 KiB and more of
 * room sip_tls_read() leaves nothing behind that the socket would not tell of.
 * What was not written may be passed from another address the next time. */
enum sip_tls_io sip_tls_read(struct sip_tls *tls, void *data, size_t room,
			     size_t *size, struct err *err);
enum sip_tls_io sip_tls_write(struct sip_tls *tls, struct slice bytes,
			      size_t *size, struct err *err);

#endif
