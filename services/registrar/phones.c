#include "services/registrar/phones.h"

#include "proto/mem.h"
#include "services/common/id_table.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/table.h"

#include <stdlib.h>

struct tenant {
	struct id_node node; /* first: see id_table.h */
	struct sip_link link;
	bool enabled;
	char domain[];
};

struct user {
	struct id_node node; /* first */
	/* By tenant and number, so that a tenant's new domain is no change of
	 * its users. */
	struct sip_link link;
	int64_t tenant_id;
	bool enabled;
	char texts[]; /* extension and password, each with its NUL */
};

struct phones {
	struct phones_listener listener;
	struct id_table tenants;
	struct id_table users;
	struct sip_table domains;
	struct sip_table numbers;
	struct buffer aor; /* reused */
};

struct phones *phones_new(const struct phones_listener *listener)
{
	struct phones *phones = mem_alloc(sizeof(*phones));

	phones->listener = *listener;
	return phones;
}

/* FNV-1a: what is in the tables are the administrators' names, not an
 * attacker's. */
static uint64_t text_hash(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211U;
	return hash;
}

static uint64_t domain_hash(const char *domain)
{
	return text_hash(14695981039346656037U, domain);
}

static uint64_t number_hash(int64_t tenant_id, const char *extension)
{
	return text_hash(14695981039346656037U ^
				 (uint64_t)tenant_id * 0x9e3779b97f4a7c15U,
			 extension);
}

static const char *extension_of(const struct user *user)
{
	return user->texts;
}

static const char *password_of(const struct user *user)
{
	return user->texts + strlen(user->texts) + 1;
}

static struct tenant *tenant_find(const struct phones *phones, int64_t id)
{
	return (struct tenant *)id_table_find(&phones->tenants, id);
}

static struct user *user_find(const struct phones *phones, int64_t id)
{
	return (struct user *)id_table_find(&phones->users, id);
}

static void tenant_end(struct phones *phones, struct tenant *tenant)
{
	id_table_remove(&phones->tenants, &tenant->node);
	sip_table_remove(&phones->domains, &tenant->link);
	free(tenant);
}

static void user_end(struct phones *phones, struct user *user)
{
	char *password = (char *)password_of(user);

	id_table_remove(&phones->users, &user->node);
	sip_table_remove(&phones->numbers, &user->link);
	secrets_wipe(password, strlen(password));
	free(user);
}

void phones_free(struct phones *phones)
{
	if (!phones)
		return;
	ID_TABLE_FOREACH(node, &phones->users)
		user_end(phones, (struct user *)node);
	ID_TABLE_FOREACH(node, &phones->tenants)
		tenant_end(phones, (struct tenant *)node);
	id_table_fini(&phones->users);
	id_table_fini(&phones->tenants);
	sip_table_fini(&phones->numbers);
	sip_table_fini(&phones->domains);
	buffer_fini(&phones->aor);
	free(phones);
}

/* ---- tenants ---- */

static void tenant_add(struct phones *phones, int64_t id, const char *domain,
		       bool enabled)
{
	const size_t bytes = strlen(domain) + 1;
	struct tenant *tenant = mem_alloc(sizeof(*tenant) + bytes);

	tenant->node.id = id;
	tenant->enabled = enabled;
	memcpy(tenant->domain, domain, bytes);
	id_table_add(&phones->tenants, &tenant->node);
	sip_table_add(&phones->domains, &tenant->link, domain_hash(domain));
}

void phones_tenant_set(struct phones *phones, int64_t id, const char *domain,
		       bool enabled)
{
	struct tenant *old = tenant_find(phones, id);
	bool gone = false;

	if (old) {
		gone = old->enabled &&
		       (!enabled || strcmp(old->domain, domain) != 0);
		tenant_end(phones, old);
	}
	tenant_add(phones, id, domain, enabled);
	if (gone)
		phones->listener.on_tenant_gone(phones->listener.arg, id);
}

void phones_tenant_remove(struct phones *phones, int64_t id)
{
	struct tenant *tenant = tenant_find(phones, id);

	if (!tenant)
		return;
	const bool enabled = tenant->enabled;

	tenant_end(phones, tenant);
	if (enabled)
		phones->listener.on_tenant_gone(phones->listener.arg, id);
}

