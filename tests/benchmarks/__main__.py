"""Measures the client beside the same work done directly on redis-py."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

from tests.support import RedisServer

from .environment import environment
from .figures import COUNTS
from .fresh import run_fresh
from .peers.runner import FAILURES, PEERS, Peer
from .report import as_text, draw_growth, draw_ratios, growth_as_text
from .responder import responder
from .rounds import Rounds, one_round
from .scaling import scaling
from .workloads import SIDES, Figures, Side

# What takes many seconds has a turn in every third round only.
_EVERY = {"W2": 3, "peers": 3}
_EPILOG = """
A ratio is this library's figure over that of the baseline in the same round: for jobs/s more is
better, for times and memory less. What is shown is the median of the rounds, and the spread. A goal
that is not reached is information; the exit status is 0.

Workloads:
  E1 one submit at a time       S1 one blocking submit at a time     W1 store to waiter resumed
  E2 100 tasks submitting       S2 8 threads on one blocking client  RT submit and wait
  E3 many jobs in one call      SP S1 with all on one core           W2 10,000 waits at once
  M1 import                     SR one blocking read at a time       SI a blocking submit with an id
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rounds", type=int, metavar="N", help="rounds of each workload (21; with --quick 3)")
    add("--quick", action="store_true", help="a tenth of the calls: shows that it runs, no more")
    add("--only", type=workloads, metavar="E1,W2", help="these workloads alone")
    add("--json", type=Path, metavar="FILE", help="write the figures of all rounds there")
    add("--plot", type=Path, metavar="FILE", help="draw the result there, as SVG")
    add(
        "--peers",
        type=peers,
        nargs="?",
        const=list(PEERS),
        default=[],
        metavar="NAMES",
        help=f"install and run other queues too: all, or some of {','.join(PEERS)}",
    )
    add("--scaling", action="store_true", help="measure how cost grows instead; some minutes")
    add(
        "--jobs",
        type=int,
        default=200_000,
        metavar="N",
        help="with --scaling, jobs from one generator (200000; a million fill half a GB of Redis)",
    )
    return parser.parse_args()


def workloads(text: str) -> List[str]:
    return chosen(text.upper(), COUNTS, "workload")


def peers(text: str) -> List[str]:
    return chosen(text.lower(), PEERS, "peer")


def chosen(text: str, known: Any, kind: str) -> List[str]:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"no {kind} {name!r}; there are {', '.join(known)}")
    return names


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def installed(names: Sequence[str], port: int) -> Iterator[List[Peer]]:
    """Install the peers, and remove them in the end."""
    with tempfile.TemporaryDirectory(prefix="peers-") as directory:
        found = []
        for name in names:
            say(f"installing {name}")
            try:
                found.append(Peer(name, Path(directory), port))
            except FAILURES as failure:
                say(f"{name} can't be run here: {failure}")
        yield found


def tenth(calls: int) -> int:
    return calls if calls < 100 else max(100, calls // 1000 * 100)


def measure(
    sides: Dict[str, Side], counts: Dict[str, int], count: int, others: Sequence[Peer]
) -> Dict[str, Rounds]:
    """Run all workloads in each round, the peers too."""

    def run(workload: str, side: str) -> Figures:
        if workload == "W2":
            return run_fresh(side, workload, sides[side].port, counts[workload])
        return sides[side].run(workload, counts[workload])

    found: Dict[str, Rounds] = {workload: [] for workload in counts}
    for at in range(count):
        say(f"round {at + 1} of {count}")
        for workload in counts:
            if at % _EVERY.get(workload, 1) == 0:
                found[workload].append(one_round(at, functools.partial(run, workload)))
        for peer in others if at % _EVERY["peers"] == 0 else ():
            peer.run_round(sides["baseline"], counts)
    return found


def main() -> None:
    options = arguments()
    count = options.rounds or (3 if options.quick else 21)
    results: Dict[str, Any] = {"environment": environment()}
    with RedisServer() as server, responder(server.port):
        sides = {name: make(server.port) for name, make in SIDES.items()}
        if options.scaling:
            # Points are many, and each shows a trend beside its neighbours.
            count = options.rounds or (1 if options.quick else 5)
            results["scaling"] = scaling(sides, count, options.jobs, options.quick, say)
            print(growth_as_text(results["scaling"]))
        else:
            counts = {name: COUNTS[name] for name in options.only or COUNTS}
            if options.quick:
                counts = {name: tenth(calls) for name, calls in counts.items()}
            results["calls"] = counts
            with installed(options.peers, server.port) as others:
                results["rounds"] = measure(sides, counts, count, others)
                results["peers"] = {peer.name: peer.report() for peer in others}
            print(as_text(results))
            if options.quick:
                print("with a tenth of the calls: these figures say only that everything runs")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot = draw_growth(results["scaling"]) if options.scaling else draw_ratios(results)
        options.plot.write_text(plot, encoding="utf-8")


if __name__ == "__main__":
    main()
