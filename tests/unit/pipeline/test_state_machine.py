"""Every transition of the state machine: what leads to it, and what is done on the way."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

import pytest

from bananas import (
    AuthenticationError,
    BananasError,
    ClientClosedError,
    JobRejectedError,
    OutcomeUnknownError,
    ServerError,
)
from bananas._pipeline.recovery import LinkFacts
from bananas._pipeline.requests import Callback, Submit
from bananas._pipeline.states import State
from bananas._redis.protocol import ReplyError
from bananas.exceptions import ConnectionError as BananasConnectionError
from bananas.exceptions import TimeoutError as BananasTimeoutError
from tests.unit.pipeline.callers import CONNECT_TIMEOUT, call, entry, ids, outcome, submit
from tests.unit.pipeline.recorder import APPLIED, OK, QUEUED, Recorder

BUSY = ReplyError("BUSY", "a script runs")
READONLY = ReplyError("READONLY", "it is a replica")
NOPERM = ReplyError("NOPERM", "no right")
WRONGTYPE = ReplyError("WRONGTYPE", "the wrong kind of value")
ABORTED = ReplyError("EXECABORT", "previous errors")


# -- idle, connecting, ready, sent ---------------------------------------------------------------


def test_request_connects() -> None:
    """A request makes an idle pipeline connect, and goes out when there is a connection."""
    pipeline = Recorder()
    assert pipeline.is_at(State.IDLE)
    request = pipeline.ask(submit([entry("a")]))
    assert (pipeline.state, pipeline.effects) == (State.CONNECTING, ["connect"])
    pipeline.link_up()
    assert (pipeline.state, pipeline.effects) == (State.SENT, ["connect", "send"])
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC"]
    pipeline.reply(*APPLIED)
    assert pipeline.is_at(State.READY)
    assert outcome(request) is None
    assert not pipeline.machine.pending.deadlines._heap  # nor is its document kept


def test_lone_request_is_sent_in_its_turn() -> None:
    """Who is alone waits for nobody; where others were there, the end of the turn is waited for."""
    pipeline = Recorder().ready()
    for _ in range(5):
        pipeline.ask(call(b"PING"))
        pipeline.reply(b"PONG")
    pipeline.effects.clear()
    pipeline.ask(call(b"PING"), at_once=False)
    assert pipeline.effects == ["send"]
    for name in ("a", "b"):
        pipeline.ask(submit([entry(name)]), at_once=False)
    pipeline.reply(b"PONG")
    pipeline.reply(*APPLIED)
    pipeline.effects.clear()
    pipeline.ask(submit([entry("c")]), at_once=False)
    pipeline.ask(submit([entry("d")]), at_once=False)
    assert pipeline.effects == ["send soon", "send soon"]
    pipeline.machine.send_now(0.0)
    assert pipeline.sent[2] == (b"LPUSH", b"low", "c", "d")


def test_what_comes_while_a_batch_is_on_its_way_goes_with_the_next() -> None:
    """One pipeline is on its way at a time."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")]))
    second = pipeline.ask(submit([entry("b")]))
    third = pipeline.ask(call(b"GET"))
    assert pipeline.effects == ["send"]
    pipeline.reply(*APPLIED)
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC", b"GET", b"ECHO"]
    pipeline.reply(*APPLIED, b"value")
    assert outcome(second) is None
    assert outcome(third) == [b"value"]


def test_who_is_told_may_ask_for_more() -> None:
    """A request that comes while replies are handed out goes with the next batch."""
    pipeline = Recorder().ready()
    first, second = call(b"GET"), call(b"TYPE")

    def told(_: Optional[List[Any]], __: Optional[BaseException]) -> None:
        pipeline.ask(second)

    first.future = Callback(told)
    pipeline.ask(first)
    pipeline.reply(b"value")
    assert pipeline.verbs == [b"TYPE", b"ECHO"]


def test_connection_lost_while_nothing_is_on_its_way() -> None:
    """Then there is nothing to be done until somebody asks."""
    pipeline = Recorder().ready()
    pipeline.lose()
    assert (pipeline.state, pipeline.effects) == (State.IDLE, ["drop"])
    pipeline.ask(call(b"PING"))
    assert pipeline.is_at(State.CONNECTING)


def test_replies_of_a_connection_that_was_lost() -> None:
    """They say nothing any more."""
    pipeline = Recorder().ready()
    request = pipeline.ask(call(b"GET"))
    pipeline.lose()
    pipeline.machine.replies([b"value", b"stray"], 0.0)
    assert (pipeline.state, pipeline.effects) == (State.CONNECTING, ["send", "drop", "connect"])
    assert not request.future.done()


