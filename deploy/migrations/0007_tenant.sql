-- The tenant service: tenants. Their users are in 0008_users.sql.

call trunkline.make_role('trunkline_tenant');
create schema tenant;
grant usage on schema tenant to trunkline_tenant;

create table tenant.tenants (
	id bigint primary key default trunkline.next_id(),
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	name text collate "C" not null,
	-- Stored in lower case.
	domain text collate "C" not null,
	website text collate "C",
	timezone text collate "C" not null,
	currency text collate "C" not null,
	region text collate "C" not null,
	enabled boolean not null,
	enable_video_recording boolean not null,
	enable_audio_recording boolean not null,
	enable_dual_track_recording boolean not null,
	enable_billing boolean not null,
	enable_feature_billing boolean not null,
	enable_feature_call_statistics boolean not null,
	enable_feature_contact_center boolean not null,
	enable_feature_message_channels boolean not null,
	enable_feature_microsoft_teams boolean not null,
	enable_feature_trunks boolean not null,
	enable_feature_whats_app boolean not null,
	enable_night_mode boolean not null,
	enable_two_factor_authentication boolean not null,
	custom_options text collate "C",
	max_extensions integer not null,
	max_concurrent_calls integer not null,
	max_ring_groups integer not null,
	max_virtual_receptionists integer not null,
	max_call_queues integer not null,
	max_conference_rooms integer not null,
	disk_quota text collate "C" not null,
	im_disk_quota text collate "C" not null,
	extension_im_disk_quota text collate "C" not null,
	recording_retention integer not null,
	call_report_retention integer not null,
	log_retention integer not null,
	temp_file_retention integer not null,
	-- Only what was said; what is left out has its default
	-- (proto/resources/tenants.c).
	office_hours jsonb not null default '{}',
	outbound_caller_ids jsonb not null default '[]',
	e164 jsonb not null default '{}',
	-- Passwords and tokens within are sealed (services/common/secrets.h).
	cdr_event jsonb not null default '{}',
	extension_event jsonb not null default '{}',
	contact_match_type text collate "C" not null,
	contact_match_length integer,
	contact_append_type text collate "C" not null,
	contact_update_interval integer not null,
	email_recipients text collate "C",
	password_force_reset boolean not null,
	stir_shaken_cert text collate "C",
	-- Sealed likewise.
	stir_shaken_key text,
	-- Null: sold by a system administrator.
	dealer_id bigint references dealer.dealers,
	-- Set: a worker of the service removes what it owns, then the row
	-- (services/tenant/removal.h).
	deleting_at timestamptz,
	-- Its users, kept by their triggers.
	extension_count integer not null default 0 check (extension_count >= 0),
	constraint tenants_domain_key unique (domain),
	constraint tenants_max_extensions
		check (extension_count <= max_extensions)
)
with (toast_tuple_target = 8160);

-- The orders lists are read in.
create index tenants_name_idx on tenant.tenants (name, id);
create index tenants_dealer_id_idx on tenant.tenants (dealer_id, id);
create index tenants_deleting_idx on tenant.tenants (id)
	where deleting_at is not null;
create index tenants_text_idx on tenant.tenants using gin (
	name collate "default" public.gin_trgm_ops,
	domain collate "default" public.gin_trgm_ops,
	website collate "default" public.gin_trgm_ops
);

create table tenant.idempotency_keys (
	like provider.idempotency_keys including all
);

-- A phone registers here as number@domain, a gateway as auth_id@hostname: see
-- provider.hostname_is_no_domain(), whose lock this is.
create function tenant.domain_is_no_trunk() returns trigger
	language plpgsql security definer set search_path = '' as $$
begin
	perform pg_advisory_xact_lock(
		hashtextextended('domain:' || lower(new.domain), 0));
	if exists (select from provider.providers
		   where hostname = new.domain
		   and auth_mode = 'ACCEPT_REGISTER') then
		raise exception 'a trunk has this hostname'
			using errcode = 'unique_violation',
			constraint = 'tenants_domain_is_trunk';
	end if;
	return new;
