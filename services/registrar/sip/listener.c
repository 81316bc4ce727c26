#include "services/registrar/sip/listener.h"

#include "proto/mem.h"
#include "services/common/log.h"
#include "services/registrar/sip/acceptor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One address to listen on. */
struct place {
	struct sip_endpoint wanted;
	bool implied; /* nobody asked for it: it may be missing */
	struct sip_udp *udp;
	struct sip_acceptor *acceptor; /* both NULL: not bound */
	enum err_code code;	       /* why not */
	char reason[ERR_TEXT_BYTES];
};

struct sip_listener {
	const struct sip_listener_host *host;
	struct loop_timer *retry; /* runs while a place is not bound */
	enum sip_transport transport;
	enum sip_listener_state state;
	struct sip_tls_context *context;
	struct place places[SIP_LISTENER_ADDRESSES_MAX];
	size_t count;
	char told[ERR_TEXT_BYTES];	 /* the reason that was logged last */
	struct sip_listener_detail past; /* counters of closed sockets */
};

/* --- Places --- */

static bool is_bound(const struct place *place)
{
	return place->udp || place->acceptor;
}

/* A wildcard nobody asked for, on a machine without that family. */
static bool is_pointless(const struct place *place)
{
	return place->implied && place->code == ERR_NOT_FOUND;
}

static void count_udp(struct sip_listener_detail *detail,
		      const struct sip_udp_stats *stats)
{
	detail->packets_in += stats->packets_in;
	detail->packets_out += stats->packets_out;
	detail->dropped += stats->dropped;
	detail->lost += stats->lost;
	detail->errors += stats->errors;
}

static void count_acceptor(struct sip_listener_detail *detail,
			   const struct sip_stream_stats *stats)
{
	detail->packets_in += stats->packets_in;
	detail->packets_out += stats->packets_out;
	detail->dropped += stats->dropped;
	detail->refused += stats->refused;
	detail->errors += stats->errors;
	detail->connections += stats->connections;
}

static void count_place(struct sip_listener_detail *detail,
			const struct place *place)
{
	if (place->udp)
		count_udp(detail, sip_udp_stats(place->udp));
	if (place->acceptor)
		count_acceptor(detail, sip_acceptor_stats(place->acceptor));
}

static void place_open(struct sip_listener *listener, struct place *place)
{
	const struct sip_listener_host *host = listener->host;
	struct err err = {0};

	if (listener->transport == SIP_TRANSPORT_UDP)
		sip_udp_new(host->loop, &place->wanted, host->on_datagram,
			    host->on_refused, host->arg, &place->udp, &err);
	else if (listener->transport == SIP_TRANSPORT_TLS && !listener->context)
		err_set(&err, ERR_UNAVAILABLE, "there is no certificate");
	else
		sip_acceptor_new(host->streams, &place->wanted,
				 listener->context, &place->acceptor, &err);
	place->code = err.code;
	memcpy(place->reason, err.text, sizeof(place->reason));
}

static void place_close(struct sip_listener *listener, struct place *place)
{
	/* Taken out first: ending connections calls back. */
	struct sip_udp *udp = place->udp;
	struct sip_acceptor *acceptor = place->acceptor;

	count_place(&listener->past, place);
	listener->past.connections = 0;
	place->udp = NULL;
	place->acceptor = NULL;
	sip_udp_free(udp);
	sip_acceptor_free(acceptor);
}

/* --- State --- */

/* The first reason that counts; "": none. */
static const char *reason_of(const struct sip_listener *listener)
{
	for (size_t i = 0; i < listener->count; i++) {
		const struct place *place = &listener->places[i];

		if (!is_bound(place) && !is_pointless(place))
			return place->reason;
	}
	return "";
}

static enum sip_listener_state state_of(const struct sip_listener *listener)
{
	for (size_t i = 0; i < listener->count; i++)
		if (is_bound(&listener->places[i]))
			return SIP_LISTENER_ACTIVATED;
	return SIP_LISTENER_DEACTIVATED;
}

static void log_state(const struct sip_listener *listener)
{
	enum log_level level = listener->told[0] ? LOG_WARN : LOG_INFO;

	log_event(
		level, "sip.listener",
		LOG_SLICE("transport", sip_transport_text(listener->transport)),
		LOG_INT("port", sip_endpoint_port(&listener->places[0].wanted)),
		LOG_STR("state", sip_listener_state_text(listener->state)),
		LOG_STR("reason", listener->told[0] ? listener->told : NULL));
}

/* Opens what is not open, and tells what came of it when that is news. */
static void open_missing(struct sip_listener *listener, bool news)
{
	for (size_t i = 0; i < listener->count; i++)
		if (!is_bound(&listener->places[i]))
			place_open(listener, &listener->places[i]);

	const char *reason = reason_of(listener);
	enum sip_listener_state state = state_of(listener);
	unsigned retry_ms = listener->host->retry_ms;

	if (reason[0])
		loop_timer_start(listener->retry,
				 retry_ms ? retry_ms : SIP_LISTENER_RETRY_MS,
				 0);
	else
		loop_timer_stop(listener->retry);
	if (!news && state == listener->state &&
	    strcmp(reason, listener->told) == 0)
		return;
	listener->state = state;
	memcpy(listener->told, reason, strlen(reason) + 1);
	log_state(listener);
}

static void on_retry(void *arg)
{
	open_missing(arg, false);
}

/* --- What is wanted --- */

