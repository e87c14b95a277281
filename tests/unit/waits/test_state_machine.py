"""Every transition of the waits' state machine, without sockets and without a clock."""

from __future__ import annotations

from typing import Any, List

import pytest

from bananas import (
    ClientClosedError,
    ConnectionError,
    JobNotFoundError,
    JobResult,
    ResultNotFoundError,
    SerializationError,
    ServerError,
    TimeoutError,
)
from bananas._redis.protocol import ReplyError
from bananas._waits.registry import State
from tests.unit.waits.recorder import SAFETY_INTERVAL, Recorder, document, failed, succeeded

RETRY = {"attempts": 1, "error": "boom", "updated_at": "2025-01-15T10:30:06Z"}
DUE = "2025-01-15T10:30:07Z"
REFUSED = ReplyError("NOPERM", "no permissions")


@pytest.fixture
def waits() -> Recorder:
    return Recorder()


def outcome(waits: Recorder, wait: Any) -> Any:
    """Return what became of a wait, which has to have ended, and to be forgotten."""
    assert wait.has_ended
    return waits.outcomes[wait]


def closely(waits: Recorder, text: Any, stored: Any = None, taken: Any = None) -> None:
    """Answer the oldest read of one document."""
    waits.answer((taken, text, stored))


# -- SUBSCRIBING ---------------------------------------------------------------------------------


def test_a_wait_subscribes(waits: Recorder) -> None:
    """A wait asks for notifications and for a timer, and reads nothing yet."""
    waits.wait()
    assert waits.take() == [("subscribe", "a")]
    assert waits.state() is State.SUBSCRIBING
    assert waits.wake_at_time is not None


def test_a_second_wait_for_the_job_subscribes_to_nothing(waits: Recorder) -> None:
    """Two waits for one job share its channel, and the last one gives it up."""
    first, second = waits.wait(), waits.wait()
    assert waits.take() == [("subscribe", "a")]
    waits.machine.left(first)
    assert waits.take() == []
    waits.machine.left(second)
    waits.machine.left(second)
    assert waits.take() == [("unsubscribe", "a")]
    assert len(waits.machine) == 0


def test_confirmation_makes_it_look(waits: Recorder) -> None:
    """What was stored before the subscription is read as soon as that is confirmed."""
    wait = waits.wait()
    waits.machine.confirmed(["a"])
    assert waits.state() is State.LOOKING
    waits.answer(succeeded())
    assert outcome(waits, wait).result == 7
    assert waits.take() == [("subscribe", "a"), ("results", ["a"]), ("unsubscribe", "a")]


def test_a_look_while_not_subscribed(waits: Recorder) -> None:
    """A periodic look that finds nothing leaves the job where it was."""
    waits.wait()
    waits.pass_time(0.75)
    assert waits.state() is State.LOOKING
    closely(waits, document())
    assert waits.state() is State.SUBSCRIBING


# -- LISTENING -----------------------------------------------------------------------------------


def test_nothing_stored_yet(waits: Recorder) -> None:
    """Without a result, the wait goes on and listens."""
    waits.listen()
    assert waits.state() is State.LISTENING


def test_notification(waits: Recorder) -> None:
    """A notification makes it read the result, and is told to who wants to know."""
    wait = waits.listen()
    news: List[str] = []
    wait.on_news = lambda: news.append("a")
    waits.machine.notified(["a", "unknown"])
    assert news == ["a"]
    waits.answer(succeeded())
    assert outcome(waits, wait).result == 7
    assert (
        waits.machine.endings.found_by_notification,
        waits.machine.endings.found_by_safety_read,
    ) == (
        1,
        0,
    )


def test_lost_connection(waits: Recorder) -> None:
    """After a lost connection nothing is heard until the next confirmation, which looks again."""
    wait = waits.listen()
    waits.machine.lost()
    assert waits.state() is State.SUBSCRIBING
    waits.machine.confirmed(["a"])
    waits.answer(succeeded())
    assert outcome(waits, wait).result == 7


def test_connection_lost_while_looking(waits: Recorder) -> None:
    """A look that was begun before goes on, and the job is not subscribed after it."""
    waits.listen()
    waits.machine.notified(["a"])
    waits.machine.lost()
    assert waits.state() is State.LOOKING
    waits.answer(None)
    assert waits.state() is State.SUBSCRIBING


def test_second_wait_on_a_confirmed_channel(waits: Recorder) -> None:
    """A wait that joins another looks at once: no confirmation will come."""
    waits.listen(any_attempt=False)
    second = waits.wait(any_attempt=True)
    waits.answer(failed())
    assert outcome(waits, second).error == "boom"


