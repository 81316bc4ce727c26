#include "services/registrar/sip/resolve.h"

#include "proto/arena.h"
#include "proto/mem.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/resolve_order.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
	/* A NAPTR set has one service a transport; more are for load that SRV
	 * spreads better. */
	SERVICES_MAX = 4,
};

struct resolver {
	struct loop *loop;
	struct dns *dns;
	int family;
	uint64_t random;
	size_t pending; /* all, those with late answers too */
	LIST_HEAD(, resolve) all;
};

/* An SRV name to ask for and what came of it. */
struct service {
	const char *name;
	enum sip_transport transport;
	enum dns_reason reason;
	size_t count;
	struct dns_srv *srvs;
};

/* A host to find the addresses of. */
struct host {
	const char *name;
	uint16_t port;
	enum sip_transport transport;
	enum dns_reason reason;
	size_t count;
	union dns_address *addresses;
};

/*
 *   no transport said   NAPTR --> SRV --> ADDRESS --> end
 *   a transport                   SRV --> ADDRESS --> end
 *   without SRV records           SRV --> ADDRESS and NAPTR --> end
 *                                                        \--> SRV ...
 *   a port                                ADDRESS --> end
 *   an address                                        end
 *
 * Failure and deadline end it at any stage.
 */
struct resolve {
	struct resolver *resolver;
	LIST_ENTRY(resolve) link;
	struct arena arena; /* names and answers */
	const char *name;
	uint16_t port;
	enum sip_transport transport; /* OTHER: not said */
	bool secure;
	enum sip_transport transports[RESOLVE_TRANSPORTS_MAX];
	resolve_fn *fn;
	void *arg;

	/* The deadline; once ended, the call of fn. */
	struct loop_timer *timer;
	uint64_t deadline_at_ms; /* loop_now_ms() */
	bool ended;		 /* reason and records are the result */
	bool released;	/* the owner has let go; waits for late answers */
	unsigned asked; /* queries without an answer; one more while asking */

	enum resolve_stage stage;
	void (*done)(struct resolve *r); /* all of the stage is answered */
	bool elsewhere;	   /* NAPTR was asked for want of SRV records */
	bool naptr_silent; /* and is not answered yet */
	enum dns_reason reason;
	size_t service_count;
	struct service services[SERVICES_MAX];
	size_t host_count;
	struct host hosts[RESOLVE_RECORDS_MAX];
	size_t record_count;
	struct resolve_record records[RESOLVE_RECORDS_MAX];
};

/* An answer and whom it is for. */
struct ask {
	struct resolve *resolve;
	size_t index;
};

static const char *const stage_texts[] = {
	[RESOLVE_TARGET] = "target",
	[RESOLVE_NAPTR] = "NAPTR",
	[RESOLVE_SRV] = "SRV",
	[RESOLVE_ADDRESS] = "address",
};

const char *resolve_stage_text(enum resolve_stage stage)
{
	return stage_texts[stage];
}

enum err_code resolver_new(struct loop *loop,
			   const struct resolver_options *options,
			   struct resolver **out, struct err *err)
{
	struct dns *dns;
	enum err_code code = dns_new(loop, options->dns_servers, &dns, err);

	if (code)
		return code;

	struct resolver *resolver = mem_alloc(sizeof(*resolver));

	resolver->loop = loop;
	resolver->dns = dns;
	resolver->family = options->family;
	resolver->random = options->seed;
	if (resolver->random == 0)
		secrets_random(&resolver->random, sizeof(resolver->random));
	*out = resolver;
	return ERR_OK;
}

static void resolve_free(struct resolve *r)
{
	LIST_REMOVE(r, link);
	r->resolver->pending--;
	arena_fini(&r->arena);
	free(r);
}

/* The owner's part is over; late answers have a place to go to until they are
 * in. */
static void release(struct resolve *r)
{
	r->released = true;
	r->ended = true;
	loop_timer_free(r->timer);
	if (r->asked == 0)
		resolve_free(r);
}

void resolve_cancel(struct resolve *resolve)
{
	if (resolve)
		release(resolve);
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	for (struct resolve *r = LIST_FIRST(&resolver->all), *next; r;
	     r = next) {
		next = LIST_NEXT(r, link);
		if (!r->released)
			release(r);
	}
	dns_free(resolver->dns);
	assert(LIST_EMPTY(&resolver->all));
	free(resolver);
}

/* The result stands. It is told from the loop: the owner may do what it likes
 * then, which c-ares' callbacks do not allow. */
static void end(struct resolve *r, enum dns_reason reason)
{
	if (r->ended)
		return;
	r->ended = true;
	r->reason = reason;
	loop_timer_start(r->timer, 0, 0);
}

