"""The registrars under test, each with what it needs, and what /proc says of
their processes."""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / 'rest'))

# ruff: noqa: E402
import servers
from servers import cpu_s, free_port

DOMAIN = 'bench.example'
PASSWORD = 's3cret-Of-The-Bench'
DEADLINE_S = 300
# Ids as nothing else has them.
FIRST_ID = {'ACCEPT_REGISTER': 600000000000000000,
            'REGISTER_AUTH': 610000000000000000}

# One row made over REST, which has its password sealed, many times over.
COPY = """
INSERT INTO provider.providers
SELECT (jsonb_populate_record(t, jsonb_build_object('id', {first} + n, {set}))).*
FROM provider.providers AS t, generate_series(0, {count} - 1) AS n
WHERE t.id = {id};
DELETE FROM provider.providers WHERE id = {id};
ANALYZE provider.providers;
"""

# What a fair comparison needs: as many hash slots as there are bindings, and
# the memory manager that suits such loads (-x tlsf -X tlsf). Its password is a
# constant, which spares it the look-up of an account.
KAMAILIO = """#!KAMAILIO
debug=-1
log_stderror=yes
children=1
tcp_children=1
tcp_max_connections=4096
enable_tls=yes
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
listen=tls:127.0.0.1:{tls_port}
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "auth.so"
loadmodule "tls.so"
{store}
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("tls", "certificate", "{crt}")
modparam("tls", "private_key", "{key}")
modparam("tls", "tls_method", "TLSv1.2+")
modparam("usrloc", "hash_size", 17)
modparam("usrloc", "db_mode", {db_mode})
{db_url}
modparam("registrar", "max_expires", 3600)
request_route {{
	if ($rm != "REGISTER") {{
		sl_send_reply("405", "Method Not Allowed");
		exit;
	}}
	if (!pv_www_authenticate("$td", "{password}", "0")) {{
		www_challenge("$td", "1");
		exit;
	}}
	if ($au != $tU) {{
		sl_send_reply("403", "Forbidden");
		exit;
	}}
	save("location");
	exit;
}}
"""
KAMAILIO_REDIS = """loadmodule "db_redis.so"
modparam("db_redis", "verbosity", 0)
modparam("db_redis", "keys", "version=entry:table_name")
modparam("db_redis", "keys", "location=entry:ruid&usrdom:username,domain&timer:partition,keepalive")
"""


def wait_for(condition, what, seconds=DEADLINE_S):
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            sys.exit(f'{what}: not within {seconds} s')
        time.sleep(0.05)


def family(pid):
    """A process and all below it."""
    pids = [pid]
    for child in servers.child_pids(pid):
        pids += family(child)
    return pids


def proportional_bytes(pids):
    """Memory that several processes share counts once."""
    total = 0
    for pid in pids:
        text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
        line = next(line for line in text.splitlines()
                    if line.startswith('Pss:'))
        total += int(line.split()[1]) * 1024
    return total


def make_certificate(folder):
    crt, key = folder / 'bench.crt', folder / 'bench.key'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-subj', f'/CN={DOMAIN}',
         '-days', '2', '-keyout', key, '-out', crt],
        check=True, capture_output=True)
    return crt, key


def redis_bytes(*where):
    text = subprocess.run(['redis-cli', *where, 'info', 'memory'], text=True,
                          check=True, capture_output=True).stdout
    lines = dict(line.split(':', 1) for line in text.splitlines()
                 if ':' in line)
    return int(lines['used_memory'])


class Redis:
    """Kamailio's, with the settings of deploy/run, over TCP as Kamailio speaks
    to it."""

    def __init__(self, folder, settings):
        self.port = free_port()
        self.folder = folder
        self.settings = settings
        self.process = None

    def start(self):
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.rglob('*.aof*'):
            path.unlink()
        with (self.folder / 'log').open('w') as log:
            self.process = subprocess.Popen(
                ['redis-server', self.settings, '--port', str(self.port),
                 '--bind', '127.0.0.1', '--dir', self.folder], stdout=log)
        wait_for(lambda: self.ask('ping') == 'PONG', 'Redis')

    def ask(self, *words):
        return subprocess.run(
            ['redis-cli', '-p', str(self.port), *words], text=True,
            capture_output=True).stdout.strip()

    def cpu_s(self):
        return cpu_s(self.process.pid)

    def bytes(self):
        return redis_bytes('-p', str(self.port))

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