def test_turns(waits: Recorder) -> None:
    """Each job is looked at after half a second, and then after each safety interval."""
    waits.listen()
    waits.take()
    waits.pass_time(0.25)
    assert ("documents", ["a"]) not in waits.take()
    waits.pass_time(0.5)
    assert ("documents", ["a"]) in waits.take()
    closely(waits, document())
    waits.pass_time(SAFETY_INTERVAL - 0.5)
    assert ("documents", ["a"]) not in waits.take()
    waits.pass_time(1)
    assert ("documents", ["a"]) in waits.take()


def test_periodic_look_finds_what_was_never_announced(waits: Recorder) -> None:
    """A result whose notification was lost ends the wait."""
    wait = waits.listen()
    waits.pass_time(0.75)
    closely(waits, document(status="completed"), succeeded())
    assert outcome(waits, wait).result == 7
    assert (
        waits.machine.endings.found_by_notification,
        waits.machine.endings.found_by_safety_read,
    ) == (
        0,
        1,
    )


def test_dead_letters(waits: Recorder) -> None:
    """A new dead letter that is awaited is looked at; one that was there before is not."""
    wait, other = waits.listen("a"), waits.listen("b")
    waits.pass_time(1)
    assert ("dead letters", 100) in waits.take()
    waits.reads.clear()
    for job in waits.machine._registry:
        waits.machine.read_failed([job], TimeoutError("late"), results=False)
    waits.machine.dead_letters_read(["x", "a", "a"])
    waits.machine.dead_letters_read(["x", "b"])
    waits.machine.dead_letters_read([])
    assert [entry for entry in waits.take() if entry[0] == "documents"] == [("documents", ["a"])]
    closely(waits, document(status="failed", error="no handler"))
    assert outcome(waits, wait).error == "no handler"
    assert not other.has_ended


# -- LOOKING -------------------------------------------------------------------------------------


def test_results_share_a_read(waits: Recorder) -> None:
    """What becomes due during a read of results waits for the next one, all of it together."""
    for name in "abc":
        waits.wait(name)
    waits.machine.confirmed(["a"])
    waits.machine.confirmed(["b"])
    waits.machine.confirmed(["c"])
    waits.answer(None)
    assert [entry for entry in waits.take() if entry[0] == "results"] == [
        ("results", ["a"]),
        ("results", ["b", "c"]),
    ]


def test_result_that_nobody_waits_for_any_more(waits: Recorder) -> None:
    """It is not read when its turn comes."""
    for name in "abc":
        waits.wait(name)
    left = waits.wait("d")
    for name in "abcd":
        waits.machine.confirmed([name])
    waits.machine.left(left)
    waits.answer(None)
    assert ("results", ["b", "c"]) in waits.take()


def test_many_results(waits: Recorder) -> None:
    """A read is of 500 results at most, and the next one comes after it: others have their turn."""
    names = [f"{number}" for number in range(1200)]
    for name in names:
        waits.wait(name)
    waits.machine.confirmed(names)
    sizes = []
    while waits.reads:
        assert len(waits.reads) == 1
        sizes.append(len(waits.reads[0][1]))
        waits.answer(*[None] * sizes[-1])
    assert sizes == [500, 500, 200]


def test_notified_while_looking(waits: Recorder) -> None:
    """A notification during a look makes it look once more after that."""
    wait = waits.listen()
    waits.machine.notified(["a"])
    waits.machine.notified(["a"])
    waits.machine.notified(["a"])
    waits.answer(None)
    assert waits.state() is State.LOOKING
    waits.answer(succeeded())
    assert outcome(waits, wait).result == 7
    assert not waits.reads


def test_turn_while_looking(waits: Recorder) -> None:
    """A periodic look that is due during another one follows it."""
    waits.listen()
    waits.machine.notified(["a"])
    waits.take()
    waits.pass_time(0.75)
    assert waits.take() == []
    waits.answer(None)
    assert waits.take() == [("documents", ["a"])]
    closely(waits, document())
    assert waits.state() is State.LISTENING


def test_failed_attempt_makes_it_read_the_document(waits: Recorder) -> None:
    """A failure is compared with the document, which says whether a retry follows."""
    wait = waits.listen()
    waits.machine.notified(["a"])
    waits.answer(failed())
    assert waits.state() is State.LOOKING
    closely(waits, document(scheduled_for=DUE, **RETRY), failed())
    assert (waits.state(), wait.has_ended) == (State.LISTENING, False)


