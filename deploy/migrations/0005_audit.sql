-- The audit log: who changed what. The statement that writes an object writes
-- its row too (services/common/audit.h), so that none is missing and none tells
-- of what was rolled back.

create table system.audit_logs (
	id bigint primary key default trunkline.next_id(),
	-- What happened stays: for the resource engine, which reads it.
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	-- No foreign keys: rows outlive what they tell of.
	-- The tenant the actor asked for, and the dealer it is.
	tenant_id bigint,
	dealer_id bigint,
	actor_kind text collate "C" not null,
	actor_id bigint,
	user_name text collate "C",
	-- The tenant that an administrator or dealer had switched to.
	acting_as bigint,
	ip text collate "C",
	request_id text collate "C",
	source text collate "C" not null,
	action text collate "C" not null,
	object_type text collate "C" not null,
	object_id bigint,
	object_name text collate "C",
	-- JSON text, without secrets: of an update what it changed.
	old_state text,
	new_state text
);

-- In the order of ids, which is that of time. Most rows have one of the two or
-- none, and every write pays for each index.
create index audit_logs_tenant_id_idx on system.audit_logs (tenant_id, id)
	where tenant_id is not null;
create index audit_logs_dealer_id_idx on system.audit_logs (dealer_id, id)
	where dealer_id is not null;

grant select, delete on system.audit_logs to trunkline_system;

-- What each service's role may do here: write, not read.
create procedure system.audited(service text) language plpgsql as $$
begin
	execute format('grant usage on schema system to %I', service);
	execute format('grant insert on system.audit_logs to %I', service);
end
$$;

call system.audited('trunkline_system');
call system.audited('trunkline_provider');
call system.audited('trunkline_transport');

-- From here on making a service's role lets it write the log.
alter procedure trunkline.make_role(text) rename to make_bare_role;

create procedure trunkline.make_role(service text) language plpgsql as $$
begin
	call trunkline.make_bare_role(service);
	call system.audited(service);
end
$$;
