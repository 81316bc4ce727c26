-- The provider service: SIP providers (trunks).

CREATE SCHEMA provider;
GRANT USAGE ON SCHEMA provider TO trunkline_provider;

-- Text compares by code point in every database, whatever its collation: so
-- does the filter grammar, and the indexes serve prefixes.
CREATE TABLE provider.providers (
	id bigint PRIMARY KEY DEFAULT trunkline.next_id(),
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	name text COLLATE "C" NOT NULL,
	enabled boolean NOT NULL,
	brand text COLLATE "C",
	auth_mode text COLLATE "C" NOT NULL,
	transport text COLLATE "C" NOT NULL,
	hostname text COLLATE "C" NOT NULL,
	port integer NOT NULL,
	auth_id text COLLATE "C",
	username text COLLATE "C",
	-- Sealed (services/common/secrets.h): a digest needs it in clear.
	password text,
	registration boolean NOT NULL,
	register_interval integer NOT NULL,
	outbound_server text COLLATE "C" NOT NULL,
	outbound_server_port integer NOT NULL,
	inlan boolean NOT NULL,
	single_via_header boolean NOT NULL,
	rewrite_via_ip boolean NOT NULL,
	verify_port boolean NOT NULL,
	keep_alive boolean NOT NULL,
	keep_alive_interval integer NOT NULL,
	concurrency integer NOT NULL,
	additional_ips text COLLATE "C",
	adjust_sdp_direction boolean NOT NULL,
	remove_srtp_info boolean NOT NULL,
	stir_shaken_signature_required boolean NOT NULL,
	did_numbers text COLLATE "C",
	-- Only what was said; what is left out has its default
	-- (proto/resources/providers.c).
	inbound_parameters jsonb NOT NULL DEFAULT '{}',
	outbound_parameters jsonb NOT NULL DEFAULT '{}',
	shared boolean NOT NULL DEFAULT true
);

-- A registration belongs to one trunk: (hostname, auth_id) says whose it is.
-- Host names are stored in lower case.
CREATE UNIQUE INDEX providers_host_auth_id_key
	ON provider.providers (hostname, auth_id) NULLS NOT DISTINCT
	WHERE auth_mode IN ('REGISTER_AUTH', 'ACCEPT_REGISTER');

-- The orders lists are read in; the id makes each of them total.
CREATE INDEX providers_name_idx ON provider.providers (name, id);
CREATE INDEX providers_hostname_idx ON provider.providers (hostname, id);

-- contains, endswith and search.
CREATE INDEX providers_text_idx ON provider.providers USING gin (
	name public.gin_trgm_ops,
	hostname public.gin_trgm_ops,
	brand public.gin_trgm_ops,
	did_numbers public.gin_trgm_ops
);

-- A create that carries an Idempotency-Key happens once: the key remembers
-- what it made, for a day.
CREATE TABLE provider.idempotency_keys (
	principal text COLLATE "C" NOT NULL,
	key text COLLATE "C" NOT NULL,
	-- SHA-256 of the request: the same key with another body is refused.
	request text COLLATE "C" NOT NULL,
	id bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_keys_created_at_idx
	ON provider.idempotency_keys (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE
	ON provider.providers, provider.idempotency_keys TO trunkline_provider;