@pytest.mark.parametrize("text", [None, document(status="failed"), document(attempts=2)])
def test_final_failures(waits: Recorder, text: Any) -> None:
    """A failure is final without a document, by the document's word, and at the last attempt."""
    wait = waits.listen()
    waits.machine.notified(["a"])
    waits.answer(failed())
    closely(waits, text, failed())
    assert outcome(waits, wait).error == "boom"


def test_any_attempt(waits: Recorder) -> None:
    """Who does not wait for retries gets the failure at once; who does, waits on."""
    patient, hasty = waits.listen(), waits.wait(any_attempt=True)
    waits.answer(failed())
    assert outcome(waits, hasty).error == "boom"
    closely(waits, document(), failed())
    assert (waits.state(), patient.has_ended) == (State.GRACE, False)


def test_any_attempt_that_was_never_announced(waits: Recorder) -> None:
    """A periodic look finds the failure for who does not wait for retries."""
    patient, hasty = waits.listen(), waits.wait(any_attempt=True)
    waits.answer(None)
    waits.pass_time(0.75)
    closely(waits, document(scheduled_for=DUE, **RETRY), failed())
    assert outcome(waits, hasty).error == "boom"
    assert (waits.state(), patient.has_ended) == (State.LISTENING, False)


def test_each_gets_a_result_of_its_own(waits: Recorder) -> None:
    """Several waits for one job get equal results that share nothing."""
    all_of_them = [waits.wait() for _ in range(3)]
    waits.machine.confirmed(["a"])
    waits.answer(succeeded('{"list":[]}'))
    found = [outcome(waits, wait) for wait in all_of_them]
    assert len({id(result.result) for result in found}) == 3
    assert all(result == found[0] for result in found)
    assert waits.machine.endings.found_by_notification == 3


def test_result_that_can_not_be_read(waits: Recorder) -> None:
    """It ends the waits for its job, each with an error of its own, and no others."""
    bad, worse, good = waits.wait("a"), waits.wait("a"), waits.wait("b")
    waits.machine.confirmed(["a", "b"])
    waits.answer([b"status", b"odd"], succeeded())
    assert type(outcome(waits, bad)) is SerializationError
    assert outcome(waits, bad) is not outcome(waits, worse)
    assert isinstance(outcome(waits, good), JobResult)


def test_refused_result(waits: Recorder) -> None:
    """So does a refusal to show it."""
    wait = waits.listen()
    waits.machine.notified(["a"])
    waits.answer(ReplyError("WRONGTYPE", "no"))
    assert type(outcome(waits, wait)) is ServerError


def test_completed_without_a_result(waits: Recorder) -> None:
    """A document that says completed ends the wait where the result is gone."""
    wait = waits.listen()
    waits.pass_time(0.75)
    closely(waits, document(status="completed"))
    assert type(outcome(waits, wait)) is ResultNotFoundError


def test_document_that_may_not_be_read(waits: Recorder) -> None:
    """A failure whose end can't be told ends the wait with the reason."""
    wait, hasty = waits.listen(), waits.wait(any_attempt=True)
    waits.answer(None)
    waits.pass_time(0.75)
    closely(waits, REFUSED, failed())  # the end
    closely(waits, REFUSED, failed())  # the whole
    assert type(outcome(waits, wait)) is ServerError
    assert outcome(waits, hasty).error == "boom"


def test_success_beside_a_document_that_may_not_be_read(waits: Recorder) -> None:
    """Without a failure there is nothing that the document would have to tell."""
    wait = waits.listen()
    waits.pass_time(0.75)
    closely(waits, REFUSED)  # the end
    closely(waits, REFUSED)  # the whole
    assert (waits.state(), wait.has_ended) == (State.LISTENING, False)
    waits.pass_time(SAFETY_INTERVAL)
    closely(waits, REFUSED, succeeded())
    closely(waits, REFUSED, succeeded())
    assert outcome(waits, wait).result == 7


def test_long_document(waits: Recorder) -> None:
    """A document whose end does not tell is read whole; again only when something has changed."""
    end = b"x" * 4096
    waits.listen()
    waits.pass_time(0.75)
    closely(waits, end)
    assert (waits.take()[-1], waits.state()) == (("whole documents", ["a"]), State.LOOKING)
    closely(waits, document(payload="x" * 5000))
    assert waits.state() is State.LISTENING
    waits.pass_time(SAFETY_INTERVAL)
    waits.take()
    closely(waits, end)
    assert (waits.take(), waits.state()) == ([], State.LISTENING)
    waits.machine.notified(["a"])
    waits.answer(failed())
    closely(waits, end, failed())
    assert waits.take()[-1] == ("whole documents", ["a"])


