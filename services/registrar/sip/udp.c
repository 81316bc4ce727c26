#include "services/registrar/sip/udp.h"

#include "proto/buffer.h"
#include "proto/mem.h"
#include "services/common/log.h"
#include "services/registrar/sip/socket.h"

#include <assert.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* Datagrams per system call. More saves nothing measurable. */
	BATCH = 32,
	/* Batches per turn, so that timers, Redis and other sockets go on while
	 * a flood comes in. */
	BATCHES_PER_TURN = 4,
	SLOT_BYTES = 65536, /* any datagram, never cut */
	/* The error and the address of who told of it; at a wildcard the
	 * address the datagram left from comes before. */
	ERROR_CONTROL_BYTES = CMSG_SPACE(sizeof(struct sock_extended_err) +
					 sizeof(struct sockaddr_in6)) +
			      CMSG_SPACE(sizeof(struct in6_pktinfo)),
	/* With the kernel's default of 208 KiB bursts lose datagrams. */
	RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024,
};

/* Room for the address a datagram was sent to, and the drop counter. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		   CMSG_SPACE(sizeof(uint32_t))];
};

struct outgoing {
	struct sip_endpoint remote;
	struct sip_endpoint local; /* none: the kernel's choice */
	size_t start;		   /* in bytes */
	size_t size;
};

/* What the kernel is told of a batch. */
struct headers {
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	union control controls[BATCH];
};

struct sip_udp {
	struct loop_watch *watch;
	struct loop_timer *flush; /* runs while something waits for it */
	sip_udp_fn *fn;
	sip_udp_refused_fn *refused; /* or NULL */
	void *arg;
	struct sip_endpoint local;
	int fd;
	bool wildcard; /* each datagram has a local address of its own */
	bool blocked;  /* the kernel takes no more for now */
	bool busy;     /* in fn: not to be freed yet */
	bool freed;    /* meanwhile */
	uint32_t lost; /* the kernel's counter as last told */
	struct sip_udp_stats stats;

	/* What goes out: queue[first..count) */
	struct buffer bytes;
	struct outgoing *queue;
	size_t first, count, capacity;

	/* A batch coming in: each ready for the kernel, but while it is
	 * delivered. */
	struct headers in;
	struct sockaddr_in6 remotes[BATCH];
	char *slots; /* BATCH of them; only touched pages take memory */

	/* A batch going out; nothing is kept between calls. */
	struct headers out;
};

/* --- Receiving --- */

/* Of one datagram: the kernel writes over it. */
static void incoming_prepare(struct sip_udp *udp, size_t i)
{
	struct headers *in = &udp->in;

	in->vectors[i] = (struct iovec){.iov_base = udp->slots + i * SLOT_BYTES,
					.iov_len = SLOT_BYTES};
	in->messages[i].msg_hdr = (struct msghdr){
		.msg_name = &udp->remotes[i],
		.msg_namelen = sizeof(udp->remotes[i]),
		.msg_iov = &in->vectors[i],
		.msg_iovlen = 1,
		.msg_control = &in->controls[i],
		.msg_controllen = sizeof(in->controls[i]),
	};
}

static void local_v4(const struct cmsghdr *control, struct sip_endpoint *local)
{
	struct in_pktinfo info;

	memcpy(&info, CMSG_DATA(control), sizeof(info));
	local->v4.sin_addr = info.ipi_spec_dst;
}

static void local_v6(const struct cmsghdr *control, struct sip_endpoint *local)
{
	struct in6_pktinfo info;

	memcpy(&info, CMSG_DATA(control), sizeof(info));
	local->v6.sin6_addr = info.ipi6_addr;
	if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
		local->v6.sin6_scope_id = info.ipi6_ifindex;
}

/* The counter is the socket's since it was opened and wraps. */
static void count_lost(struct sip_udp *udp, const struct cmsghdr *control)
{
	uint32_t lost;

	memcpy(&lost, CMSG_DATA(control), sizeof(lost));
	udp->stats.lost += lost - udp->lost;
	udp->lost = lost;
}