class Trunkline(servers.Suite):
    """The suite as deploy/run of a checkout starts it, its Redis too."""

    name = 'Trunkline'
    echo = False

    def __init__(self, checkout):
        super().__init__(checkout, free_port())
        self.ports = {name: free_port() for name in ('udp', 'tcp', 'tls')}

    def start(self):
        subprocess.run(
            [self.checkout / 'deploy' / 'run', '--detach',
             '--http_host=127.0.0.1', f'--http_port={self.port}',
             f'--sip_port={self.ports["udp"]}',
             # Accounts are made faster than one client may
             '--rate_limit=0'],
            check=True, stdout=subprocess.DEVNULL,
            timeout=servers.START_DEADLINE_S)

    def stop(self):
        subprocess.run([self.checkout / 'deploy' / 'stop'], check=True)

    def listen(self, crt, key):
        """TCP and TLS beside the UDP that a fresh suite has."""
        self.post('/api/key', {'crt': crt.read_text(), 'key': key.read_text()})
        for name in ('tcp', 'tls'):
            self.post('/api/transports', {'protocol': name.upper(),
                                          'port': self.ports[name]})

    def post(self, path, body):
        request = urllib.request.Request(
            f'http://127.0.0.1:{self.port}{path}',
            headers={'Content-Type': 'application/json',
                     'Authorization': f'Bearer {self.token}'},
            data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def psql(self, sql):
        return subprocess.run(
            ['psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d',
             f"host='{self.run}' dbname=trunkline user=trunkline"],
            input=sql, text=True, check=True, capture_output=True
        ).stdout.strip()

    def trunks(self, count, changes, **body):
        """So many trunks: one made over REST and copied. changes: SQL, what
        differs, by the number n."""
        self.post('/api/providers', {
            'name': 'bench', 'brand': 'bench', 'hostname': DOMAIN, 'port': 0,
            'transport': 'UDP', 'auth_id': 'template', 'password': PASSWORD,
            'outbound_server': '127.0.0.1', 'outbound_server_port': 5060,
            'concurrency': 1, 'keep_alive': False, **body})
        made = self.psql("SELECT id FROM provider.providers "
                         "WHERE auth_id = 'template'")
        self.psql(COPY.format(first=FIRST_ID[body['auth_mode']], count=count,
                              set=changes, id=made))

    def accounts(self, count):
        self.trunks(count, "'auth_id', 'u' || lpad(n::text, 7, '0')",
                    auth_mode='ACCEPT_REGISTER')

    def registrar_restart(self, kill=False):
        """Its supervisor starts it again at once. Returns when it has read
        all trunks; what rows were made by SQL it knows then."""
        before = self.pid('registrar')
        os.kill(before, 9 if kill else 15)
        wait_for(lambda: self.registrar_pid() not in (None, before),
                 'the registrar starts again')

    def registrar_pid(self):
        try:
            pid = self.pid('registrar')
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def load_port(self, transport):
        return self.ports[transport]

    def cpu(self):
        return {'server': sum(cpu_s(self.pid(child)) for child in
                              ('registrar', 'provider', 'transport')),
                'redis': cpu_s(self.pid('redis'))}

    def bytes(self):
        return {'server': proportional_bytes([self.pid('registrar')]),
                'redis': redis_bytes('-s', self.run / 'redis.sock')}


class Kamailio:
    """Memory only, or writing each change to Redis before its 200."""

    echo = False

    def __init__(self, folder, certificate, redis=None, memory_mib=1024):
        self.name = 'Kamailio and Redis' if redis else 'Kamailio, memory'
        self.folder = folder
        self.certificate = certificate
        self.redis = redis
        self.memory_mib = memory_mib
        self.port = free_port()
        self.tls_port = free_port()
        self.process = None

    def config(self):
        crt, key = self.certificate
        url = f'redis://127.0.0.1:{self.redis.port}/0' if self.redis else ''
        return KAMAILIO.format(
            port=self.port, tls_port=self.tls_port, crt=crt, key=key,
            password=PASSWORD, db_mode=1 if self.redis else 0,
            store=KAMAILIO_REDIS if self.redis else '',
            db_url=f'modparam("usrloc", "db_url", "{url}")'
            if self.redis else '')

    def start(self):
        self.folder.mkdir(exist_ok=True)
        if self.redis:
            self.redis.start()
            self.redis.ask('hset', 'version:entry::location',
                           'table_version', '9')
        path = self.folder / 'kamailio.cfg'
        path.write_text(self.config())
        with (self.folder / 'log').open('w') as log:
            self.process = subprocess.Popen(
                ['kamailio', '-f', path, '-DD', '-E', '-m',
                 str(self.memory_mib), '-M', '32', '-x', 'tlsf', '-X', 'tlsf',
                 '-Y', self.folder, '-P', self.folder / 'pid'],
                stdout=log, stderr=log)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None
        if self.redis:
            self.redis.stop()

    def load_port(self, transport):
        return self.tls_port if transport == 'tls' else self.port

    def cpu(self):
        return {'server': sum(map(cpu_s, family(self.process.pid))),
                'redis': self.redis.cpu_s() if self.redis else 0}

    def bytes(self):
        return {'server': proportional_bytes(family(self.process.pid)),
                'redis': self.redis.bytes() if self.redis else 0}


class Floor:
    """Sends each datagram back: what the kernel takes."""

    name = 'floor: echo'
    echo = True

    def __init__(self, program):
        self.program = program
        self.process = None

    def start(self):
        self.process = subprocess.Popen([self.program], text=True,
                                        stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def load_port(self, _):
        return self.port

    def cpu(self):
        return {'server': cpu_s(self.process.pid), 'redis': 0}
