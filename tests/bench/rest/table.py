"""The providers table: the rows that are read, the statements of the floor."""

import base64
import json
import random
import subprocess

FIRST_ID = 700000000000000000
IDS_READ_MAX = 100000  # more make no difference to any cache

# Autovacuum is off for this table: it would charge one server for the rows
# that another has written. Every measurement starts from a vacuumed table.
FILL = """
TRUNCATE provider.providers, provider.did_ranges CASCADE;
ALTER TABLE provider.providers SET (autovacuum_enabled = false);
INSERT INTO provider.providers (id, name, enabled, brand, auth_mode, transport,
    hostname, port, auth_id, registration, register_interval, outbound_server,
    outbound_server_port, inlan, single_via_header, rewrite_via_ip,
    verify_port, keep_alive, keep_alive_interval, concurrency,
    adjust_sdp_direction, remove_srtp_info, stir_shaken_signature_required,
    did_numbers, inbound_parameters, outbound_parameters)
SELECT {first} + n, chr(97 + n % 26) || left(md5(n::text), 11), true,
    'Example Telecom', 'IP_AUTH', 'UDP', 'sip' || n || '.example.net', 5060,
    'trunk-' || n, false, 600, 'proxy.example.net', 5060, false, true, true,
    true, true, 360, 120, true, true, false, (n + 1000) || ';12000-18000',
    '{{"caller_num": "FROM_USER_PART"}}',
    '{{"from_user_part": {{"value": "CALLER_NUM"}},
       "p_asserted_identity_user_part": {{"value": "OUTBOUND_CALLER_ID"}}}}'
FROM generate_series(0, {rows} - 1) AS n;
VACUUM ANALYZE provider.providers;
CHECKPOINT;
"""

SELECT = """\\set id random({first}, {last})
SELECT {columns} FROM provider.providers WHERE id = :id;
"""

INSERT = """\\set n random(1, 1000000000)
INSERT INTO provider.providers ({columns}) VALUES ({values}) RETURNING id;
"""

# What a create does not say and the table has no default for.
DEFAULTS = {
    'enabled': True, 'registration': True, 'register_interval': 600,
    'inlan': False, 'single_via_header': True, 'rewrite_via_ip': True,
    'verify_port': True, 'keep_alive': True, 'keep_alive_interval': 360,
    'adjust_sdp_direction': True, 'remove_srtp_info': True,
    'stir_shaken_signature_required': False,
}


def id_text(number):
    return base64.b64encode(str(number).encode()).decode()


def literal(value):
    if isinstance(value, (dict, list)):
        value = json.dumps(value)
    if isinstance(value, str):
        # pgbench has no other way to vary a text
        text = value.replace("'", "''").replace('{}', "' || :n || '", 1)
        return f"'{text}'"
    return str(value)


class Table:
    def __init__(self, run):
        self.url = f"host='{run}' dbname=trunkline"
        self.rows = 0

    def psql(self, sql):
        done = subprocess.run(
            ['psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d',
             f'{self.url} user=trunkline'],
            input=sql, text=True, check=True, capture_output=True)
        return done.stdout.strip()

    def fill(self, rows):
        self.psql(FILL.format(first=FIRST_ID, rows=rows))
        self.rows = rows

    def added(self):
        """Rows made since the table was filled."""
        return int(self.psql('SELECT count(*) FROM provider.providers')
                   ) - self.rows

    def ids(self):
        """Ids as the API writes them, in no order."""
        numbers = range(FIRST_ID, FIRST_ID + self.rows)
        chosen = random.Random(1).sample(
            numbers, min(self.rows, IDS_READ_MAX))
        return [id_text(number) for number in chosen]

    def select_script(self):
        columns = self.psql(
            "SELECT string_agg(column_name, ', ' ORDER BY ordinal_position) "
            "FROM information_schema.columns WHERE table_schema = 'provider' "
            "AND table_name = 'providers'")
        return SELECT.format(first=FIRST_ID, last=FIRST_ID + self.rows - 1,
                             columns=columns)

    def insert_script(self, body):
        row = {**DEFAULTS, **body}
        return INSERT.format(columns=', '.join(row),
                             values=', '.join(map(literal, row.values())))
