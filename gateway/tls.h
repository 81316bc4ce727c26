#ifndef GATEWAY_TLS_H
#define GATEWAY_TLS_H

/* The TLS side of the HTTP server: certificate, key and what is allowed. */

#include "proto/error.h"

#include <openssl/ssl.h>

/* TLS 1.2 and 1.3, no renegotiation, no compression. ERR_VALIDATE: the text
 * names the file that cannot be used and why. Blocks on the files. SSL_CTX_free
 * gives it back. */
enum err_code tls_server_new(const char *certificate, const char *key,
			     SSL_CTX **out, struct err *err);

#endif
