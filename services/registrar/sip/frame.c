#include "services/registrar/sip/frame.h"

#include "services/registrar/sip/line.h"
#include "services/registrar/sip/message.h"
#include "services/registrar/sip/names.h"
#include "services/registrar/sip/number.h"

#include <stdint.h>

/* The one Content-Length among the headers of a head. */
static enum err_code find_length(struct cursor *head, uint32_t *out)
{
	struct slice line;
	struct sip_header header;
	enum err_code found = ERR_MALFORMED;
	unsigned lines_left = SIP_LINES_MAX;

	if (sip_line_read(head, &line) != SIP_LINE_HEADER)
		return ERR_MALFORMED;
	for (;;) {
		enum sip_line kind =
			sip_line_header(head, &lines_left, &header);

		if (kind == SIP_LINE_EMPTY)
			return found;
		if (kind == SIP_LINE_CUT || kind == SIP_LINE_TORN ||
		    kind == SIP_LINE_MANY)
			return ERR_MALFORMED;
		if (kind == SIP_LINE_BROKEN ||
		    header.name != SIP_CONTENT_LENGTH)
			continue;
		if (found == ERR_OK ||
		    sip_number_decode(header.value, out) != ERR_OK)
			return ERR_MALFORMED;
		found = ERR_OK;
	}
}

enum err_code sip_frame_find(struct slice bytes, size_t max_bytes,
			     size_t *searched, size_t *size)
{
	static const char end[] = "\r\n\r\n";
	size_t from = *searched > 3 ? *searched - 3 : 0;
	const char *at = bytes.size > from
				 ? memmem(bytes.data + from, bytes.size - from,
					  end, sizeof(end) - 1)
				 : NULL;

	*size = 0;
	*searched = bytes.size;
	if (!at)
		return bytes.size > max_bytes ? ERR_TOO_LARGE : ERR_OK;

	size_t head_bytes = (size_t)(at - bytes.data) + sizeof(end) - 1;
	struct cursor head = cursor_of(slice_of(bytes.data, head_bytes));
	uint32_t body_bytes;

	if (head_bytes > max_bytes)
		return ERR_TOO_LARGE;
	if (find_length(&head, &body_bytes) != ERR_OK)
		return ERR_MALFORMED;
	if (body_bytes > max_bytes - head_bytes)
		return ERR_TOO_LARGE;
	*size = head_bytes + body_bytes;
	return ERR_OK;
}