def test_long_document_that_could_not_be_read(waits: Recorder) -> None:
    """A read that failed is made again."""
    wait = waits.listen()
    waits.pass_time(0.75)
    closely(waits, b"x" * 4096)
    waits.refuse(TimeoutError("late"))
    waits.pass_time(SAFETY_INTERVAL)
    closely(waits, b"x" * 4096)
    closely(waits, document(status="failed", error="dead"))
    assert outcome(waits, wait).error == "dead"


@pytest.mark.parametrize("error", [TimeoutError("late"), ConnectionError("gone"), MemoryError()])
def test_failed_read(waits: Recorder, error: BaseException) -> None:
    """A read that fails for now ends no wait, and keeps nobody from being looked at."""
    wait, other = waits.wait("a"), waits.wait("b")
    waits.machine.confirmed(["a"])
    waits.machine.confirmed(["b"])
    waits.refuse(error)
    waits.answer(succeeded())
    assert outcome(waits, other).result == 7
    assert (waits.state("a"), wait.has_ended) == (State.LISTENING, False)
    waits.pass_time(0.75)
    waits.refuse(error)
    assert waits.state("a") is State.LISTENING


def test_documents_that_could_not_be_read_beside_results(waits: Recorder) -> None:
    """One read of results is on its way at a time, whatever becomes of other reads."""
    for name in "abc":
        waits.wait(name)
    waits.machine.hurried(["a"])
    waits.machine.confirmed(["b"])
    waits.refuse(TimeoutError("late"))
    waits.take()
    waits.machine.confirmed(["c"])
    assert waits.take() == []


def test_reading_is_pointless(waits: Recorder) -> None:
    """A read that fails for good ends all waits."""
    wait, other = waits.listen("a"), waits.wait("b")
    waits.machine.notified(["a"])
    waits.refuse(ConnectionError("a cluster", permanent=True))
    for job_id, one in (("a", wait), ("b", other)):
        assert str(outcome(waits, one)) == f"can't wait for job {job_id}: a cluster"
    assert len(waits.machine) == 0


def test_wait_that_ends_while_looking(waits: Recorder) -> None:
    """The answer for a wait that has been left is for nobody, nor for the next wait for the job."""
    first = waits.listen()
    waits.machine.notified(["a"])
    waits.machine.left(first)
    second = waits.wait()
    waits.answer(succeeded())
    assert (waits.outcomes, second.has_ended) == ({}, False)
    assert waits.state() is State.SUBSCRIBING


def test_wait_that_ends_while_its_document_is_read(waits: Recorder) -> None:
    """A document whose end does not tell is not read whole for nobody."""
    wait = waits.wait()
    waits.machine.hurried(["a"])
    waits.machine.left(wait)
    closely(waits, b"x" * 4096)
    assert not waits.reads


# -- must_exist and short limits -----------------------------------------------------------------


def test_hurried(waits: Recorder) -> None:
    """A wait with little time has document and result read at once."""
    wait = waits.wait()
    waits.machine.hurried(["a"])
    assert (wait.asked, wait.looked) == (True, False)
    closely(waits, document())
    assert (wait.looked, waits.state()) == (True, State.SUBSCRIBING)


def test_must_exist(waits: Recorder) -> None:
    """A wait for a job that must exist ends where there is no document."""
    lenient, strict = waits.wait(), waits.wait(must_exist=True)
    waits.machine.hurried(["a"])
    closely(waits, None)
    assert type(outcome(waits, strict)) is JobNotFoundError
    assert not lenient.has_ended


def test_must_exist_after_an_older_look(waits: Recorder) -> None:
    """A look that was begun before the wait says nothing of it: the job may exist since."""
    waits.wait()
    waits.machine.hurried(["a"])
    strict = waits.wait(must_exist=True)
    waits.machine.hurried(["a"])
    closely(waits, None)
    assert (strict.has_ended, strict.looked) == (False, False)
    closely(waits, document())
    assert (strict.has_ended, strict.looked) == (False, True)


# -- GRACE ---------------------------------------------------------------------------------------


def in_grace(waits: Recorder) -> Any:
    """Return a wait for a job with a failed result that its document does not speak of."""
    wait = waits.listen()
    waits.machine.notified(["a"])
    waits.answer(failed())
    closely(waits, document(), failed())
    assert waits.state() is State.GRACE
    return wait


