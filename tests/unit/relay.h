#ifndef UNIT_RELAY_H
#define UNIT_RELAY_H

/*
 * A network between a client and a server, both on unix sockets: it can keep
 * what a client has sent and hand it over later, even when the client has given
 * up that connection and gone on with another.
 */

#include "services/common/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct relay;

/* Listens on path and connects to server_path. */
struct relay *relay_new(struct loop *loop, const char *path,
			const char *server_path);
void relay_free(struct relay *relay);

/* From now on keeps what comes on the connections there are; new ones pass. */
void relay_hold(struct relay *relay);

/* The connections that are held end for the client alone. */
void relay_cut(struct relay *relay);

/* Hands over what was kept, and returns when the server has read what came on
 * connections that were cut. */
void relay_release(struct relay *relay);

/* Keeps what the server answers, or hands it over. */
void relay_hold_answers(struct relay *relay, bool hold);

/* Bytes that clients have sent. */
uint64_t relay_heard(const struct relay *relay);

#endif