/* Reads what the kernel says beside a datagram. */
static struct sip_endpoint read_controls(struct sip_udp *udp,
					 struct msghdr *header)
{
	struct sip_endpoint local = udp->local;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c;
	     c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			local_v4(c, &local);
		else if (c->cmsg_level == IPPROTO_IPV6 &&
			 c->cmsg_type == IPV6_PKTINFO)
			local_v6(c, &local);
		else if (c->cmsg_level == SOL_SOCKET &&
			 c->cmsg_type == SO_RXQ_OVFL)
			count_lost(udp, c);
	}
	return local;
}

static void deliver(struct sip_udp *udp, size_t i)
{
	struct mmsghdr *message = &udp->in.messages[i];
	struct sip_endpoint local = read_controls(udp, &message->msg_hdr);
	struct sip_endpoint remote =
		sip_endpoint_of((const struct sockaddr *)&udp->remotes[i]);

	udp->stats.packets_in++;
	incoming_prepare(udp, i);
	udp->fn(udp->arg,
		slice_of(udp->slots + i * SLOT_BYTES, message->msg_len),
		&remote, &local);
}

static bool is_error(const struct cmsghdr *c)
{
	return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
	       (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
}

static bool is_refusal(struct msghdr *header)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(header);
	struct sock_extended_err error;

	while (c && !is_error(c))
		c = CMSG_NXTHDR(header, c);
	if (!c)
		return false;
	memcpy(&error, CMSG_DATA(c), sizeof(error));
	return error.ee_errno == ECONNREFUSED ||
	       error.ee_errno == EHOSTUNREACH || error.ee_errno == ENETUNREACH;
}

/* ICMP errors of earlier datagrams, with where these went. A batch of them at
 * a time: each is an answer to something we sent. */
static void receive_errors(struct sip_udp *udp)
{
	for (size_t i = 0; i < BATCH && !udp->freed; i++) {
		struct sockaddr_in6 remote;
		char data[1];
		char control[ERROR_CONTROL_BYTES]
			__attribute__((aligned(sizeof(struct cmsghdr))));
		struct iovec vector = {data, sizeof(data)};
		struct msghdr header = {
			.msg_name = &remote,
			.msg_namelen = sizeof(remote),
			.msg_iov = &vector,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};

		if (recvmsg(udp->fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return;
		if (!udp->refused || !is_refusal(&header))
			continue;
		const struct sip_endpoint to =
			sip_endpoint_of((const struct sockaddr *)&remote);

		udp->refused(udp->arg, &to);
	}
}

/* Returns false when nothing more is there. */
static bool receive_batch(struct sip_udp *udp)
{
	int got =
		recvmmsg(udp->fd, udp->in.messages, BATCH, MSG_DONTWAIT, NULL);

	if (got < 0) {
		const bool nothing = errno == EAGAIN || errno == EINTR;

		/* Woken for no datagram, or told of an error: the kernel wakes
		 * us until its errors are read. */
		receive_errors(udp);
		return !nothing;
	}
	for (int i = 0; i < got && !udp->freed; i++)
		deliver(udp, (size_t)i);
	return got == BATCH;
}

/* --- Sending --- */

/* Says which of our addresses a datagram leaves from. */
static void choose_local(const struct outgoing *out, union control *control,
			 struct msghdr *header)
{
	struct cmsghdr *c = &control->align;

	if (sip_endpoint_family(&out->local) == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst =
						  out->local.v4.sin_addr};

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		header->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_addr = out->local.v6.sin6_addr,
					   .ipi6_ifindex =
						   out->local.v6.sin6_scope_id};

		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		header->msg_controllen = CMSG_SPACE(sizeof(info));
	}
	header->msg_control = control;
}

