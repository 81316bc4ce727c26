#ifndef UNIT_CERTIFICATES_H
#define UNIT_CERTIFICATES_H

/* Certificates made for a test. */

#include "proto/slice.h"

struct certificate;

struct certificate_options {
	const char *name;	 /* common name */
	const char *alternative; /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
	const struct certificate *issuer; /* NULL: signed by itself */
	int authority;			  /* may sign others */
	long from_s;			  /* from now; 0: an hour ago */
	long until_s;			  /* from now; 0: in an hour */
};

/* An ECDSA P-256 key and its certificate; the test fails where OpenSSL does. */
struct certificate *certificate_new(const struct certificate_options *options);
void certificate_free(struct certificate *certificate);

struct slice certificate_pem(const struct certificate *certificate);
struct slice certificate_key(const struct certificate *certificate);

/* Writes the certificate into a new file; the path is the caller's to unlink
 * and free. */
char *certificate_file(const struct certificate *certificate);

#endif