def test_abandoned_request_is_not_sent() -> None:
    """Nothing is sent, and no connection made, for callers who have gone."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")]))
    gone = pipeline.ask(submit([entry("b")]))
    gone.future.cancel()
    pipeline.effects.clear()
    pipeline.reply(*APPLIED)
    assert (pipeline.state, pipeline.effects) == (State.READY, [])


def test_failure_while_sending_is_an_event_of_its_own() -> None:
    """A connection that is found lost while it is written to is lost after that."""
    pipeline = Recorder().ready()
    pipeline.send = lambda commands: pipeline.lose()  # type: ignore[method-assign]
    pipeline.ask(submit([entry("a")]))
    assert pipeline.is_at(State.CONNECTING)
    assert pipeline.effects == ["drop", "connect"]


# -- backing off ---------------------------------------------------------------------------------


def test_failed_attempts() -> None:
    """Attempts that fail are made again, after waits that grow."""
    pipeline = Recorder()
    pipeline.ask(call(b"PING", timeout=60.0))
    now, waits = 0.0, []
    for _ in range(7):
        pipeline.link_failed(now)
        assert pipeline.is_at(State.BACKING_OFF)
        waits.append(round(pipeline.wake_at_time - now, 3))
        now = pipeline.wake_at_time
        pipeline.machine.time(now)
        assert pipeline.is_at(State.CONNECTING)
    assert waits == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]


def test_attempts_within_a_short_limit() -> None:
    """Who waits for a connection for a short time sees more than one attempt."""
    pipeline = Recorder(connect_timeout=0.05)
    pipeline.ask(call(b"PING"))
    for now in (0.0, 0.02):
        pipeline.link_failed(now)
        pipeline.machine.time(now + 0.025)
        assert pipeline.is_at(State.CONNECTING)


def test_nobody_waits_any_more() -> None:
    """No connection is made for nobody."""
    pipeline = Recorder()
    request = pipeline.ask(call(b"PING"))
    pipeline.link_failed()
    request.future.cancel()
    pipeline.machine.time(pipeline.wake_at_time)
    assert pipeline.is_at(State.IDLE)


def test_second_loss_without_a_success_waits() -> None:
    """A server that takes connections and drops them is not hammered."""
    pipeline = Recorder()
    pipeline.ask(call(b"PING"))
    pipeline.link_up()
    pipeline.lose()
    assert pipeline.is_at(State.CONNECTING)
    pipeline.link_up()
    pipeline.lose()
    assert pipeline.is_at(State.BACKING_OFF)


@pytest.mark.parametrize(
    ("request_of", "replies"),
    [
        (lambda: call(b"GET"), [b"value"]),
        (lambda: submit([entry("a")]), APPLIED),
        (lambda: submit([entry("a")], idempotent=True), [OK, 1]),
    ],
)
def test_each_first_loss_after_a_success_waits_for_nothing(
    request_of: Callable[[], Any], replies: List[Any]
) -> None:
    """A connection that is lost now and then is made again as soon as it is needed."""
    pipeline = Recorder().ready()
    for _ in range(3):
        pipeline.lose()
        assert pipeline.is_at(State.IDLE)
        request = pipeline.ask(request_of())
        pipeline.link_up()
        pipeline.reply(*replies)
        assert request.future.done()


def test_check_alone_is_no_success() -> None:
    """A server that drops the connection with each transaction is not hammered."""
    pipeline = Recorder().ready()
    pipeline.lose()
    pipeline.ask(submit([entry("a")], idempotent=True))
    pipeline.link_up()
    pipeline.reply(OK, 0)
    pipeline.lose()
    assert pipeline.is_at(State.BACKING_OFF)


def test_permanent_failure_ends_all_at_once() -> None:
    """A wrong password fails in one attempt, with the type of its error."""
    pipeline = Recorder()
    requests = [pipeline.ask(call(b"PING")), pipeline.ask(submit([entry("a")]))]
    error = AuthenticationError("wrong password", permanent=True)
    pipeline.machine.link_failed(error, 0.0)
    assert [type(outcome(request)) for request in requests] == [AuthenticationError] * 2
    pipeline.machine.time(pipeline.wake_at_time)
    assert pipeline.is_at(State.IDLE)


def test_permanent_failure_while_an_outcome_is_unknown() -> None:
    """That will not be found out either."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_failed(permanent=True)
    assert isinstance(outcome(request), OutcomeUnknownError)


def test_impatient_request_has_one_attempt() -> None:
    """``connect`` fails with the first attempt; others go on."""
    pipeline = Recorder()
    impatient, patient = call(b"PING"), call(b"PING")
    impatient.impatient = True
    pipeline.ask(impatient)
    pipeline.ask(patient)
    pipeline.link_failed()
    assert isinstance(outcome(impatient), BananasConnectionError)
    assert not patient.future.done()


@pytest.mark.parametrize("code", ["BUSY", "LOADING", "READONLY", "MASTERDOWN"])
def test_refusal_that_passes(code: str) -> None:
    """Another connection is made after a while, and what was refused is sent again."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    refusal = ReplyError(code, "not now")
    pipeline.reply(OK, refusal, refusal, ABORTED)
    assert pipeline.verbs == [b"ECHO"]
    pipeline.reply()
    assert pipeline.is_at(State.BACKING_OFF)
    pipeline.machine.time(pipeline.wake_at_time)
    if code == "BUSY":  # any other connection would meet the script, too
        assert pipeline.effects == ["send", "send", "send"]
        assert pipeline.verbs == [b"PING", b"ECHO"]
        pipeline.reply(b"PONG")
    else:
        assert pipeline.effects == ["send", "send", "drop", "connect"]
        pipeline.link_up()
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC"]
    pipeline.reply(*APPLIED)
    assert outcome(request) is None


def test_refusal_until_the_deadline() -> None:
    """A submit that is refused for too long is rejected, with the code of the refusal."""
    pipeline = Recorder().ready()
    first = pipeline.ask(submit([entry("a")]))
    pipeline.reply(OK, BUSY, BUSY, ABORTED)
    pipeline.machine.replies([BUSY], 0.0)  # to the marker: ECHO is refused as well
    second = pipeline.ask(submit([entry("b")]))
    pipeline.machine.time(11.0)
    for request in (first, second):
        error = outcome(request)
        assert isinstance(error, JobRejectedError)
        assert error.code == "BUSY"


def test_refusal_before_the_connection_was_lost() -> None:
    """A submit that was refused is rejected, though nobody can be asked again."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.reply(OK, READONLY, READONLY, ABORTED)
    pipeline.reply()
    pipeline.machine.time(1.0)
    pipeline.link_failed(2.0)
    pipeline.machine.time(10.0)
    error = outcome(request)
    assert isinstance(error, JobRejectedError)
    assert error.code == "READONLY"


