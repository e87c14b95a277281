"""Drives the state machine against a model of the server, by a sequence of choices."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set

from bananas import ConnectionError as BananasConnectionError
from bananas import JobRejectedError, OutcomeUnknownError
from bananas._pipeline.recovery import LinkFacts
from bananas._pipeline.requests import Request, Submit
from bananas._pipeline.state_machine import StateMachine
from bananas._pipeline.states import State
from bananas._pipeline.transaction import Entry, Transaction
from bananas._redis.protocol import Command, ReplyError
from tests.unit.pipeline.callers import CONNECT_TIMEOUT, call, entry, submit
from tests.unit.pipeline.server import Connection, Server

TARGETS = (b"low", b"high", b"due")
_CONNECTED = {State.READY, State.SENT, State.SETTLING}
# Documents that `Job.from_json` can read, so that a look can tell whose one is.
_DOCUMENT = (
    '{"id": "%s", "name": "n", "payload": 1, "status": "pending", "priority": "low",'
    ' "created_at": "2025-01-15T10:30:00.%06dZ", "updated_at": "2025-01-15T10:30:00Z",'
    ' "attempts": 0, "max_retries": 3}'
)


class Driver:
    """Callers, a network and a server, all of which do what the choices say.

    Args:
        choose: Returns a number from 0 up to, and without, its argument.
    """

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self.now = 0.0
        self.server = Server()
        self.machine = StateMachine(
            self,
            connect_timeout=CONNECT_TIMEOUT,
            no_connection=BananasConnectionError("no answer"),
            silence=4.0,
            jitter=lambda: self._choose(3) / 2,
            most_requests=1 if choose(4) == 0 else 1000,
        )
        self.requests: List[Request] = []
        self._connection: Optional[Connection] = None
        self._held_back: List[Connection] = []
        self._is_connecting = False
        self._is_turn_awaited = False
        self._wake_at: Optional[float] = None
        self._jobs = 0
        self._known: Dict[str, Entry] = {}
        self._acknowledged: Set[str] = set()
        self._rejected: Set[str] = set()
        self._unknown: Set[str] = set()
        self._checked = 0
        # Nobody can tell what a wrong list has led to where the right to look lacks.
        self._has_wrong_lists = choose(2) == 0
        self._moves: List[Callable[[], None]] = [
            self._submit, self._submit, self._submit_many, self._submit_again, self._submit_again,
            self._call, self._deliver, self._deliver, self._deliver, self._deliver,
            self._deliver, self._turn, self._turn, self._connect, self._connect, self._connect,
            self._connect, self._fail_to_connect, self._connect_to_replica, self._lose_reply,
            self._lose_request, self._hold_back, self._hold_back, self._let_through,
            self._let_through, self._abandon, self._pass_time, self._pass_time,
            self._pass_much_time, self._restart, self._refuse, self._recover, self._recover,
            self._break_list, self._grant, self._deny, self._deny_exec, self._grant,
            self._lose_elsewhere, self._stray,
        ]  # fmt: skip

    # -- the effects -----------------------------------------------------------------------------

    def connect(self) -> None:
        assert not self._is_connecting
        assert self._connection is None
        self._is_connecting = True

    def send(self, commands: List[Command]) -> None:
        assert self._connection is not None
        assert not self._connection.inbox
        self._connection.inbox.append(list(commands))

    def drop(self, reason: Optional[str]) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.inbox:
            self._held_back.append(connection)

    def send_soon(self) -> None:
        self._is_turn_awaited = True

    def wake_at(self, when: float) -> None:
        self._wake_at = when

    def unsent(self) -> int:
        return 0

    # -- what may happen -------------------------------------------------------------------------

    def step(self) -> None:
        """Let one thing happen, and see that all is as it should be."""
        self._moves[self._choose(len(self._moves))]()
        self._check()

    def _new_entry(self) -> Entry:
        self._jobs += 1
        job_id = f"job{self._jobs}"
        target = TARGETS[self._choose(len(TARGETS))]
        score = 7 if target == b"due" else None
        document = (_DOCUMENT % (job_id, self._jobs % 1_000_000)).encode()
        return entry(job_id, target, score, document)

    def _ask(self, request: Request) -> None:
        self.requests.append(request)
        self.machine.request(request, self.now, at_once=self._choose(4) == 0)

    def _submit(self) -> None:
        self._ask(submit([self._new_entry()], self.now, idempotent=self._choose(3) == 0))

    def _submit_many(self) -> None:
        entries = [self._new_entry() for _ in range(2 + self._choose(3))]
        self._ask(submit(entries, self.now, idempotent=self._choose(3) == 0))

    def _submit_again(self) -> None:
        """Submit a job of which the outcome is not known, or which is there, with its id."""
        chosen = sorted(self._unknown or self._acknowledged)
        if chosen:
            old = self._known[chosen[self._choose(len(chosen))]]
            again = Entry(old.job_id, old.key, old.document, old.target, old.score)
            self._ask(submit([again], self.now, idempotent=True))

    def _call(self) -> None:
        self._ask(call(b"PING", b"PING", now=self.now, writes=self._choose(3) == 0))

    def _turn(self) -> None:
        if self._is_turn_awaited:
            self._is_turn_awaited = False
            self.machine.send_now(self.now)

    def _deliver(self) -> None:
        """The server runs what is on its way, and replies."""
        if self._connection is not None and self._connection.inbox:
            replies = self.server.run(self._connection)
            if self._connection.is_open:
                self.machine.replies(replies, self.now)
            else:
                self._drop_from_outside()

    def _stray(self) -> None:
        """A reply that nobody asked for comes first."""
        if self._connection is not None and self._connection.inbox:
            count = len(self._connection.inbox[0])
            stray = (b"OK", b"QUEUED", 1, None, ReplyError("ERR", "stray"))[self._choose(5)]
            replies = [stray, *self.server.run(self._connection)][:count]
            if len(replies) == count > 1:
                # Only by its pattern, or a marker behind it, can it be recognised.
                self.machine.replies(replies, self.now)
            else:
                self._drop_from_outside()

    def _drop_from_outside(self) -> None:
        self.machine.link_lost("it was cut", self.now)

    def _lose_reply(self) -> None:
        if self._connection is not None and self._connection.inbox:
            self.server.run(self._connection)
            self._drop_from_outside()

    def _lose_request(self) -> None:
        if self._connection is not None:
            self._connection.inbox.clear()
            self._drop_from_outside()

    def _hold_back(self) -> None:
        """The connection is lost, and what was sent on it arrives later, if ever."""
        if self._connection is not None:
            self._drop_from_outside()

    def _let_through(self) -> None:
        if self._held_back:
            connection = self._held_back.pop(self._choose(len(self._held_back)))
            self.server.run(connection)

    def _connect(self) -> None:
        if self._is_connecting:
            self._is_connecting = False
            self._connection = self.server.connect()
            self.machine.link_up(self._connection.facts, self.now)

    def _connect_to_replica(self) -> None:
        if self._is_connecting:
            self._is_connecting = False
            replica = Server()
            replica.run_id, replica.role = "replica", "slave"
            replica.refusal = ReplyError("READONLY", "a replica")
            self._connection = replica.connect()
            self.machine.link_up(self._connection.facts, self.now)
            if self._connection is not None:
                self._lose_request()

    def _fail_to_connect(self) -> None:
        if self._is_connecting:
            self._is_connecting = False
            refusal = ReplyError("LOADING", "not yet") if self._choose(3) == 0 else None
            self.machine.link_failed(BananasConnectionError("no"), self.now, refusal)

    def _lose_elsewhere(self) -> None:
        """A blocking caller has lost the reply on a connection of its own."""
        if self.server.role == "master":
            connection = self.server.connect()
            request = submit([self._new_entry()], self.now)
            self.requests.append(request)
            connection.inbox.append(Transaction(request.entries).commands())
            fate = self._choose(3)
            if fate == 0:
                self.server.run(connection)
            elif fate == 1:
                self._held_back.append(connection)
            facts = connection.facts
            copied = LinkFacts(facts.client_id, facts.run_id, facts.role)
            self.machine.reply_lost(request, copied, self.now)

    def _abandon(self) -> None:
        waiting = [request for request in self.requests[-20:] if not request.future.done()]
        if waiting:
            waiting[self._choose(len(waiting))].future.cancel()

    def _pass_time(self) -> None:
        self._advance(self._choose(20) / 10)

    def _pass_much_time(self) -> None:
        self._advance(float(self._choose(15)))

    def _advance(self, seconds: float) -> None:
        until = self.now + seconds
        turns = 0
        while self._wake_at is not None and self._wake_at <= until:
            self.now = max(self.now, self._wake_at)
            self._wake_at = None
            self.machine.time(self.now)
            turns += 1
            assert turns < 10_000, "the timer goes off without end"
        self.now = until

    def _restart(self) -> None:
        if self._choose(3) == 0:
            self.server.restart()
            if self._connection is not None:
                self._drop_from_outside()

    def _refuse(self) -> None:
        code = ("BUSY", "READONLY", "LOADING", "OOM")[self._choose(4)]
        self.server.refusal = ReplyError(code, "not now")

    def _recover(self) -> None:
        self.server.refusal = None

    def _break_list(self) -> None:
        target = TARGETS[self._choose(len(TARGETS))]
        if self._has_wrong_lists and not self.server.queues.get(target):
            self.server.wrong.add(target)

    def _deny_exec(self) -> None:
        self.server.has_no_exec = True

    def _grant(self) -> None:
        self.server.denied.clear()
        self.server.has_no_exec = False

    def _deny(self) -> None:
        if self._jobs and not self._has_wrong_lists:
            self.server.denied.add(b"job-job%d" % (self._jobs + self._choose(3)))

    # -- what must hold --------------------------------------------------------------------------

    def _check(self) -> None:
        state = self.machine.state
        assert (self.machine.facts is not None) is (self._connection is not None)
        if state is not State.BACKING_OFF:  # which keeps the connection to a server that is busy
            assert (self._connection is not None) is (state in _CONNECTED)
        assert self._is_connecting is (state is State.CONNECTING)
        on_its_way = self._connection is not None and bool(self._connection.inbox)
        assert on_its_way is (state in (State.SENT, State.SETTLING))
        if state is State.READY:
            assert self._is_turn_awaited or not self.machine.pending.has_more
        while self._checked < len(self.requests):
            if not self.requests[self._checked].future.done():
                break
            self._note(self.requests[self._checked])
            self._checked += 1

    def _note(self, request: Request) -> None:
        """Note what a caller was told."""
        if not isinstance(request, Submit):
            return
        ticket: Any = request.future
        for one in request.entries:
            self._known[one.job_id] = one
        if ticket.is_abandoned:
            return
        error = ticket.error
        if isinstance(error, OutcomeUnknownError):
            self._unknown.update(set(error.job_ids) - self._acknowledged)
        elif error is None:
            refused = ticket.value.rejected if ticket.value is not None else []
            refused_ids = {one.job_id for one, _ in refused}
            told = {one.job_id for one in request.entries} - refused_ids
            self._acknowledged |= told
            self._unknown -= told
            if not request.idempotent:
                self._rejected |= refused_ids
        elif not request.idempotent and isinstance(
            error, (JobRejectedError, BananasConnectionError)
        ):
            self._rejected.update(set(error.job_ids) - self._acknowledged)

    def check_outcomes(self) -> None:
        """What callers were told is so."""
        for job_id in self._acknowledged:
            assert self.server.count(job_id) == 1, f"acknowledged: {job_id}"
        for job_id in self._rejected - self._acknowledged:
            assert self.server.count(job_id) == 0, f"rejected: {job_id}"
        for queue in self.server.queues.values():
            for job_id in queue:
                assert queue.count(job_id) == 1, f"twice: {job_id}"
                assert f"job-{job_id}".encode() in self.server.documents, f"no document: {job_id}"

    def finish(self) -> None:
        """Let all be well again; then every request has ended, in time, and truly."""
        self.server.refusal = None
        self._grant()
        self._ask(call(b"PING", now=self.now))
        self._settle()
        self.server.wrong.clear()  # not before: what it has led to could not be told any more
        for job_id in sorted(self._unknown):
            old = self._known[job_id]
            again = Entry(old.job_id, old.key, old.document, old.target, old.score)
            self._ask(submit([again], self.now, idempotent=True))
        self._settle()
        assert not self._unknown
        while self._held_back:
            self.server.run(self._held_back.pop())
        self.check_outcomes()
        late = [one for one in self.requests if not one.future.done()]
        assert late == [], "no outcome"

    def _settle(self) -> None:
        for _ in range(200):
            self._turn()
            self._connect()
            self._deliver()
            self._check()
        self._advance(1.0)
        for _ in range(200):
            self._turn()
            self._connect()
            self._deliver()
            self._check()
        self._advance(30.0)
        self._check()

    def check_deadlines(self) -> None:
        """Nobody waits beyond a deadline."""
        for request in self.requests[self._checked :]:
            assert request.future.done() or request.deadline >= self.now
