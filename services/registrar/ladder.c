#include "services/registrar/ladder.h"

#include "proto/mem.h"
#include "proto/utf8.h"
#include "proto/writer.h"
#include "services/registrar/sip/parameter.h"

#include <stdlib.h>
#include <time.h>

enum {
	NONCE_SHOWN = 6, /* enough to tell two apart */
	TIME_BYTES = 32,
};

static const char *const direction_texts[] = {
	[LADDER_OUT] = "out",
	[LADDER_IN] = "in",
	[LADDER_NOTE] = "note",
};

static const char *const direction_arrows[] = {
	[LADDER_OUT] = "-->",
	[LADDER_IN] = "<--",
	[LADDER_NOTE] = "---",
};

/* Parameters of credentials and challenges that a password can be tried
 * against; shown: how many characters stay. */
static const struct {
	const char *name;
	size_t shown;
} masked[] = {
	{"response", 0},	 {"rspauth", 0},
	{"nonce", NONCE_SHOWN},	 {"nextnonce", NONCE_SHOWN},
	{"cnonce", NONCE_SHOWN}, {"opaque", NONCE_SHOWN},
};

static bool holds_secrets(enum sip_header_name name)
{
	return name == SIP_AUTHORIZATION || name == SIP_PROXY_AUTHORIZATION ||
	       name == SIP_WWW_AUTHENTICATE || name == SIP_PROXY_AUTHENTICATE ||
	       name == SIP_AUTHENTICATION_INFO;
}

void ladder_fini(struct ladder *ladder)
{
	for (unsigned i = 0; i < ladder->count; i++)
		free(ladder->entries[(ladder->first + i) % LADDER_MESSAGES_MAX]
			     .text);
	*ladder = (struct ladder){0};
}

static void drop_first(struct ladder *ladder)
{
	struct ladder_entry *entry = &ladder->entries[ladder->first];

	ladder->bytes -= entry->size;
	free(entry->text);
	ladder->first = (ladder->first + 1) % LADDER_MESSAGES_MAX;
	ladder->count--;
}

static void store(struct ladder *ladder, struct ladder_entry entry,
		  struct slice text)
{
	if (text.size > LADDER_MESSAGE_BYTES_MAX)
		text.size = LADDER_MESSAGE_BYTES_MAX;
	while (ladder->count == LADDER_MESSAGES_MAX ||
	       (ladder->count > 0 &&
		ladder->bytes + text.size > LADDER_BYTES_MAX))
		drop_first(ladder);
	entry.text = mem_alloc(text.size + 1);
	memcpy(entry.text, text.data, text.size);
	entry.size = text.size;
	ladder->bytes += text.size;
	ladder->entries[(ladder->first + ladder->count) % LADDER_MESSAGES_MAX] =
		entry;
	ladder->count++;
}

static size_t shown_of(struct slice name)
{
	for (size_t i = 0; i < sizeof(masked) / sizeof(*masked); i++)
		if (sip_word_is(name, masked[i].name))
			return masked[i].shown;
	return SIZE_MAX;
}

/* What cannot be read might be anything: nothing of it is shown. */
static void mask_value(struct buffer *out, struct slice value)
{
	struct sip_credentials credentials = {.pairs = value};
	struct sip_parameter pair;
	const char *at = value.data;
	const size_t start = out->size;
	enum err_code code;

	/* Authentication-Info is pairs alone. */
	if (sip_credentials_decode(value, &credentials) != ERR_OK)
		credentials.pairs = value;

	struct slice rest = credentials.pairs;

	while ((code = sip_pair_next(&rest, &pair)) == ERR_OK) {
		const size_t shown = shown_of(pair.name);

		if (shown >= pair.value.size)
			continue;
		buffer_append(out, at, (size_t)(pair.value.data - at) + shown);
		buffer_append_str(out, "***");
		at = pair.value.data + pair.value.size;
	}
	if (code == ERR_NOT_FOUND) {
		buffer_append(out, at, (size_t)(value.data + value.size - at));
		return;
	}
	out->size = start;
	buffer_append_str(out, "***");
}

