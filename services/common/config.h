#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

/*
 * Configuration: one table for the whole suite, so that one file can serve
 * every process. A value comes from, later wins: the table's default, the
 * file named by --config or TRUNKLINE_CONFIG (a JSON object, keys as in the
 * table), the environment (TRUNKLINE_ and the key in upper case), a flag
 * (--key=value). Unknown keys, flags and TRUNKLINE_ variables are errors, as
 * are values outside their range. README.md prints the same table; a test
 * compares the two.
 */

#include "proto/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* key, kind, default, minimum, maximum, what it does */
#define CONFIG_LIST(X)                                                         \
	X(DATABASE_URL, "database_url", CONFIG_STR, "", 0, 1024,               \
	  "PostgreSQL, as a libpq URL or keyword list; a URL without a user "  \
	  "connects as the service's own role")                                \
	X(REDIS_URL, "redis_url", CONFIG_STR, "redis://127.0.0.1:6379/0", 1,   \
	  1024, "Redis: redis://[:password@]host:port/db or unix:/path[?db]")  \
	X(BUS_DIR, "bus_dir", CONFIG_STR, "/run/trunkline", 1, 80,             \
	  "directory of the ipc:// sockets of services without an address")    \
	X(PROVIDER_ADDRESS, "provider_address", CONFIG_STR, "", 0, 1024,       \
	  "nng addresses of the provider service, comma separated; empty: "    \
	  "ipc:// in bus_dir")                                                 \
	X(SYSTEM_ADDRESS, "system_address", CONFIG_STR, "", 0, 1024,           \
	  "nng addresses of the system service, likewise")                     \
	X(TRANSPORT_ADDRESS, "transport_address", CONFIG_STR, "", 0, 1024,     \
	  "nng addresses of the transport service, likewise")                  \
	X(REGISTRAR_ADDRESS, "registrar_address", CONFIG_STR, "", 0, 1024,     \
	  "nng addresses of the registrar, likewise")                          \
	X(TENANT_ADDRESS, "tenant_address", CONFIG_STR, "", 0, 1024,           \
	  "nng addresses of the tenant service, likewise")                     \
	X(DEALER_ADDRESS, "dealer_address", CONFIG_STR, "", 0, 1024,           \
	  "nng addresses of the dealer service, likewise")                     \
	X(LISTEN, "listen", CONFIG_STR, "", 0, 256,                            \
	  "the nng address a service listens on; empty: the first of its "     \
	  "<service>_address; its events leave beside it (proto/README.md)")   \
	X(HTTP_HOST, "http_host", CONFIG_STR, "0.0.0.0", 1, 64,                \
	  "numeric address the gateway listens on")                            \
	X(HTTP_PORT, "http_port", CONFIG_INT, "8887", 0, 65535,                \
	  "port the gateway listens on; 0: any, written to the log")           \
	X(TLS_CERTIFICATE, "tls_certificate", CONFIG_STR, "", 0, 1024,         \
	  "PEM file: the gateway's certificate chain; set: HTTPS only")        \
	X(TLS_KEY, "tls_key", CONFIG_STR, "", 0, 1024,                         \
	  "PEM file: the key of tls_certificate")                              \
	X(HTTP_IDLE_MS, "http_idle_ms", CONFIG_INT, "10000", 100, 600000,      \
	  "how long a client may take to send a request or stay idle")         \
	X(HTTP_IN_FLIGHT_MAX, "http_in_flight_max", CONFIG_INT, "4096", 1,     \
	  100000, "REST calls at work at once; further ones are answered 503") \
	X(RATE_LIMIT, "rate_limit", CONFIG_INT, "5000", 0, 1000000,            \
	  "REST calls a minute for each token, and for each address without "  \
	  "one; further ones are answered 429; 0: no limit")                   \
	X(CALL_DEADLINE_MS, "call_deadline_ms", CONFIG_INT, "5000", 10,        \
	  600000, "how long a REST call waits for its service")                \
	X(EXPORT_DEADLINE_MS, "export_deadline_ms", CONFIG_INT, "30000", 10,   \
	  600000, "how long one page of an export may take")                   \
	X(DRAIN_MS, "drain_ms", CONFIG_INT, "5000", 0, 600000,                 \
	  "how long a stopping process finishes what is in flight")            \
	X(ADMIN_NAME, "admin_name", CONFIG_STR, "admin", 1, 64,                \
	  "name of the administrator made on the first start")                 \
	X(ADMIN_FILE, "admin_file", CONFIG_STR, "", 0, 1024,                   \
	  "file (mode 0600) the first administrator's password is left in; "   \
	  "empty: none is made")                                               \
	X(AUDIT_RETENTION_DAYS, "audit_retention_days", CONFIG_INT, "180", 1,  \
	  36500,                                                               \
	  "days the audit log keeps what no tenant did; a tenant's "           \
	  "log_retention says it for the rest")                                \
	X(SECRET_KEY_FILE, "secret_key_file", CONFIG_STR, "", 0, 1024,         \
	  "file (mode 0600) with the key that seals SIP passwords")            \
	X(WEB_DOMAIN, "web_domain", CONFIG_STR, "", 0, 255,                    \
	  "domain told by /api/info")                                          \
	X(PUBLIC_IPV4, "public_ipv4", CONFIG_STR, "", 0, 15,                   \
	  "public IPv4 address told by /api/info")                             \
	X(PUBLIC_IPV6, "public_ipv6", CONFIG_STR, "", 0, 45,                   \
	  "public IPv6 address told by /api/info")                             \
	X(SIP_PORT, "sip_port", CONFIG_INT, "5060", 0, 65535,                  \
	  "UDP port of the SIP transport a fresh database is given")           \
	X(DNS_SERVERS, "dns_servers", CONFIG_STR, "", 0, 256,                  \
	  "DNS servers the registrar asks, ip:port comma separated; empty: "   \
	  "the system's")                                                      \
	X(SIP_CA_FILE, "sip_ca_file", CONFIG_STR, "", 0, 1024,                 \
	  "PEM file: authorities trusted for SIP over TLS beside the "         \
	  "system's")                                                          \
	X(SIP_DIGEST, "sip_digest", CONFIG_STR, "SHA-512-256,SHA-256,MD5", 3,  \
	  64,                                                                  \
	  "digest algorithms those who register here may choose from, the "    \
	  "strongest offered first; MD5 alone for devices that fail on one "   \
	  "they do not know")                                                  \
	X(LOG_LEVEL, "log_level", CONFIG_STR, "info", 1, 5,                    \
	  "error, warn, info or debug")                                        \
	X(ACCESS_LOG, "access_log", CONFIG_BOOL, "true", 0, 1,                 \
	  "one line per REST call")

