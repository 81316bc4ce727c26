#include "services/registrar/registrar.h"

int main(int argc, char **argv)
{
	return process_run(argc, argv, &registrar_process);
}
