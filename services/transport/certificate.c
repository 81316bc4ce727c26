#include "services/transport/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* OpenSSL would ask at the terminal. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *bio_of(struct slice pem)
{
	return BIO_new_mem_buf(pem.data, (int)pem.size);
}

static EVP_PKEY *read_key(struct slice pem)
{
	BIO *bio = bio_of(pem);
	EVP_PKEY *key =
		bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)
		    : NULL;

	BIO_free(bio);
	return key;
}

/* The first certificate; NULL where that or one behind it cannot be read. */
static X509 *read_chain(struct slice pem)
{
	BIO *bio = bio_of(pem);
	X509 *first =
		bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
	X509 *next = first;

	while (next && (next = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
		X509_free(next);
	/* The end of the text is the one good reason to stop. */
	if (first &&
	    ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		X509_free(first);
		first = NULL;
	}
	BIO_free(bio);
	return first;
}

enum err_code certificate_check(struct slice crt, struct slice key,
				struct err *err)
{
	X509 *certificate = read_chain(crt);
	EVP_PKEY *pkey = read_key(key);
	enum err_code code = ERR_OK;

	if (!certificate)
		code = err_field(
			err, "crt",
			"must be PEM certificates, the server's first");
	if (!pkey)
		code = err_field(err, "key",
				 "must be a PEM private key without password");
	if (certificate && pkey &&
	    X509_check_private_key(certificate, pkey) != 1)
		code = err_field(err, "key",
				 "is not the key of the certificate");
	X509_free(certificate);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return code;
}
