#ifndef UNIT_SIP_PEER_H
#define UNIT_SIP_PEER_H

/* The other end of a socket under test: a plain one, driven by the test. */

#include "proto/buffer.h"
#include "services/common/loop.h"
#include "services/registrar/sip/endpoint.h"

/* A small message with a body of "x"s, whose number is in its Call-ID. */
void peer_message(struct buffer *out, unsigned number, size_t body_bytes);

/* An address of a family on the loopback; port 0. */
struct sip_endpoint peer_loopback(int family);

/* A TCP connection, non-blocking once it is made. */
int peer_connect(const struct sip_endpoint *remote);

/* Sends all, turning the loop when the socket is full. */
void peer_send(struct loop *loop, int fd, struct slice bytes);

/* Adds size bytes to what was read, turning the loop until they are there. The
 * test fails when the connection ends before. */
void peer_read(struct loop *loop, int fd, struct buffer *out, size_t size);

/* Whether the connection is at its end, once the loop had time to end it; what
 * is still to be read is thrown away. */
bool peer_ended(struct loop *loop, int fd);

/* Descriptors this process has open. */
size_t peer_descriptors(void);

#endif