def test_refusal_beside_an_answer() -> None:
    """Nothing is sent at once to a server that has just refused something."""
    pipeline = Recorder().ready()
    pipeline.ask(call(b"PING"))
    pipeline.ask(submit([entry("a")]))
    read = pipeline.ask(call(b"GET"))
    pipeline.reply(b"PONG")
    pipeline.reply(OK, BUSY, BUSY, ABORTED, b"value")
    assert outcome(read) == [b"value"]
    assert pipeline.is_at(State.BACKING_OFF)


def test_no_attempt_just_before_the_deadline() -> None:
    """What is refused is not sent so late that its outcome could be unknown; others go on."""
    pipeline = Recorder().ready()
    first = pipeline.ask(submit([entry("a")]))
    second = pipeline.ask(submit([entry("b")], timeout=20.0))
    pipeline.reply(OK, READONLY, READONLY, ABORTED, now=9.9)
    pipeline.reply(now=9.95)
    pipeline.machine.time(9.99)
    assert pipeline.is_at(State.BACKING_OFF)
    assert "connect" not in pipeline.effects
    assert pipeline.wake_at_time == 10.0
    pipeline.machine.time(10.0)
    error = outcome(first)
    assert isinstance(error, JobRejectedError)
    assert error.code == "READONLY"
    assert pipeline.is_at(State.CONNECTING)
    assert not second.future.done()


@pytest.mark.parametrize("is_refused", [True, False])
def test_attempts_shortly_before_the_deadline(is_refused: bool) -> None:
    """A refusal rests for no longer than it must, and where nothing was sent nothing is unknown."""
    pipeline = Recorder()
    limit = 10.0 if is_refused else 1.0
    pipeline.ask(submit([entry("a")], timeout=limit))
    if is_refused:
        pipeline.link_up()
        pipeline.reply(OK, READONLY, READONLY, ABORTED, now=9.5)
        pipeline.reply(now=9.5)
        now = 9.6
    else:
        pipeline.link_failed(0.95)
        now = 0.98
    assert pipeline.is_at(State.BACKING_OFF)
    pipeline.machine.time(now)
    assert pipeline.is_at(State.CONNECTING)


def test_an_unknown_outcome_is_looked_for_until_the_deadline() -> None:
    """That the server was busy when it was to be settled is no reason to give it up."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")]))
    pipeline.lose(now=9.8)
    pipeline.link_up(now=9.85)
    assert pipeline.is_at(State.SETTLING)
    pipeline.reply(BUSY, BUSY, BUSY, now=9.905)
    assert pipeline.is_at(State.BACKING_OFF)
    pipeline.machine.time(9.99)
    assert pipeline.is_at(State.SETTLING)


@pytest.mark.parametrize("request_of", [call, lambda *_, **how: submit([entry("a")], **how)])
def test_one_with_little_time_is_tried_again(request_of: Callable[..., Any]) -> None:
    """A read may be repeated at any time, and a short submit rests for a tenth of its time only."""
    pipeline = Recorder().ready()
    request = pipeline.ask(request_of(b"GET", timeout=0.09))
    if isinstance(request, Submit):
        pipeline.reply(OK, READONLY, READONLY, ABORTED, now=0.001)
        pipeline.reply(now=0.002)
    else:
        pipeline.reply(ReplyError("LOADING", "not yet"), now=0.001)
    assert pipeline.is_at(State.BACKING_OFF)
    pipeline.machine.time(0.05)
    assert pipeline.is_at(State.CONNECTING)


def test_read_that_is_refused_for_now_is_made_again() -> None:
    """A read is not told that the server is loading, until its deadline."""
    pipeline = Recorder().ready()
    request = pipeline.ask(call(b"GET"))
    pipeline.reply(ReplyError("LOADING", "not yet"))
    assert pipeline.is_at(State.BACKING_OFF)
    pipeline.machine.time(11.0)
    assert isinstance(outcome(request), ServerError)


# -- replies that are not as they should be --------------------------------------------------------


def test_refused_for_good() -> None:
    """A rejection is told once it is sure that its reply is no stray one."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    oom = ReplyError("OOM", "no memory")
    pipeline.reply(OK, oom, QUEUED, ABORTED)
    assert not request.future.done()
    pipeline.reply()
    assert [reply for _, reply in outcome(request).rejected] == [oom]
    assert pipeline.is_at(State.READY)