static size_t wanted_places(const struct sip_listener_options *options,
			    struct place places[SIP_LISTENER_ADDRESSES_MAX])
{
	assert(options->address_count <= SIP_LISTENER_ADDRESSES_MAX);
	memset(places, 0, SIP_LISTENER_ADDRESSES_MAX * sizeof(*places));
	for (size_t i = 0; i < options->address_count; i++) {
		places[i].wanted = options->addresses[i];
		sip_endpoint_port_set(&places[i].wanted, options->port);
	}
	if (options->address_count > 0)
		return options->address_count;
	places[0].wanted = sip_endpoint_wildcard(AF_INET, options->port);
	places[1].wanted = sip_endpoint_wildcard(AF_INET6, options->port);
	places[1].implied = true;
	return 2;
}

static struct place *place_find(struct place *places, size_t count,
				const struct sip_endpoint *wanted)
{
	for (size_t i = 0; i < count; i++)
		if (sip_endpoint_eq(&places[i].wanted, wanted))
			return &places[i];
	return NULL;
}

/* Moves the sockets that stay to the new places and closes the others: first,
 * since they may be in the way of the new ones. */
static void places_replace(struct sip_listener *listener, struct place *places,
			   size_t count)
{
	struct place old[SIP_LISTENER_ADDRESSES_MAX];
	size_t old_count = listener->count;

	memcpy(old, listener->places, sizeof(old));
	memcpy(listener->places, places, sizeof(old));
	listener->count = count;
	for (size_t i = 0; i < old_count; i++) {
		struct place *stays =
			place_find(listener->places, count, &old[i].wanted);

		if (stays && !is_bound(stays)) {
			stays->udp = old[i].udp;
			stays->acceptor = old[i].acceptor;
		} else {
			place_close(listener, &old[i]);
		}
	}
}

static void context_set(struct sip_listener *listener,
			struct sip_tls_context *context)
{
	if (context)
		sip_tls_context_share(context);
	sip_tls_context_free(listener->context);
	listener->context = context;
	for (size_t i = 0; i < listener->count && context; i++)
		if (listener->places[i].acceptor)
			sip_acceptor_tls_set(listener->places[i].acceptor,
					     context);
}

/* --- Life --- */

struct sip_listener *
sip_listener_new(const struct sip_listener_host *host,
		 const struct sip_listener_options *options)
{
	struct sip_listener *listener = mem_alloc(sizeof(*listener));

	assert(options->transport == SIP_TRANSPORT_UDP ||
	       options->transport == SIP_TRANSPORT_TCP ||
	       options->transport == SIP_TRANSPORT_TLS);
	listener->host = host;
	listener->transport = options->transport;
	listener->retry = loop_timer_new(host->loop, on_retry, listener);
	context_set(listener, options->context);
	listener->count = wanted_places(options, listener->places);
	open_missing(listener, true);
	return listener;
}

void sip_listener_free(struct sip_listener *listener)
{
	if (!listener)
		return;
	loop_timer_free(listener->retry);
	for (size_t i = 0; i < listener->count; i++)
		place_close(listener, &listener->places[i]);
	sip_tls_context_free(listener->context);
	free(listener);
}

void sip_listener_change(struct sip_listener *listener,
			 const struct sip_listener_options *options)
{
	struct place places[SIP_LISTENER_ADDRESSES_MAX];
	size_t count = wanted_places(options, places);

	assert(options->transport == listener->transport);
	places_replace(listener, places, count);
	if (options->context)
		context_set(listener, options->context);
	open_missing(listener, true);
}

void sip_listener_tls_set(struct sip_listener *listener,
			  struct sip_tls_context *context)
{
	assert(listener->transport == SIP_TRANSPORT_TLS && context);
	context_set(listener, context);
	open_missing(listener, false);
}

enum sip_transport sip_listener_transport(const struct sip_listener *listener)
{
	return listener->transport;
}

static const struct sip_endpoint *place_local(const struct place *place)
{
	return place->udp ? sip_udp_local(place->udp)
			  : sip_acceptor_local(place->acceptor);
}

void sip_listener_detail(const struct sip_listener *listener,
			 struct sip_listener_detail *detail)
{
	*detail = listener->past;
	detail->state = state_of(listener);
	detail->reason = reason_of(listener);
	for (size_t i = 0; i < listener->count; i++) {
		const struct place *place = &listener->places[i];

		count_place(detail, place);
		if (is_bound(place))
			detail->bound[detail->bound_count++] =
				*place_local(place);
	}
	if (listener->context)
		detail->certificate_expires_s =
			sip_tls_context_expires_s(listener->context);
}

const char *sip_listener_state_text(enum sip_listener_state state)
{
	static const char *const texts[] = {
		[SIP_LISTENER_DEACTIVATED] = "DEACTIVATED",
		[SIP_LISTENER_ACTIVATED] = "ACTIVATED",
	};

	return texts[state];
}

struct sip_udp *sip_listener_udp(const struct sip_listener *listener,
				 const struct sip_endpoint *local)
{
	for (size_t i = 0; i < listener->count; i++) {
		struct sip_udp *udp = listener->places[i].udp;
		struct sip_endpoint from = *local;

		if (udp && sip_endpoint_port(&from) == 0)
			sip_endpoint_port_set(
				&from, sip_endpoint_port(sip_udp_local(udp)));
		if (udp && sip_udp_owns(udp, &from))
			return udp;
	}
	return NULL;
}
