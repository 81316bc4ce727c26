-- What a trunk's creation costs, as tests/bench/rest/run showed it: see there.

-- Not strict: PostgreSQL takes the text of a SQL function into the statement
-- around it, to be planned once with it, only where null is an argument like
-- any other. The strict one was parsed and planned anew for each row written.
-- Of null there are no ranges either way.
create or replace function provider.did_ranges_of(did_numbers text)
	returns table (range int8range)
	language sql immutable parallel safe as $$
	select int8range(split_part(entry, '-', 1)::bigint,
		split_part(entry, '-', -1)::bigint, '[]')
	from string_to_table(did_numbers, ';') entry
$$;

-- A foreign key asks for the trunk of each range that is written. Only the
-- triggers of trunks and of assignees write any, which know that it is there:
-- the one is it, the others have a foreign key of their own.
alter table provider.did_ranges
	drop constraint did_ranges_provider_id_fkey;

create or replace function provider.provider_dids_keep() returns trigger
language plpgsql as $$
begin
	if tg_op <> 'INSERT' then
		if old.tenant_id is not null then
			perform provider.dids_lose(old.id, old.tenant_id,
				old.did_numbers,
				case when tg_op = 'UPDATE'
					then new.did_numbers end);
		end if;
		delete from provider.did_ranges
			where provider_id = old.id
			and tenant_id is not distinct from old.tenant_id;
	end if;
	if tg_op <> 'DELETE' then
		insert into provider.did_ranges (provider_id, tenant_id, range)
			select new.id, new.tenant_id, range
			from provider.did_ranges_of(new.did_numbers);
	end if;
	return null;
end
$$;

drop trigger did_ranges_in_use on provider.providers;
create trigger did_ranges_in_use after delete on provider.providers
	for each row when (old.did_numbers is not null)
	execute function provider.provider_dids_keep();

-- A trunk that says every parameter makes a row of some 3 kB, and an audit row
-- of as much. lz4 halves them at less than the room costs a write (pages and
-- write-ahead log), which the usual method does not. A server may have been
-- built without it: then all stays as it was.
do $$
begin
	alter table provider.providers
		alter column inbound_parameters set compression lz4,
		alter column outbound_parameters set compression lz4;
	alter table provider.providers reset (toast_tuple_target);
	alter table system.audit_logs
		alter column old_state set compression lz4,
		alter column new_state set compression lz4;
exception when feature_not_supported then
	null;
end
$$;