@pytest.mark.parametrize(
    "replies",
    [
        [OK, OK, QUEUED, QUEUED],
        [OK, QUEUED, QUEUED, None],
        [b"PONG", QUEUED, QUEUED, [OK, 1]],
    ],
)
def test_replies_of_something_else(replies: List[Any]) -> None:
    """Nothing is concluded from them; the connection is dropped, and the outcome unknown."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")]))
    pipeline.machine.replies(replies, 0.0)
    assert pipeline.is_at(State.CONNECTING)
    pipeline.link_up()
    assert pipeline.is_at(State.SETTLING)


def test_marker_that_does_not_come_back() -> None:
    """A reply that was slipped in reaches no caller."""
    pipeline = Recorder().ready()
    request = pipeline.ask(call(b"GET"))
    pipeline.machine.replies([b"stray", b"value"], 0.0)
    assert pipeline.is_at(State.CONNECTING)
    assert not request.future.done()


@pytest.mark.parametrize("error", [NOPERM, ReplyError("ERR", "unknown command 'ECHO'")])
def test_marker_that_may_not_be_used(error: ReplyError) -> None:
    """Who has no right to ECHO can read all the same."""
    pipeline = Recorder().ready()
    request = pipeline.ask(call(b"GET"))
    pipeline.machine.replies([b"value", error], 0.0)
    assert outcome(request) == [b"value"]


def test_connection_that_is_still_inside_a_transaction() -> None:
    """Where EXEC is refused, the transaction is left by DISCARD; reads beside it are made again."""
    pipeline = Recorder().ready()
    pipeline.ask(call(b"PING"))
    request = pipeline.ask(submit([entry("a")]))
    read = pipeline.ask(call(b"GET"))
    pipeline.reply(b"PONG")
    pipeline.machine.replies([OK, QUEUED, QUEUED, NOPERM, QUEUED, QUEUED], 0.0)
    assert pipeline.verbs == [b"DISCARD", b"ECHO"]
    pipeline.reply(OK)
    assert outcome(request).rejected
    pipeline.reply(b"value")
    assert outcome(read) == [b"value"]


def test_marker_that_is_refused_for_now() -> None:
    """Then nothing before it is trusted, but what can only be a transaction that was applied."""
    pipeline = Recorder().ready()
    read = pipeline.ask(call(b"GET"))
    pipeline.machine.replies([b"value", BUSY], 0.0)
    assert pipeline.is_at(State.BACKING_OFF)
    assert not read.future.done()


def test_transactions_that_are_refused_from_the_start() -> None:
    """Nothing is sent of a submit where MULTI may not be used; reads go on."""
    pipeline = Recorder()
    request = pipeline.ask(submit([entry("a")]))
    known = pipeline.ask(submit([entry("b")], idempotent=True))
    pipeline.ask(call(b"PING"))
    pipeline.link_up(no_transactions=NOPERM)
    assert outcome(request).rejected[0][1] is NOPERM
    assert outcome(known).rejected[0][1] is NOPERM
    assert (pipeline.state, pipeline.effects) == (State.CONNECTING, ["connect", "drop", "connect"])
    pipeline.link_up(no_transactions=NOPERM)
    assert pipeline.verbs == [b"PING", b"ECHO"]


@pytest.mark.parametrize("idempotent", [True, False])
def test_lone_submit_where_transactions_are_refused(idempotent: bool) -> None:
    """Nothing is sent of it, nor is its job looked for."""
    pipeline = Recorder()
    request = pipeline.ask(submit([entry("a")], idempotent=idempotent))
    pipeline.link_up(no_transactions=NOPERM)
    assert outcome(request).rejected[0][1] is NOPERM
    assert (pipeline.state, pipeline.effects) == (State.IDLE, ["connect", "drop"])


def test_value_that_the_server_does_not_take() -> None:
    """It is rejected in one attempt, with its size; those behind it are sent at once."""
    pipeline = Recorder(most_requests=1).ready()
    requests = [
        pipeline.ask(submit([entry(name, document=bytes(2_000_000))])) for name in ("a", "b", "c")
    ]
    innocent = pipeline.ask(submit([entry("d", document=bytes(2_000_001))]))
    for request in requests:
        pipeline.lose(replies=[OK, ReplyError("ERR", "Protocol error: invalid bulk length")])
        ((_, reply),) = outcome(request).rejected
        assert "2000000" in str(reply)
        assert pipeline.state is State.CONNECTING
        pipeline.link_up()
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC"]
    pipeline.reply(*APPLIED)
    assert outcome(innocent) is None


def test_call_with_a_value_that_the_server_does_not_take() -> None:
    """It fails in one attempt, too."""
    pipeline = Recorder(most_requests=1).ready()
    request = pipeline.ask(call(b"HSET"))
    pipeline.lose(replies=[ReplyError("ERR", "Protocol error: invalid bulk length")])
    assert isinstance(outcome(request), ServerError)
    assert pipeline.is_at(State.IDLE)


def test_refusal_that_came_in_the_middle_of_a_transaction() -> None:
    """A script that began meanwhile refused the rest: it is all sent again."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.reply(OK, QUEUED, BUSY, ABORTED)
    pipeline.reply()
    assert pipeline.is_at(State.BACKING_OFF)
    assert not request.future.done()


# -- lost replies --------------------------------------------------------------------------------


def test_lost_reply_of_a_submit_that_was_applied() -> None:
    """The old connection is ended before the document is looked for."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up()
    assert pipeline.is_at(State.SETTLING)
    assert pipeline.sent[:3] == [
        (b"CLIENT", b"KILL", b"ID", 1), (b"EXISTS", b"job-a"), (b"TYPE", b"low"),
    ]  # fmt: skip
    pipeline.reply(1, 1, b"list")
    assert outcome(request) is None
    assert pipeline.is_at(State.READY)


def test_lost_request() -> None:
    """A submit that is not there is sent again, once nothing can be applied late."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up()
    pipeline.reply(0, 0, b"none")  # the old connection has gone already
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC"]
    pipeline.reply(*APPLIED)
    assert outcome(request) is None


@pytest.mark.parametrize(
    ("facts", "is_known"),
    [
        ({"run_id": "run", "client_id": 7}, True),
        ({"run_id": "run", "client_id": 1}, False),  # a proxy with ids of its own
        ({"run_id": None}, False),
        ({"run_id": "another"}, True),
        ({"run_id": "another", "role": None}, False),
    ],
)
def test_fence(facts: Any, is_known: bool) -> None:
    """Only where nothing can be applied late is a submit that is not there sent again."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up(**facts)
    kills = [command for command in pipeline.sent if command[0] == b"CLIENT"]
    pipeline.reply(*[1 for _ in kills], 0, b"none")
    if is_known:
        assert pipeline.is_at(State.SENT)
    else:
        assert isinstance(outcome(request), OutcomeUnknownError)


@pytest.mark.parametrize(
    ("reply", "is_known"), [(0, True), (NOPERM, False), (ReplyError("ERR", "No such client"), True)]
)
def test_reply_to_the_fence(reply: Any, is_known: bool) -> None:
    """A connection that is gone is fenced; one that may not be ended is not."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up()
    pipeline.reply(reply, 0, b"none")
    assert request.future.done() is not is_known


