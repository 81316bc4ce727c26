"""The tables that a run prints."""

import os
import platform
import subprocess
import sys
import time

GROUPS = ('server', 'redis')
OURS = 'Trunkline'
MEMORY = 'Kamailio, memory'
DURABLE = 'Kamailio and Redis'
AIM_MEMORY = 1.0  # CPU of a registration, of Kamailio's in memory
AIM_DURABLE = 0.2  # of Kamailio's with Redis


def total(figure):
    return sum(figure['cpu_us'].values())


def version(*command):
    return subprocess.run(command, check=True, text=True,
                          capture_output=True).stdout.split('\n')[0]


def print_machine(plan):
    print(f'{time.strftime("%Y-%m-%d %H:%M")}, {os.cpu_count()} cores shared '
          f'with the load generator, Linux {platform.release()}\n'
          f'{version("kamailio", "-v")}\n'
          f'{version("redis-server", "--version")}\n'
          f'{plan.accounts:,} accounts; median of {plan.rounds} rounds of '
          f'{plan.seconds} s', flush=True)


def row(name, figure):
    parts = ''.join(f'{figure["cpu_us"].get(group, 0):9.1f}'
                    for group in GROUPS)
    lost = figure['resent'] + figure['late']
    return (f'{name:<26}{total(figure):8.1f}{parts}'
            f'{figure["per_second"]:>10,.0f}{figure["p50_us"]:>9,}'
            f'{figure["p99_us"]:>9,}{lost:>6}')


def head(title):
    names = ''.join(f'{group:>9}' for group in GROUPS)
    return (f'\n{title}\n{"":<26}{"CPU us":>8}{names}{"reg/s":>10}'
            f'{"p50 us":>9}{"p99 us":>9}{"lost":>6}')


def ratios(figure, results):
    return ''.join(
        f'{total(figure) / total(results[name]):10.2f}'
        for name in (MEMORY, DURABLE) if name in results)


def print_case(title, results, aims=False):
    names = ''.join(f'{text:>10}' for name, text in (
        (MEMORY, 'of memory'), (DURABLE, 'of Redis')) if name in results)
    print(head(title) + names)
    for name, figure in results.items():
        print(row(name, figure) + ratios(figure, results))
    if aims:
        for name, aim in ((MEMORY, AIM_MEMORY), (DURABLE, AIM_DURABLE)):
            ratio = total(results[OURS]) / total(results[name])
            verdict = 'met' if ratio <= aim else 'MISSED'
            print(f'  aim: at most {aim:.2f} of {name}: {verdict} '
                  f'({ratio:.2f})')
    sys.stdout.flush()


def print_memory(bindings, by_peer):
    print(f'\nMemory of {bindings:,} bindings, bytes each\n'
          f'{"":<26}{"server":>9}{"redis":>9}')
    for name, (before, after) in by_peer.items():
        each = [(after[group] - before[group]) / bindings for group in GROUPS]
        print(f'{name:<26}' + ''.join(f'{value:9,.0f}' for value in each))
    sys.stdout.flush()
