#include "services/registrar/settings.h"

#include "proto/mem.h"
#include "proto/writer.h"

#include <stddef.h>
#include <stdlib.h>

/* The texts of a trunk. */
static const size_t texts[] = {
	offsetof(struct world_trunk, name),
	offsetof(struct world_trunk, hostname),
	offsetof(struct world_trunk, auth_id),
	offsetof(struct world_trunk, username),
	offsetof(struct world_trunk, password),
	offsetof(struct world_trunk, outbound_server),
};

enum { TEXTS = sizeof(texts) / sizeof(*texts) };

static const char **text_of(struct world_trunk *trunk, size_t i)
{
	return (const char **)(void *)((char *)trunk + texts[i]);
}

void settings_init(struct settings *settings, const struct world_trunk *trunk)
{
	settings->trunk = *trunk;
	settings->size = 0;
	for (size_t i = 0; i < TEXTS; i++)
		settings->size += strlen(*text_of(&settings->trunk, i)) + 1;
	settings->texts = mem_alloc(settings->size);

	char *at = settings->texts;

	for (size_t i = 0; i < TEXTS; i++) {
		const char **text = text_of(&settings->trunk, i);

		*text = memcpy(at, *text, strlen(*text) + 1);
		at += strlen(at) + 1;
	}
}

void settings_fini(struct settings *settings)
{
	if (settings->texts)
		secrets_wipe(settings->texts, settings->size);
	free(settings->texts);
	*settings = (struct settings){0};
}

const char *settings_user(const struct world_trunk *trunk)
{
	return *trunk->username ? trunk->username : trunk->auth_id;
}

const char *settings_auth_user(const struct world_trunk *trunk)
{
	return *trunk->auth_id ? trunk->auth_id : trunk->username;
}

const char *settings_next_hop(const struct world_trunk *trunk, uint16_t *port)
{
	const bool outbound = *trunk->outbound_server != '\0';

	*port = outbound ? trunk->outbound_server_port : trunk->port;
	return outbound ? trunk->outbound_server : trunk->hostname;
}

bool settings_registers(const struct world_trunk *trunk)
{
	return trunk->auth == WORLD_REGISTER_AUTH && trunk->enabled &&
	       trunk->registration;
}

static bool same_binding(const struct world_trunk *a,
			 const struct world_trunk *b)
{
	uint16_t port_a, port_b;
	const char *hop_a = settings_next_hop(a, &port_a);
	const char *hop_b = settings_next_hop(b, &port_b);

	return strcmp(settings_user(a), settings_user(b)) == 0 &&
	       strcmp(a->hostname, b->hostname) == 0 &&
	       strcmp(hop_a, hop_b) == 0 && port_a == port_b &&
	       a->transport == b->transport && a->inlan == b->inlan;
}

/* single_via_header is not among these: a REGISTER of ours has one Via,
 * whatever it says. */
enum settings_change settings_compare(const struct world_trunk *was,
				      const struct world_trunk *is)
{
	if (!same_binding(was, is))
		return SETTINGS_REBIND;
	if (strcmp(settings_auth_user(was), settings_auth_user(is)) != 0 ||
	    strcmp(was->password, is->password) != 0 ||
	    was->register_interval_s != is->register_interval_s ||
	    was->rewrite_via_ip != is->rewrite_via_ip)
		return SETTINGS_RENEW;
	return SETTINGS_SAME;
}

void settings_tag(const struct world_trunk *trunk,
		  const unsigned char key[SECRETS_TAG_KEY_BYTES],
		  unsigned char tag[SECRETS_TAG_BYTES])
{
	struct buffer text = {0};
	uint16_t port;
	const char *hop = settings_next_hop(trunk, &port);

	writer_text(&text, settings_user(trunk));
	writer_text(&text, trunk->hostname);
	writer_text(&text, hop);
	writer_uint(&text, port);
	writer_uint(&text, trunk->transport);
	writer_bool(&text, trunk->inlan);
	writer_text(&text, settings_auth_user(trunk));
	writer_text(&text, trunk->password);
	writer_uint(&text, trunk->register_interval_s);
	writer_bool(&text, trunk->rewrite_via_ip);
	secrets_tag(key, buffer_slice(&text), tag);
	secrets_wipe(text.data, text.size);
	buffer_fini(&text);
}
