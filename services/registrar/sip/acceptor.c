#include "services/registrar/sip/acceptor.h"

#include "proto/mem.h"
#include "services/registrar/sip/connection.h"
#include "services/registrar/sip/socket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BACKLOG = 1024,
	/* Each may be a TLS handshake soon, of 150 to 350 us. */
	ACCEPTS_PER_TURN = 16,
	/* Out of descriptors: let some end. */
	ACCEPT_PAUSE_MS = 100,
};

struct sip_acceptor {
	struct sip_streams *streams;
	struct loop_watch *watch;
	struct loop_timer *resume;
	struct sip_tls_context *context; /* NULL: TCP */
	struct sip_endpoint local;
	struct sip_connection *connections;
	struct sip_stream_stats stats;
	int fd;
};

static void refuse(struct sip_acceptor *acceptor, int fd)
{
	const struct linger now = {.l_onoff = 1};

	/* A reset: the refused must not fill our table of ended connections. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	acceptor->stats.refused++;
}

static enum sip_transport transport_of(const struct sip_acceptor *acceptor)
{
	return acceptor->context ? SIP_TRANSPORT_TLS : SIP_TRANSPORT_TCP;
}

/* Whether one more from there is allowed, and then counts it. */
static struct sip_source *admit(struct sip_acceptor *acceptor,
				const struct sip_endpoint *remote)
{
	struct sip_streams *streams = acceptor->streams;
	const struct sip_stream_events *events = streams->events;

	if (events->admit &&
	    !events->admit(streams->arg, remote, transport_of(acceptor)))
		return NULL;
	if (streams->accepted == streams->limits.connections)
		return NULL;
	return sip_source_take(streams, remote);
}

static void welcome(struct sip_acceptor *acceptor, int fd,
		    const struct sip_endpoint *remote)
{
	struct sip_streams *streams = acceptor->streams;
	struct sip_source *source = admit(acceptor, remote);
	struct sip_tls *tls = NULL;

	if (!source) {
		refuse(acceptor, fd);
		return;
	}
	if (acceptor->context &&
	    sip_tls_new(acceptor->context, fd, NULL, &tls, NULL) != ERR_OK) {
		sip_source_give(streams, source);
		refuse(acceptor, fd);
		return;
	}

	struct sip_connection *c =
		sip_connection_new(streams, fd, tls, remote,
				   &acceptor->connections, &acceptor->stats);

	c->source = source;
	streams->accepted++;
	sip_connection_start(c);
	sip_connection_settle(c);
}

static void on_resume(void *arg)
{
	struct sip_acceptor *acceptor = arg;

	loop_watch_set(acceptor->watch, LOOP_READABLE);
}

/* Returns false when there is no more for now. */
static bool accept_one(struct sip_acceptor *acceptor)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	int fd = accept4(acceptor->fd, (struct sockaddr *)&address, &size,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		struct sip_endpoint remote =
			sip_endpoint_of((const struct sockaddr *)&address);

		welcome(acceptor, fd, &remote);
		return true;
	}
	if (errno == EAGAIN)
		return false;
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
	    errno == ENOMEM) {
		/* The socket stays readable: without a pause this would spin.
		 */
		acceptor->stats.errors++;
		loop_watch_set(acceptor->watch, 0);
		loop_timer_start(acceptor->resume, ACCEPT_PAUSE_MS, 0);
		return false;
	}
	return true; /* that one connection was gone already */
}

static void on_acceptable(void *arg, unsigned events)
{
	struct sip_acceptor *acceptor = arg;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++)
		if (!accept_one(acceptor))
			return;
}

enum err_code sip_acceptor_new(struct sip_streams *streams,
			       const struct sip_endpoint *local,
			       struct sip_tls_context *context,
			       struct sip_acceptor **out, struct err *err)
{
	int fd;
	enum err_code code = sip_socket_bind(local, SOCK_STREAM, &fd, err);

	if (code != ERR_OK)
		return code;
	/* With SO_REUSEADDR two sockets can be bound; the second to listen
	 * fails. */
	if (listen(fd, BACKLOG) != 0) {
		code = sip_socket_fail(err, "listen on", local, errno);
		close(fd);
		return code;
	}

	struct sip_acceptor *acceptor = mem_alloc(sizeof(*acceptor));

	acceptor->streams = streams;
	acceptor->fd = fd;
	acceptor->local = sip_socket_local(fd);
	acceptor->context = context ? sip_tls_context_share(context) : NULL;
	acceptor->watch =
		loop_watch_new(streams->loop, fd, on_acceptable, acceptor);
	acceptor->resume = loop_timer_new(streams->loop, on_resume, acceptor);
	loop_watch_set(acceptor->watch, LOOP_READABLE);
	*out = acceptor;
	return ERR_OK;
}

void sip_acceptor_free(struct sip_acceptor *acceptor)
{
	if (!acceptor)
		return;
	loop_watch_free(acceptor->watch);
	loop_timer_free(acceptor->resume);
	close(acceptor->fd);
	while (acceptor->connections)
		sip_connection_lose(acceptor->connections,
				    "the listener was closed");
	sip_tls_context_free(acceptor->context);
	free(acceptor);
}

void sip_acceptor_tls_set(struct sip_acceptor *acceptor,
			  struct sip_tls_context *context)
{
	assert(acceptor->context && context);
	sip_tls_context_share(context);
	sip_tls_context_free(acceptor->context);
	acceptor->context = context;
}

const struct sip_endpoint *
sip_acceptor_local(const struct sip_acceptor *acceptor)
{
	return &acceptor->local;
}

const struct sip_stream_stats *
sip_acceptor_stats(const struct sip_acceptor *acceptor)
{
	return &acceptor->stats;
}
