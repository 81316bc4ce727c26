#include "services/common/bus_nng.h"

#include "proto/mem.h"
#include "proto/message.h"
#include "services/common/log.h"

#include <errno.h>
#include <nng/transport/ipc/ipc.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Stands before libc's sendmsg(), for nng 1.5's sake.
 *
 * nng reads EPIPE as "closed by ourselves". A peer that goes away before our
 * greeting is written (a probe that connects and closes, a process killed at
 * that moment) so ends a listener's accepting and a dialer's reconnecting for
 * ever (nng issue 1518, mended in 1.6, not in Debian 12). ECONNRESET means the
 * same of the peer and is what nng goes on after. nng is the only one here that
 * writes to sockets with sendmsg().
 */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	const ssize_t size = syscall(SYS_sendmsg, fd, message, flags);

	if (size < 0 && errno == EPIPE)
		errno = ECONNRESET;
	return size;
}

/* nng counts its own header into a message's size: the request id and a word
 * for each device on the way, of which it allows 15. */
enum { HEADER_BYTES_MAX = 16 * 4 };

enum {
	/* The owner and group of the service may connect. */
	SOCKET_MODE = 0660,

	/* A restarted service is found at once, an absent one asked for
	 * cheaply. */
	RECONNECT_MIN_MS = 50,
	RECONNECT_MAX_MS = 500,
};

enum err_code bus_nng_fail(struct err *err, const char *what, int code)
{
	const bool address = code == NNG_EADDRINVAL || code == NNG_EINVAL ||
			     code == NNG_ENOTSUP;

	return err_set(err, address ? ERR_VALIDATE : ERR_UNAVAILABLE, "%s: %s",
		       what, nng_strerror(code));
}

void bus_nng_require(int code, const char *what)
{
	if (code == 0)
		return;
	log_event(LOG_ERROR, "bus.failed", LOG_STR("call", what),
		  LOG_STR("reason", nng_strerror(code)));
	abort();
}

void bus_nng_socket_tune(nng_socket socket)
{
	/* nng's own default is no limit at all. */
	bus_nng_require(
		nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ,
				    MESSAGE_BATCH_BYTES_MAX + HEADER_BYTES_MAX),
		"NNG_OPT_RECVMAXSZ");
}

int bus_nng_listen(nng_socket socket, const char *address)
{
	nng_listener listener;
	int code = nng_listener_create(&listener, socket, address);

	if (code == 0 && strncmp(address, "ipc://", 6) == 0)
		code = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS,
					    SOCKET_MODE);
	return code == 0 ? nng_listener_start(listener, 0) : code;
}

int bus_nng_dial(nng_socket socket, const char *address)
{
	bus_nng_require(
		nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS),
		"NNG_OPT_RECONNMINT");
	bus_nng_require(
		nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS),
		"NNG_OPT_RECONNMAXT");
	/* Without NONBLOCK a service that is down fails the dial for good. */
	return nng_dial(socket, address, NULL, NNG_FLAG_NONBLOCK);
}

/* Closing takes some milliseconds. Once nng is stuck each further socket of the
 * process waits as long: a process that stops has a few. */
enum { CLOSE_MAX_S = 2 };

struct closing {
	nng_socket socket;
	void *keep; /* so that what is left behind is not lost sight of */
};

static void *close_socket(void *arg)
{
	const struct closing *closing = arg;

	nng_close(closing->socket);
	return closing->keep;
}

bool bus_nng_close(nng_socket socket, void *keep)
{
	struct closing *closing = mem_alloc(sizeof(*closing));
	struct timespec end;
	pthread_t thread;

	*closing = (struct closing){.socket = socket, .keep = keep};
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += CLOSE_MAX_S;
	if (pthread_create(&thread, NULL, close_socket, closing) != 0) {
		close_socket(closing);
	} else if (pthread_timedjoin_np(thread, NULL, &end) != 0) {
		pthread_detach(thread);
		log_event(LOG_WARN, "bus.close_abandoned",
			  LOG_INT("seconds", CLOSE_MAX_S));
		return false;
	}
	free(closing);
	return true;
}

nng_msg *bus_nng_message(struct slice bytes)
{
	nng_msg *message = NULL;

	bus_nng_require(nng_msg_alloc(&message, bytes.size), "nng_msg_alloc");
	if (bytes.size > 0)
		memcpy(nng_msg_body(message), bytes.data, bytes.size);
	return message;
}

struct slice bus_nng_body(nng_msg *message)
{
	return slice_of(nng_msg_body(message), nng_msg_len(message));
}

void bus_inbox_init(struct bus_inbox *inbox, struct loop *loop, loop_fn *fn,
		    void *arg)
{
	pthread_mutex_init(&inbox->lock, NULL);
	inbox->first = NULL;
	inbox->last = &inbox->first;
	inbox->wake = loop_wake_new(loop, fn, arg);
}

void bus_inbox_fini(struct bus_inbox *inbox)
{
	loop_wake_free(inbox->wake);
	pthread_mutex_destroy(&inbox->lock);
}

void bus_inbox_put(struct bus_inbox *inbox, struct bus_event *event)
{
	event->next = NULL;
	pthread_mutex_lock(&inbox->lock);
	const bool first = !inbox->first;

	*inbox->last = event;
	inbox->last = &event->next;
	pthread_mutex_unlock(&inbox->lock);
	/* Behind another event the wake is already on its way. */
	if (first)
		loop_wake_send(inbox->wake);
}

void bus_inbox_wake(struct bus_inbox *inbox)
{
	loop_wake_send(inbox->wake);
}

struct bus_event *bus_inbox_take(struct bus_inbox *inbox)
{
	pthread_mutex_lock(&inbox->lock);
	struct bus_event *first = inbox->first;

	inbox->first = NULL;
	inbox->last = &inbox->first;
	pthread_mutex_unlock(&inbox->lock);
	return first;
}
