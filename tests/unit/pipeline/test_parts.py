"""The small parts of the state machine."""

from __future__ import annotations

from collections import deque
from typing import Deque

from bananas._backoff import Backoff
from bananas._pipeline.batch import BATCH_BYTES, BATCH_COMMANDS, Batch
from bananas._pipeline.deadline_heap import Deadlines
from bananas._pipeline.pending_requests import PendingRequests
from bananas._pipeline.requests import Request
from bananas._pipeline.silence import Silence
from bananas._redis import ReplyError
from tests.unit.pipeline.callers import call, entry, submit


def test_deadlines_come_in_their_order() -> None:
    """Whoever is late is found without looking at the others."""
    deadlines = Deadlines()
    requests = [call(b"PING", timeout=float(limit)) for limit in (3, 1, 2, 1)]
    for request in requests:
        deadlines.add(request)
    assert deadlines.soonest() == 1.0
    assert deadlines.take_late(2.0) == [requests[1], requests[3], requests[2]]
    assert len(deadlines) == 1
    requests[0].future.cancel()
    assert len(deadlines) == 0


def test_requests_that_have_ended_do_not_pile_up() -> None:
    """The heap shrinks while requests come and end."""
    deadlines = Deadlines()
    open_requests: Deque[Request] = deque()
    for now in range(10_000):
        request = call(b"PING", now=float(now))
        deadlines.add(request)
        open_requests.append(request)
        if len(open_requests) > 5:
            open_requests.popleft().future.cancel()
    assert len(deadlines._heap) < 20


def test_what_may_wait_for_another_connection() -> None:
    """Nothing goes that could be applied after what was sent before; what goes has no deadline."""
    pending = PendingRequests()
    fresh, read = submit([entry("fresh")]), call(b"GET")
    chosen, again = [submit([entry(one)], idempotent=True) for one in ("chosen", "again")]
    write = call(b"SET")
    write.writes = True
    for request in (fresh, read, chosen, again, write):
        pending.add(request)
    batch = Batch()
    batch.add(submit([entry("again")]).entries)
    assert pending.take_waiting(batch) == [fresh, read, chosen]
    assert list(pending.waiting) == [again, write]
    assert set(pending.deadlines) == {again, write}


def test_backoff_doubles_up_to_a_limit() -> None:
    """Chance takes up to half of each wait away."""
    backoff = Backoff(1.0, 5.0, lambda: 0.0)
    assert [backoff.next() for _ in range(4)] == [0.5, 1.0, 2.0, 2.5]
    for _ in range(10_000):
        backoff.next()


def test_batch_limits() -> None:
    """A batch takes no more once it has enough commands, or bytes."""
    waiting: Deque[Request] = deque(submit([entry(str(at))]) for at in range(2 * BATCH_COMMANDS))
    batch = Batch()
    batch.fill(waiting, most_requests=10_000)
    assert batch.requests == BATCH_COMMANDS
    half = bytes(BATCH_BYTES // 2)
    waiting = deque(submit([entry(str(at), document=half)]) for at in range(5))
    batch = Batch()
    batch.fill(waiting, most_requests=10_000)
    assert (batch.requests, batch.size) == (2, BATCH_BYTES)
    waiting = deque(call(*[b"GET"] * (BATCH_COMMANDS // 2)) for _ in range(5))
    batch = Batch()
    batch.fill(waiting, most_requests=10_000)
    assert batch.requests == 2
    large = [call(b"SET") for _ in range(5)]
    for request in large:
        request.size = BATCH_BYTES // 2
    batch = Batch()
    batch.fill(deque(large), most_requests=10_000)
    assert (batch.requests, batch.size) == (2, BATCH_BYTES)


def test_transaction_that_is_left_open() -> None:
    """The next one in the batch does not end it: its MULTI is refused, since there is one."""
    batch = Batch()
    for name in "ab":
        batch.add(submit([entry(name)]).entries)
    no_exec, nested = ReplyError("NOPERM", "NOPERM"), ReplyError("ERR", "ERR MULTI nested")
    first = [b"OK", b"QUEUED", b"QUEUED", no_exec]
    assert batch.judge([*first, nested, b"QUEUED", b"QUEUED", no_exec])
    assert batch.leaves_transaction


def test_one_request_at_a_time() -> None:
    """What is sent once more counts as well."""
    waiting: Deque[Request] = deque([submit([entry("a")]), submit([entry("b")])])
    batch = Batch()
    batch.add(submit([entry("c")]).entries)
    batch.fill(waiting, most_requests=1)
    assert (batch.requests, len(waiting)) == (1, 2)
    batch = Batch()
    batch.fill(waiting, most_requests=1)
    assert (batch.requests, len(waiting)) == (1, 1)


def test_the_most_impatient_decides() -> None:
    """A batch may be silent for as long as each of its requests allows."""
    batch = Batch()
    batch.fill(deque(call(b"GET", timeout=limit) for limit in (30.0, 10.0, 20.0)), most_requests=9)
    assert batch.silence == 4.0
    batch.add(submit([entry("a", document=b"1234")], timeout=5.0).entries)
    assert (batch.requests, batch.silence, batch.size) == (4, 2.0, 4)
    batch.add_check(submit([entry("b")], timeout=2.5).entries)
    assert (batch.requests, batch.silence) == (5, 1.0)
    batch.add(submit([entry("c")], timeout=10.0).entries)
    assert batch.silence == 1.0


def test_silence_without_a_byte() -> None:
    """The limit counts from the time when commands were handed over."""
    silence = Silence()
    assert silence.begin(10.0, 4.0, 0) == 14.0
    assert silence.look(11.0, 50_000) == 11.5  # it was not asked before how much is left
    assert silence.look(13.9, 50_000) == 14.0
    assert silence.look(14.0, 50_000) is None


def test_few_bytes_make_up_for_little() -> None:
    """A byte now and then does not keep a connection; 16,000 make up for a second."""
    silence = Silence()
    silence.begin(0.0, 4.0, 0)
    for now in range(1, 4):
        silence.moved(1, float(now))
    assert silence.look(4.1, 0) is None
    silence.begin(0.0, 4.0, 0)
    silence.moved(16_000, 3.0)
    assert silence.look(4.1, 0) == 5.0


def test_many_bytes_make_up_for_no_more_than_the_time_until_now() -> None:
    """After a burst the limit counts from the burst."""
    silence = Silence()
    silence.begin(0.0, 4.0, 0)
    silence.moved(10_000_000, 3.0)
    assert silence.look(6.9, 0) == 7.0
    assert silence.look(7.0, 0) is None


def test_upload_is_asked_for_its_growth() -> None:
    """It is looked at several times within the limit."""
    silence = Silence()
    assert silence.begin(0.0, 4.0, 1_000_000) == 0.5
    assert silence.look(0.5, 900_000) == 1.0
    assert silence.look(4.4, 900_000) == 4.5
    assert silence.look(4.5, 900_000) is None