bool phones_tenant(const struct phones *phones, int64_t id, bool *enabled)
{
	const struct tenant *tenant = tenant_find(phones, id);

	if (tenant)
		*enabled = tenant->enabled;
	return tenant;
}

static const struct tenant *domain_find(const struct phones *phones,
					const char *domain)
{
	struct sip_link *link =
		sip_table_first(&phones->domains, domain_hash(domain));

	for (; link; link = sip_table_next(link)) {
		const struct tenant *tenant =
			TABLE_OF(link, struct tenant, link);

		if (strcmp(tenant->domain, domain) == 0)
			return tenant;
	}
	return NULL;
}

bool phones_domain(const struct phones *phones, const char *domain)
{
	return domain_find(phones, domain) != NULL;
}

/* ---- users ---- */

static bool account_of(const struct phones *phones, const struct user *user,
		       struct phones_account *out)
{
	const struct tenant *tenant =
		user ? tenant_find(phones, user->tenant_id) : NULL;

	if (!tenant || !tenant->enabled || !user->enabled)
		return false;
	*out = (struct phones_account){
		.user_id = user->node.id,
		.tenant_id = user->tenant_id,
		.extension = extension_of(user),
		.domain = tenant->domain,
		.password = password_of(user),
	};
	return true;
}

void phones_aor_append(struct buffer *out, const struct phones_account *phone)
{
	buffer_append_str(out, phone->extension);
	buffer_append_char(out, '@');
	buffer_append_str(out, phone->domain);
}

/* Ends what is known of a user. Its address of record, if it had one, is in
 * phones->aor, else that is empty. */
static void user_forget(struct phones *phones, struct user *user)
{
	struct phones_account phone;

	phones->aor.size = 0;
	if (!user)
		return;
	if (account_of(phones, user, &phone))
		phones_aor_append(&phones->aor, &phone);
	user_end(phones, user);
}

static void user_add(struct phones *phones, const struct phones_user *from)
{
	const size_t extension = strlen(from->extension) + 1;
	const size_t password = strlen(from->password) + 1;
	struct user *user = mem_alloc(sizeof(*user) + extension + password);

	user->node.id = from->id;
	user->tenant_id = from->tenant_id;
	user->enabled = from->enabled;
	memcpy(user->texts, from->extension, extension);
	memcpy(user->texts + extension, from->password, password);
	id_table_add(&phones->users, &user->node);
	sip_table_add(&phones->numbers, &user->link,
		      number_hash(from->tenant_id, from->extension));
}

/* Whether an address of record is that of an account. */
static bool has_aor(const struct phones *phones, int64_t user_id,
		    struct slice aor)
{
	struct buffer now = {0};
	struct phones_account phone;

	if (phones_get(phones, user_id, &phone))
		phones_aor_append(&now, &phone);
	const bool same = slice_eq(buffer_slice(&now), aor);

	buffer_fini(&now);
	return same;
}

static void tell_gone(struct phones *phones, int64_t user_id)
{
	const struct slice aor = buffer_slice(&phones->aor);

	if (aor.size > 0 && !has_aor(phones, user_id, aor))
		phones->listener.on_user_gone(phones->listener.arg, aor);
}

void phones_user_set(struct phones *phones, const struct phones_user *user)
{
	user_forget(phones, user_find(phones, user->id));
	user_add(phones, user);
	tell_gone(phones, user->id);
}

void phones_user_remove(struct phones *phones, int64_t id)
{
	user_forget(phones, user_find(phones, id));
	tell_gone(phones, id);
}

bool phones_get(const struct phones *phones, int64_t user_id,
		struct phones_account *out)
{
	return account_of(phones, user_find(phones, user_id), out);
}

bool phones_find(const struct phones *phones, const char *domain,
		 const char *extension, struct phones_account *out)
{
	const struct tenant *tenant = domain_find(phones, domain);

	if (!tenant)
		return false;
	struct sip_link *link = sip_table_first(
		&phones->numbers, number_hash(tenant->node.id, extension));

	for (; link; link = sip_table_next(link)) {
		const struct user *user = TABLE_OF(link, struct user, link);

		/* Of a user that was removed and made again both may be here
		 * for a moment. */
		if (user->tenant_id == tenant->node.id &&
		    strcmp(extension_of(user), extension) == 0 &&
		    account_of(phones, user, out))
			return true;
	}
	return false;
}

size_t phones_users(const struct phones *phones)
{
	return phones->users.count;
}
