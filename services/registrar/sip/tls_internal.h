#ifndef REGISTRAR_SIP_TLS_INTERNAL_H
#define REGISTRAR_SIP_TLS_INTERNAL_H

/* What the parts of tls.h share. */

#include "services/registrar/sip/tls.h"

#include <openssl/x509_vfy.h>

/* The text of err names `what`, and what OpenSSL says is wrong with it. Returns
 * ERR_VALIDATE. */
enum err_code sip_tls_refuse(struct err *err, const char *what);

/* The authorities as their files are now, lent until the next call: who keeps
 * the store takes a reference of its own. */
enum err_code sip_tls_authorities_read(struct sip_tls_authorities *authorities,
				       X509_STORE **out, struct err *err);

#endif
