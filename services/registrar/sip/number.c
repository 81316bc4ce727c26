#include "services/registrar/sip/number.h"

#include "services/registrar/sip/chars.h"

#include <time.h>

enum err_code sip_number_decode(struct slice text, uint32_t *out)
{
	uint64_t number = 0;

	if (text.size == 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.size; i++) {
		if (!char_is(text.data[i], CH_DIGIT))
			return ERR_MALFORMED;
		number = number * 10 + (unsigned)(text.data[i] - '0');
		if (number > UINT32_MAX)
			return ERR_MALFORMED;
	}
	*out = (uint32_t)number;
	return ERR_OK;
}

enum err_code sip_port_decode(struct slice text, uint16_t *out)
{
	uint32_t number;

	if (sip_number_decode(text, &number) != ERR_OK || number == 0 ||
	    number > UINT16_MAX)
		return ERR_MALFORMED;
	*out = (uint16_t)number;
	return ERR_OK;
}

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) */
enum err_code sip_qvalue_decode(struct slice text, unsigned *thousandths)
{
	if (text.size == 0 || text.size > sizeof("0.000") - 1 ||
	    (text.data[0] != '0' && text.data[0] != '1') ||
	    (text.size > 1 && text.data[1] != '.'))
		return ERR_MALFORMED;

	unsigned value = text.data[0] == '1' ? 1000 : 0;
	unsigned scale = 100;

	for (size_t i = 2; i < text.size; i++, scale /= 10) {
		if (!char_is(text.data[i], CH_DIGIT))
			return ERR_MALFORMED;
		value += (unsigned)(text.data[i] - '0') * scale;
	}
	if (value > 1000)
		return ERR_MALFORMED;
	*thousandths = value;
	return ERR_OK;
}

static const char weekdays[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* The index of a name of three letters in such a list; -1: not in it. RFC 3261
 * 7.3.1: case-insensitive unless said otherwise. */
static int find_name(const char *names, const char *text)
{
	for (size_t i = 0; names[3 * i] != '\0'; i++)
		if (strncasecmp(names + 3 * i, text, 3) == 0)
			return (int)i;
	return -1;
}

/* The number of so many digits; -1: not digits. */
static int read_digits(const char *text, size_t digits)
{
	int number = 0;

	for (size_t i = 0; i < digits; i++) {
		if (!char_is(text[i], CH_DIGIT))
			return -1;
		number = number * 10 + (text[i] - '0');
	}
	return number;
}

/* "Sat, 13 Nov 2010 23:29:00 GMT": every field stands in its column. */
enum err_code sip_date_decode(struct slice text, int64_t *unix_s)
{
	static const char shape[] = "www, dd mmm yyyy hh:mm:ss GMT";
	const char *t = text.data;

	if (text.size != sizeof(shape) - 1)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.size; i++)
		if (strchr(" ,:", shape[i]) && t[i] != shape[i])
			return ERR_MALFORMED;
	if (strncasecmp(t + 26, "GMT", 3) != 0)
		return ERR_MALFORMED;

	const struct tm read = {
		.tm_mday = read_digits(t + 5, 2),
		.tm_mon = find_name(months, t + 8),
		.tm_year = read_digits(t + 12, 4) - 1900,
		.tm_hour = read_digits(t + 17, 2),
		.tm_min = read_digits(t + 20, 2),
		.tm_sec = read_digits(t + 23, 2),
	};
	struct tm whole = read;
	time_t seconds = timegm(&whole);

	/* timegm() carries what is out of range over: then fields differ. A
	 * leap second does too, and nobody's clock shows one. */
	if (read.tm_year < 0 || whole.tm_mday != read.tm_mday ||
	    whole.tm_mon != read.tm_mon || whole.tm_hour != read.tm_hour ||
	    whole.tm_min != read.tm_min || whole.tm_sec != read.tm_sec ||
	    whole.tm_wday != find_name(weekdays, t))
		return ERR_MALFORMED;
	*unix_s = seconds;
	return ERR_OK;
}
