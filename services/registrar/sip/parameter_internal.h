#ifndef REGISTRAR_SIP_PARAMETER_INTERNAL_H
#define REGISTRAR_SIP_PARAMETER_INTERNAL_H

/* For the decoders whose values end with parameters. */

#include "services/registrar/sip/chars.h"

/* Steps over all parameters there are; false: one of them is broken. */
bool sip_parameters_read(struct cursor *c, struct slice *out);

#endif
