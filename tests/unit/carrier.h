#ifndef UNIT_CARRIER_H
#define UNIT_CARRIER_H

/*
 * A SIP provider of its own on the loopback, over real sockets: challenges,
 * checks credentials, grants, refuses, keeps silent, as the test says. It is
 * written on our SIP library, whose texts have tests of their own.
 */

#include "services/common/loop.h"
#include "services/registrar/sip/digest.h"
#include "services/registrar/sip/transport.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	CARRIER_TEXT = 256,
	CARRIER_SCRIPT_MAX = 8,
};

/* What to say to the next request, whatever it is. */
struct carrier_line {
	unsigned status;
	const char *headers; /* whole lines with CR LF; "" for none */
};

struct carrier {
	struct loop *loop;
	struct sip_transports *transports;
	struct sip_listener *listener;
	struct digest_context *digest;
	enum sip_transport transport;
	uint16_t port;

	/* How it behaves; the test's to set. */
	bool silent;
	bool silent_options;
	unsigned algorithms; /* DIGEST_BIT()s; 0: everybody may register */
	const char *password;
	bool challenge_in_proxy; /* 407 */
	bool never_stale;	 /* leaves stale=true out */
	unsigned nonce_uses;	 /* of one nonce; 0: any number */
	uint32_t min_expires_s;
	uint32_t granted_s;  /* 0: what was asked for */
	unsigned wrong_code; /* for wrong credentials; 0: 401 again */
	struct carrier_line script[CARRIER_SCRIPT_MAX];
	unsigned script_at, script_count;
	/* Called for each REGISTER; may be NULL. */
	void (*on_register)(void *arg);
	void *arg;

	/* What it has seen. */
	unsigned registers; /* all, retransmissions included */
	unsigned challenged;
	unsigned granted;
	unsigned refused; /* wrong credentials */
	unsigned removed; /* granted with Expires: 0 */
	unsigned options;
	unsigned nonce; /* the current one's number */
	unsigned nonce_used;
	uint32_t cseq;
	uint32_t expires_s;		 /* asked for last */
	enum digest_algorithm algorithm; /* of the last credentials */
	char user[CARRIER_TEXT];	 /* of them */
	char call_id[CARRIER_TEXT];
	char contact[CARRIER_TEXT]; /* as written */
	char to[CARRIER_TEXT];
	char via[CARRIER_TEXT];
	char uri[CARRIER_TEXT];
	struct sip_flow flow; /* the last request came by it */
};

/* Listens at a free port of 127.0.0.1. context: TLS, shared. */
void carrier_start(struct carrier *carrier, struct loop *loop,
		   enum sip_transport transport,
		   struct sip_tls_context *context);
void carrier_stop(struct carrier *carrier);

/* The next request that comes after those said before is answered so. */
void carrier_say(struct carrier *carrier, unsigned status, const char *headers);

#endif
