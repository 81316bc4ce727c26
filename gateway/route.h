#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

/*
 * The route table: what each REST call is, said once. Matching, the session
 * check, the arguments sent on the bus, the rendering of the answer and the
 * OpenAPI document all read these rows.
 *
 * Paths are matched on the raw request path, segment by segment; `{name}`
 * takes one whole segment, percent-decoded. A literal segment wins over a
 * parameter, and there is no way back: below a literal only its own rows are
 * looked at. An empty segment matches no parameter.
 */

#include "proto/field.h"
#include "proto/slice.h"
#include "services/common/bus_client.h"

#include <stdbool.h>

enum route_service {
	ROUTE_PROVIDER,
	ROUTE_SYSTEM,
	ROUTE_TRANSPORT,
	ROUTE_REGISTRAR,
	ROUTE_TENANT,
	ROUTE_DEALER,
	ROUTE_SERVICES,			/* how many */
	ROUTE_GATEWAY = ROUTE_SERVICES, /* answered by the gateway itself */
};

enum route_verb { ROUTE_GET, ROUTE_POST };

/*
 * How arguments are made and the answer is rendered (services/common/resource.h
 * says what each bus method takes). The path's parameters go along by their
 * names with every shape: a path without any is the caller's own object. {id},
 * {tenant_id} and {dealer_id} are ids, one in another form is of no object
 * (ERR_NOT_FOUND; ERR_VALIDATE for ROUTE_DESTROY, as PortSIP v22 has it); all
 * others are texts.
 */
enum route_shape {
	ROUTE_LIST,    /* query options -> 200 {count, items} */
	ROUTE_READ,    /* -> 200 object, ETag */
	ROUTE_CREATE,  /* body, Idempotency-Key -> 201 {id}, ETag, Location */
	ROUTE_UPDATE,  /* body, If-Match -> 200 empty, ETag */
	ROUTE_DESTROY, /* If-Match -> 204 */
	ROUTE_EXPORT,  /* query options -> 200 attachment, streamed by pages */
	ROUTE_CALL,    /* query and body members, by name -> 200 */
};

enum route_flag {
	ROUTE_OPEN = 1 << 0,  /* no session needed */
	ROUTE_FORM = 1 << 1,  /* body is application/x-www-form-urlencoded */
	ROUTE_EMPTY = 1 << 2, /* a good answer is 200 without a body */
	ROUTE_NO_CONTENT = 1 << 3, /* a good answer is 204 */
	ROUTE_TOKEN = 1 << 4,	   /* the session's own token goes along as
				    * arguments "access_token" */
	ROUTE_COOKIE = 1 << 5, /* a good answer sets, or ends, the login cookie,
				* and the cookie is taken for a bearer token */
	ROUTE_ITEMS = 1 << 6,  /* the answer is {count, items} of `answer` */
	ROUTE_BARE_ITEMS = 1 << 7, /* the answer is {items} of `answer` */
	ROUTE_UNLIMITED = 1 << 8,  /* rate_limit does not hold: asked by those
				    * who watch the process */
};

struct route {
	enum route_verb verb;
	const char *path; /* "/api/providers/{id}" */
	enum route_service service;
	const char *method; /* on the bus */
	enum route_shape shape;
	enum bus_lane lane;
	unsigned flags;
	const struct resource *resource; /* of the resource shapes */
	const struct record *query;	 /* ROUTE_CALL: query parameters */
	const struct record *body;	 /* ROUTE_CALL: JSON body */
	const struct record *answer;	 /* ROUTE_CALL, and ROUTE_READ without a
					  * resource: what comes back */
	const char *summary;		 /* one line, for OpenAPI */
};

/* The HTTP status of a good answer. */
int route_good_status(const struct route *route);

enum { ROUTE_PARAMS_MAX = 4 };

/* A matched path: the decoded values of its parameters, in order. */
struct route_match {
	const struct route *route;
	size_t index; /* of the row, see router_get() */
	size_t param_count;
	struct slice params[ROUTE_PARAMS_MAX];
};

enum route_result {
	ROUTE_FOUND,
	ROUTE_NO_PATH,	/* 404 */
	ROUTE_NO_VERB,	/* 405: *allow holds the verbs of the path */
	ROUTE_BAD_PATH, /* 400: %00, bad percent-encoding, not UTF-8 */
	ROUTE_BAD_VERB, /* 501: not a method of RFC 9110, nor PATCH */
};

struct router;

/* dialects' tables end to end; rows outlive the router. */
struct router *router_new(void);
void router_free(struct router *router);
void router_add(struct router *router, const struct route *routes,
		size_t count);

/* Every row, in the order added. */
size_t router_count(const struct router *router);
const struct route *router_get(const struct router *router, size_t index);

/* path: raw, without the query. HEAD matches GET rows. Decoded parameters live
 * in arena. allow: "GET, HEAD, POST" where ROUTE_NO_VERB. */
enum route_result router_match(const struct router *router, struct slice verb,
			       struct slice path, struct arena *arena,
			       struct route_match *out, const char **allow);

#endif
