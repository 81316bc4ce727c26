#ifndef GATEWAY_DIALECT_H
#define GATEWAY_DIALECT_H

/*
 * What makes one REST API differ from another over the same object model: its
 * routes, its form of an id, its error body. One file per dialect in
 * gateway/dialects/.
 */

#include "gateway/route.h"
#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/json.h"

struct dialect {
	const char *name;
	const char *prefix; /* of its paths: whose errors unknown paths get */
	const struct route *routes;
	size_t route_count;
	json_id_fn *id_append;
	/* Strict: only what id_append writes (quotes apart) is an id. */
	bool (*id_decode)(struct slice text, int64_t *id);
	/* Appends the body of a failed call, JSON. */
	void (*error_append)(const struct err *err, struct buffer *out);
};

/* PortSIP v22, /api */
extern const struct dialect dialect_v22;

/* The dialect a row belongs to; NULL: none, the gateway's own. */
const struct dialect *dialect_of_route(const struct route *route);

/* The dialect whose prefix a path has, else the first. Never NULL. */
const struct dialect *dialect_of_path(struct slice path);

/* Adds the rows of every dialect. */
void dialects_add(struct router *router);

#endif
