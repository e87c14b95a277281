"""The benchmarks do the work that they claim to measure."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List

import pytest

from tests.benchmarks import report
from tests.benchmarks.figures import COUNTS, FIGURES
from tests.benchmarks.peers.runner import PEERS
from tests.benchmarks.responder import ROOT, responder
from tests.benchmarks.rounds import BOTH, one_round
from tests.benchmarks.timing import PAYLOAD
from tests.benchmarks.workloads import SIDES, Side
from tests.support import RedisServer, RespError

pytestmark = pytest.mark.one_python

both_sides = pytest.mark.parametrize("side", BOTH, indirect=True)


@pytest.fixture(scope="module")
def port(redis_server: RedisServer) -> Iterator[int]:
    """A Redis that a responder listens to."""
    with responder(redis_server.port):
        yield redis_server.port


@pytest.fixture
def side(request: pytest.FixtureRequest, port: int) -> Iterator[Side]:
    """One side, which leaves nothing behind."""
    made = SIDES[request.param](port)
    yield made
    made.control.flushdb()
    made.close()


def documents(side: Side) -> List[Dict[str, Any]]:
    """Return all job documents."""
    keys: Any = side.control.keys("bananas:job:*")
    texts: Any = side.control.mget(keys)
    return [json.loads(text) for text in texts]


@both_sides
@pytest.mark.parametrize(
    ("workload", "count", "options"),
    [("E1", 3, {}), ("E2", 6, {"tasks": 3}), ("E3", 10, {}), ("S1", 3, {}), ("S2", 16, {})],
)
def test_submits_are_made(side: Side, workload: str, count: int, options: Dict[str, int]) -> None:
    """As many jobs are queued as are counted, and one before, with the payload."""
    found = side.run(workload, count, **options)
    assert set(found) == {"rate"}
    made = documents(side)
    assert [document["payload"] for document in made] == [PAYLOAD] * (count + 1)
    queued: Any = side.control.lrange("bananas:queue:normal", 0, -1)
    assert sorted(queued) == sorted(document["id"].encode() for document in made)


@both_sides
def test_a_payload_of_any_size_is_submitted(side: Side) -> None:
    """The payload is the one that is asked for."""
    side.run("E1", 1, {"text": "x" * 1000})
    assert {len(document["payload"]["text"]) for document in documents(side)} == {1000}


@both_sides
def test_round_trips_are_made(side: Side) -> None:
    """Each job is queued, taken, and answered."""
    assert set(side.run("RT", 3)) == {"time"}
    assert len(documents(side)) == len(side.control.keys("bananas:result:*")) == 4
    assert side.control.llen("bananas:queue:high") == 0


@both_sides
def test_lone_waits_are_made(side: Side) -> None:
    """Each waiter is answered once it has subscribed."""
    assert set(side.run("W1", 2)) == {"time"}
    assert len(side.control.keys("bananas:result:*")) == 2


@both_sides
def test_many_waits_are_made(side: Side) -> None:
    """All results are awaited, and all that is to be reported is measured."""
    found = side.run("W2", 1_150)  # more than one request, and more than one part of each
    assert set(found) == {"cpu", "lag", "memory", "connections"}
    assert found["connections"] >= 1
    assert len(side.control.keys("bananas:result:*")) == 1_150


@both_sides
@pytest.mark.parametrize("workload", ["W1", "W2"])
def test_a_store_that_is_refused_ends_the_run(side: Side, workload: str) -> None:
    """It ends with what the server says, and not with a wait for what will never be stored."""
    side.control.config_set("maxmemory", 1)
    try:
        with pytest.raises(RespError, match="OOM"):
            side.run(workload, 3)
    finally:
        side.control.config_set("maxmemory", 0)


@pytest.mark.parametrize("side", ["ours"], indirect=True)
def test_a_generator_is_emptied(side: Side) -> None:
    """All jobs of the generator are queued, after the first ten thousand."""
    assert set(side.run("jobs", 50)) == {"rate", "growth"}
    assert side.control.llen("bananas:queue:normal") == 10_050


@both_sides
def test_imports_are_timed(side: Side) -> None:
    """A fresh interpreter imports what the side needs."""
    assert set(side.run("M1", 1)) == {"time"}


def test_every_side_has_its_turn() -> None:
    """A round runs both sides, and the next one the other way round."""
    turns: List[str] = []

    def run(name: str) -> Dict[str, float]:
        turns.append(name)
        return {"at": len(turns)}

    assert set(one_round(0, run)) == set(one_round(1, run)) == set(BOTH)
    assert turns == [*BOTH[::-1], *BOTH]


def test_a_run_can_be_reported() -> None:
    """Every figure has its row in the tables and, where it is a speed, its mark in the plot."""
    values = {
        "rate": 3.0,
        "time": 0.5,
        "cpu": 0.1,
        "lag": 0.1,
        "memory": 2048.0,
        "connections": 1.0,
    }
    rounds = [{"ours": values, "baseline": dict.fromkeys(values, 1.0), "saq": values}]
    peer = {"versions": "saq 1", "rounds": {"E1": rounds, "RT": rounds}, "has_no": ["E2"]}
    results = {
        "environment": {**dict.fromkeys(["python", "redis-py", "hiredis", "redis-server"], "1"),
                        "orjson": None, "cpus": 2},
        "rounds": dict.fromkeys(COUNTS, rounds),
        "peers": {"saq": peer},
    }  # fmt: skip
    points = [{"at": at, "rounds": rounds} for at in (10, 100)]
    grown = [{"at": at, "rounds": [{"ours": {"growth": -5.0}}]} for at in (10, 100)]
    curves = {"tasks": points, "bytes": points, "waits": points, "jobs": grown}
    printed = report.as_text(results) + report.growth_as_text(curves)
    written = report.markdown(results)
    for figure in FIGURES:
        assert figure.text in printed
        if figure.name != "connections":
            assert f"\n| {report.WORDS[figure.workload, figure.name]} | **" in written
    assert "3.00 ×" in printed
    assert "| asyncio: one submit at a time | **3.0** | 3.0 – 3.0 |" in written
    assert "| from the stored result to your code | **2.0** | 2.0 – 2.0 |" in written
    assert "a worker that does nothing else: saq 1." in written
    assert "\n|  | saq |\n| --- | --- |\n| asyncio: one submit at a time | 1.0 |\n" in written
    assert "| asyncio: 100 tasks that submit | – |" in written
    grows = report.growth_markdown({"scaling": curves})
    assert "| tasks that submit at once | 100 | 3.0 | 1.0 |" in grows
    assert report.draw_ratios(results).count("<circle") == 12 + 2
    assert report.draw_growth(curves).count("<circle") == 3 * 2


def test_the_pages_show_the_run_that_is_kept() -> None:
    """The tables and plots of the documentation are those of the run in the sources."""
    read = (report.SHOWN, report.GROWTH_SHOWN)
    results, growth = (json.loads(path.read_text(encoding="utf-8")) for path in read)
    for path, content in report.documentation(results, growth).items():
        assert path.read_text(encoding="utf-8") == content, path.name


def test_every_peer_has_an_adapter() -> None:
    """There is a program for each of the other queues."""
    adapters = {path.stem for path in (ROOT / "tests" / "benchmarks" / "peers").glob("*.py")}
    assert adapters - {"__init__", "adapter", "runner"} == set(PEERS)
