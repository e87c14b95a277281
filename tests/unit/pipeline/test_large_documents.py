"""Which connection takes a request, where a large document has one of its own."""

from __future__ import annotations

from typing import Any, Callable, List, Set

from bananas import ClientClosedError
from bananas._pipeline.large_documents import LARGE, LargeDocuments
from bananas._pipeline.requests import Request
from bananas._pipeline.states import State
from tests.unit.pipeline.callers import call, entry, outcome, submit
from tests.unit.pipeline.recorder import APPLIED, OK, Recorder

BIG = bytes(LARGE + 1)


class Owner(Recorder):
    """Takes requests, and carries nothing out.

    Attributes:
        most_requests: How many requests go into a batch at most.
        is_held_up: Whether a long reply is said to be on its way.
        on_progress: Called when more have arrived.
        asked: The requests that it was handed.
    """

    def __init__(
        self, most_requests: int = 1000, on_progress: Callable[[Any], None] = lambda _: None
    ) -> None:
        super().__init__(most_requests=most_requests)
        self.most_requests = most_requests
        self.is_held_up = False
        self.on_progress = on_progress
        self.asked: List[Request] = []
        self.ready()

    def ask(self, request: Request, now: float = 0.0, *, at_once: bool = True) -> Request:
        self.asked.append(request)
        return super().ask(request, now, at_once=at_once)

    def may_yet_queue(self, job_ids: Set[str]) -> bool:
        return self.machine.pending.may_yet_queue(job_ids, self.machine.round_trip.batch)

    def take_waiting(self) -> List[Request]:
        return self.machine.pending.take_waiting(self.machine.round_trip.batch)

    def let_go(self) -> None:
        self.machine.close(0.0)


def connections() -> Any:
    """Return the connections, of which only the first is made yet."""
    make: Any = Owner
    return LargeDocuments(make)


def test_only_a_large_document_needs_another_connection() -> None:
    """All else goes on the first, and the second takes one request at a time."""
    both = connections()
    at_the_limit = entry("a", document=bytes(LARGE))
    several = [entry("a", document=BIG), entry("b")]
    for entries in ([entry("a")], [at_the_limit], several):
        assert both.for_submit(entries, idempotent=False) is both.main
    assert both.for_call() is both.for_call(LARGE) is both.main
    assert both.owners == [both.main]
    second = both.for_submit([entry("a", document=BIG)], idempotent=False)
    assert both.owners == [both.main, second]
    assert both.for_call(LARGE + 1) is second
    assert both.owners == [both.main, second]
    assert (both.main.most_requests, second.most_requests) == (1000, 1)


def test_nobody_waits_behind_a_long_reply() -> None:
    """What comes, and what waits already, goes elsewhere; what has written keeps its place."""
    both = connections()
    write, read = call(b"DEL", writes=True), call(b"GET")
    for request in (call(b"HGETALL"), write, read):
        both.main.ask(request)
    both.main.on_progress(both.main)
    assert both.owners == [both.main]
    assert len(both.main.asked) == 3
    both.main.is_held_up = True
    both.main.on_progress(both.main)
    second = both.for_call()
    assert both.owners == [both.main, second]
    assert second.asked == [read]
    assert both.for_submit([entry("a")], idempotent=False) is second
    assert both.for_call(writes=True) is both.main
    both.main.reply([])
    assert both.main.verbs == [b"DEL", b"ECHO"]


def test_long_replies_take_three_connections_at_most() -> None:
    """What comes then waits for the last of them."""
    several = connections()
    for _ in range(4):
        several.for_call().is_held_up = True
    assert len(several.owners) == 3
    assert several.for_call() is several.owners[-1]


def test_who_has_sent_a_job_is_asked_for_it_again() -> None:
    """No other connection can make sure that it is not applied later."""
    both = connections()
    second = both.for_submit([entry("a", document=BIG)], idempotent=False)

    def again(job_id: str, *, idempotent: bool = True) -> Any:
        return both.for_submit([entry(job_id)], idempotent=idempotent)

    assert again("a") is both.main
    second.ask(submit([entry("a", document=BIG)]))
    assert again("a") is second
    assert again("b") is again("a", idempotent=False) is both.main
    both.main.ask(submit([entry("b"), entry("c")]))
    assert both.for_submit([entry("c", document=BIG)], idempotent=True) is both.main
    second.reply(*APPLIED)
    assert again("a") is both.main


def test_idempotent_submit_may_be_made_on_any_connection() -> None:
    """The server gives its transaction up when the job appears."""
    both = connections()
    second = both.for_submit([entry("a", document=BIG)], idempotent=True)
    second.ask(submit([entry("a", document=BIG)], idempotent=True))
    second.reply(OK, 0)
    assert second.verbs[0] == b"MULTI"
    assert both.for_submit([entry("a")], idempotent=True) is both.main


def test_no_other_connection_once_it_is_let_go() -> None:
    """Both are closed, and who asks then is refused by the first."""
    both = connections()
    second = both.for_call(LARGE + 1)
    both.let_go()
    assert both.main.is_at(State.CLOSED)
    assert second.is_at(State.CLOSED)
    alone = connections()
    alone.let_go()
    alone.main.is_held_up = True
    assert alone.for_call(LARGE + 1) is alone.for_call() is alone.main


def test_nothing_goes_elsewhere_once_it_is_let_go() -> None:
    """It would be refused there, and nobody would be told."""
    both = connections()
    both.main.ask(call(b"HGETALL"))
    read = both.main.ask(call(b"GET"))
    both.main.is_held_up = True
    assert both.for_call() is not both.main
    both.main.let_go = lambda: None  # a thread has called: it is closed in a later turn of the loop
    both.let_go()
    both.main.on_progress(both.main)
    both.main.machine.close(0.0)
    assert isinstance(outcome(read), ClientClosedError)
