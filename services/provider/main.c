#include "services/provider/provider.h"

int main(int argc, char **argv)
{
	return process_run(argc, argv, &provider_process);
}
