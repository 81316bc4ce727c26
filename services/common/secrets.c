#include "services/common/secrets.h"

#include "proto/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	KEY_BYTES = crypto_secretbox_KEYBYTES,
	/* As hex digits and a line end: a text an operator can copy. */
	KEY_FILE_BYTES = 2 * KEY_BYTES + 1,
	/* What sealing adds before it is hex. */
	SEAL_EXTRA_BYTES =
		crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES,
};

static_assert(crypto_pwhash_STRBYTES <= SECRETS_PASSWORD_BYTES,
	      "a hash text fits");
static_assert(2 * crypto_hash_sha256_BYTES + 1 == SECRETS_DIGEST_BYTES,
	      "a digest fits exactly");

struct secrets_key {
	unsigned char bytes[KEY_BYTES];
};

bool secrets_init(void)
{
	return sodium_init() >= 0;
}

void secrets_wipe(void *memory, size_t size)
{
	sodium_memzero(memory, size);
}

void secrets_random(void *out, size_t size)
{
	randombytes_buf(out, size);
}

void secrets_random_hex(char *out, size_t bytes)
{
	unsigned char raw[SECRETS_RANDOM_HEX_MAX];

	assert(bytes <= sizeof(raw));
	secrets_random(raw, bytes);
	sodium_bin2hex(out, 2 * bytes + 1, raw, bytes);
}

bool secrets_equal(const void *a, const void *b, size_t size)
{
	return sodium_memcmp(a, b, size) == 0;
}

static_assert(crypto_shorthash_siphashx24_KEYBYTES == SECRETS_TAG_KEY_BYTES &&
		      crypto_shorthash_siphashx24_BYTES == SECRETS_TAG_BYTES,
	      "the sizes of SipHash");

void secrets_tag(const unsigned char key[SECRETS_TAG_KEY_BYTES],
		 struct slice text, unsigned char tag[SECRETS_TAG_BYTES])
{
	crypto_shorthash_siphashx24(tag, (const unsigned char *)text.data,
				    text.size, key);
}

void secrets_token(char out[SECRETS_TOKEN_BYTES])
{
	unsigned char random[36];

	randombytes_buf(random, sizeof(random));
	sodium_bin2base64(out, SECRETS_TOKEN_BYTES, random, sizeof(random),
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	secrets_wipe(random, sizeof(random));
}

void secrets_token_digest(struct slice token, char out[SECRETS_DIGEST_BYTES])
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, (const unsigned char *)token.data,
			   token.size);
	sodium_bin2hex(out, SECRETS_DIGEST_BYTES, digest, sizeof(digest));
}

/* One password at work on the pool. */
struct password_job {
	char *password; /* owned, wiped */
	size_t password_size;
	bool check;
	bool known; /* check: there is a hash to check against */
	bool good;
	char hash[SECRETS_PASSWORD_BYTES];
	secrets_password_fn *done;
	void *arg;
};

static bool password_verify(const struct password_job *job)
{
	return crypto_pwhash_str_verify(job->hash, job->password,
					job->password_size) == 0;
}

static bool password_make(struct password_job *job)
{
	return crypto_pwhash_str(job->hash, job->password, job->password_size,
				 crypto_pwhash_OPSLIMIT_INTERACTIVE,
				 crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0;
}

/* On a pool thread. */
static void on_password_work(void *arg)
{
	struct password_job *job = arg;

	if (job->check && job->known) {
		job->good = password_verify(job);
		return;
	}
	/* Without a hash to check against, making one costs the same. */
	job->good = password_make(job) && !job->check;
}

static void on_password_done(void *arg)
{
	struct password_job *job = arg;
	const char *hash = job->good && !job->check ? job->hash : NULL;

	job->done(job->arg, job->good, hash);
	secrets_wipe(job->password, job->password_size);
	free(job->password);
	secrets_wipe(job, sizeof(*job));
	free(job);
}

static struct password_job *
password_job_new(struct slice password, secrets_password_fn *done, void *arg)
{
	struct password_job *job = mem_alloc(sizeof(*job));

	job->password = mem_alloc(password.size + 1);
	if (password.size > 0)
		memcpy(job->password, password.data, password.size);
	job->password_size = password.size;
	job->done = done;
	job->arg = arg;
	return job;
}

void secrets_password_hash(struct loop *loop, struct slice password,
			   secrets_password_fn *done, void *arg)
{
	struct password_job *job = password_job_new(password, done, arg);

	loop_work(loop, on_password_work, on_password_done, job);
}

void secrets_password_check(struct loop *loop, struct slice password,
			    const char *hash, secrets_password_fn *done,
			    void *arg)
{
	struct password_job *job = password_job_new(password, done, arg);

	job->check = true;
	/* A text too long to be a hash of ours is checked as unknown. */
	job->known = hash && strlen(hash) < sizeof(job->hash);
	if (job->known)
		memcpy(job->hash, hash, strlen(hash) + 1);
	loop_work(loop, on_password_work, on_password_done, job);
}

static enum err_code key_error(struct err *err, const char *path,
			       const char *what)
{
	return err_set(err, ERR_VALIDATE, "key file %s: %s", path, what);
}

static bool write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, data, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		data += written;
		size -= (size_t)written;
	}
	return true;
}

static bool key_write(int fd)
{
	unsigned char key[KEY_BYTES];
	char text[KEY_FILE_BYTES + 1];

	randombytes_buf(key, sizeof(key));
	sodium_bin2hex(text, sizeof(text), key, sizeof(key));
	text[KEY_FILE_BYTES - 1] = '\n';

	bool good = write_all(fd, text, KEY_FILE_BYTES) && fsync(fd) == 0;

	secrets_wipe(key, sizeof(key));
	secrets_wipe(text, sizeof(text));
	return good;
}

