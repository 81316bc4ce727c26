#ifndef BENCH_SIP_ACCOUNT_H
#define BENCH_SIP_ACCOUNT_H

/* An account that registers: its REGISTERs, and whether an answer is right. */

#include "proto/buffer.h"
#include "services/registrar/sip/digest.h"
#include "services/registrar/sip/message.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	ACCOUNT_NONCE_BYTES = 96, /* ours have 56, Kamailio's up to 72 */
	ACCOUNT_EXPIRES_S = 3600,
};

/* What all accounts have in common. */
struct dialect {
	const char *domain;   /* also the realm */
	const char *password; /* of all */
	const char *sent_by;  /* host:port of Via and Contact */
	enum sip_transport transport;
	enum digest_algorithm algorithm;
	struct digest_context *digest;
	char cnonce[DIGEST_CNONCE_BYTES];
	bool echo;   /* the peer sends every request back as it is */
	bool cached; /* goes on with the nonce it was given */
};

struct account {
	uint32_t cseq;
	uint32_t nc;			 /* of the last request; 0: no nonce */
	char nonce[ACCOUNT_NONCE_BYTES]; /* empty: none */
};

/* Appends the next REGISTER: with credentials where there is a nonce. */
void account_request(const struct dialect *dialect, struct account *account,
		     uint32_t number, struct buffer *out);

/* The same once more. */
void account_repeat(const struct dialect *dialect,
		    const struct account *account, uint32_t number,
		    struct buffer *out);

enum account_answer {
	ACCOUNT_DONE,  /* registered */
	ACCOUNT_AGAIN, /* challenged: the next request has credentials */
	ACCOUNT_LATE,  /* of an earlier request */
	ACCOUNT_WRONG, /* what no registrar should say */
};

/* Whose answer it is, by the Call-ID; UINT32_MAX: nobody's. */
uint32_t account_number(const struct sip_message *answer);

enum account_answer account_take(const struct dialect *dialect,
				 struct account *account, uint32_t number,
				 const struct sip_message *answer);

#endif