enum config_kind { CONFIG_STR, CONFIG_INT, CONFIG_BOOL };

enum config_key {
#define CONFIG_ENUM(key, name, kind, fallback, min, max, doc) CONFIG_##key,
	CONFIG_LIST(CONFIG_ENUM)
#undef CONFIG_ENUM
		CONFIG_KEYS
};

struct config;

/* Reads all sources. --help and --config-table are process_run()'s and unknown
 * here. ERR_VALIDATE names the key, the rule and the source, and
 * *out is untouched. Blocks on the file. */
enum err_code config_load(int argc, char **argv, struct config **out,
			  struct err *err);
void config_free(struct config *config);

/* Views live as long as config. min and max bound the bytes of a string, the
 * value of an integer. */
const char *config_str(const struct config *config, enum config_key key);
int64_t config_int(const struct config *config, enum config_key key);
bool config_bool(const struct config *config, enum config_key key);

/* Writes the table as Markdown, as README.md shows it. */
void config_table_print(FILE *out);

/* Writes the flags, as --help shows them. */
void config_usage_print(FILE *out);

/* The nng address of a service ("provider"): its <service>_address, or the
 * ipc:// address in bus_dir. Comma separated where several. The text is
 * allocated: free(). */
char *config_service_address(const struct config *config, const char *service);

/* The nng address a service listens on: `listen`, or the first of the above.
 * free() it. */
char *config_listen_address(const struct config *config, const char *service);

#endif