static void header_fill(struct sip_udp *udp, struct outgoing *out, size_t i)
{
	struct headers *headers = &udp->out;
	struct msghdr *header = &headers->messages[i].msg_hdr;

	headers->vectors[i] = (struct iovec){
		.iov_base = udp->bytes.data + out->start, .iov_len = out->size};
	*header = (struct msghdr){
		.msg_name = &out->remote,
		.msg_namelen = sip_endpoint_size(&out->remote),
		.msg_iov = &headers->vectors[i],
		.msg_iovlen = 1,
	};
	if (sip_endpoint_family(&out->local) != AF_UNSPEC)
		choose_local(out, &headers->controls[i], header);
}

/* Returns false when the kernel takes no more for now. */
static bool send_batch(struct sip_udp *udp)
{
	size_t size = udp->count - udp->first;

	if (size > BATCH)
		size = BATCH;
	for (size_t i = 0; i < size; i++)
		header_fill(udp, &udp->queue[udp->first + i], i);

	int sent = sendmmsg(udp->fd, udp->out.messages, (unsigned)size,
			    MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent > 0) {
		udp->first += (size_t)sent;
		udp->stats.packets_out += (uint64_t)sent;
		return true;
	}
	if (errno == EAGAIN)
		return false;
	/* A reported ICMP error is of an earlier one; it is read elsewhere. */
	if (errno == EINTR || errno == ECONNREFUSED)
		return true;
	/* No route, a firewall, a full interface: this datagram is lost as
	 * datagrams are, the next may have another way. */
	udp->stats.errors++;
	udp->first++;
	return true;
}

/* Moves what still waits to the front, so that a socket that never gets empty
 * does not grow. */
static void queue_compact(struct sip_udp *udp)
{
	size_t start = udp->first < udp->count ? udp->queue[udp->first].start
					       : udp->bytes.size;

	if (start > 0)
		memmove(udp->bytes.data, udp->bytes.data + start,
			udp->bytes.size - start);
	udp->bytes.size -= start;
	udp->count -= udp->first;
	memmove(udp->queue, udp->queue + udp->first,
		udp->count * sizeof(*udp->queue));
	udp->first = 0;
	for (size_t i = 0; i < udp->count; i++)
		udp->queue[i].start -= start;
}

static void flush(struct sip_udp *udp)
{
	udp->blocked = false;
	while (udp->first < udp->count && !udp->blocked)
		udp->blocked = !send_batch(udp);
	if (udp->first > 0)
		queue_compact(udp);
	loop_watch_set(udp->watch,
		       LOOP_READABLE | (udp->blocked ? LOOP_WRITABLE : 0));
}

static void on_flush(void *arg)
{
	struct sip_udp *udp = arg;

	if (!udp->blocked)
		flush(udp);
}

enum err_code sip_udp_send(struct sip_udp *udp,
			   const struct sip_endpoint *remote,
			   const struct sip_endpoint *local, struct slice bytes)
{
	if (sip_endpoint_family(remote) != sip_endpoint_family(&udp->local))
		return ERR_VALIDATE;
	if (bytes.size > SIP_UDP_BYTES_MAX)
		return ERR_TOO_LARGE;
	if (udp->count == SIP_UDP_QUEUE_MAX ||
	    bytes.size > SIP_UDP_QUEUE_BYTES_MAX - udp->bytes.size) {
		udp->stats.dropped++;
		return ERR_LIMIT;
	}
	if (udp->count == udp->capacity) {
		udp->capacity = udp->capacity ? 2 * udp->capacity : BATCH;
		udp->queue = mem_resize(udp->queue,
					udp->capacity * sizeof(*udp->queue));
	}
	if (udp->count == 0)
		loop_timer_start(udp->flush, 0, 0);

	struct outgoing *out = &udp->queue[udp->count++];

	*out = (struct outgoing){
		.remote = *remote,
		.start = udp->bytes.size,
		.size = bytes.size,
	};
	if (udp->wildcard && local && !sip_endpoint_is_wildcard(local))
		out->local = *local;
	buffer_append(&udp->bytes, bytes.data, bytes.size);
	return ERR_OK;
}

/* --- Life --- */