def test_replica_is_not_asked() -> None:
    """What a replica says proves nothing of what its primary will apply."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up(role="slave", run_id="another")
    assert (pipeline.state, pipeline.effects[-1]) == (State.BACKING_OFF, "drop")


def test_read_goes_to_a_replica() -> None:
    """Where no outcome is unknown, a replica is as good for reads."""
    pipeline = Recorder()
    pipeline.ask(call(b"GET"))
    pipeline.link_up(role="slave")
    assert pipeline.is_at(State.SENT)


def test_server_that_is_not_ready_to_tell() -> None:
    """Nothing is concluded while it refuses."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up()
    pipeline.reply(1, BUSY, BUSY)
    assert pipeline.is_at(State.BACKING_OFF)
    pipeline.machine.time(1.0)
    pipeline.reply(0, 1, b"list", b"PONG")
    assert outcome(request) is None


def test_settlement_whose_marker_is_refused_for_now() -> None:
    """Nothing is concluded from the replies before it."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up()
    pipeline.machine.replies([1, 1, b"list", BUSY], 0.0)
    assert pipeline.is_at(State.BACKING_OFF)
    assert not request.future.done()


def test_no_right_to_look() -> None:
    """Then nobody can tell."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up()
    pipeline.reply(1, NOPERM, b"none")
    assert isinstance(outcome(request), OutcomeUnknownError)


def test_no_right_to_look_at_the_list() -> None:
    """A document that is there is enough."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up()
    pipeline.reply(1, 1, NOPERM)
    assert outcome(request) is None


def test_abandoned_submit_is_fenced_all_the_same() -> None:
    """Its caller may submit again with the same id."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    request.future.cancel()
    pipeline.lose()
    assert pipeline.is_at(State.IDLE)
    pipeline.ask(submit([entry("a")], idempotent=True))
    pipeline.link_up()
    assert pipeline.sent[0] == (b"CLIENT", b"KILL", b"ID", 1)
    pipeline.reply(1, 0, b"none")
    assert pipeline.verbs == [b"WATCH", b"EXISTS", b"ECHO"]


def test_write_that_may_be_repeated_is_fenced() -> None:
    """A call that writes is not applied after its repetition."""
    pipeline = Recorder().ready()
    request = pipeline.ask(call(b"DEL", writes=True))
    pipeline.lose()
    pipeline.link_up()
    assert pipeline.verbs == [b"CLIENT", b"ECHO"]
    pipeline.reply(1)
    assert pipeline.verbs == [b"DEL", b"ECHO"]
    pipeline.reply(1)
    assert outcome(request) == [1]


def test_lost_read() -> None:
    """A read is sent again, without more ado."""
    pipeline = Recorder().ready()
    pipeline.ask(call(b"GET"))
    pipeline.lose()
    pipeline.link_up()
    assert pipeline.verbs == [b"GET", b"ECHO"]


def test_cancelled_connection_is_no_failure_of_the_server() -> None:
    """The next attempt does not wait, however often somebody cancels the one before."""
    pipeline = Recorder().ready()
    request = pipeline.ask(call(b"GET"))
    for turn in range(5):
        pipeline.machine.link_cancelled(float(turn))
        assert (pipeline.state, pipeline.effects[-1]) == (State.CONNECTING, "connect")
        pipeline.machine.link_cancelled(float(turn))  # there is none
        pipeline.link_up(float(turn))
    pipeline.reply(b"found", now=5.0)
    assert outcome(request) == [b"found"]


def test_late_when_the_connection_was_lost_a_moment_ago() -> None:
    """The error does not say that a new connection had all the time that it may take."""
    pipeline = Recorder().ready()
    brief = pipeline.ask(call(b"GET", timeout=0.1))
    other = pipeline.ask(call(b"GET", timeout=CONNECT_TIMEOUT))
    pipeline.lose(now=0.05)
    pipeline.machine.time(0.1)
    assert str(outcome(brief)).startswith("the connection to Redis was lost")
    pipeline.machine.time(CONNECT_TIMEOUT + 0.05)
    assert str(outcome(other)) == "no answer"


def test_timer_is_set_again_after_an_error_of_our_own() -> None:
    """Else no later request would end in time."""

    class Interrupted(BaseException):
        """What a signal handler raises."""

    def interrupt(_: object) -> None:
        raise Interrupted

    pipeline = Recorder()
    pipeline.ask(call(b"GET")).future.set_exception = interrupt
    with pytest.raises(Interrupted):
        pipeline.machine.time(pipeline.wake_at_time)
    pipeline.ask(call(b"GET", now=1000.0), 1000.0)
    assert pipeline.wake_at_time > 1000.0