void ladder_add(struct ladder *ladder, int64_t unix_ms,
		enum ladder_direction direction, const struct sip_flow *flow,
		const struct sip_message *message)
{
	struct buffer text = {0};
	const char *at = message->text.data;

	for (size_t i = 1; i <= message->count; i++) {
		const struct sip_header *header = &message->headers[i];

		if (!holds_secrets(header->name) || header->value.size == 0)
			continue;
		buffer_append(&text, at, (size_t)(header->value.data - at));
		mask_value(&text, header->value);
		at = header->value.data + header->value.size;
	}
	buffer_append(&text, at,
		      (size_t)(message->text.data + message->text.size - at));
	store(ladder,
	      (struct ladder_entry){.unix_ms = unix_ms,
				    .direction = direction,
				    .flow = *flow},
	      buffer_slice(&text));
	buffer_fini(&text);
}

void ladder_note(struct ladder *ladder, int64_t unix_ms,
		 const struct sip_flow *flow, const char *text)
{
	store(ladder,
	      (struct ladder_entry){.unix_ms = unix_ms,
				    .direction = LADDER_NOTE,
				    .flow = *flow},
	      slice_str(text));
}

static void time_append(struct buffer *out, int64_t unix_ms)
{
	const time_t seconds = (time_t)(unix_ms / 1000);
	char text[TIME_BYTES];
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	buffer_printf(out, "%s.%03dZ", text, (int)(unix_ms % 1000));
}

static void entry_text(const struct ladder_entry *entry, struct buffer *out)
{
	char remote[SIP_ENDPOINT_TEXT];

	time_append(out, entry->unix_ms);
	buffer_printf(out, " %s ", direction_arrows[entry->direction]);
	buffer_append_slice(out, sip_transport_text(entry->flow.transport));
	buffer_printf(out, " %s\n",
		      sip_endpoint_text(&entry->flow.remote, remote));
	for (size_t i = 0; i < entry->size; i++)
		if (entry->text[i] != '\r')
			buffer_append_char(out, entry->text[i]);
	buffer_append_str(out, "\n\n");
}

void ladder_text(const struct ladder *ladder, struct buffer *out)
{
	for (unsigned i = 0; i < ladder->count; i++)
		entry_text(&ladder->entries[(ladder->first + i) %
					    LADDER_MESSAGES_MAX],
			   out);
}

static void clean_append(struct buffer *out, struct slice text)
{
	while (text.size > 0) {
		const size_t size = utf8_char_size(text);
		const size_t step = size > 0 ? size : 1;

		if (size > 0)
			buffer_append(out, text.data, size);
		else
			buffer_append_char(out, '?');
		text = slice_of(text.data + step, text.size - step);
	}
}

static void entry_encode(const struct ladder_entry *entry, struct buffer *out)
{
	char endpoint[SIP_ENDPOINT_TEXT];
	struct buffer clean = {0};

	clean_append(&clean, slice_of(entry->text, entry->size));
	writer_map(out, 6);
	writer_text(out, "time");
	writer_int(out, entry->unix_ms);
	writer_text(out, "direction");
	writer_text(out, direction_texts[entry->direction]);
	writer_text(out, "transport");
	writer_str(out, sip_transport_text(entry->flow.transport));
	writer_text(out, "local");
	writer_text(out, sip_endpoint_text(&entry->flow.local, endpoint));
	writer_text(out, "remote");
	writer_text(out, sip_endpoint_text(&entry->flow.remote, endpoint));
	writer_text(out, "text");
	writer_str(out, buffer_slice(&clean));
	buffer_fini(&clean);
}

void ladder_encode(const struct ladder *ladder, struct buffer *out)
{
	writer_array(out, ladder->count);
	for (unsigned i = 0; i < ladder->count; i++)
		entry_encode(&ladder->entries[(ladder->first + i) %
					      LADDER_MESSAGES_MAX],
			     out);
}
