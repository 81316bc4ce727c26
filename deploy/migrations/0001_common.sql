-- What every service's schema builds on. Runs as a role that may create roles
-- and extensions, as deploy/migrate says.

create schema if not exists trunkline;

-- Trigram indexes for search. In schema public, so that operator classes are
-- found without naming it.
create extension if not exists pg_trgm with schema public;

revoke create on schema public from public;

-- The low bits of ids. No CACHE: a session that kept a block of numbers back
-- could use one four million ids later, when the low bits have come round,
-- in the same millisecond as another session its equal.
create sequence trunkline.id_sequence as bigint;

-- A positive 63-bit id: milliseconds since 2024-01-01 UTC in the upper 41
-- bits (until 2093), the low 22 bits of the sequence below them. Two ids are equal
-- only when 2^22 others are made within their millisecond, or when the clock
-- was set back to the millisecond 2^22 ids ago; primary keys refuse even that.
-- One expression, so that the planner inlines it into a column's default.
create function trunkline.next_id() returns bigint
	language sql volatile parallel unsafe
	return (((extract(epoch from clock_timestamp()) * 1000)::bigint
		 - 1704067200000) << 22)
		| (nextval('trunkline.id_sequence') & 4194303);

revoke execute on function trunkline.next_id() from public;

-- Makes the role of a service, which its migration grants its schema. It has no
-- password: a deployment whose server asks for one sets it (alter role ...
-- password). Roles belong to the whole server, so another database of it may
-- make the same one at this moment.
create procedure trunkline.make_role(service text) language plpgsql as $$
begin
	if not exists (select from pg_roles where rolname = service) then
		begin
			execute format('create role %I login', service);
		exception when duplicate_object or unique_violation then
			-- A lock this session has not had yet makes it look at
			-- what others committed: without, the grants below
			-- would not know the role.
			lock table trunkline.migrations in row share mode;
		end;
	end if;
	execute format('grant usage on schema trunkline to %I', service);
	execute format('grant usage on sequence trunkline.id_sequence to %I',
		service);
	execute format('grant execute on function trunkline.next_id() to %I',
		service);
end
$$;
