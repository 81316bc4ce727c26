#ifndef REGISTRAR_SIP_UDP_H
#define REGISTRAR_SIP_UDP_H

/*
 * A UDP socket on the loop. Datagrams come and go in batches: one system call
 * for up to 32 of them, which is most of what a registration costs.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/registrar/sip/endpoint.h"

#include <stddef.h>
#include <stdint.h>

struct sip_udp;

enum {
	/* The largest payload of a UDP datagram over IPv4. */
	SIP_UDP_BYTES_MAX = 65507,
	/* What waits for the kernel when it takes no more: some 40 ms of all
	 * answers at the highest rate measured. Past it datagrams are dropped
	 * and the peer retransmits (RFC 3261 17.1.2). */
	SIP_UDP_QUEUE_MAX = 4096,
	SIP_UDP_QUEUE_BYTES_MAX = 4 * 1024 * 1024,
};

/* A datagram came. bytes is good for the time of the callback and may be empty.
 * local: the address it was sent to. */
typedef void sip_udp_fn(void *arg, struct slice bytes,
			const struct sip_endpoint *remote,
			const struct sip_endpoint *local);

/* The network says that nothing takes what is sent there: the port is closed,
 * or there is no way (RFC 3261 18.4). Anybody who sees a datagram of ours can
 * make it say so. */
typedef void sip_udp_refused_fn(void *arg, const struct sip_endpoint *remote);

struct sip_udp_stats {
	uint64_t packets_in;
	uint64_t packets_out;
	uint64_t dropped; /* ours: the send queue was full */
	uint64_t lost;	  /* coming in: the kernel's buffer was full */
	uint64_t errors;  /* the kernel refused to receive or send one */
};

/* Binds a socket and starts to receive. Port 0: any free one. Errors as of
 * sip_socket_bind(). Both functions may free the socket; refused may be NULL.
 */
enum err_code sip_udp_new(struct loop *loop, const struct sip_endpoint *local,
			  sip_udp_fn *fn, sip_udp_refused_fn *refused,
			  void *arg, struct sip_udp **out, struct err *err);

/* Sends what is queued as far as the kernel takes it, then closes. */
void sip_udp_free(struct sip_udp *udp);

/* As bound, with the real port. */
const struct sip_endpoint *sip_udp_local(const struct sip_udp *udp);
const struct sip_udp_stats *sip_udp_stats(const struct sip_udp *udp);

/* Whether a datagram from this address of ours can leave by this socket. */
bool sip_udp_owns(const struct sip_udp *udp, const struct sip_endpoint *local);

/* Queues a copy; all of a loop turn leave together. local: the address to send
 * from where the socket has the wildcard, NULL: the kernel's choice.
 * ERR_TOO_LARGE: no datagram takes it. ERR_LIMIT: the queue is full.
 * ERR_VALIDATE: remote is of another family or none. */
enum err_code sip_udp_send(struct sip_udp *udp,
			   const struct sip_endpoint *remote,
			   const struct sip_endpoint *local,
			   struct slice bytes);

#endif