static void destroy(struct sip_udp *udp)
{
	flush(udp);
	loop_watch_free(udp->watch);
	loop_timer_free(udp->flush);
	close(udp->fd);
	buffer_fini(&udp->bytes);
	free(udp->queue);
	free(udp->slots);
	free(udp);
}

void sip_udp_free(struct sip_udp *udp)
{
	if (!udp)
		return;
	udp->freed = true;
	if (!udp->busy)
		destroy(udp);
}

static void on_ready(void *arg, unsigned events)
{
	struct sip_udp *udp = arg;

	if (events & LOOP_WRITABLE && udp->blocked)
		flush(udp);
	if (!(events & LOOP_READABLE))
		return;
	udp->busy = true;
	for (int i = 0; i < BATCHES_PER_TURN && !udp->freed; i++)
		if (!receive_batch(udp))
			break;
	udp->busy = false;
	if (udp->freed)
		destroy(udp);
}

/* A machine that does not grant the buffer serves on, with losses in bursts:
 * its owner should know. */
static void receive_buffer_set(const struct sip_udp *udp)
{
	int got = 0;
	socklen_t size = sizeof(got);

	if (!sip_socket_set(udp->fd, SOL_SOCKET, SO_RCVBUFFORCE,
			    RECEIVE_BUFFER_BYTES))
		sip_socket_set(udp->fd, SOL_SOCKET, SO_RCVBUF,
			       RECEIVE_BUFFER_BYTES);
	getsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &got, &size);
	if (got >= RECEIVE_BUFFER_BYTES)
		return;

	char local[SIP_ENDPOINT_TEXT];

	log_event(LOG_WARN, "sip.udp.small_buffer",
		  LOG_STR("local", sip_endpoint_text(&udp->local, local)),
		  LOG_INT("bytes", got), LOG_STR("raise", "net.core.rmem_max"));
}

static void options_set(struct sip_udp *udp)
{
	receive_buffer_set(udp);
	sip_socket_set(udp->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	if (sip_endpoint_family(&udp->local) == AF_INET) {
		sip_socket_set(udp->fd, IPPROTO_IP, IP_RECVERR, 1);
		sip_socket_set(udp->fd, IPPROTO_IP, IP_PKTINFO, udp->wildcard);
	} else {
		sip_socket_set(udp->fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		sip_socket_set(udp->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO,
			       udp->wildcard);
	}
}

enum err_code sip_udp_new(struct loop *loop, const struct sip_endpoint *local,
			  sip_udp_fn *fn, sip_udp_refused_fn *refused,
			  void *arg, struct sip_udp **out, struct err *err)
{
	int fd;
	enum err_code code = sip_socket_bind(local, SOCK_DGRAM, &fd, err);

	if (code != ERR_OK)
		return code;

	struct sip_udp *udp = mem_alloc(sizeof(*udp));

	udp->fd = fd;
	udp->fn = fn;
	udp->refused = refused;
	udp->arg = arg;
	udp->local = sip_socket_local(fd);
	udp->wildcard = sip_endpoint_is_wildcard(&udp->local);
	udp->slots = mem_alloc((size_t)BATCH * SLOT_BYTES);
	for (size_t i = 0; i < BATCH; i++)
		incoming_prepare(udp, i);
	udp->flush = loop_timer_new(loop, on_flush, udp);
	udp->watch = loop_watch_new(loop, fd, on_ready, udp);
	options_set(udp);
	loop_watch_set(udp->watch, LOOP_READABLE);
	*out = udp;
	return ERR_OK;
}

const struct sip_endpoint *sip_udp_local(const struct sip_udp *udp)
{
	return &udp->local;
}

const struct sip_udp_stats *sip_udp_stats(const struct sip_udp *udp)
{
	return &udp->stats;
}

bool sip_udp_owns(const struct sip_udp *udp, const struct sip_endpoint *local)
{
	if (sip_endpoint_family(local) != sip_endpoint_family(&udp->local) ||
	    sip_endpoint_port(local) != sip_endpoint_port(&udp->local))
		return false;
	return udp->wildcard || sip_endpoint_host_eq(local, &udp->local);
}
