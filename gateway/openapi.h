#ifndef GATEWAY_OPENAPI_H
#define GATEWAY_OPENAPI_H

/*
 * The OpenAPI 3.1 document of everything the gateway answers, made from the
 * route table and the field descriptors, so that it cannot say anything else
 * than they do.
 */

#include "gateway/route.h"
#include "proto/buffer.h"

/* Appends the document, JSON. Made once, at start. */
void openapi_build(const struct router *router, struct buffer *out);

#endif