def test_connection_that_is_lost_while_it_settles() -> None:
    """It is settled on the next."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.link_up()
    pipeline.lose()
    pipeline.machine.time(1.0)
    pipeline.link_up()
    assert pipeline.is_at(State.SETTLING)
    pipeline.reply(0, 1, b"list")
    assert outcome(request) is None


def test_reply_that_was_lost_elsewhere() -> None:
    """It is settled on a connection that is younger than the one that it was lost on."""
    pipeline = Recorder().ready()
    request = submit([entry("a")])
    pipeline.machine.reply_lost(request, LinkFacts(2, "run", "master"), 0.0)
    assert (pipeline.state, pipeline.effects) == (State.CONNECTING, ["drop", "connect"])
    pipeline.link_up(client_id=3)
    assert pipeline.sent[0] == (b"CLIENT", b"KILL", b"ID", 2)
    pipeline.reply(1, 1, b"list")
    assert outcome(request) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LinkFacts(None, "run", "master"), LinkFacts(3, "run", "master")),
        (LinkFacts(2, "run", "master"), LinkFacts(None, "run", "master")),
        (LinkFacts(2, None, "master"), LinkFacts(3, None, "master")),
        (LinkFacts(2, None, "master"), LinkFacts(3, "run", "master")),
    ],
)
def test_connection_that_can_not_be_fenced(old: LinkFacts, new: LinkFacts) -> None:
    """Without its number, or that of its server's process, an absence proves nothing."""
    pipeline = Recorder()
    request = submit([entry("a")])
    pipeline.machine.reply_lost(request, old, 0.0)
    pipeline.machine.link_up(new, 0.0)
    assert pipeline.verbs == [b"EXISTS", b"TYPE", b"ECHO"]
    pipeline.reply(0, b"none")
    assert isinstance(outcome(request), OutcomeUnknownError)


def test_reply_that_was_lost_elsewhere_while_the_server_is_busy() -> None:
    """The connection that was kept is too old to settle it: another one is made."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")]))
    pipeline.reply(OK, BUSY, BUSY, ABORTED)
    pipeline.reply()
    pipeline.machine.reply_lost(submit([entry("b")]), LinkFacts(2, "run", "master"), 0.0)
    assert pipeline.is_at(State.BACKING_OFF)
    pipeline.machine.time(1.0)
    assert (pipeline.state, pipeline.effects[-2:]) == (State.CONNECTING, ["drop", "connect"])


# -- leftovers -----------------------------------------------------------------------------------


def test_leftovers_are_taken_back_before_the_caller_is_told() -> None:
    """A rejection says that nothing is left behind."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.reply(OK, QUEUED, QUEUED, [OK, WRONGTYPE])
    pipeline.reply()
    assert pipeline.is_at(State.SETTLING)
    assert pipeline.sent[0] == (b"DEL", b"job-a")
    assert not request.future.done()
    pipeline.reply(1)
    assert outcome(request).rejected[0][1] is WRONGTYPE


def test_leftovers_where_only_multi_was_refused() -> None:
    """The rest was run at once, as far as the user may: all of it is taken back."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")]))
    pipeline.reply(NOPERM, OK, NOPERM, ReplyError("ERR", "EXEC without MULTI"))
    pipeline.reply()
    assert pipeline.verbs == [b"LREM", b"DEL", b"ECHO"]


def test_leftovers_that_could_not_be_taken_back_in_time() -> None:
    """The rejection is told at the deadline."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.reply(OK, QUEUED, QUEUED, [OK, WRONGTYPE])
    pipeline.reply()
    pipeline.machine.time(10.0)
    error = outcome(request)
    assert isinstance(error, JobRejectedError)
    assert error.code == "WRONGTYPE"


def test_leftovers_of_a_lost_connection() -> None:
    """What was to be taken back is fenced as well: the job may have been submitted again."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")]))
    pipeline.reply(OK, QUEUED, QUEUED, [OK, WRONGTYPE])
    pipeline.reply()
    pipeline.lose()
    pipeline.link_up()
    assert pipeline.verbs == [b"DEL", b"CLIENT", b"ECHO"]


# -- idempotent submits --------------------------------------------------------------------------


def test_idempotent_submit() -> None:
    """Looking and queueing are one step, by a watch on the document's key."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")], idempotent=True))
    assert pipeline.sent[:2] == [(b"WATCH", b"job-a"), (b"EXISTS", b"job-a")]
    pipeline.reply(OK, 0)
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC"]
    pipeline.reply(*APPLIED)
    assert outcome(request) is None


def test_job_that_exists() -> None:
    """It is left alone, and its key is let go before another transaction."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")], idempotent=True))
    pipeline.reply(OK, 1)
    assert ids(outcome(request).existing) == ["a"]
    assert pipeline.is_at(State.READY)
    pipeline.ask(submit([entry("b")]))
    assert pipeline.verbs == [b"UNWATCH", b"MULTI", b"MSET", b"LPUSH", b"EXEC"]
    pipeline.reply(OK, *APPLIED)
    pipeline.ask(submit([entry("c")]))
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC"]


def test_check_whose_marker_is_refused_for_now() -> None:
    """What it has found is not trusted."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")], idempotent=True))
    pipeline.machine.replies([OK, 1, BUSY], 0.0)
    assert pipeline.is_at(State.BACKING_OFF)
    assert not request.future.done()


def test_idempotent_submit_that_was_abandoned() -> None:
    """Nothing is queued, and its key is let go before another transaction."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")], idempotent=True)).future.cancel()
    pipeline.reply(OK, 0)
    assert pipeline.is_at(State.READY)
    pipeline.ask(submit([entry("b")]))
    assert pipeline.verbs == [b"UNWATCH", b"MULTI", b"MSET", b"LPUSH", b"EXEC"]


def test_somebody_else_was_faster() -> None:
    """A transaction that was aborted is looked for again."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")], idempotent=True))
    pipeline.reply(OK, 0)
    pipeline.reply(OK, QUEUED, QUEUED, None)
    assert pipeline.verbs == [b"ECHO"]  # None says nothing of what it answers, either
    pipeline.reply()
    assert pipeline.verbs == [b"WATCH", b"EXISTS", b"ECHO"]
    pipeline.reply(OK, 1)
    assert ids(outcome(request).existing) == ["a"]


