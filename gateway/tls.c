#include "gateway/tls.h"

#include <openssl/err.h>
#include <string.h>

/* AES-GCM and ChaCha20 with forward secrecy only. */
static const char tls12_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* OpenSSL would ask on the terminal for the password of an encrypted key. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

/* Says what OpenSSL holds against a file: its first error has the cause. */
static enum err_code refuse(struct err *err, const char *file)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_SYSTEM_ERROR(error)
				     ? strerror(ERR_GET_REASON(error))
				     : ERR_reason_error_string(error);

	err_set(err, ERR_VALIDATE, "%s: %s", file,
		reason ? reason : "cannot be used");
	ERR_clear_error();
	return ERR_VALIDATE;
}

static enum err_code files_load(SSL_CTX *context, const char *certificate,
				const char *key, struct err *err)
{
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
		return refuse(err, certificate);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		return refuse(err, key);
	if (SSL_CTX_check_private_key(context) != 1)
		return refuse(err, key);
	return ERR_OK;
}

enum err_code tls_server_new(const char *certificate, const char *key,
			     SSL_CTX **out, struct err *err)
{
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (!context)
		return err_set(err, ERR_INTERNAL, "OpenSSL gives no context");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_cipher_list(context, tls12_ciphers);
	SSL_CTX_set_default_passwd_cb(context, no_password);
	enum err_code code = files_load(context, certificate, key, err);
	if (code != ERR_OK) {
		SSL_CTX_free(context);
		return code;
	}
	*out = context;
	return ERR_OK;
}
