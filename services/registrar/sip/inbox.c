#include "services/registrar/sip/inbox.h"

#include "services/registrar/sip/frame.h"

#include <string.h>

void sip_inbox_fini(struct sip_inbox *inbox)
{
	buffer_fini(&inbox->bytes);
	*inbox = (struct sip_inbox){0};
}

/* Finds how many bytes of rest are the next whole thing; 0: more have to come.
 */
static enum err_code next(struct sip_inbox *inbox, struct slice rest,
			  size_t max_bytes, enum sip_inbox_event *event,
			  size_t *size)
{
	*size = 0;
	if (rest.data[0] == '\r' && (rest.size == 1 || rest.data[1] == '\n')) {
		*event = SIP_INBOX_CRLF;
		*size = rest.size == 1 ? 0 : 2;
		return ERR_OK;
	}
	*event = SIP_INBOX_MESSAGE;
	if (inbox->wanted == 0) {
		enum err_code code = sip_frame_find(
			rest, max_bytes, &inbox->searched, &inbox->wanted);

		if (code != ERR_OK)
			return code;
	}
	if (inbox->wanted <= rest.size)
		*size = inbox->wanted;
	return ERR_OK;
}

static enum err_code cut(struct sip_inbox *inbox, struct slice *rest,
			 size_t max_bytes, sip_inbox_fn *fn, void *arg)
{
	while (rest->size > 0) {
		enum sip_inbox_event event;
		size_t size;
		enum err_code code =
			next(inbox, *rest, max_bytes, &event, &size);

		if (code != ERR_OK || size == 0)
			return code;

		struct slice whole = slice_of(rest->data, size);

		*rest = slice_of(rest->data + size, rest->size - size);
		inbox->searched = 0;
		inbox->wanted = 0;
		if (event == SIP_INBOX_CRLF)
			whole.size = 0;
		if (!fn(arg, event, whole))
			*rest = slice_of(NULL, 0);
	}
	return ERR_OK;
}

enum err_code sip_inbox_put(struct sip_inbox *inbox, struct slice bytes,
			    size_t max_bytes, sip_inbox_fn *fn, void *arg)
{
	/* Whole messages are mostly read at once: they are used in place. */
	bool in_place = inbox->bytes.size == 0;

	if (!in_place)
		buffer_append_slice(&inbox->bytes, bytes);

	struct slice rest = in_place ? bytes : buffer_slice(&inbox->bytes);
	enum err_code code = cut(inbox, &rest, max_bytes, fn, arg);

	if (rest.size == 0) {
		sip_inbox_fini(inbox);
	} else if (in_place) {
		buffer_append_slice(&inbox->bytes, rest);
	} else {
		memmove(inbox->bytes.data, rest.data, rest.size);
		inbox->bytes.size = rest.size;
	}
	return code;
}
