#ifndef GATEWAY_STATUS_H
#define GATEWAY_STATUS_H

/* The HTTP statuses the gateway answers: every one of the error list
 * (proto/error.h) and the good ones. */

#include <stddef.h>

struct http_status {
	int status;
	const char *reason; /* "Not Found" */
};

enum { HTTP_STATUSES = 18 };

extern const struct http_status http_statuses[HTTP_STATUSES];

/* The row of a status; another would be a fault of ours and gets that of
 * 500. */
size_t http_status_index(int status);

#endif
