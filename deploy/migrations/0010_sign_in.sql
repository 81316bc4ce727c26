-- The system service: dealers and tenants' users sign in, administrators and
-- dealers act as tenants, the audit log is read and kept short.

grant usage on schema dealer, tenant to trunkline_system;
grant select (id, path, enabled, name, password_hash, tenant_full_access)
	on dealer.dealers to trunkline_system;
grant select (id, name, domain, website, enabled, dealer_id, deleting_at,
	log_retention, password_force_reset)
	on tenant.tenants to trunkline_system;
grant select (id, tenant_id, name, password_hash, enabled, role)
	on tenant.users to trunkline_system;

-- The tenant, if there is one that a dealer (null: an administrator) knows of,
-- and whether it may act as it. One row or none.
create function system.tenant_to_act_as(asked bigint, dealer bigint)
	returns table (id bigint, name text, allowed boolean)
	language sql stable
begin atomic
	select t.id, t.name,
		dealer is null or exists (
			select from dealer.dealers d
			where d.id = dealer and d.enabled
			and d.tenant_full_access)
	from tenant.tenants t
	where t.id = asked and t.deleting_at is null
	and (dealer is null or exists (
		select from dealer.dealers d
		where d.id = t.dealer_id and d.path @> array[dealer]));
end;

revoke execute on function system.tenant_to_act_as(bigint, bigint)
	from public;
grant execute on function system.tenant_to_act_as(bigint, bigint)
	to trunkline_system;

-- The lowest id that a row made at a time can have: see trunkline.next_id().
create function trunkline.first_id(at timestamptz) returns bigint
	language sql stable
	return greatest((extract(epoch from at) * 1000)::bigint
			- 1704067200000, 0) << 22;

-- Entries of the audit log that were kept long enough: as long as their tenant
-- says, or, of no tenant or of one that is gone, `days`. By id, which is in the
-- order of time, so that indexes find them. A hundred years are for ever.
create function system.audit_logs_expired(days integer, most integer)
	returns table (id bigint) language sql stable
begin atomic
	(select a.id
	 from tenant.tenants t
	 cross join lateral (
		select l.id from system.audit_logs l
		where l.tenant_id = t.id and l.id < trunkline.first_id(now()
			- make_interval(days => least(t.log_retention, 36500)))
		order by l.id limit most) a
	 limit most)
	union all
	(select l.id
	 from system.audit_logs l
	 where l.id < trunkline.first_id(now() - make_interval(days => days))
	 and not exists (select from tenant.tenants t
			 where t.id = l.tenant_id)
	 order by l.id limit most)
	limit most;
end;

revoke execute on function trunkline.first_id(timestamptz),
	system.audit_logs_expired(integer, integer) from public;
grant execute on function trunkline.first_id(timestamptz),
	system.audit_logs_expired(integer, integer) to trunkline_system;
