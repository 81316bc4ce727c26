#ifndef REGISTRAR_SIP_CLIENT_H
#define REGISTRAR_SIP_CLIENT_H

/*
 * Client transactions of all methods but INVITE (RFC 3261 17.1.2): a request is
 * sent, sent again over UDP, and matched with its responses, until a final one,
 * the deadline or an error of the transport. The monotonic clock counts. The
 * bytes travel over a sink, which is whatever has them: a UDP socket, a
 * connection.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/registrar/sip/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SIP_BRANCH_BYTES = 33, /* 128 bits as hex, and NUL; without cookie */
	/* RFC 3261 17.1.1.1 and table 4. */
	SIP_T1_MS = 500,
	SIP_T2_MS = 4000,
	SIP_T4_MS = 5000,
	SIP_TIMEOUT_T1 = 64, /* timers B and F, in T1 */
};

struct sip_client;
struct sip_transaction;

/* False: the transport has failed, nothing was or will be sent. Does not call
 * the client. The message is of the call's time. */
typedef bool sip_send_fn(void *arg, struct slice message);

/* Where requests of one flow go. Embedded by the transport; it outlives its
 * transactions, or says sip_client_sink_failed() before it ends. */
struct sip_sink {
	sip_send_fn *send;
	void *arg;
	bool reliable;		       /* nothing is sent twice */
	struct sip_transaction *first; /* the client's; NULL at first */
};

enum sip_client_event {
	SIP_CLIENT_PROVISIONAL, /* a 1xx; more follows */
	/* The last of a transaction is one of these; its handle ends when fn is
	 * called. */
	SIP_CLIENT_FINAL,   /* 200 to 699 */
	SIP_CLIENT_TIMEOUT, /* timer F, or the caller's deadline */
	SIP_CLIENT_FAILED,  /* the transport */
};

/* response: of the call's time; NULL unless PROVISIONAL or FINAL. May send,
 * cancel other transactions, and cancel its own on PROVISIONAL. */
typedef void sip_client_fn(void *arg, enum sip_client_event event,
			   const struct sip_message *response);

/* 0 is the RFC's value for the times. */
struct sip_client_options {
	unsigned t1_ms;
	unsigned t2_ms;
	unsigned t4_ms;
	size_t max_transactions; /* at a time, those that wait for timer K too;
				    some 300 bytes each and the request's */
};

struct sip_client *sip_client_new(struct loop *loop,
				  const struct sip_client_options *options);

/* Transactions end without their callback. Not from a callback. */
void sip_client_free(struct sip_client *client);

/* A branch nobody can foresee, for sip_build_via() of a new request. */
void sip_client_branch(struct sip_client *client, char out[SIP_BRANCH_BYTES]);

struct sip_client_request {
	struct sip_sink *sink;
	const char *branch;	/* sip_client_branch(); in the topmost Via */
	enum sip_method method; /* not INVITE, not ACK */
	struct slice message;	/* whole; copied where it may be sent again */
	unsigned deadline_ms;	/* 0: 64 * T1 */
	sip_client_fn *fn;
	void *arg;
};

/* Sends a request; fn is not called before this returned. *out is the handle
 * for sip_client_cancel(). ERR_LIMIT: max_transactions are under way.
 * ERR_UNAVAILABLE: the sink refused. fn is never called then. */
enum err_code sip_client_send(struct sip_client *client,
			      const struct sip_client_request *request,
			      struct sip_transaction **out);

/* Ends a transaction without callback; what is answered to it is nobody's.
 * NULL is fine. */
void sip_client_cancel(struct sip_transaction *transaction);

/* A response has come: matched by the branch of its topmost Via and the method
 * of its CSeq (RFC 3261 17.1.3), whatever transport it came by. Calls fn.
 * False: it belongs to no transaction. */
bool sip_client_receive(struct sip_client *client,
			const struct sip_message *response);

/* The transport of a sink has failed: ends its transactions as
 * SIP_CLIENT_FAILED. The sink refuses to send by now. */
void sip_client_sink_failed(struct sip_sink *sink);

/* How many are under way. */
size_t sip_client_count(const struct sip_client *client);

#endif
