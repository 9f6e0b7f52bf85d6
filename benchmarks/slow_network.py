"""Two ranks with a slow network between them: rank 1 is in a network namespace of its own.

    python benchmarks/slow_network.py --delay 1 --rate 1000 [--peer-python PYTHON_WITH_TORCH]        as root

The kernel delays the packets (tc netem); where it cannot, a process of this script does, between two tun devices. Each
packet waits for its turn on a line of so many megabits a second, and arrives so many milliseconds later. Measured are
latency and bandwidth by ping-pong, training on 1 and 2 ranks, and what the model on paper makes of the former.
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from pymnistcnn.benchmarking import comparing, distributed, paper, peers
from pymnistcnn.benchmarking.networks import NETWORKS
from pymnistcnn.benchmarking.report import Report, Table
from pymnistcnn.processors import cpu_model
from pymnistcnn.target import ISAS

NAMESPACE, DEVICE, MTU = "pymnistcnn", "pmc0", 9000
HERE, THERE = "10.213.7.1", "10.213.7.2"
TUN, SET_NAME = 0x1001, 0x400454CA  # IFF_TUN | IFF_NO_PI, TUNSETIFF
ONLY_BY_TCP = {  # of MPICH: no shared memory, and by this device, as with two machines; so for gloo
    "MPIR_CVAR_NOLOCAL": "1", "MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp", "FI_TCP_IFACE": DEVICE,
    "GLOO_SOCKET_IFNAME": DEVICE,
}  # fmt: skip
IN_NAMESPACE = f"ip netns exec {NAMESPACE}"


def run(command: str) -> None:
    done = subprocess.run(shlex.split(command), capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{command}: {done.stderr.strip()}")


def address(prefix: str, own: str) -> None:
    run(f"{prefix} ip addr add {own}/30 dev {DEVICE}")
    run(f"{prefix} ip link set {DEVICE} mtu {MTU} up")


# ---- by the kernel ----


@contextmanager
def by_netem(delay: float, rate: float) -> Iterator[None]:
    run(f"ip link add name {DEVICE} type veth peer name {DEVICE}x netns {NAMESPACE}")
    try:
        run(f"{IN_NAMESPACE} ip link set {DEVICE}x name {DEVICE}")
        for prefix, own in (("", HERE), (IN_NAMESPACE, THERE)):
            run(f"{prefix} tc qdisc add dev {DEVICE} root netem delay {delay}ms rate {rate}mbit limit 100000")
            address(prefix, own)
        yield
    finally:
        run(f"ip link del {DEVICE}")


# ---- by a process ----


@contextmanager
def by_relay(delay: float, rate: float) -> Iterator[None]:
    there = tun(f"{DEVICE}x")
    run(f"ip link set {DEVICE}x netns {NAMESPACE}")
    run(f"{IN_NAMESPACE} ip link set {DEVICE}x name {DEVICE}")
    here = tun(DEVICE)
    relaying = get_context("fork").Process(target=relay, args=(here, there, delay / 1e3, rate * 1e6 / 8), daemon=True)
    relaying.start()
    os.close(here), os.close(there)
    try:
        address("", HERE)
        address(IN_NAMESPACE, THERE)
        yield
    finally:
        relaying.terminate()
        relaying.join()  # the devices go with it


def tun(name: str) -> int:
    """A device whose packets a process reads and writes."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, SET_NAME, struct.pack("16sH14x", name.encode(), TUN))
    return device


def relay(a: int, b: int, delay: float, rate: float) -> None:
    """Each packet waits until the line is free, is on it for its bytes, and arrives after the delay."""
    on_the_way = {a: deque(), b: deque()}  # by where from: (when due, packet)
    free = {a: 0.0, b: 0.0}
    other = {a: b, b: a}
    while True:
        dues = [packets[0][0] for packets in on_the_way.values() if packets]
        wait = max(0.0, min(dues) - time.monotonic()) if dues else None
        for device in select.select([a, b], [], [], wait)[0]:
            packet, now = os.read(device, 1 << 16), time.monotonic()
            free[device] = max(free[device], now) + len(packet) / rate
            on_the_way[device].append((free[device] + delay, packet))
        for device, packets in on_the_way.items():
            while packets and packets[0][0] <= time.monotonic():
                with suppress(OSError):  # the other is not up yet, or full: it is lost
                    os.write(other[device], packets.popleft()[1])


