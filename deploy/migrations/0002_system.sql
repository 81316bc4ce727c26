-- The system service: administrators.

call trunkline.make_role('trunkline_system');
create schema system;
grant usage on schema system to trunkline_system;

create table system.administrators (
	id bigint primary key default trunkline.next_id(),
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	name text collate "C" not null,
	-- argon2id (services/common/secrets.h).
	password_hash text not null,
	constraint administrators_name_key unique (name)
);

grant select, insert, update, delete on system.administrators
	to trunkline_system;

-- Makes an administrator where there is none, and tells whether it did. Of
-- several processes that start at once one does: the others wait for the lock,
-- and their INSERT, a statement of its own, sees the row.
create function system.administrator_make_first(
	first_id bigint, first_name text, first_password_hash text
) returns boolean language plpgsql as $$
begin
	lock table system.administrators in share row exclusive mode;
	insert into system.administrators (id, name, password_hash)
		select first_id, first_name, first_password_hash
		where not exists (select from system.administrators);
	return found;
end
$$;

revoke execute on function
	system.administrator_make_first(bigint, text, text) from public;
grant execute on function
	system.administrator_make_first(bigint, text, text)
	to trunkline_system;