end
$$;

create trigger tenants_domain_is_trunk before insert or update of domain
	on tenant.tenants
	for each row execute function tenant.domain_is_no_trunk();

-- What is being deleted stays as it is. Its counters go on, and are no change
-- of its version.
create function tenant.keep_deleting() returns trigger language plpgsql as $$
begin
	raise exception 'the tenant is being deleted'
		using errcode = 'exclusion_violation',
		constraint = 'tenants_deleting';
end
$$;

create trigger tenants_deleting before update on tenant.tenants
	for each row when (old.deleting_at is not null
			   and old.version <> new.version)
	execute function tenant.keep_deleting();

-- Tells how many there may be, which the check constraint cannot. TL001 is
-- ERR_LIMIT (services/common/database.h).
create function tenant.keep_limits() returns trigger language plpgsql as $$
begin
	raise exception '%', case when new.max_extensions < old.max_extensions
			then format('the tenant has %s extensions already',
				new.extension_count)
			else format('the tenant may have %s extensions, no more',
				new.max_extensions) end
		using errcode = 'TL001', constraint = 'tenants_max_extensions';
end
$$;

create trigger tenants_limits
	before update of max_extensions, extension_count on tenant.tenants
	for each row when (new.extension_count > new.max_extensions)
	execute function tenant.keep_limits();

-- A tenant, with its extensions, counts for its dealer and all above it.
create function tenant.tenant_count() returns trigger
	language plpgsql security definer set search_path = '' as $$
begin
	perform dealer.move(
		case when tg_op <> 'INSERT' then old.dealer_id end,
		case when tg_op <> 'DELETE' then new.dealer_id end,
		1,
		case when tg_op = 'INSERT' then 0 else old.extension_count end);
	return null;
end
$$;

create trigger tenants_count_made after insert on tenant.tenants
	for each row when (new.dealer_id is not null)
	execute function tenant.tenant_count();
create trigger tenants_count_moved after update of dealer_id on tenant.tenants
	for each row when (old.dealer_id is distinct from new.dealer_id)
	execute function tenant.tenant_count();
create trigger tenants_count_lost after delete on tenant.tenants
	for each row when (old.dealer_id is not null)
	execute function tenant.tenant_count();

-- A dealer that is disabled, or below one that is, gets no tenants. Runs behind
-- the count, by its name, which has locked the dealers' rows.
create function tenant.dealer_is_enabled() returns trigger
	language plpgsql security definer set search_path = '' as $$
begin
	if exists (select from dealer.dealers d
			join dealer.dealers above on above.id = any (d.path)
			where d.id = new.dealer_id and not above.enabled) then
		raise exception 'the dealer is disabled'
			using errcode = 'exclusion_violation',
			constraint = 'tenants_dealer_disabled';
	end if;
	return null;
end
$$;

create trigger tenants_dealer_disabled after insert or update of dealer_id
	on tenant.tenants
	for each row when (new.dealer_id is not null)
	execute function tenant.dealer_is_enabled();

-- How many trunks a tenant can use: its own and those assigned to it.
create function tenant.trunk_count(tenant bigint) returns bigint
	language plpgsql stable security definer set search_path = '' as $$
begin
	return (select count(*) from provider.providers where tenant_id = tenant)
		+ (select count(*) from provider.assignees
		   where tenant_id = tenant);
end
$$;

revoke execute on function tenant.domain_is_no_trunk(), tenant.tenant_count(),
	tenant.dealer_is_enabled(), tenant.trunk_count(bigint) from public;

grant usage on schema dealer to trunkline_tenant;
grant select (id, path, enabled, level, name, display_name,
	tenant_full_access) on dealer.dealers to trunkline_tenant;
grant execute on function tenant.trunk_count(bigint) to trunkline_tenant;
grant select, insert, update, delete
	on tenant.tenants, tenant.idempotency_keys to trunkline_tenant;
