#include "world_double.h"

#include <string.h>

bool world_synced(const struct world *world)
{
	return world->synced;
}

const struct world_trunk *world_trunk_get(const struct world *world, int64_t id)
{
	for (size_t i = 0; i < world->count; i++)
		if (world->trunks[i].id == id)
			return &world->trunks[i];
	return NULL;
}

static bool accepts(const struct world_trunk *trunk, const char *hostname)
{
	return trunk->enabled && trunk->auth == WORLD_ACCEPT_REGISTER &&
	       strcmp(trunk->hostname, hostname) == 0;
}

struct world_account world_trunk_account(const struct world_trunk *trunk)
{
	return (struct world_account){
		.trunk_id = trunk->id,
		.tenant_id = trunk->tenant_id,
		.user = trunk->username[0] ? trunk->username : trunk->auth_id,
		.domain = trunk->hostname,
		.password = trunk->password,
	};
}

static struct world_account phone_account(const struct phones_account *phone)
{
	return (struct world_account){
		.user_id = phone->user_id,
		.tenant_id = phone->tenant_id,
		.user = phone->extension,
		.domain = phone->domain,
		.password = phone->password,
	};
}

void world_aor_append(struct buffer *out, const struct world_account *account)
{
	buffer_printf(out, "%s@%s", account->user, account->domain);
}

bool world_account(const struct world *world, const char *realm,
		   const char *name, struct world_account *out)
{
	struct phones_account phone;

	for (size_t i = 0; i < world->count; i++)
		if (accepts(&world->trunks[i], realm) &&
		    strcmp(world->trunks[i].auth_id, name) == 0) {
			*out = world_trunk_account(&world->trunks[i]);
			return true;
		}
	if (!world->phones || !phones_find(world->phones, realm, name, &phone))
		return false;
	*out = phone_account(&phone);
	return true;
}

bool world_user(const struct world *world, int64_t user_id,
		struct world_account *out)
{
	struct phones_account phone;

	if (!world->phones || !phones_get(world->phones, user_id, &phone))
		return false;
	*out = phone_account(&phone);
	return true;
}

bool world_realm(const struct world *world, const char *hostname)
{
	for (size_t i = 0; i < world->count; i++)
		if (accepts(&world->trunks[i], hostname))
			return true;
	return world->phones && phones_domain(world->phones, hostname);
}

bool world_complete(const struct world *world, const char *realm)
{
	(void)realm;
	return world->synced;
}

bool world_users_synced(const struct world *world)
{
	return world->synced;
}

bool world_binds(const struct world *world, struct slice aor, int64_t trunk_id,
		 int64_t user_id)
{
	const struct world_trunk *trunk = world_trunk_get(world, trunk_id);
	struct world_account account;
	struct buffer text = {0};

	if (trunk && trunk->enabled)
		account = world_trunk_account(trunk);
	else if (!world_user(world, user_id, &account))
		return false;
	world_aor_append(&text, &account);
	const bool same = slice_eq(buffer_slice(&text), aor);

	buffer_fini(&text);
	return same;
}

size_t world_trunks(const struct world *world)
{
	return world->count;
}
