#include "gateway/status.h"

const struct http_status http_statuses[HTTP_STATUSES] = {
	{500, "Internal Server Error"}, /* first: see http_status_index() */
	{200, "OK"},
	{201, "Created"},
	{204, "No Content"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{409, "Conflict"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{415, "Unsupported Media Type"},
	{429, "Too Many Requests"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
};

size_t http_status_index(int status)
{
	for (size_t i = 1; i < HTTP_STATUSES; i++)
		if (http_statuses[i].status == status)
			return i;
	return 0;
}
