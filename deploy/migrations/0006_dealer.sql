-- The dealer service: dealers, their levels and quotas.

call trunkline.make_role('trunkline_dealer');
create schema dealer;
grant usage on schema dealer to trunkline_dealer;

create table dealer.dealers (
	id bigint primary key default trunkline.next_id(),
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	enabled boolean not null,
	level text collate "C" not null
		check (level in ('DISTRIBUTOR', 'SUB_DISTRIBUTOR', 'RESELLER')),
	-- Null: made by a system administrator.
	parent_id bigint references dealer.dealers,
	-- From the uppermost dealer down to itself. Nobody moves.
	path bigint[] not null,
	name text collate "C" not null,
	-- argon2id (services/common/secrets.h).
	password_hash text not null,
	email text collate "C",
	display_name text collate "C",
	website text collate "C",
	phone text collate "C",
	address text collate "C",
	description text collate "C",
	max_tenants integer not null,
	max_extensions integer not null,
	tenant_full_access boolean not null,
	-- Of itself and of all dealers below it: see dealer.count().
	tenant_count integer not null default 0 check (tenant_count >= 0),
	extension_count integer not null default 0 check (extension_count >= 0),
	constraint dealers_max_tenants check (tenant_count <= max_tenants),
	constraint dealers_max_extensions
		check (extension_count <= max_extensions)
);

-- Who signs in without a domain: names differ in more than their case.
create unique index dealers_name_key on dealer.dealers (lower(name));

-- Who is below a dealer: path @> array[it].
create index dealers_path_idx on dealer.dealers using gin (path);
create index dealers_parent_id_idx on dealer.dealers (parent_id);
create index dealers_name_idx on dealer.dealers (name, id);
create index dealers_text_idx on dealer.dealers using gin (
	name collate "default" public.gin_trgm_ops,
	display_name collate "default" public.gin_trgm_ops,
	email collate "default" public.gin_trgm_ops
);

create table dealer.idempotency_keys (
	like provider.idempotency_keys including all
);

-- Our own SQLSTATEs, whose messages are fit for clients
-- (services/common/database.h): TL001 a limit is reached, TL002 not allowed.

-- A dealer's level is below that of the one who made it.
create function dealer.place() returns trigger language plpgsql as $$
declare
	levels constant text[] :=
		array['DISTRIBUTOR', 'SUB_DISTRIBUTOR', 'RESELLER'];
	parent dealer.dealers;
begin
	if new.parent_id is not null then
		select * into parent from dealer.dealers
			where id = new.parent_id;
	end if;
	if array_position(levels, new.level)
	   <= array_position(levels, parent.level) then
		raise exception 'a % makes dealers of lower levels only',
			parent.level
			using errcode = 'TL002', constraint = 'dealers_level';
	end if;
	new.path := parent.path || new.id;
	return new;
end
$$;

create trigger dealers_level before insert on dealer.dealers
	for each row execute function dealer.place();

-- Tells of whom the quota is, which the check constraints cannot.
create function dealer.keep_limits() returns trigger language plpgsql as $$
begin
	if new.tenant_count > new.max_tenants then
		raise exception '%', dealer.limit_text(new.name, 'tenants',
			new.max_tenants, old.max_tenants, new.tenant_count)
			using errcode = 'TL001',
			constraint = 'dealers_max_tenants';
	elsif new.extension_count > new.max_extensions then
		raise exception '%', dealer.limit_text(new.name, 'extensions',
			new.max_extensions, old.max_extensions,
			new.extension_count)
			using errcode = 'TL001',
			constraint = 'dealers_max_extensions';
	end if;
	return new;
end
$$;

create function dealer.limit_text(
	dealer text, things text, new_max integer, old_max integer,
	new_count integer
) returns text language sql immutable return
	case when new_max < old_max
	then format('dealer %s has %s %s already', dealer, new_count, things)
	else format('dealer %s may have %s %s, no more', dealer, new_max, things)
	end;

create trigger dealers_limits
	before update of max_tenants, max_extensions, tenant_count,
		extension_count
	on dealer.dealers for each row execute function dealer.keep_limits();

-- Moves tenants and extensions from the counts of one dealer and all above it
-- to those of another: either may be null. All these rows are locked from
-- above down, so that two who wait for each other cannot be. The migration
-- of the triggers that count grants their role to call these two.
create function dealer.move(
	from_id bigint, to_id bigint, tenants integer, extensions integer
) returns void language plpgsql security definer set search_path = '' as $$
declare
	from_path bigint[];
	to_path bigint[];
begin
	select path into from_path from dealer.dealers where id = from_id;
	select path into to_path from dealer.dealers where id = to_id;
	perform from dealer.dealers where id = any(from_path || to_path)
		order by cardinality(path), id for no key update;
	update dealer.dealers set tenant_count = tenant_count - tenants,
		extension_count = extension_count - extensions
		where id = any(from_path);
	update dealer.dealers set tenant_count = tenant_count + tenants,
		extension_count = extension_count + extensions
		where id = any(to_path);
end
$$;

-- Counts what was made (or, below 0, is gone) for a dealer and all above it;
-- null: for nobody. SQLSTATE TL001 with constraint dealers_max_tenants or
-- dealers_max_extensions: one of them may have no more.
create function dealer.count(
	dealer_id bigint, tenants integer, extensions integer
) returns void language sql security definer set search_path = ''
	return dealer.move(null, dealer_id, tenants, extensions);

revoke execute on function dealer.move(bigint, bigint, integer, integer),
	dealer.count(bigint, integer, integer) from public;

-- Administrators and dealers sign in with nothing but a name: nobody has that
-- of another. Two at once of one name wait for each other.
create function dealer.keep_names_apart() returns trigger
	language plpgsql security definer set search_path = '' as $$
declare
	-- Any number, the same for ever.
	names constant integer := 725581;
	taken boolean;
begin
	perform pg_advisory_xact_lock(names, hashtext(lower(new.name)));
	if tg_table_name = 'dealers' then
		taken := exists (select from system.administrators
				 where lower(name) = lower(new.name));
	else
		taken := exists (select from dealer.dealers
				 where lower(name) = lower(new.name));
	end if;
	if taken then
		raise exception 'name is taken'
			using errcode = 'unique_violation',
			constraint = tg_table_name || '_name_key';
	end if;
	return new;
end
$$;

create trigger dealers_names_apart before insert or update of name
	on dealer.dealers
	for each row execute function dealer.keep_names_apart();
create trigger administrators_names_apart before insert or update of name
	on system.administrators
	for each row execute function dealer.keep_names_apart();

grant select, insert, update, delete
	on dealer.dealers, dealer.idempotency_keys to trunkline_dealer;