/* Destinations in order, as far as there are addresses. */
static void records_collect(struct resolve *r)
{
	for (size_t h = 0; h < r->host_count; h++) {
		const struct host *host = &r->hosts[h];

		for (size_t a = 0;
		     a < host->count && r->record_count < RESOLVE_RECORDS_MAX;
		     a++) {
			struct resolve_record *record =
				&r->records[r->record_count++];

			record->address = host->addresses[a];
			record->transport = host->transport;
			/* The same place in both kinds of address. */
			record->address.v4.sin_port = htons(host->port);
		}
	}
}

/* Ends it in this time at the latest, with what is known then. */
static void hurry(struct resolve *r, unsigned most_ms)
{
	const uint64_t now_ms = loop_now_ms(r->resolver->loop);
	const uint64_t left_ms =
		r->deadline_at_ms > now_ms ? r->deadline_at_ms - now_ms : 0;

	loop_timer_start(r->timer, left_ms < most_ms ? left_ms : most_ms, 0);
}

static void on_timer(void *arg)
{
	struct resolve *r = arg;

	if (!r->ended) {
		/* The deadline: what is known is better than nothing. */
		records_collect(r);
		r->reason = r->record_count > 0 ? DNS_OK : DNS_TIMEOUT;
	}

	const struct resolve_result result = {
		.reason = r->reason,
		.stage = r->stage,
		.count = r->record_count,
		.records = r->records,
	};

	r->fn(r->arg, &result);
	release(r);
}

static uint16_t port_of(enum sip_transport transport)
{
	return transport == SIP_TRANSPORT_TLS ? RESOLVE_PORT_TLS : RESOLVE_PORT;
}

/* Whether a service by this transport may be used. */
static bool is_wanted(const struct resolve *r, enum sip_transport transport)
{
	if (transport == SIP_TRANSPORT_OTHER)
		return false;
	if (r->transport != SIP_TRANSPORT_OTHER)
		return transport == r->transport;
	for (int i = 0; i < RESOLVE_TRANSPORTS_MAX; i++)
		if (r->transports[i] == transport)
			return true;
	return false;
}

/* --- asking --- */

static struct ask *ask_new(struct resolve *r, size_t index)
{
	struct ask *ask = mem_alloc(sizeof(*ask));

	ask->resolve = r;
	ask->index = index;
	r->asked++;
	return ask;
}

static struct resolve *ask_end(struct ask *ask)
{
	struct resolve *r = ask->resolve;

	free(ask);
	return r;
}

/* One answer is in, or all of a stage have been asked for. After the last the
 * lookup goes on. */
static void answered(struct resolve *r)
{
	if (--r->asked > 0)
		return;
	if (r->released)
		resolve_free(r);
	else if (!r->ended)
		r->done(r);
}

/* Until the matching answered(): what is answered at once is not the last. */
static void stage_begin(struct resolve *r, enum resolve_stage stage,
			void (*done)(struct resolve *r))
{
	r->stage = stage;
	r->done = done;
	r->asked++;
}

/* Records are the answer's only while it is told. */
static void *keep(struct resolve *r, const void *records, size_t count,
		  size_t size)
{
	if (count == 0)
		return NULL;
	return memcpy(arena_alloc(&r->arena, count * size), records,
		      count * size);
}

/* --- addresses --- */

/* Of several failures the worst is told: it is the one to look into. */
static enum dns_reason worse(enum dns_reason a, enum dns_reason b)
{
	return a > b ? a : b;
}

static void hosts_done(struct resolve *r)
{
	enum dns_reason reason = DNS_OK;

	records_collect(r);
	for (size_t i = 0; r->record_count == 0 && i < r->host_count; i++)
		reason = worse(reason, r->hosts[i].reason);
	end(r, reason);
}

static void on_host(void *arg, const struct dns_answer *answer)
{
	struct ask *ask = arg;
	size_t index = ask->index;
	struct resolve *r = ask_end(ask);
	struct host *host = &r->hosts[index];

	if (!r->ended) {
		host->reason = answer->reason;
		host->count = answer->count;
		host->addresses = keep(r, answer->addresses, answer->count,
				       sizeof(*host->addresses));
		if (r->naptr_silent && host->count > 0)
			hurry(r, RESOLVE_NAPTR_MS);
	}
	answered(r);
}

static void hosts_ask(struct resolve *r)
{
	stage_begin(r, RESOLVE_ADDRESS, hosts_done);
	for (size_t i = 0; i < r->host_count; i++)
		dns_addresses(r->resolver->dns, r->hosts[i].name,
			      r->resolver->family, on_host, ask_new(r, i));
	answered(r);
}

/* name lives as long as r. */
static void host_add(struct resolve *r, const char *name, uint16_t port,
		     enum sip_transport transport)
{
	if (r->host_count == RESOLVE_RECORDS_MAX)
		return;