/*
 * Makes the file whole or not at all. Several processes may start at once: the
 * link fails for all but the first, and the others read that one's key.
 */
static enum err_code key_make(const char *path, struct err *err)
{
	char temporary[PATH_MAX];
	int size = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

	if (size < 0 || (size_t)size >= sizeof(temporary))
		return key_error(err, path, "the name is too long");

	int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */

	if (fd < 0)
		return key_error(err, path, strerror(errno));

	bool good = key_write(fd);

	if (good && link(temporary, path) != 0)
		good = errno == EEXIST;

	int why = errno;

	close(fd);
	unlink(temporary);
	return good ? ERR_OK : key_error(err, path, strerror(why));
}

static enum err_code key_parse(const char *path, const char *text,
			       size_t text_size, struct secrets_key **out,
			       struct err *err)
{
	struct secrets_key *key = mem_alloc(sizeof(*key));
	size_t size;

	if (text_size > 0 && text[text_size - 1] == '\n')
		text_size--;
	if (text_size != 2 * sizeof(key->bytes) ||
	    sodium_hex2bin(key->bytes, sizeof(key->bytes), text, text_size,
			   NULL, &size, NULL) != 0 ||
	    size != sizeof(key->bytes)) {
		secrets_key_free(key);
		return key_error(err, path, "not a key of 64 hex digits");
	}
	*out = key;
	return ERR_OK;
}

static enum err_code key_read(const char *path, int fd,
			      struct secrets_key **out, struct err *err)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return key_error(err, path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return key_error(err, path, "not a file");
	if (status.st_mode & (S_IRWXG | S_IRWXO))
		return key_error(err, path,
				 "others than its owner have access "
				 "to it: chmod 600");

	/* One byte more than a key, so that a longer file is noticed. */
	char text[KEY_FILE_BYTES + 1];
	ssize_t size = read(fd, text, sizeof(text));

	if (size < 0)
		return key_error(err, path, strerror(errno));

	enum err_code code = key_parse(path, text, (size_t)size, out, err);

	secrets_wipe(text, sizeof(text));
	return code;
}

enum err_code secrets_key_load(const char *path, struct secrets_key **out,
			       struct err *err)
{
	/* NONBLOCK: a FIFO of that name must not hold the start up. */
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
	int fd = open(path, flags);

	if (fd < 0 && errno == ENOENT) {
		enum err_code code = key_make(path, err);

		if (code)
			return code;
		fd = open(path, flags);
	}
	if (fd < 0)
		return key_error(err, path, strerror(errno));

	enum err_code code = key_read(path, fd, out, err);

	close(fd);
	return code;
}

void secrets_key_free(struct secrets_key *key)
{
	if (!key)
		return;
	secrets_wipe(key, sizeof(*key));
	free(key);
}

void secrets_key_derive(const struct secrets_key *key, const char *purpose,
			unsigned char out[SECRETS_TAG_KEY_BYTES])
{
	crypto_generichash(out, SECRETS_TAG_KEY_BYTES,
			   (const unsigned char *)purpose, strlen(purpose),
			   key->bytes, sizeof(key->bytes));
}

void secrets_key_digest(const struct secrets_key *key, struct slice text,
			char out[SECRETS_DIGEST_BYTES])
{
	unsigned char digest[(SECRETS_DIGEST_BYTES - 1) / 2];

	crypto_generichash(digest, sizeof(digest),
			   (const unsigned char *)text.data, text.size,
			   key->bytes, sizeof(key->bytes));
	sodium_bin2hex(out, SECRETS_DIGEST_BYTES, digest, sizeof(digest));
}

void secrets_seal(const struct secrets_key *key, struct slice clear,
		  struct buffer *out)
{
	unsigned char box[SEAL_EXTRA_BYTES + SECRETS_CLEAR_MAX];
	unsigned char *cipher = box + crypto_secretbox_NONCEBYTES;
	const size_t box_size = SEAL_EXTRA_BYTES + clear.size;

	assert(clear.size <= SECRETS_CLEAR_MAX);
	randombytes_buf(box, crypto_secretbox_NONCEBYTES);
	crypto_secretbox_easy(cipher, (const unsigned char *)clear.data,
			      clear.size, box, key->bytes);

	char *hex = buffer_reserve(out, 2 * box_size + 1);

	sodium_bin2hex(hex, 2 * box_size + 1, box, box_size);
	out->size += 2 * box_size;
}

char *secrets_seal_dup(const struct secrets_key *key, struct slice clear,
		       struct arena *arena)
{
	struct buffer sealed = {0};

	secrets_seal(key, clear, &sealed);

	char *text = arena_strdup(arena, buffer_slice(&sealed));

	buffer_fini(&sealed);
	return text;
}

bool secrets_open(const struct secrets_key *key, struct slice sealed,
		  struct buffer *out)
{
	unsigned char box[SEAL_EXTRA_BYTES + SECRETS_CLEAR_MAX];
	const unsigned char *cipher = box + crypto_secretbox_NONCEBYTES;
	size_t size;

	if (sodium_hex2bin(box, sizeof(box), sealed.data, sealed.size, NULL,
			   &size, NULL) != 0 ||
	    2 * size != sealed.size || size < SEAL_EXTRA_BYTES)
		return false;

	const size_t clear_size = size - SEAL_EXTRA_BYTES;
	/* Straight into its place: a copy on the way would need wiping. */
	char *clear = buffer_reserve(out, clear_size);

	if (crypto_secretbox_open_easy((unsigned char *)clear, cipher,
				       size - crypto_secretbox_NONCEBYTES, box,
				       key->bytes) != 0)
		return false;
	out->size += clear_size;
	return true;
}
