"""Cancels raced against workers, and against a scheduler that pauses between reads and writes.

``python -m tests.faults.cancel_race --jobs 10000 --seed 1`` submits jobs in batches, some of them
due at once or soon, and cancels all of them while workers take them. The workers are made slower
or faster, so that about half of the jobs are cancelled on any machine. It ends with status 1 if a
job that was reported as cancelled has run, if another has not run once, or if fewer than a third
were cancelled, or taken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from datetime import timedelta
from typing import Any, Dict, List, Optional, Sequence

from bananas import AsyncClient, JobSpec
from bananas.testing import WorkerEmulator
from tests.support import RedisServer

from .slow_scheduler import SlowScheduler

__all__ = ["Race", "main"]

_BATCH = 100
_WORKERS = 4
# Due so many seconds after the submit; None is queued at once. The scheduler looks each second,
# and a job that is due within five seconds is left to it.
_DUES: Sequence[Optional[float]] = (None, None, None, None, None, None, None, 0.0, 1.0, 7.0)
_BATCHES_AT_ONCE = 8
# A bound for a job that never ends, not an expectation.
_PATIENCE = 120.0


class Race:
    """One run: submits, cancels, waits for the rest, and counts.

    Args:
        server: The server, without any data.
        rng: Says which jobs are due when, and in which order they are cancelled.
    """

    def __init__(self, server: RedisServer, rng: random.Random) -> None:
        self._server = server
        self._rng = rng
        self._pause = 0.02
        self.outcomes: Dict[str, str] = {}
        self.runs: Counter[str] = Counter()

    async def run(self, jobs: int) -> None:
        """Race so many jobs."""
        url = self._server.url()
        worker = WorkerEmulator(url, concurrency=_WORKERS)
        worker.handle("work", self._work)
        scheduler = SlowScheduler(self._server.port, every=1.0, pause=1.0, rng=self._rng)
        turns = asyncio.Semaphore(_BATCHES_AT_ONCE)
        async with AsyncClient(url) as client, worker, scheduler:
            batches: List[asyncio.Task[None]] = []
            for start in range(0, jobs, _BATCH):
                await turns.acquire()
                ids = [f"job{number}" for number in range(start, min(jobs, start + _BATCH))]
                batch = asyncio.ensure_future(self._batch(client, ids))
                batch.add_done_callback(lambda _: turns.release())
                batches.append(batch)
            await asyncio.gather(*batches)
            left = [one for one, outcome in self.outcomes.items() if outcome != "cancelled"]
            async for result in client.as_completed(left, _PATIENCE):
                assert result.is_success, result
            # Long enough for a scheduler that has read, and not yet written, a cancelled job.
            await asyncio.sleep(2.5)
            while await worker.waiting():
                await asyncio.sleep(0.05)

    async def _work(self, job: Any) -> None:
        self.runs[job.id] += 1
        await asyncio.sleep(self._pause)

    async def _batch(self, client: AsyncClient, ids: List[str]) -> None:
        specs = []
        for job_id in ids:
            due = self._rng.choice(_DUES)
            when = None if due is None else timedelta(seconds=due)
            specs.append(JobSpec("work", {}, job_id=job_id, scheduled_for=when))
        await client.submit_jobs(specs)
        # Those that wait for a time are cancelled around it, when the scheduler moves them.
        delays = [
            0.0 if one.scheduled_for is None else self._rng.uniform(0.0, 3.0) for one in specs
        ]
        chosen = self._rng.sample(list(zip(ids, delays)), len(ids))
        await asyncio.gather(*(self._cancel(client, *one) for one in chosen))
        outcomes = [self.outcomes[job_id] for job_id in ids]
        cancelled = sum(outcome == "cancelled" for outcome in outcomes)
        faster = 0.8 if cancelled > 0.5 * len(ids) else 1.25
        self._pause = min(max(0.0001, faster * self._pause), 0.2)

    async def _cancel(self, client: AsyncClient, job_id: str, delay: float) -> None:
        await asyncio.sleep(delay)
        self.outcomes[job_id] = str(await client.cancel(job_id))

    def faults(self) -> Dict[str, List[str]]:
        """Return the jobs of which something is wrong, by what that is."""
        cancelled = {one for one, outcome in self.outcomes.items() if outcome == "cancelled"}
        others = self.outcomes.keys() - cancelled
        server = self._server
        lists = ["processing", "dead", "high", "normal", "low"]
        left = [
            one.decode()
            for name in lists
            for one in server.command("LRANGE", f"bananas:queue:{name}", 0, -1)
        ]
        left += [one.decode() for one in server.command("ZRANGE", "bananas:queue:scheduled", 0, -1)]
        return {
            "cancelled and run": sorted(one for one in cancelled if self.runs[one]),
            "not run": sorted(one for one in others if not self.runs[one]),
            "run twice": sorted(one for one, count in self.runs.items() if count > 1),
            "still in the queue": sorted(left),
        }

    def counts(self) -> Dict[str, int]:
        """Return how many had each outcome, and of how many something is wrong."""
        found = dict(sorted(Counter(self.outcomes.values()).items()))
        return {**found, **{name: len(ids) for name, ids in self.faults().items()}}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the race, print the counts as JSON, and return the exit status."""
    parser = argparse.ArgumentParser(description="Race cancels against workers and a scheduler.")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args(arguments)
    with RedisServer() as server:
        race = Race(server, random.Random(options.seed))
        asyncio.run(race.run(options.jobs))
        counts = race.counts()
        faults = {name: ids[:10] for name, ids in race.faults().items() if ids}
    print(json.dumps({"seed": options.seed, "jobs": options.jobs, **counts}))
    raced = counts.get("taken", 0) + counts.get("finished", 0)
    for name, ids in faults.items():
        print(f"{name}: {', '.join(ids)}", file=sys.stderr)
    is_even = min(counts.get("cancelled", 0), raced) >= options.jobs / 3
    if not is_even:
        print("fewer than a third were cancelled, or taken", file=sys.stderr)
    return 0 if is_even and not faults else 1


if __name__ == "__main__":
    sys.exit(main())