	r->hosts[r->host_count++] = (struct host){
		.name = name, .port = port, .transport = transport};
}

/* RFC 3263 4.2: no SRV records, or a port was said. */
static void name_itself_add(struct resolve *r)
{
	enum sip_transport transport = r->transport;

	if (transport == SIP_TRANSPORT_OTHER)
		transport = r->transports[0];
	host_add(r, r->name, r->port ? r->port : port_of(transport), transport);
}

static void name_itself(struct resolve *r)
{
	name_itself_add(r);
	hosts_ask(r);
}

/* --- SRV --- */

static void service_hosts(struct resolve *r, struct service *service)
{
	if (service->count == 0)
		return;
	resolve_order(service->srvs, service->count, &r->resolver->random);
	for (size_t i = 0; i < service->count; i++) {
		const struct dns_srv *srv = &service->srvs[i];

		if (srv->host[0] != '\0')
			host_add(r, srv->host, srv->port, service->transport);
	}
}

static void elsewhere_ask(struct resolve *r);

static void services_done(struct resolve *r)
{
	enum dns_reason reason = DNS_OK;
	bool found = false;

	for (size_t i = 0; i < r->service_count; i++) {
		struct service *service = &r->services[i];

		if (service->count > 0)
			found = true;
		reason = worse(reason, service->reason);
		service_hosts(r, service);
	}
	if (r->host_count > 0)
		hosts_ask(r);
	else if (found) /* RFC 2782: a target of "." offers nothing */
		end(r, DNS_NO_RECORD);
	else if (reason > DNS_BAD_NAME)
		end(r, reason);
	else if (r->transport != SIP_TRANSPORT_OTHER && !r->elsewhere)
		elsewhere_ask(r);
	else
		name_itself(r);
}

static void on_service(void *arg, const struct dns_answer *answer)
{
	struct ask *ask = arg;
	size_t index = ask->index;
	struct resolve *r = ask_end(ask);
	struct service *service = &r->services[index];

	if (!r->ended) {
		service->reason = answer->reason;
		service->count = answer->count;
		service->srvs = keep(r, answer->srvs, answer->count,
				     sizeof(*service->srvs));
	}
	answered(r);
}

static void services_ask(struct resolve *r)
{
	stage_begin(r, RESOLVE_SRV, services_done);
	for (size_t i = 0; i < r->service_count; i++)
		dns_srv(r->resolver->dns, r->services[i].name, on_service,
			ask_new(r, i));
	answered(r);
}

static void service_add(struct resolve *r, enum sip_transport transport,
			const char *prefix, const char *name)
{
	if (r->service_count == SERVICES_MAX)
		return;

	struct service *service = &r->services[r->service_count++];

	service->name = arena_printf(&r->arena, "%s%s", prefix, name);
	service->transport = transport;
}

/* RFC 3263 4.1: "_sip" or "_sips" and the protocol below. */
static void service_add_usual(struct resolve *r, enum sip_transport transport)
{
	static const char *const prefixes[SIP_TRANSPORT_COUNT] = {
		[SIP_TRANSPORT_UDP] = "_sip._udp.",
		[SIP_TRANSPORT_TCP] = "_sip._tcp.",
		[SIP_TRANSPORT_TLS] = "_sips._tcp.",
	};

	if (prefixes[transport])
		service_add(r, transport, prefixes[transport], r->name);
}

static void usual_services_ask(struct resolve *r)
{
	if (r->transport != SIP_TRANSPORT_OTHER)
		service_add_usual(r, r->transport);
	else
		for (int i = 0; i < RESOLVE_TRANSPORTS_MAX; i++)
			service_add_usual(r, r->transports[i]);
	services_ask(r);
}

/* --- NAPTR --- */

