-- The provider service: SIP providers (trunks).

call trunkline.make_role('trunkline_provider');
create schema provider;
grant usage on schema provider to trunkline_provider;

-- Text compares by code point in every database, whatever its collation: so
-- does the filter grammar, and the indexes serve prefixes.
create table provider.providers (
	id bigint primary key default trunkline.next_id(),
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	name text collate "C" not null,
	enabled boolean not null,
	brand text collate "C",
	auth_mode text collate "C" not null,
	transport text collate "C" not null,
	hostname text collate "C" not null,
	port integer not null,
	auth_id text collate "C",
	username text collate "C",
	-- Sealed (services/common/secrets.h): a digest needs it in clear.
	password text,
	registration boolean not null,
	register_interval integer not null,
	outbound_server text collate "C" not null,
	outbound_server_port integer not null,
	inlan boolean not null,
	single_via_header boolean not null,
	rewrite_via_ip boolean not null,
	verify_port boolean not null,
	keep_alive boolean not null,
	keep_alive_interval integer not null,
	concurrency integer not null,
	additional_ips text collate "C",
	adjust_sdp_direction boolean not null,
	remove_srtp_info boolean not null,
	stir_shaken_signature_required boolean not null,
	did_numbers text collate "C",
	-- Only what was said; what is left out has its default
	-- (proto/resources/providers.c).
	inbound_parameters jsonb not null default '{}',
	outbound_parameters jsonb not null default '{}',
	shared boolean not null default true
)
-- The parameters of a trunk that says all of them make a row of some 3 kB.
-- Compressing it would cost each write more than the room is worth.
with (toast_tuple_target = 8160);

-- A registration belongs to one trunk: (hostname, auth_id) says whose it is.
-- Host names are stored in lower case.
create unique index providers_host_auth_id_key
	on provider.providers (hostname, auth_id) nulls not distinct
	where auth_mode in ('REGISTER_AUTH', 'ACCEPT_REGISTER');

-- The orders lists are read in; the id makes each of them total.
create index providers_name_idx on provider.providers (name, id);
create index providers_hostname_idx on provider.providers (hostname, id);

-- contains, endswith and search, which ask with the database's own collation
-- (services/common/query.c).
create index providers_text_idx on provider.providers using gin (
	name collate "default" public.gin_trgm_ops,
	hostname collate "default" public.gin_trgm_ops,
	brand collate "default" public.gin_trgm_ops,
	did_numbers collate "default" public.gin_trgm_ops
);

-- A create that carries an Idempotency-Key happens once: the key remembers
-- what it made, for a day.
create table provider.idempotency_keys (
	principal text collate "C" not null,
	key text collate "C" not null,
	-- SHA-256 of the request: the same key with another body is refused.
	request text collate "C" not null,
	id bigint not null,
	created_at timestamptz not null default now(),
	primary key (principal, key)
);
create index idempotency_keys_created_at_idx
	on provider.idempotency_keys (created_at);

grant select, insert, update, delete
	on provider.providers, provider.idempotency_keys to trunkline_provider;
