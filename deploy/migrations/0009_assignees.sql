-- Whose trunk is whose: the system's trunks are assigned to tenants, a tenant
-- may have trunks of its own; and which DID numbers are whose.

create extension if not exists btree_gist with schema public;

grant usage on schema tenant to trunkline_provider;
grant select (id, name, domain, enabled, deleting_at, enable_feature_trunks,
	outbound_caller_ids) on tenant.tenants to trunkline_provider;
grant select (tenant_id, extension_number, outbound_caller_ids)
	on tenant.users to trunkline_provider;

-- Null: the system's, which it shares with the tenants it assigns it to.
alter table provider.providers
	add column tenant_id bigint
		constraint providers_tenant_id_fkey references tenant.tenants,
	add constraint providers_shared
		check (shared = (tenant_id is null)),
	-- Without a pool nobody could tell which tenant a call is for.
	add constraint providers_did_numbers_required
		check (tenant_id is null or did_numbers is not null);

create function provider.provider_shared() returns trigger
language plpgsql as $$
begin
	new.shared := new.tenant_id is null;
	return new;
end
$$;

create trigger providers_shared before insert on provider.providers
	for each row when (new.shared <> (new.tenant_id is null))
	execute function provider.provider_shared();

create index providers_tenant_id_idx on provider.providers (tenant_id, id)
	where tenant_id is not null;

-- A gateway registers here as auth_id@hostname, a phone as number@domain: were
-- the two names one, nobody could tell whom a REGISTER is for. The lock makes
-- two wait for each other that take a name at once, one as a trunk's, one as a
-- tenant's (tenant.tenants).
create function provider.hostname_is_no_domain() returns trigger
language plpgsql as $$
begin
	perform pg_advisory_xact_lock(
		hashtextextended('domain:' || lower(new.hostname), 0));
	if exists (select from tenant.tenants
		   where domain = lower(new.hostname)) then
		raise exception 'the hostname is a tenant''s domain'
			using errcode = 'unique_violation',
			constraint = 'providers_hostname_is_domain';
	end if;
	return new;
end
$$;

create trigger providers_hostname_is_domain
	before insert or update of hostname on provider.providers
	for each row when (new.auth_mode = 'ACCEPT_REGISTER')
	execute function provider.hostname_is_no_domain();

create table provider.assignees (
	-- A trunk that is assigned is in use: it is not deleted.
	provider_id bigint not null
		constraint assignees_provider_id_fkey
		references provider.providers,
	tenant_id bigint not null
		constraint assignees_tenant_id_fkey references tenant.tenants,
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	did_numbers text collate "C" not null,
	concurrency integer not null,
	primary key (provider_id, tenant_id)
);
create index assignees_tenant_id_idx on provider.assignees (tenant_id);

-- The entries of every pool. No number begins with 0, so that its value says
-- its digits too.
create table provider.did_ranges (
	provider_id bigint not null
		references provider.providers on delete cascade,
	-- Whose the numbers are; null: in the pool of a trunk of the system.
	tenant_id bigint,
	range int8range not null,
	-- A number of a trunk is one tenant's. What clashes is told by
	-- assignee_dids_keep(): this holds whatever happens.
	constraint did_ranges_overlap
		exclude using gist (provider_id with =, range with &&)
		where (tenant_id is not null)
);
create index did_ranges_provider_id_idx
	on provider.did_ranges (provider_id, tenant_id);
create index did_ranges_range_idx on provider.did_ranges using gist (range);

-- The ranges of a pool's canonical text: 3000;12000-18000.
create function provider.did_ranges_of(did_numbers text)
	returns table (range int8range)
	language sql immutable strict parallel safe as $$
	select int8range(ends[1]::bigint, ends[cardinality(ends)]::bigint, '[]')
	from string_to_table(did_numbers, ';') entry,
		string_to_array(entry, '-') ends
$$;

create function provider.did_text(range int8range) returns text
	language sql immutable strict parallel safe
	return case when upper(range) - 1 = lower(range)
		then lower(range)::text
		else lower(range) || '-' || (upper(range) - 1) end;

-- Refuses to take numbers from a tenant's pool that it calls with. A tenant that
-- is being deleted loses everything. TL004 is ERR_IN_USE
-- (services/common/database.h).
create function provider.dids_lose(
	trunk bigint, renter bigint, old_dids text, new_dids text
) returns void language plpgsql as $$
declare
	used text;