static enum sip_transport naptr_transport(const struct dns_naptr *naptr)
{
	static const struct {
		const char *service;
		enum sip_transport transport;
	} rows[] = {
		{"SIP+D2U", SIP_TRANSPORT_UDP},
		{"SIP+D2T", SIP_TRANSPORT_TCP},
		{"SIPS+D2T", SIP_TRANSPORT_TLS},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (sip_word_is(slice_str(naptr->service), rows[i].service))
			return rows[i].transport;
	return SIP_TRANSPORT_OTHER;
}

/* RFC 3263 4.1: those whose transport we do not have are passed over; the "s"
 * flag has an SRV query follow. */
static void on_naptr(void *arg, const struct dns_answer *answer)
{
	struct resolve *r = ask_end(arg);

	r->naptr_silent = false;
	for (size_t i = 0; !r->ended && i < answer->count; i++) {
		const struct dns_naptr *naptr = &answer->naptrs[i];
		enum sip_transport transport = naptr_transport(naptr);

		if (naptr->flag == 's' && is_wanted(r, transport))
			service_add(r, transport, "", naptr->replacement);
	}
	answered(r);
}

static void naptr_done(struct resolve *r)
{
	if (r->service_count > 0)
		services_ask(r);
	else
		usual_services_ask(r);
}

static void naptr_ask(struct resolve *r)
{
	stage_begin(r, RESOLVE_NAPTR, naptr_done);
	dns_naptr(r->resolver->dns, r->name, on_naptr, ask_new(r, 0));
	answered(r);
}

static void elsewhere_done(struct resolve *r)
{
	if (r->service_count == 0) {
		hosts_done(r);
		return;
	}
	/* The name's own addresses are not those of its servers. */
	r->host_count = 0;
	hurry(r, UINT_MAX);
	services_ask(r);
}

/* The name has no SRV records for the transport that was said: its NAPTR
 * records may name others', as those of RFC 3263 4.1 do. Its addresses are
 * asked for meanwhile, since most names have nothing else. */
static void elsewhere_ask(struct resolve *r)
{
	r->elsewhere = true;
	r->naptr_silent = true;
	r->service_count = 0;
	name_itself_add(r);
	stage_begin(r, RESOLVE_ADDRESS, elsewhere_done);
	dns_naptr(r->resolver->dns, r->name, on_naptr, ask_new(r, 0));
	dns_addresses(r->resolver->dns, r->hosts[0].name, r->resolver->family,
		      on_host, ask_new(r, 0));
	answered(r);
}

/* --- the target --- */

static struct slice without_brackets(struct slice host)
{
	if (host.size > 2 && host.data[0] == '[' &&
	    host.data[host.size - 1] == ']')
		return slice_of(host.data + 1, host.size - 2);
	return host;
}

/* False: too long for a name, or with a NUL in it. */
static bool name_take(struct resolve *r, struct slice host)
{
	host = without_brackets(host);
	if (host.size == 0 || host.size >= DNS_NAME_BYTES ||
	    memchr(host.data, '\0', host.size))
		return false;
	r->name = arena_strdup(&r->arena, host);
	return true;
}

static bool address_read(const char *text, union dns_address *out)
{
	if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		return true;
	}
	return false;
}

/* Whatever the options say of families: the user has written the address. */
static bool is_address(struct resolve *r)
{
	union dns_address address = {0};

	if (!address_read(r->name, &address))
		return false;
	if (r->transport == SIP_TRANSPORT_OTHER)
		r->transport = r->transports[0];
	host_add(r, r->name, r->port ? r->port : port_of(r->transport),
		 r->transport);
	r->hosts[0].addresses = keep(r, &address, 1, sizeof(address));
	r->hosts[0].count = 1;
	return true;
}

/* RFC 3263 4.1: sips is TLS, whatever else is said. */
static void transports_take(struct resolve *r,
			    const struct resolve_target *target)
{
	static const enum sip_transport usual[RESOLVE_TRANSPORTS_MAX] = {
		SIP_TRANSPORT_UDP, SIP_TRANSPORT_TCP, SIP_TRANSPORT_TLS};
	static const enum sip_transport tls[RESOLVE_TRANSPORTS_MAX] = {
		SIP_TRANSPORT_TLS};

	r->transport = target->transport;
	if (target->secure && r->transport != SIP_TRANSPORT_OTHER)
		r->transport = SIP_TRANSPORT_TLS;
	memcpy(r->transports, target->transports, sizeof(r->transports));
	if (target->secure)
		memcpy(r->transports, tls, sizeof(r->transports));
	else if (r->transports[0] == SIP_TRANSPORT_OTHER)
		memcpy(r->transports, usual, sizeof(r->transports));
}

static void begin(struct resolve *r)
{
	if (is_address(r))
		hosts_done(r);
	else if (r->port != 0)
		name_itself(r);
	else if (r->transport != SIP_TRANSPORT_OTHER)
		usual_services_ask(r);
	else
		naptr_ask(r);
}

struct resolve *resolve_start(struct resolver *resolver,
			      const struct resolve_target *target,
			      unsigned deadline_ms, resolve_fn *fn, void *arg)
{
	if (resolver->pending == RESOLVE_PENDING_MAX)
		return NULL;

	struct resolve *r = mem_alloc(sizeof(*r));

	r->resolver = resolver;
	LIST_INSERT_HEAD(&resolver->all, r, link);
	resolver->pending++;
	r->fn = fn;
	r->arg = arg;
	r->port = target->port;
	r->timer = loop_timer_new(resolver->loop, on_timer, r);
	r->deadline_at_ms = loop_now_ms(resolver->loop) + deadline_ms;
	loop_timer_start(r->timer, deadline_ms, 0);
	transports_take(r, target);
	if (name_take(r, target->host))
		begin(r);
	else
		end(r, DNS_BAD_NAME);
	return r;
}
