"""A state machine whose effects are recorded."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

from bananas import ConnectionError as BananasConnectionError
from bananas._pipeline.recovery import LinkFacts
from bananas._pipeline.requests import Request
from bananas._pipeline.state_machine import StateMachine
from bananas._pipeline.states import State
from bananas._redis.protocol import Command, ReplyError
from tests.unit.pipeline.callers import CONNECT_TIMEOUT, call

OK, QUEUED = b"OK", b"QUEUED"
#: The replies to a transaction with ids for one list.
APPLIED = [OK, QUEUED, QUEUED, [OK, 1]]


class Recorder:
    """Carries nothing out, and notes what it was told to do.

    Attributes:
        machine: The state machine.
        effects: The names of the effects, in their order; those of the timer left out.
        sent: The commands that were sent last.
        wake_at_time: What the timer is set to.
        unwritten: How many bytes are said to be not written yet.
    """

    def __init__(
        self, *, most_requests: int = 1000, connect_timeout: float = CONNECT_TIMEOUT
    ) -> None:
        self.effects: List[str] = []
        self.sent: List[Command] = []
        self.wake_at_time = float("inf")
        self.unwritten = 0
        self.machine = StateMachine(
            self,
            connect_timeout=connect_timeout,
            no_connection=BananasConnectionError("no answer"),
            silence=4.0,
            jitter=lambda: 1.0,
            most_requests=most_requests,
        )

    def connect(self) -> None:
        self.effects.append("connect")

    def send(self, commands: List[Command]) -> None:
        self.effects.append("send")
        self.sent = list(commands)

    def drop(self, reason: Optional[str]) -> None:
        self.effects.append("drop")

    def send_soon(self) -> None:
        self.effects.append("send soon")

    def wake_at(self, when: float) -> None:
        self.wake_at_time = when

    def unsent(self) -> int:
        return self.unwritten

    # -- what happens ----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self.machine.state

    def is_at(self, state: State) -> bool:
        return self.machine.state is state

    @property
    def verbs(self) -> List[bytes]:
        """The names of the commands that were sent last."""
        return [command[0] for command in self.sent if isinstance(command[0], bytes)]

    def link_up(
        self,
        now: float = 0.0,
        *,
        client_id: Optional[int] = None,
        run_id: Optional[str] = "run",
        role: Optional[str] = "master",
        no_transactions: Optional[ReplyError] = None,
    ) -> LinkFacts:
        """A connection was made; its id is higher than that of any before, if none is given."""
        number = self.machine.connections + 1 if client_id is None else client_id
        facts = LinkFacts(number, run_id, role, no_transactions)
        self.machine.link_up(facts, now)
        return facts

    def link_failed(self, now: float = 0.0, *, permanent: bool = False) -> None:
        self.machine.link_failed(BananasConnectionError("refused", permanent=permanent), now)

    def ready(self) -> Recorder:
        """Bring it to a connection with nothing on its way."""
        self.machine.request(call(b"PING"), 0.0)
        self.link_up()
        self.reply(b"PONG")
        self.effects.clear()
        assert self.is_at(State.READY)
        return self

    def ask(self, request: Request, now: float = 0.0, *, at_once: bool = True) -> Request:
        self.machine.request(request, now, at_once=at_once)
        return request

    def reply(self, *replies: Any, now: float = 0.0) -> None:
        """Reply to what was sent last; the marker, if there is one, is added."""
        answer = list(replies)
        if self.sent[-1][0] == b"ECHO":
            answer.append(self.sent[-1][1])
        assert len(answer) == len(self.sent), self.verbs
        self.machine.replies(answer, now)

    def lose(self, now: float = 0.0, replies: Sequence[Any] = ()) -> None:
        self.machine.link_lost("it was cut", now, replies)