begin
	select format('%s is a caller id of %s', c.caller_id, c.owner) into used
		from (
			select 'the tenant' as owner, t.outbound_caller_ids as ids
			from tenant.tenants t
			where t.id = renter
			union all
			select 'extension ' || u.extension_number,
				u.outbound_caller_ids
			from tenant.users u
			where u.tenant_id = renter
		) callers,
		lateral (
			select callers.owner, one.caller_id,
				case when one.caller_id ~ '^[1-9][0-9]{0,17}$'
					then one.caller_id::bigint end as number
			from jsonb_to_recordset(callers.ids)
				one (provider_id bigint, caller_id text)
			where one.provider_id = trunk
		) c
		where exists (select from provider.did_ranges_of(old_dids) d
				where d.range @> c.number)
		and not exists (select from provider.did_ranges_of(new_dids) d
				where d.range @> c.number)
		limit 1;
	if found and exists (select from tenant.tenants t
			     where t.id = renter and t.deleting_at is null) then
		raise exception '%', used using errcode = 'TL004',
			constraint = 'did_ranges_in_use';
	end if;
end
$$;

create function provider.provider_dids_keep() returns trigger
language plpgsql as $$
begin
	if tg_op <> 'INSERT' and old.tenant_id is not null then
		perform provider.dids_lose(old.id, old.tenant_id,
			old.did_numbers,
			case when tg_op = 'UPDATE' then new.did_numbers end);
	end if;
	if tg_op = 'DELETE' then
		return null;
	end if;
	if tg_op = 'UPDATE' then
		delete from provider.did_ranges
			where provider_id = new.id
			and tenant_id is not distinct from new.tenant_id;
	end if;
	insert into provider.did_ranges (provider_id, tenant_id, range)
		select new.id, new.tenant_id, range
		from provider.did_ranges_of(new.did_numbers);
	return null;
end
$$;

create trigger providers_dids_made after insert on provider.providers
	for each row when (new.did_numbers is not null)
	execute function provider.provider_dids_keep();
create trigger providers_dids_changed
	after update of did_numbers on provider.providers
	for each row when (old.did_numbers is distinct from new.did_numbers)
	execute function provider.provider_dids_keep();
create trigger did_ranges_in_use after delete on provider.providers
	for each row when (old.tenant_id is not null)
	execute function provider.provider_dids_keep();

-- TL003 is ERR_DID_OVERLAP (services/common/database.h).
create function provider.assignee_dids_keep() returns trigger
language plpgsql as $$
declare
	clash text;
begin
	if tg_op <> 'INSERT' then
		perform provider.dids_lose(old.provider_id, old.tenant_id,
			old.did_numbers,
			case when tg_op = 'UPDATE' then new.did_numbers end);
		delete from provider.did_ranges
			where provider_id = old.provider_id
			and tenant_id = old.tenant_id;
	end if;
	if tg_op = 'DELETE' then
		return null;
	end if;
	select format('%s overlaps %s of tenant %s',
			provider.did_text(mine.range),
			provider.did_text(theirs.range), left(t.name, 64))
		into clash
		from provider.did_ranges_of(new.did_numbers) mine
		join provider.did_ranges theirs
			on theirs.provider_id = new.provider_id
			and theirs.tenant_id is not null
			and theirs.range && mine.range
		join tenant.tenants t on t.id = theirs.tenant_id
		limit 1;
	if found then
		raise exception '%', clash using errcode = 'TL003',
			constraint = 'did_ranges_overlap';
	end if;
	insert into provider.did_ranges (provider_id, tenant_id, range)
		select new.provider_id, new.tenant_id, range
		from provider.did_ranges_of(new.did_numbers);
	return null;
end
$$;

create trigger assignees_dids_keep
	after insert or update of did_numbers or delete on provider.assignees
	for each row execute function provider.assignee_dids_keep();

insert into provider.did_ranges (provider_id, range)
	select p.id, d.range
	from provider.providers p,
		provider.did_ranges_of(p.did_numbers) d;

grant select, insert, update, delete
	on provider.assignees, provider.did_ranges to trunkline_provider;
