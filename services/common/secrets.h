#ifndef COMMON_SECRETS_H
#define COMMON_SECRETS_H

/*
 * Passwords, tokens and encryption at rest (libsodium stands behind it).
 * Everything secret is zeroed before its memory is given back, by these
 * functions for what they hold and by the caller with secrets_wipe().
 */

#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"

#include <stdbool.h>

enum {
	SECRETS_TOKEN_BYTES = 49,     /* 48 characters and NUL */
	SECRETS_DIGEST_BYTES = 65,    /* 256 bits as hex and NUL */
	SECRETS_PASSWORD_BYTES = 128, /* an argon2id hash text and NUL */
	SECRETS_CLEAR_MAX = 16384,    /* the longest secret sealed, bytes: an
				       * RSA key of 8192 bits, PEM, has 6 kB */
	SECRETS_TAG_KEY_BYTES = 16,   /* SipHash's key */
	SECRETS_TAG_BYTES = 16,	      /* its tag of 128 bits */
	SECRETS_RANDOM_HEX_MAX = 32,
};

/* Once per process, before the rest: false where the machine gives no
 * randomness. */
bool secrets_init(void);

void secrets_wipe(void *memory, size_t size);

/* Bytes nobody can foresee. A system call: not for each packet. */
void secrets_random(void *out, size_t size);

/* The same as hexadecimal digits: out has room for two a byte, and NUL. bytes:
 * at most SECRETS_RANDOM_HEX_MAX. */
void secrets_random_hex(char *out, size_t bytes);

/* Takes as long whether and wherever the bytes differ. */
bool secrets_equal(const void *a, const void *b, size_t size);

/* A tag that only a holder of the key can make: SipHash-2-4 of 128 bits, for
 * what is checked in passing (nonces, branches), some 20 ns. */
void secrets_tag(const unsigned char key[SECRETS_TAG_KEY_BYTES],
		 struct slice text, unsigned char tag[SECRETS_TAG_BYTES]);

/* A random token: 36 bytes of randomness in 48 URL-safe characters. */
void secrets_token(char out[SECRETS_TOKEN_BYTES]);

/* What is stored in a token's place: SHA-256 in lower-case hex. */
void secrets_token_digest(struct slice token, char out[SECRETS_DIGEST_BYTES]);

/* The end of hashing or checking. good: the hash was made, or the password is
 * the right one. hash is NULL when checking. */
typedef void secrets_password_fn(void *arg, bool good, const char *hash);

/* argon2id (libsodium's interactive limits: 64 MiB, 2 passes) on the thread
 * pool; the password is copied. done runs on the loop. */
void secrets_password_hash(struct loop *loop, struct slice password,
			   secrets_password_fn *done, void *arg);

/* hash NULL: takes the same time as a real check and answers false, so that
 * an unknown name cannot be told from a wrong password. hash is copied. */
void secrets_password_check(struct loop *loop, struct slice password,
			    const char *hash, secrets_password_fn *done,
			    void *arg);

/* The key that seals SIP passwords. */
struct secrets_key;

/* Reads the key file (64 hex digits), or makes it (mode 0600, random) where
 * there is none; of several that make it at once all get the same key.
 * ERR_VALIDATE: others may read it, it is not a key, or it cannot be made.
 * Blocks. */
enum err_code secrets_key_load(const char *path, struct secrets_key **out,
			       struct err *err);
void secrets_key_free(struct secrets_key *key);

/* A key for another purpose (a short name), the same in every process that has
 * the key file: keyed BLAKE2b of the purpose. The caller wipes out. */
void secrets_key_derive(const struct secrets_key *key, const char *purpose,
			unsigned char out[SECRETS_TAG_KEY_BYTES]);

/* What is stored to know a text with secrets in it again: keyed BLAKE2b of 256
 * bits in lower-case hex. Without the key nobody can try out what the text was,
 * as a plain hash would let them, a thousand million passwords a second. */
void secrets_key_digest(const struct secrets_key *key, struct slice text,
			char out[SECRETS_DIGEST_BYTES]);

/* Appends nonce and secretbox (XSalsa20-Poly1305) of clear to out, in lower
 * case hex. clear is at most SECRETS_CLEAR_MAX bytes, asserted. */
void secrets_seal(const struct secrets_key *key, struct slice clear,
		  struct buffer *out);

/* The same as a text in the arena. */
char *secrets_seal_dup(const struct secrets_key *key, struct slice clear,
		       struct arena *arena);

/* The reverse; false, with out as it was, where sealed was not made with this
 * key. The caller wipes out. */
bool secrets_open(const struct secrets_key *key, struct slice sealed,
		  struct buffer *out);

#endif
