#include "services/registrar/sip/tls_internal.h"

#include "proto/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Which file it was; all zero: there was none. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec changed;
};

/* The system's bundle and ca_file. */
enum { FILES = 2 };

struct sip_tls_authorities {
	char *ca_file;	   /* NULL: none */
	X509_STORE *store; /* NULL: not read yet */
	struct stamp stamps[FILES];
};

struct sip_tls_authorities *sip_tls_authorities_new(const char *ca_file)
{
	struct sip_tls_authorities *authorities =
		mem_alloc(sizeof(*authorities));

	authorities->ca_file = ca_file ? mem_strdup(ca_file) : NULL;
	return authorities;
}

void sip_tls_authorities_free(struct sip_tls_authorities *authorities)
{
	if (!authorities)
		return;
	X509_STORE_free(authorities->store);
	free(authorities->ca_file);
	free(authorities);
}

/* Where OpenSSL looks. What is in the directory beside it is looked up when a
 * peer needs it. */
static const char *system_file(void)
{
	const char *given = secure_getenv(X509_get_default_cert_file_env());

	return given ? given : X509_get_default_cert_file();
}

static struct stamp stamp_of(const char *path)
{
	struct stat info;

	if (!path || stat(path, &info) != 0)
		return (struct stamp){0};
	return (struct stamp){
		.device = info.st_dev,
		.inode = info.st_ino,
		.bytes = info.st_size,
		.changed = info.st_mtim,
	};
}

static bool stamp_is(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->bytes == b->bytes && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

static enum err_code load(X509_STORE *store, const char *ca_file,
			  struct err *err)
{
	if (!store)
		return err_set(err, ERR_INTERNAL, "OpenSSL gives no store");
	if (X509_STORE_set_default_paths(store) != 1)
		return sip_tls_refuse(err, "authorities");
	if (ca_file && X509_STORE_load_file(store, ca_file) != 1)
		return sip_tls_refuse(err, ca_file);
	return ERR_OK;
}

enum err_code sip_tls_authorities_read(struct sip_tls_authorities *authorities,
				       X509_STORE **out, struct err *err)
{
	/* Taken first: a file that changes while it is read is another one the
	 * next time. */
	const struct stamp stamps[FILES] = {
		stamp_of(system_file()),
		stamp_of(authorities->ca_file),
	};

	if (authorities->store &&
	    stamp_is(&stamps[0], &authorities->stamps[0]) &&
	    stamp_is(&stamps[1], &authorities->stamps[1])) {
		*out = authorities->store;
		return ERR_OK;
	}
	X509_STORE *store = X509_STORE_new();
	const enum err_code code = load(store, authorities->ca_file, err);

	if (code != ERR_OK) {
		X509_STORE_free(store);
		return code;
	}
	X509_STORE_free(authorities->store);
	authorities->store = store;
	memcpy(authorities->stamps, stamps, sizeof(stamps));
	*out = store;
	return ERR_OK;
}
