#ifndef REGISTRAR_SIP_ACCEPTOR_H
#define REGISTRAR_SIP_ACCEPTOR_H

/* A socket that listens for TCP or TLS connections; stream.h has those it
 * accepts. */

#include "services/registrar/sip/stream.h"

struct sip_acceptor;

/* Binds and listens; TLS with a server's context (shared), TCP with NULL.
 * Errors as of sip_socket_bind(). */
enum err_code sip_acceptor_new(struct sip_streams *streams,
			       const struct sip_endpoint *local,
			       struct sip_tls_context *context,
			       struct sip_acceptor **out, struct err *err);

/* Ends its connections too: a listener that was taken away serves nobody. */
void sip_acceptor_free(struct sip_acceptor *acceptor);

/* New connections get this context; those there are live on with theirs. */
void sip_acceptor_tls_set(struct sip_acceptor *acceptor,
			  struct sip_tls_context *context);

/* As bound, with the real port. */
const struct sip_endpoint *
sip_acceptor_local(const struct sip_acceptor *acceptor);
const struct sip_stream_stats *
sip_acceptor_stats(const struct sip_acceptor *acceptor);

#endif
