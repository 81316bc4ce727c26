#ifndef REGISTRAR_SIP_DIGEST_HEADER_H
#define REGISTRAR_SIP_DIGEST_HEADER_H

/*
 * The texts of digest authentication: challenges and credentials, read as views
 * and written (RFC 3261 20.7, 20.44 and 22.4; RFC 7616 3.3 and 3.4; RFC 8760).
 * digest.h computes with them.
 *
 * Texts are views as they stand between their quotes, escapes still in:
 * digest_text() takes them out where one is compared or looked up. No view
 * holds a control character but the tab. Reading is linear in the bytes and
 * copies nothing.
 */

#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"
#include "services/registrar/sip/names.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* RFC 7616 defines 12, of which peers send 10. More cost time without
	 * an account: such a value is malformed. */
	DIGEST_PARAMETERS_MAX = 32,
};

/* Weakest first: a greater one is the better one. */
#define DIGEST_ALGORITHM_LIST(X)                                               \
	X(DIGEST_MD5, "MD5")                                                   \
	X(DIGEST_MD5_SESS, "MD5-sess")                                         \
	X(DIGEST_SHA_256, "SHA-256")                                           \
	X(DIGEST_SHA_256_SESS, "SHA-256-sess")                                 \
	X(DIGEST_SHA_512_256, "SHA-512-256")                                   \
	X(DIGEST_SHA_512_256_SESS, "SHA-512-256-sess")

enum digest_algorithm {
	DIGEST_OTHER, /* zero: a name that is none of ours */
#define DIGEST_ENUM(name, text) name,
	DIGEST_ALGORITHM_LIST(DIGEST_ENUM)
#undef DIGEST_ENUM
		DIGEST_COUNT,
};

/* An algorithm as a member of a set. */
#define DIGEST_BIT(algorithm) (1U << (algorithm))

/* Qualities of protection: a set in a challenge, one in credentials. */
enum {
	DIGEST_QOP_NONE = 0, /* not said: RFC 2069 peers */
	DIGEST_QOP_AUTH = 1,
	DIGEST_QOP_AUTH_INT = 2,
	DIGEST_QOP_OTHER = 4, /* a word that is neither */
};

/* The name as it is written; DIGEST_OTHER is empty. */
struct slice digest_algorithm_text(enum digest_algorithm algorithm);

/* One of the "-sess" kind, whose H(A1) takes in nonce and cnonce. */
bool digest_is_sess(enum digest_algorithm algorithm);

/* What a server asks for. Absent texts were not said. */
struct digest_challenge {
	struct slice realm;
	struct slice nonce;
	struct slice opaque;
	struct slice domain;
	enum digest_algorithm algorithm;
	struct slice algorithm_text; /* absent: not said, which is MD5 */
	unsigned qop;		     /* set of DIGEST_QOP_* */
	bool stale;
	bool userhash;
};

/* What a client answers with. */
struct digest_credentials {
	struct slice username;
	struct slice username_extended; /* `username*` (RFC 5987) */
	struct slice realm;
	struct slice nonce;
	struct slice uri;
	struct slice response; /* hex digits, as sent */
	struct slice cnonce;
	struct slice opaque;
	enum digest_algorithm algorithm;
	struct slice algorithm_text; /* absent: not said, which is MD5 */
	unsigned qop;		     /* one DIGEST_QOP_* */
	struct slice nc_text;	     /* as sent: it is hashed */
	uint32_t nc;		     /* 0: no qop */
	bool userhash;
};

/* Reads the value of one WWW-Authenticate or Proxy-Authenticate.
 * ERR_NOT_FOUND: of another scheme. ERR_MALFORMED: broken, a parameter twice,
 * realm or nonce missing. *out is set on success only. Parameters that are not
 * known are passed over; words are taken quoted or not, since peers differ. */
enum err_code digest_challenge_decode(struct slice value,
				      struct digest_challenge *out);

/* The same for the value of one Authorization or Proxy-Authorization. Malformed
 * are also those that leave out what their qop or algorithm needs (RFC 7616
 * 3.4): cnonce and nc with a qop, cnonce with "-sess". */
enum err_code digest_credentials_decode(struct slice value,
					struct digest_credentials *out);

/* The text behind a view: the view itself where it has no escapes, else a copy
 * in the arena. Absent stays absent. */
struct slice digest_text(struct slice escaped, struct arena *arena);

/* What a server offers. The texts are plain, without escapes. */
struct digest_offer {
	struct slice realm;
	struct slice nonce;
	struct slice opaque; /* absent: none */
	unsigned algorithms; /* set of DIGEST_BIT() */
	unsigned qop;	     /* AUTH and AUTH_INT */
	bool stale;
};

/* Appends a header line for each algorithm, the strongest first (RFC 8760 2.4:
 * the order is the server's preference). A control character in a text goes
 * out as a space. */
void digest_challenge_build(struct buffer *out, enum sip_header_name name,
			    const struct digest_offer *offer);

/* Appends the value that decodes to these credentials; their views are as
 * decoding leaves them, algorithm and qop are no _OTHER. Parameters that are
 * absent are not written. */
void digest_credentials_append(struct buffer *out,
			       const struct digest_credentials *credentials);

#endif
