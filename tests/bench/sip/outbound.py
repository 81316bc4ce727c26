"""What registering trunks elsewhere costs, how it is paced, and that a restart
sends nothing that is not due."""

import json
import socket
import subprocess
import sys
import time

import peers
from peers import cpu_s

DESTINATIONS = 10  # more than the burst over all lets go at once
SETTLED_S = 0.02  # of CPU in a second
BURST = 20  # per 100 ms, over all, as pacing.h has it
DESTINATION_BURST = 5


class Carrier:
    def __init__(self, program, plan):
        self.process = subprocess.Popen(
            [program, str(DESTINATIONS), str(plan.trunks),
             str(plan.expires_s), peers.PASSWORD],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def tell(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def mark(self):
        self.tell('mark')

    def stats(self):
        self.tell('stats')
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def status_of(port):
    """What a REGISTER without credentials is answered; None: not at all."""
    with socket.socket(type=socket.SOCK_DGRAM) as wire:
        wire.settimeout(1)
        wire.bind(('127.0.0.1', 0))
        at = '127.0.0.1:%d' % wire.getsockname()[1]
        who = f'<sip:probe@{peers.DOMAIN}>'
        message = '\r\n'.join([
            f'REGISTER sip:{peers.DOMAIN} SIP/2.0',
            f'Via: SIP/2.0/UDP {at};branch=z9hG4bK{time.monotonic_ns()};rport',
            'Max-Forwards: 70', f'From: {who};tag=1', f'To: {who}',
            f'Call-ID: {time.monotonic_ns()}', 'CSeq: 1 REGISTER',
            f'Contact: <sip:probe@{at}>', 'Content-Length: 0', '', ''])
        try:
            wire.sendto(message.encode(), ('127.0.0.1', port))
            return int(wire.recv(65536)[8:11])
        except OSError:
            return None


def wait_settled(suite):
    """Until the registrar has read all there is (before, it answers 503 for a
    domain that it does not know yet) and is all but idle."""
    peers.wait_for(lambda: status_of(suite.ports['udp']) in (401, 404),
                   'the registrar answers')
    pid = suite.pid('registrar')

    def idle():
        used = cpu_s(pid)
        time.sleep(1)
        return cpu_s(pid) - used < SETTLED_S
    peers.wait_for(idle, 'the registrar is idle')


def each_us(before, after, count):
    return ' + '.join(
        f'{(after[group] - before[group]) * 1e6 / max(count, 1):.0f} us '
        f'{group}' for group in before)


def verdict(value, most):
    return f'{value} (at most {most}: {"met" if value <= most else "MISSED"})'


def first_start(plan, suite, carrier):
    """From a registrar that knows of none to all registered."""
    start = time.time()
    suite.registrar_restart()
    before = suite.cpu()
    peers.wait_for(lambda: carrier.stats()['distinct'] == plan.trunks,
                   'all trunks register')
    stats = carrier.stats()
    print(f'all registered {stats["last_s"] - start:.1f} s after the start '
          f'({stats["registers"]:,} REGISTERs); CPU per registration: '
          f'{each_us(before, suite.cpu(), plan.trunks)}\n'
          f'largest burst within 100 ms: {verdict(stats["burst"], BURST)}, '
          f'to one destination: '
          f'{verdict(stats["destination_burst"], DESTINATION_BURST)}; '
          f'refused: {stats["wrong"]}', flush=True)


def restart(plan, suite, carrier, kill):
    """The state is in Redis a moment later than at the carrier."""
    time.sleep(2)
    carrier.mark()
    suite.registrar_restart(kill)
    time.sleep(plan.quiet_s)
    stats = carrier.stats()
    print(f'REGISTERs within {plan.quiet_s} s of '
          f'{"kill -9" if kill else "a clean restart"}: '
          f'{verdict(stats["registers"], 0)}', flush=True)


def refreshes(plan, suite, carrier):
    """One of each trunk, with the nonce it has. They begin at 80 % of the
    granted time."""
    peers.wait_for(lambda: carrier.stats()['registers'] > 0,
                   'refreshes begin', 2 * plan.expires_s)
    carrier.mark()
    before = suite.cpu()
    peers.wait_for(
        lambda: carrier.stats()['distinct'] >= 0.9 * plan.trunks,
        'trunks refresh', 2 * plan.expires_s)
    after, stats = suite.cpu(), carrier.stats()
    spent_s = stats['last_s'] - stats['first_s']
    print(f'{stats["registered"]:,} refreshes, '
          f'{stats["registers"] / spent_s:.0f} REGISTERs a second, '
          f'{stats["challenged"]} of them challenged again, '
          f'{stats["repeated"]} with a count used before; CPU per refresh: '
          f'{each_us(before, after, stats["registered"])}\n'
          f'largest burst within 100 ms: {verdict(stats["burst"], BURST)}, '
          f'to one destination: '
          f'{verdict(stats["destination_burst"], DESTINATION_BURST)}; '
          f'refused: {stats["wrong"]}', flush=True)


def measure(plan, suite, program):
    print(f'\n{plan.trunks:,} trunks that register at {DESTINATIONS} '
          f'destinations, {plan.expires_s} s granted', flush=True)
    suite.psql('TRUNCATE provider.providers, provider.did_ranges CASCADE')
    suite.registrar_restart()
    wait_settled(suite)
    carrier = Carrier(program, plan)
    try:
        suite.trunks(
            plan.trunks,
            "'auth_id', 't' || lpad(n::text, 7, '0'), 'enabled', true, "
            f"'outbound_server', '127.0.1.' || (n % {DESTINATIONS} + 1)",
            auth_mode='REGISTER_AUTH', enabled=False,
            outbound_server_port=carrier.port)
        first_start(plan, suite, carrier)
        restart(plan, suite, carrier, kill=True)
        restart(plan, suite, carrier, kill=False)
        refreshes(plan, suite, carrier)
    except BrokenPipeError:
        sys.exit('the carrier gave up')
    finally:
        carrier.stop()
