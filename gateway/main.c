/* trunkline-gateway: REST to bus. */

#include "gateway/gateway.h"
#include "services/common/process.h"

int main(int argc, char **argv)
{
	static const struct process_kind kind = {
		.name = "gateway",
		.start = gateway_start,
		.stop = gateway_stop,
		.idle = gateway_idle,
		.free = gateway_free,
	};

	return process_run(argc, argv, &kind);
}
