#ifndef TRANSPORT_CERTIFICATE_H
#define TRANSPORT_CERTIFICATE_H

/* Certificates and keys, PEM (OpenSSL stands behind it). */

#include "proto/error.h"
#include "proto/slice.h"

/* Whether crt is a certificate and, behind it, its chain, and key the private
 * key of that certificate, not encrypted. ERR_VALIDATE names "crt" or "key".
 * Does not look at dates and issuers: those count when the certificate is
 * used, and change while it is. */
enum err_code certificate_check(struct slice crt, struct slice key,
				struct err *err);

#endif
