#include "certificates.h"

#include "proto/mem.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOUR_S = 3600 };

struct certificate {
	X509 *x509;
	EVP_PKEY *pkey;
	char *pem;
	char *key;
};

static void extension_add(X509 *x509, int nid, const char *value)
{
	X509_EXTENSION *extension =
		X509V3_EXT_nconf_nid(NULL, NULL, nid, value);

	cr_assert(extension, "%s", value);
	cr_assert_eq(X509_add_ext(x509, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void set_names(X509 *x509, const struct certificate_options *options)
{
	X509_NAME *name = X509_get_subject_name(x509);

	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
				   (const unsigned char *)options->name, -1, -1,
				   0);
	X509_set_issuer_name(
		x509, options->issuer
			      ? X509_get_subject_name(options->issuer->x509)
			      : name);
	if (options->alternative)
		extension_add(x509, NID_subject_alt_name, options->alternative);
	extension_add(x509, NID_basic_constraints,
		      options->authority ? "critical,CA:TRUE" : "CA:FALSE");
}

static X509 *x509_new(const struct certificate_options *options, EVP_PKEY *pkey)
{
	X509 *x509 = X509_new();
	uint32_t serial;

	cr_assert(x509);
	RAND_bytes((unsigned char *)&serial, sizeof(serial));
	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), (long)(serial >> 1));
	X509_gmtime_adj(X509_getm_notBefore(x509),
			options->from_s ? options->from_s : -HOUR_S);
	X509_gmtime_adj(X509_getm_notAfter(x509),
			options->until_s ? options->until_s : HOUR_S);
	X509_set_pubkey(x509, pkey);
	set_names(x509, options);
	cr_assert_gt(X509_sign(x509,
			       options->issuer ? options->issuer->pkey : pkey,
			       EVP_sha256()),
		     0);
	return x509;
}

/* The text of a memory BIO, which is freed. */
static char *text_of(BIO *bio)
{
	char *data;
	long size = BIO_get_mem_data(bio, &data);
	char *text = mem_alloc((size_t)size + 1);

	memcpy(text, data, (size_t)size);
	BIO_free(bio);
	return text;
}

struct certificate *certificate_new(const struct certificate_options *options)
{
	struct certificate *certificate = mem_alloc(sizeof(*certificate));
	BIO *pem = BIO_new(BIO_s_mem());
	BIO *key = BIO_new(BIO_s_mem());

	certificate->pkey = EVP_EC_gen("P-256");
	cr_assert(certificate->pkey && pem && key);
	certificate->x509 = x509_new(options, certificate->pkey);
	PEM_write_bio_X509(pem, certificate->x509);
	PEM_write_bio_PrivateKey(key, certificate->pkey, NULL, NULL, 0, NULL,
				 NULL);
	certificate->pem = text_of(pem);
	certificate->key = text_of(key);
	return certificate;
}

void certificate_free(struct certificate *certificate)
{
	if (!certificate)
		return;
	X509_free(certificate->x509);
	EVP_PKEY_free(certificate->pkey);
	free(certificate->pem);
	free(certificate->key);
	free(certificate);
}

struct slice certificate_pem(const struct certificate *certificate)
{
	return slice_str(certificate->pem);
}

struct slice certificate_key(const struct certificate *certificate)
{
	return slice_str(certificate->key);
}

char *certificate_file(const struct certificate *certificate)
{
	char *path = mem_strdup("/tmp/trunkline-certificate-XXXXXX");
	int fd = mkstemp(path);
	struct slice pem = certificate_pem(certificate);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, pem.data, pem.size), (ssize_t)pem.size);
	close(fd);
	return path;
}