def test_same_id_twice_in_one_turn() -> None:
    """One is queued, and the other finds it."""
    pipeline = Recorder().ready()
    pipeline.ask(call(b"PING"))
    requests = [pipeline.ask(submit([entry("a")], idempotent=True)) for _ in range(2)]
    pipeline.reply(b"PONG")
    pipeline.reply(OK, 0)
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC", b"WATCH", b"EXISTS", b"ECHO"]
    pipeline.reply(*APPLIED, OK, 1)
    assert [request.future.value is None for request in requests] == [True, False]


def test_idempotent_submit_whose_reply_was_lost() -> None:
    """A document that was not sent by us is somebody else's job."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")], idempotent=True))
    pipeline.reply(OK, 0)
    pipeline.lose()
    pipeline.link_up()
    assert pipeline.verbs == [b"CLIENT", b"GET", b"TYPE", b"ECHO"]
    pipeline.reply(1, b"{}", b"list")
    assert ids(outcome(request).existing) == ["a"]


def test_watch_that_is_lost_with_its_connection() -> None:
    """What was to be looked for is looked for again."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")], idempotent=True))
    pipeline.lose()
    pipeline.link_up()
    assert pipeline.verbs == [b"WATCH", b"EXISTS", b"ECHO"]


def test_watch_that_a_refusal_ends() -> None:
    """Keys that were watched on a connection that is dropped are looked for again."""
    pipeline = Recorder().ready()
    pipeline.ask(call(b"PING"))
    pipeline.ask(call(b"GET"))
    pipeline.ask(submit([entry("a")], idempotent=True))
    pipeline.reply(b"PONG")
    pipeline.reply(ReplyError("LOADING", "not yet"), OK, 0)
    assert pipeline.is_at(State.BACKING_OFF)
    pipeline.machine.time(pipeline.wake_at_time)
    pipeline.link_up()
    assert pipeline.verbs == [b"GET", b"WATCH", b"EXISTS", b"ECHO"]


def test_script_that_runs_when_nobody_waits_any_more() -> None:
    """Whoever comes next is not told of it."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")], timeout=1.0))
    pipeline.reply(OK, BUSY, BUSY, ABORTED)
    pipeline.reply()
    pipeline.machine.time(1.0)
    assert pipeline.is_at(State.READY)
    request = pipeline.ask(submit([entry("b")], 1.0))
    pipeline.machine.time(11.0)
    assert isinstance(outcome(request), OutcomeUnknownError)


def test_no_right_to_one_document() -> None:
    """It alone is rejected."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a"), entry("b")], idempotent=True))
    pipeline.reply(NOPERM, 0, NOPERM)
    assert pipeline.verbs == [b"UNWATCH", b"WATCH", b"EXISTS", b"ECHO"]
    pipeline.reply(OK, OK, 0)
    assert pipeline.verbs == [b"MULTI", b"MSET", b"LPUSH", b"EXEC", b"WATCH", b"EXISTS", b"ECHO"]
    pipeline.reply(*APPLIED, NOPERM, NOPERM)
    ((refused, _),) = outcome(request).rejected
    assert refused.job_id == "b"


# -- time ----------------------------------------------------------------------------------------


def test_silent_connection_is_given_up() -> None:
    """After 0.4 of a request's own time limit without a byte."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")], timeout=30.0))
    pipeline.machine.time(11.9)
    assert pipeline.is_at(State.SENT)
    pipeline.machine.time(12.0)
    assert pipeline.is_at(State.CONNECTING)


def test_settling_may_be_silent_for_as_long_as_the_submit_allows() -> None:
    """Not for as long as some other time limit: with a short one, nothing would be settled."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")], timeout=30.0))
    pipeline.lose()
    pipeline.link_up()
    assert pipeline.is_at(State.SETTLING)
    pipeline.machine.time(11.9)
    assert pipeline.is_at(State.SETTLING)
    pipeline.machine.time(12.0)
    assert pipeline.is_at(State.BACKING_OFF)


def test_the_timer_is_set_for_a_silence() -> None:
    """Nothing else would notice it in time."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")], timeout=5.0))
    assert pipeline.wake_at_time == 2.0


def test_each_marker_is_another() -> None:
    """A reply that belongs to an earlier one is no marker."""
    pipeline = Recorder().ready()
    pipeline.ask(call(b"GET"))
    first = pipeline.sent[-1]
    pipeline.reply(b"value")
    pipeline.ask(call(b"GET"))
    assert pipeline.sent[-1] != first


def test_connection_with_nothing_on_its_way_is_not_silent() -> None:
    """It is kept for the next request."""
    pipeline = Recorder().ready()
    pipeline.machine.time(1000.0)
    assert (pipeline.state, pipeline.effects) == (State.READY, [])


def test_slow_download_is_not_silent() -> None:
    """Bytes that arrive show that the connection works, unless they are too few."""
    pipeline = Recorder().ready()
    pipeline.ask(call(b"GET", timeout=100.0))
    for now in range(1, 60):
        pipeline.machine.round_trip.moved(16_000, float(now))
    pipeline.machine.time(60.0)
    assert pipeline.is_at(State.SENT)
    pipeline.machine.round_trip.moved(1, 98.0)
    pipeline.machine.time(99.1)
    assert pipeline.is_at(State.CONNECTING)


def test_slow_upload_is_not_silent() -> None:
    """Nor is a connection that goes on writing."""
    pipeline = Recorder(most_requests=1).ready()
    pipeline.unwritten = 12_000_000
    request = pipeline.ask(submit([entry("a", document=bytes(12_000_000))], timeout=30.0))
    for _ in range(20):
        now = pipeline.wake_at_time
        if now > 12:
            break
        pipeline.unwritten -= 1_000_000
        pipeline.machine.time(now)
        assert pipeline.wake_at_time > now
    pipeline.machine.time(13.0)
    assert pipeline.is_at(State.SENT)
    pipeline.machine.time(29.0)
    assert pipeline.is_at(State.CONNECTING)
    assert not request.future.done()


def test_deadline_of_a_submit_that_was_sent() -> None:
    """Nobody can tell what became of it."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.lose()
    pipeline.machine.time(10.0)
    error = outcome(request)
    assert isinstance(error, OutcomeUnknownError)
    assert error.job_ids == ("a",)


