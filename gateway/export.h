#ifndef GATEWAY_EXPORT_H
#define GATEWAY_EXPORT_H

/*
 * ROUTE_EXPORT: a resource as CSV, page by page. The next page is asked for
 * when the client has taken the last, so that a slow client holds one page of
 * memory and no more.
 *
 *   asking -- page --> sending -- taken --> asking ... -- last page --> over
 *     `-- error: an answer before the first page; a cut stream after it
 */

#include "gateway/call.h"

/* Takes the call over; its args are those of the first page. */
void export_start(struct call *call, const struct principal *principal);

#endif
