-- The system service: administrators.

CREATE SCHEMA system;
GRANT USAGE ON SCHEMA system TO trunkline_system;

CREATE TABLE system.administrators (
	id bigint PRIMARY KEY DEFAULT trunkline.next_id(),
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	name text COLLATE "C" NOT NULL,
	-- argon2id (services/common/secrets.h).
	password_hash text NOT NULL,
	CONSTRAINT administrators_name_key UNIQUE (name)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON system.administrators
	TO trunkline_system;

-- Makes an administrator where there is none, and tells whether it did. Of
-- several processes that start at once one does: the others wait for the lock,
-- and their INSERT, a statement of its own, sees the row.
CREATE FUNCTION system.administrator_make_first(
	first_id bigint, first_name text, first_password_hash text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	LOCK TABLE system.administrators IN SHARE ROW EXCLUSIVE MODE;
	INSERT INTO system.administrators (id, name, password_hash)
		SELECT first_id, first_name, first_password_hash
		WHERE NOT EXISTS (SELECT FROM system.administrators);
	RETURN FOUND;
END
$$;

REVOKE EXECUTE ON FUNCTION
	system.administrator_make_first(bigint, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	system.administrator_make_first(bigint, text, text)
	TO trunkline_system;
