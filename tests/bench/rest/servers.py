"""The servers under test and what /proc says of their processes."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

TICKS_PER_S = os.sysconf('SC_CLK_TCK')
START_DEADLINE_S = 900  # deploy/run may have to install and build
SETTLE_TRIES = 30  # a second each
SETTLED_S = 0.05  # of CPU in that second
SESSION_RENEWED_S = 600  # a third of what a session lives
NODE_TOKEN = 'a-session-of-the-benchmark'


def cpu_s(pid, children=False):
    """utime + stime of a process; children: of those it has reaped, too."""
    text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    fields = text.rpartition(')')[2].split()
    last = 15 if children else 13
    return sum(map(int, fields[11:last])) / TICKS_PER_S


def child_pids(pid):
    text = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text()
    return [int(child) for child in text.split()]


def postgres_cpu_s(postmaster):
    """All of PostgreSQL: a backend that has ended counts by its parent."""
    total = cpu_s(postmaster, children=True)
    for pid in child_pids(postmaster):
        try:
            total += cpu_s(pid)
        except FileNotFoundError:  # ended in between
            pass
    return total


def resident_kib(pid):
    """(all, private) resident memory. PostgreSQL's shared buffers count as
    resident in every process that has touched them, but not as private."""
    status = dict(line.split(':', 1) for line in pathlib.Path(
        f'/proc/{pid}/status').read_text().splitlines())
    return tuple(int(status[key].split()[0]) for key in ('VmRSS', 'RssAnon'))


def free_port():
    """A port for deploy/run, which wants to know it beforehand."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


class Suite:
    """Trunkline as deploy/run of a checkout starts it."""

    name = 'Trunkline'

    def __init__(self, checkout, port):
        self.checkout = checkout
        self.var = checkout / 'var'
        self.port = port
        self.signed_in_at = None

    def start(self):
        subprocess.run(
            [self.checkout / 'deploy' / 'run', '--detach',
             '--http_host=127.0.0.1', f'--http_port={self.port}',
             # Fastify writes none either
             '--access_log=false',
             # More than one client may ask for is what is measured
             '--rate_limit=0'],
            check=True, stdout=subprocess.DEVNULL, timeout=START_DEADLINE_S)
        self.registrar_pause()

    def registrar_pause(self):
        """It follows each new trunk to register and watch it: a job of its
        own, which none of the others does."""
        os.kill(self.pid('registrar'), signal.SIGSTOP)

    def registrar_resume(self):
        """Returns when it has caught up: when it is all but idle."""
        pid = self.pid('registrar')
        os.kill(pid, signal.SIGCONT)
        for _ in range(SETTLE_TRIES):
            used = cpu_s(pid)
            time.sleep(1)
            if cpu_s(pid) - used < SETTLED_S:
                break

    def stop(self):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.pid('registrar'), signal.SIGCONT)
        subprocess.run([self.checkout / 'deploy' / 'stop'], check=True)

    def remove(self):
        """Its data; var may be a link to a place outside of the checkout."""
        if self.var.exists():
            shutil.rmtree(self.var.resolve())
        if self.var.is_symlink():
            self.var.unlink()

    @property
    def run(self):
        """Where its sockets and pid files are."""
        return (self.var / 'run').resolve()

    def pid(self, child):
        return int((self.run / f'{child}.pid').read_text())

    def cpu(self):
        return {
            'front': cpu_s(self.pid('gateway')),
            'services': cpu_s(self.pid('provider')) +
            cpu_s(self.pid('system')) + cpu_s(self.pid('registrar')),
            **self.stores_cpu(),
        }

    def stores_cpu(self):
        return {'postgres': postgres_cpu_s(self.pid('postgres')),
                'redis': cpu_s(self.pid('redis'))}

    def memory(self):
        """Resident memory by process; PostgreSQL's by what it calls them."""
        pids = {f'trunkline-{child}': self.pid(child)
                for child in ('gateway', 'provider', 'system')}
        pids['redis-server'] = self.pid('redis')
        postmaster = self.pid('postgres')
        pids['postgres'] = postmaster
        for pid in child_pids(postmaster):
            title = pathlib.Path(f'/proc/{pid}/cmdline').read_text()
            words = title.strip('\0 ').removeprefix('postgres: ')
            pids[f'postgres: {words} ({pid})'] = pid
        return {name: resident_kib(pid) for name, pid in pids.items()}

    @property
    def token(self):
        """A session's token, renewed well before it expires."""
        now = time.monotonic()
        if (self.signed_in_at is None or
                now - self.signed_in_at > SESSION_RENEWED_S):
            self.access_token = self.sign_in()
            self.signed_in_at = now
        return self.access_token

    def sign_in(self):
        admin = dict(line.split('=', 1) for line in
                     (self.var / 'admin').read_text().splitlines())
        answer = call(self.port, '/api/auth/sign_in', body={
            'username': admin['name'], 'password': admin['password']})
        return answer['access_token']


class Node:
    """The Fastify app, on the suite's PostgreSQL and Redis."""

    def __init__(self, suite, directory, tuned):
        self.name = 'Fastify, tuned' if tuned else 'Fastify'
        self.suite = suite
        self.directory = directory
        self.tuned = tuned
        self.process = None

    def start(self):
        environment = dict(
            os.environ, NODE_ENV='production',
            BENCH_TUNED='1' if self.tuned else '0',
            BENCH_DATABASE_URL='postgresql://trunkline_provider@/trunkline'
                               f'?host={self.suite.run}',
            BENCH_REDIS_URL=f'{self.suite.run}/redis.sock')
        self.process = subprocess.Popen(
            ['node', 'server.js'], cwd=self.directory, env=environment,
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def cpu(self):
        return {'front': cpu_s(self.process.pid), 'services': 0,
                **self.suite.stores_cpu()}

    @property
    def token(self):
        """The session lies in Redis as the suite's do, in JSON."""
        session = {'principal': {'kind': 'system', 'id': 1,
                                 'role': 'SystemAdmin', 'name': 'admin'},
                   'expires_at': int(time.time()) + 1800}
        digest = subprocess.run(
            ['sha256sum'], input=NODE_TOKEN, capture_output=True, text=True,
            check=True).stdout.split()[0]
        subprocess.run(
            ['redis-cli', '-s', self.suite.run / 'redis.sock', 'SET',
             f'bench-session:{digest}', json.dumps(session), 'EX', '1800'],
            check=True, stdout=subprocess.DEVNULL)
        return NODE_TOKEN


class Floor:
    """h2o alone, answering with the bytes of a file."""

    name = 'floor: h2o, static'
    token = 'none'

    def __init__(self, program, body):
        self.command = [program, body]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, text=True,
                                        stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def cpu(self):
        return {'front': cpu_s(self.process.pid), 'services': 0,
                'postgres': 0, 'redis': 0}


def call(port, path, token=None, body=None):
    """One REST call, as JSON."""
    headers = {'Content-Type': 'application/json'}
    if token:
        headers['Authorization'] = f'Bearer {token}'
    request = urllib.request.Request(
        f'http://127.0.0.1:{port}{path}', headers=headers,
        data=json.dumps(body).encode() if body is not None else None)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
