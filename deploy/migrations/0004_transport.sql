-- The transport service: SIP listeners, certificate and key.

call trunkline.make_role('trunkline_transport');
create schema transport;
grant usage on schema transport to trunkline_transport;

create table transport.transports (
	id bigint primary key default trunkline.next_id(),
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	protocol text collate "C" not null,
	port integer not null,
	verification text collate "C" not null
);

-- TCP and TLS share the ports of TCP.
create unique index transports_port_key
	on transport.transports ((protocol = 'UDP'), port);

-- Without a transport nobody reaches the registrar any more: the last one
-- stays. Deletions wait for each other, so that two at once see it too.
create function transport.keep_last() returns trigger language plpgsql as $$
begin
	if tg_when = 'BEFORE' then
		lock table transport.transports in share row exclusive mode;
	elsif not exists (select from transport.transports) then
		raise exception 'the last transport stays'
			using errcode = 'exclusion_violation',
			constraint = 'transports_last_stays';
	end if;
	return null;
end
$$;

create trigger transports_lock before delete on transport.transports
	for each statement execute function transport.keep_last();
create trigger transports_last_stays after delete on transport.transports
	for each statement execute function transport.keep_last();

create table transport.idempotency_keys (
	like provider.idempotency_keys including all
);

-- The one certificate chain and its key, sealed; no row: none was given.
create table transport.key (
	id boolean primary key default true check (id),
	version bigint not null default 1,
	crt text not null,
	key text not null
);

-- What a fresh install listens on.
insert into transport.transports (protocol, port, verification)
	values ('UDP', :sip_port, 'DISABLE');

grant select, insert, update, delete on transport.transports,
	transport.idempotency_keys, transport.key to trunkline_transport;