def test_patience_of_a_submit_that_was_not_sent() -> None:
    """It does not wait for a connection until its deadline."""
    pipeline = Recorder()
    request = pipeline.ask(submit([entry("a")]))
    assert pipeline.wake_at_time == 5.0
    pipeline.machine.time(5.0)
    assert isinstance(outcome(request), BananasConnectionError)


def test_patience_where_a_connection_is_lost() -> None:
    """Who waited behind others has as much patience as somebody who comes when it is lost."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")], timeout=60.0))
    request = pipeline.ask(submit([entry("b")], timeout=60.0))
    pipeline.machine.time(20.0)
    pipeline.lose(20.0)
    pipeline.machine.time(24.9)
    assert not request.future.done()
    assert pipeline.wake_at_time == 25.0
    pipeline.machine.time(25.0)
    assert "no answer" in str(outcome(request))


def test_patience_while_the_server_is_loading() -> None:
    """It will be ready: who comes now waits until the deadline, and has more than one attempt."""
    pipeline = Recorder()
    impatient, later = call(b"PING"), submit([entry("a")])
    impatient.impatient = True
    pipeline.ask(impatient)
    error, loading = BananasConnectionError("not ready"), ReplyError("LOADING", "not yet")
    pipeline.machine.link_failed(error, 0.0, loading)
    assert not impatient.future.done()
    impatient.future.cancel()
    pipeline.ask(later)
    pipeline.machine.time(9.9)
    assert not later.future.done()
    pipeline.machine.time(10.0)
    assert outcome(later).code == "LOADING"


def test_server_that_was_loading_and_can_not_be_reached_any_more() -> None:
    """Who was there while it was loading still waits until the deadline, and is told of that."""
    pipeline = Recorder()
    request = pipeline.ask(submit([entry("a")]))
    error, loading = BananasConnectionError("not ready"), ReplyError("LOADING", "not yet")
    pipeline.machine.link_failed(error, 0.0, loading)
    pipeline.machine.time(1.0)
    pipeline.link_failed(1.0)
    pipeline.machine.time(9.9)
    assert not request.future.done()
    pipeline.machine.time(10.0)
    assert outcome(request).code == "LOADING"


def test_deadline_behind_others() -> None:
    """A submit that never got its turn is not queued."""
    pipeline = Recorder().ready()
    pipeline.ask(submit([entry("a")], timeout=60.0))
    request = pipeline.ask(submit([entry("b")], timeout=1.0))
    read = pipeline.ask(call(b"GET", timeout=1.0))
    pipeline.machine.time(1.0)
    assert type(outcome(request)) is BananasConnectionError
    assert isinstance(outcome(read), BananasTimeoutError)


def test_timer_is_set_for_the_soonest() -> None:
    """A request with a shorter limit has the timer set anew."""
    pipeline = Recorder()
    pipeline.ask(call(b"PING", timeout=60.0))
    assert pipeline.wake_at_time == 5.0
    pipeline.ask(call(b"PING", timeout=0.1))
    assert pipeline.wake_at_time == 0.1


# -- the end -------------------------------------------------------------------------------------


def test_close() -> None:
    """All that is under way ends, and says whether it was sent."""
    pipeline = Recorder().ready()
    sent = pipeline.ask(submit([entry("a")]))
    unsent = pipeline.ask(submit([entry("b")]))
    pipeline.machine.close(0.0)
    assert (pipeline.state, pipeline.effects[-1]) == (State.CLOSED, "drop")
    for request, words in ((sent, "may or may not"), (unsent, "not sent")):
        assert isinstance(outcome(request), ClientClosedError)
        assert words in str(outcome(request))


def test_close_while_connecting() -> None:
    """A connection that comes too late is dropped."""
    pipeline = Recorder()
    pipeline.ask(call(b"PING"))
    pipeline.machine.close(0.0)
    pipeline.link_up()
    assert (pipeline.state, pipeline.effects[-1]) == (State.CLOSED, "drop")


def test_defect() -> None:
    """All end with it, and the pipeline goes on."""
    pipeline = Recorder().ready()
    request = pipeline.ask(submit([entry("a")]))
    pipeline.machine.fail_all(BananasError("internal error"), 0.0)
    assert isinstance(outcome(request), BananasError)
    pipeline.ask(call(b"PING"))
    assert pipeline.is_at(State.CONNECTING)


def test_who_is_told_of_a_defect_may_ask_again() -> None:
    """That request is sent, as if it had come later."""
    pipeline = Recorder().ready()
    first, second = call(b"GET"), call(b"TYPE")
    first.future = Callback(lambda *_: pipeline.machine.request(second, 0.0))
    pipeline.ask(first)
    pipeline.machine.fail_all(BananasError("internal error"), 0.0)
    assert pipeline.is_at(State.CONNECTING)
    assert not second.future.done()
