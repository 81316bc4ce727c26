"""The tables that a run prints."""

import os
import platform
import subprocess
import sys
import time

GROUPS = ('front', 'services', 'postgres', 'redis')
BASELINE = 'Fastify'
OURS = 'Trunkline'
# The registrar reads each new trunk, to register and watch it: its CPU counts
# among the services here, and stands still in the other rows.
FOLLOWED = 'Trunkline and its registrar'
# Half of what eight bytes lost per request would come to. Less is an allocator's
# rounding, or what a backend keeps from its first cleaning of an index.
GROWTH_KIB_MAX = 4096


def total(figure):
    return sum(figure['cpu_us'].values())


def count(value):
    return '-' if value is None else f'{value:,.0f}'


def row(name, figure):
    parts = ''.join(f'{figure["cpu_us"].get(group, 0):10.1f}'
                    for group in GROUPS)
    return (f'{name:<30}{total(figure):8.1f}{parts}'
            f'{count(figure["per_second"]):>10}{count(figure["p50_us"]):>9}'
            f'{count(figure["p99_us"]):>9}')


def head(title):
    names = ''.join(f'{group:>10}' for group in GROUPS)
    return (f'\n{title}\n{"":<30}{"CPU us":>8}{names}{"req/s":>10}'
            f'{"p50 us":>9}{"p99 us":>9}')


def version(*command):
    return subprocess.run(command, check=True, text=True,
                          capture_output=True).stdout.split('\n')[0]


def print_machine(plan):
    print(f'{time.strftime("%Y-%m-%d %H:%M")}, {os.cpu_count()} cores shared '
          f'with the load generator, Linux {platform.release()}\n'
          f'{version("pgbench", "--version")}\n'
          f'{version("redis-server", "--version")}\n'
          f'Node.js {version("node", "--version")}\n'
          f'median of {plan.rounds} rounds of {plan.seconds} s after '
          f'{plan.warm_s} s of warm-up', flush=True)


def print_case(title, results, aim=None):
    print(head(title) + '  of Fastify')
    baseline = total(results[BASELINE])
    for name, figure in results.items():
        print(f'{row(name, figure)}{total(figure) / baseline:12.2f}')
    if aim and OURS in results:
        ratio = total(results[OURS]) / baseline
        verdict = 'met' if ratio <= aim else 'MISSED'
        print(f'  aim: at most {aim:.2f} of Fastify: {verdict} ({ratio:.2f})')
    sys.stdout.flush()


def print_growth(results):
    print(head('GET one provider, 64 connections, by rows in the table'))
    for rows, by_server in results.items():
        for name, figure in by_server.items():
            print(row(f'{name}, {rows:,} rows', figure))
    few, many = (total(by_server[OURS]) for by_server in results.values())
    print(f'  {OURS}: {many / few:.2f} times the cost', flush=True)


def print_pages(rows, results):
    print(head(f'GET a page of 100 providers of {rows:,}, 1 connection'))
    for name, figure in results.items():
        print(row(name, figure))
    sys.stdout.flush()


def print_memory(requests, before, after):
    print(f'\nResident memory, KiB (private), before and after {requests:,} '
          'requests')
    grown = []
    for name, (resident, private) in after.items():
        if name not in before:
            continue
        resident_before, private_before = before[name]
        print(f'{name:<58}{resident_before:>9} ({private_before:>6})'
              f'{resident:>9} ({private:>6})')
        if private - private_before > GROWTH_KIB_MAX:
            grown.append(name)
    print(f'  grown by more than {GROWTH_KIB_MAX} KiB: '
          f'{", ".join(grown) or "none"}', flush=True)
