-- The tenant service: users (extensions) of tenants and what their passwords
-- have to be.

create table tenant.users (
	id bigint primary key default trunkline.next_id(),
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	tenant_id bigint not null references tenant.tenants,
	name text collate "C" not null,
	-- argon2id (services/common/secrets.h).
	password_hash text not null,
	email text collate "C" not null,
	display_name text collate "C" not null,
	role text collate "C" not null,
	enabled boolean not null,
	mobile_phone text collate "C",
	work_phone text collate "C",
	home_phone text collate "C",
	address text collate "C",
	department text collate "C",
	extension_number text collate "C" not null,
	-- Sealed (services/common/secrets.h): a digest needs it in clear.
	extension_password text not null,
	enable_audio_recording boolean not null,
	enable_video_recording boolean not null,
	enable_dnd boolean not null,
	enable_acb boolean not null,
	enable_hot_desking boolean not null,
	anonymous_outbound_calls boolean not null,
	delivery_outbound_cid boolean not null,
	sms text collate "C" not null,
	outbound_caller_ids jsonb not null default '[]',
	custom_options text collate "C",
	-- Only what was said, as in provider.providers.
	office_hours jsonb not null default '{}',
	available_office_hours_forward_rule jsonb not null default '{}',
	available_non_office_hours_forward_rule jsonb not null default '{}',
	available_no_answer_forward_rule jsonb not null default '{}',
	busy_office_hours_forward_rule jsonb not null default '{}',
	busy_non_office_hours_forward_rule jsonb not null default '{}',
	busy_no_answer_forward_rule jsonb not null default '{}',
	dnd_office_hours_forward_rule jsonb not null default '{}',
	dnd_non_office_hours_forward_rule jsonb not null default '{}',
	away_office_hours_forward_rule jsonb not null default '{}',
	away_non_office_hours_forward_rule jsonb not null default '{}',
	lunch_office_hours_forward_rule jsonb not null default '{}',
	lunch_non_office_hours_forward_rule jsonb not null default '{}',
	trip_office_hours_forward_rule jsonb not null default '{}',
	trip_non_office_hours_forward_rule jsonb not null default '{}',
	offline_office_hours_forward_rule jsonb not null default '{}',
	offline_non_office_hours_forward_rule jsonb not null default '{}',
	custom_forward_rules jsonb not null default '[]',
	voicemail_prompt text collate "C",
	enable_voicemail_pin boolean not null,
	-- Sealed likewise: it is compared with what a caller dials.
	voicemail_pin text not null,
	enable_voicemail_notify boolean not null,
	voicemail_play_datetime text collate "C" not null,
	interface text collate "C",
	preferred_transport text collate "C",
	blfs jsonb not null default '[]',
	-- The provisioning profile's own id: a new one makes links to the old
	-- one dead.
	profile bigint not null default trunkline.next_id(),
	constraint users_extension_number_key
		unique (tenant_id, extension_number)
)
with (toast_tuple_target = 8160);

-- Whoever signs in as Alice must not be another than alice.
create unique index users_name_key on tenant.users (tenant_id, lower(name));

-- The order lists are read in, of one tenant each.
create index users_tenant_id_idx on tenant.users (tenant_id, id);

-- A user is an extension of its tenant and of every dealer above it. The row of
-- the tenant is locked before anything else is written, so that of many users
-- made at once exactly as many are as there is room for: see
-- tenant.keep_limits() and dealer.keep_limits().
create function tenant.user_count_in() returns trigger
	language plpgsql security definer set search_path = '' as $$
declare
	seller bigint;
begin
	update tenant.tenants set extension_count = extension_count + 1
		where id = new.tenant_id and deleting_at is null
		returning dealer_id into seller;
	if not found or exists (
		select from dealer.dealers d
			join dealer.dealers above on above.id = any (d.path)
			where d.id = seller and not above.enabled
	) then
		raise exception 'the tenant takes no users'
			using errcode = 'exclusion_violation',
			constraint = 'tenants_deleting';
	end if;
	perform dealer.count(seller, 0, 1);
	return new;
end
$$;

create trigger users_count_in before insert on tenant.users
	for each row execute function tenant.user_count_in();

-- Once for all users of a statement: a tenant's deletion takes many.
create function tenant.user_count_out() returns trigger
	language plpgsql security definer set search_path = '' as $$
declare
	lost record;
begin
	for lost in
		update tenant.tenants t
			set extension_count = t.extension_count - gone.users
			from (select tenant_id, count(*)::integer as users
				from gone_users group by tenant_id) gone
			where t.id = gone.tenant_id
			returning t.dealer_id, gone.users
	loop
		perform dealer.count(lost.dealer_id, 0, -lost.users);
	end loop;
	return null;
end
$$;

create trigger users_count_out after delete on tenant.users
	referencing old table as gone_users
	for each statement execute function tenant.user_count_out();

-- Nothing of a tenant that is being deleted changes any more.
create function tenant.refuse_deleting() returns trigger
	language plpgsql security definer set search_path = '' as $$
declare
	owner bigint;
begin
	if tg_table_name = 'users' then
		owner := new.tenant_id;
	else
		owner := new.id;
	end if;
	if exists (select from tenant.tenants
		   where id = owner and deleting_at is not null) then
		raise exception 'the tenant is being deleted'
			using errcode = 'exclusion_violation',
			constraint = 'tenants_deleting';
	end if;
	return new;
end
$$;

create trigger users_deleting before update on tenant.users
	for each row execute function tenant.refuse_deleting();

-- What the passwords of a tenant's users have to be: one row a tenant, whose id
-- it has.
create table tenant.password_policies (
	id bigint primary key references tenant.tenants on delete cascade,
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	min_length integer not null default 6,
	max_length integer not null default 32,
	contains_letters boolean not null default true,
	contains_numbers boolean not null default true,
	contains_special_letters boolean not null default true,
	disable_sequential_characters boolean not null default true,
	disable_repeating_characters boolean not null default true,
	disable_account_information boolean not null default true,
	constraint password_policies_length check (min_length <= max_length)
);

create function tenant.password_policy_make() returns trigger
	language plpgsql security definer set search_path = '' as $$
begin
	insert into tenant.password_policies (id) values (new.id);
	return null;
end
$$;

create trigger tenants_password_policy after insert on tenant.tenants
	for each row execute function tenant.password_policy_make();

create trigger password_policies_deleting before update
	on tenant.password_policies
	for each row execute function tenant.refuse_deleting();

insert into tenant.password_policies (id) select id from tenant.tenants;

grant select, insert, update, delete on tenant.users, tenant.password_policies
	to trunkline_tenant;
