#include "services/system/system.h"

int main(int argc, char **argv)
{
	return process_run(argc, argv, &system_process);
}