def test_nobody_has_the_job(waits: Recorder) -> None:
    """A failure that no worker will speak of again is final after the grace."""
    wait = in_grace(waits)
    waits.pass_time(0.5)
    assert (waits.state(), waits.reads[0][2]) == (State.LOOKING, [True])
    closely(waits, document(), failed(), taken=False)
    assert outcome(waits, wait).error == "boom"


@pytest.mark.parametrize("taken", [True, None])
def test_paused_worker(waits: Recorder, taken: Any) -> None:
    """While a worker has the job, or that is not known, the failure may be retried."""
    wait = in_grace(waits)
    for _ in range(5):
        waits.pass_time(0.75)
        closely(waits, document(), failed(), taken=taken)
        assert (waits.state(), wait.has_ended) == (State.GRACE, False)
    waits.pass_time(0.75)
    closely(waits, document(scheduled_for=DUE, **RETRY), failed(), taken=taken)
    assert waits.state() is State.LISTENING


def test_document_moves_in_grace(waits: Recorder) -> None:
    """A document that has moved, or another attempt's failure, begins the grace anew."""
    wait = in_grace(waits)
    waits.pass_time(0.5)
    later = failed(completed_at="2025-01-15T10:30:09Z")
    closely(waits, document(), later, taken=False)
    assert (waits.state(), wait.has_ended) == (State.GRACE, False)


def test_notified_in_grace(waits: Recorder) -> None:
    """A notification during the grace is looked into at once, and does not shorten it."""
    wait = in_grace(waits)
    waits.machine.notified(["a"])
    waits.answer(failed())
    closely(waits, document(), failed(), taken=False)
    assert (waits.state(), wait.has_ended) == (State.GRACE, False)
    waits.machine.notified(["a"])
    waits.answer(succeeded())
    assert outcome(waits, wait).result == 7


def test_failed_read_in_grace(waits: Recorder) -> None:
    """The grace goes on after a read that fails."""
    wait = in_grace(waits)
    waits.pass_time(0.5)
    waits.refuse(TimeoutError("late"))
    assert waits.state() is State.GRACE
    waits.pass_time(0.25)
    closely(waits, document(), failed(), taken=False)
    assert outcome(waits, wait).error == "boom"


def test_old_failure_of_a_completed_job(waits: Recorder) -> None:
    """The failure of an earlier attempt is not the result of a job that has completed."""
    wait = waits.listen()
    waits.pass_time(0.75)
    closely(waits, document(status="completed"), failed())
    assert waits.state() is State.GRACE
    waits.pass_time(0.5)
    closely(waits, document(status="completed"), failed(), taken=False)
    assert type(outcome(waits, wait)) is ResultNotFoundError


def test_all_is_gone_in_grace(waits: Recorder) -> None:
    """Where document and result have expired meanwhile, there is nothing to look at again soon."""
    wait = in_grace(waits)
    waits.pass_time(0.5)
    closely(waits, None, taken=False)
    assert (waits.state(), wait.has_ended) == (State.LISTENING, False)


# -- ENDED ---------------------------------------------------------------------------------------


def test_closed(waits: Recorder) -> None:
    """Closing the client ends every wait, in whichever state."""
    grace, listening = in_grace(waits), waits.listen("b")
    looking, subscribing = waits.listen("c"), waits.wait("d")
    waits.machine.notified(["c"])
    waits.machine.closed()
    for wait in (grace, listening, looking, subscribing):
        assert type(outcome(waits, wait)) is ClientClosedError
    assert len(waits.machine) == 0


def test_refused(waits: Recorder) -> None:
    """So does a connection that there will never be."""
    wait = waits.wait()
    waits.machine.refused(ConnectionError("wrong password", permanent=True))
    assert str(outcome(waits, wait)) == "can't wait for job a: wrong password"


def test_the_timer_ends_with_the_last_wait(waits: Recorder) -> None:
    """Nothing ticks while nobody waits, and the next wait starts the timer again."""
    waits.machine.left(waits.wait())
    waits.pass_time(10)
    assert waits.wake_at_time is None
    waits.wait()
    assert waits.wake_at_time is not None


def test_read_that_fails_at_once(waits: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its look has ended then: nothing else is read for it."""
    waits.listen()
    waits.take()

    def fail(jobs: Any) -> None:
        waits.machine.read_failed(jobs, MemoryError(), results=True)

    monkeypatch.setattr(waits, "read_results", fail)
    waits.machine.notified(["a"])
    assert (waits.take(), waits.state()) == ([], State.LISTENING)
