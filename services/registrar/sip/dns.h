#ifndef REGISTRAR_SIP_DNS_H
#define REGISTRAR_SIP_DNS_H

/*
 * DNS queries on the event loop (c-ares stands behind it). resolve.h makes SIP
 * destinations of the answers.
 *
 * Names are taken as they are: no search domains, which would ask for
 * carrier.example.our.domain. The hosts file counts for addresses. Nothing is
 * cached here, that is the name server's work; the system's configuration is
 * read when a struct dns is made. CNAMEs are followed. Nothing blocks.
 */

#include "proto/error.h"
#include "services/common/loop.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Records of an answer that are looked at, the most wanted first: more
	 * servers than a registration tries. */
	DNS_RECORDS_MAX = 16,
	DNS_NAME_BYTES = 256,	/* 255 as text, and NUL */
	DNS_SERVICE_BYTES = 16, /* "SIPS+D2T"; longer ones are not SIP's */
	/* A query is sent again after 1, 2 and 4 s (c-ares doubles); with
	 * several servers each is asked that often. */
	DNS_TRY_MS = 1000,
	DNS_TRIES = 3,
};

struct dns;

/* The worst last: of several failures that one is told. */
enum dns_reason {
	DNS_OK,
	DNS_NO_NAME,	 /* the name does not exist (NXDOMAIN) */
	DNS_NO_RECORD,	 /* it does, without a record of this type */
	DNS_BAD_NAME,	 /* no DNS name at all */
	DNS_FAILED,	 /* SERVFAIL, REFUSED, an answer that is broken */
	DNS_UNREACHABLE, /* no name server could be reached; of several, also:
			    each failed */
	DNS_TIMEOUT,
};

const char *dns_reason_text(enum dns_reason reason);

struct dns_naptr {
	uint16_t order;
	uint16_t preference;
	char flag; /* in lower case; 0: none or several */
	char service[DNS_SERVICE_BYTES];
	char replacement[DNS_NAME_BYTES];
};

struct dns_srv {
	uint16_t priority;
	uint16_t weight;
	uint16_t port;
	char host[DNS_NAME_BYTES]; /* "": the service is not offered */
};

/* An address; its port is 0. */
union dns_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Of the records, those that were asked for. Views of the callback's time. */
struct dns_answer {
	enum dns_reason reason;
	size_t count;			/* 0 unless DNS_OK */
	const struct dns_naptr *naptrs; /* by order and preference */
	const struct dns_srv *srvs;	/* by priority */
	/* IPv4 and IPv6 in the order of RFC 6724 for this machine. */
	const union dns_address *addresses;
};

/* May be called before the function that asks has returned. Neither asks nor
 * frees the struct dns. */
typedef void dns_fn(void *arg, const struct dns_answer *answer);

/* servers: "127.0.0.1:5353,[::1]:53", the port may be left out; NULL or "":
 * those of the system. ERR_VALIDATE with the reason. */
enum err_code dns_new(struct loop *loop, const char *servers, struct dns **out,
		      struct err *err);

/* Calls back for what is still asked, as DNS_FAILED. */
void dns_free(struct dns *dns);

/* fn is called exactly once for each. */
void dns_naptr(struct dns *dns, const char *name, dns_fn *fn, void *arg);
void dns_srv(struct dns *dns, const char *name, dns_fn *fn, void *arg);
/* family: AF_INET, AF_INET6 or AF_UNSPEC for both. */
void dns_addresses(struct dns *dns, const char *name, int family, dns_fn *fn,
		   void *arg);

#endif
