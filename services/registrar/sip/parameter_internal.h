#ifndef REGISTRAR_SIP_PARAMETER_INTERNAL_H
#define REGISTRAR_SIP_PARAMETER_INTERNAL_H

/* For the decoders whose values end with parameters. */

#include "services/registrar/sip/chars.h"
#include "services/registrar/sip/parameter.h"

/* Reads the next of the parameters that stand where the cursor is, and takes
 * one off *left, which starts as SIP_PARAMETERS_MAX. ERR_NOT_FOUND: there are
 * no more, the cursor is behind the last. ERR_MALFORMED: it is broken, or one
 * too many. */
enum err_code sip_parameter_read(struct cursor *c, unsigned *left,
				 struct sip_parameter *out);

#endif