# ---- what is measured ----


@contextmanager
def slow_network(delay: float, rate: float) -> Iterator[str]:
    """What delays packets, in words."""
    run(f"ip netns add {NAMESPACE}")
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(by_netem(delay, rate))
                said = "packets are delayed by the kernel (tc netem)"
            except OSError:
                stack.enter_context(by_relay(delay, rate))
                said = "packets are delayed by a process between two tun devices, as this kernel has no netem"
            yield said
    finally:
        run(f"ip netns del {NAMESPACE}")


@contextmanager
def mpiexec_to_both() -> Iterator[str]:
    """A command like mpiexec that starts rank 1 in the namespace."""
    (program,) = distributed.mpiexec_words(None)
    chosen = f'[ "$PMI_RANK" = 1 ] && exec {IN_NAMESPACE} "$@"; exec "$@"'
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mpiexec"
        path.write_text(
            f"#!/bin/sh\nflag=$1 ranks=$2\nshift 2\n"
            f'exec {shlex.quote(program)} $flag $ranks sh -c {shlex.quote(chosen)} -- "$@"\n'
        )
        path.chmod(0o755)
        yield str(path)


def measure(network, batches, company, rounds, seconds) -> list[Table]:
    """Ours and the peer on 1 and 2 ranks, and what the model on paper makes of the network between them."""
    elsewhere = dict(address=HERE, started_by=shlex.split(IN_NAMESPACE))
    with mpiexec_to_both() as mpiexec:
        link = distributed.link([mpiexec], rounds, seconds)
        rows = [
            row for batch in batches
            for row in distributed.measure(network, batch, [1, 2], ISAS[-1], 1, [mpiexec], company, rounds, seconds,
                                           elsewhere)
        ]  # fmt: skip
    works = paper.works(network, (2,), ISAS[-1], 1, rounds, seconds)
    return [
        Table("rows", "Two ranks, with the slow network between them", rows),
        Table("links", "The network", [link]),
        Table("on_paper", "On paper: times the speed of one machine", paper.rows(network, [link], 1, works)),
    ]


@click.command(help=__doc__)
@click.option("--delay", type=click.FloatRange(0), default=1.0, show_default=True, help="Milliseconds, each way.")
@click.option("--rate", type=click.FloatRange(1), default=1000.0, show_default=True, help="Megabits a second.")
@click.option("--network", type=click.Choice(list(NETWORKS)), default="fast", show_default=True)
@click.option("--batch-size", "batches", type=click.IntRange(1), multiple=True, default=(128, 2048), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=11, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.001, 60), default=0.5, show_default=True, help="Of each turn.")
@click.option("--peer-python", type=click.Path(exists=True, dir_okay=False), help="A Python that has PyTorch.")
@click.option("--json", "as_json", is_flag=True)
def main(delay, rate, network, batches, rounds, seconds, peer_python, as_json):
    if os.geteuid():
        raise click.UsageError("a network namespace takes root")
    os.environ |= ONLY_BY_TCP
    with ExitStack() as stack:
        company = comparing.Company()
        if peer_python:
            found, _ = peers.find([peer_python], Path(__file__).parent / "peers")
            company = comparing.Company(found, (), stack.enter_context(peers.data_folder()))
        said = stack.enter_context(slow_network(delay, rate))
        tables = measure(network, batches, company, rounds, seconds)
    notes = [f"{delay:g} ms each way, {rate:g} Mbit/s, packets of up to {MTU} bytes: {said}.", *distributed.NOTES,
             *paper.NOTES]  # fmt: skip
    report = Report(shlex.join(["python", *sys.argv]), cpu_model(), ISAS[-1], tables, notes)
    click.echo(report.as_json() if as_json else report.as_markdown())


if __name__ == "__main__":
    main()
