"""What callers hand to the state machine, and how they learn of the outcome, without a loop."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

from bananas._pipeline.requests import Call, Submit
from bananas._pipeline.transaction import Entry

SUBMIT_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5.0


class Ticket:
    """Stands for a future."""

    def __init__(self) -> None:
        self.is_done = False
        self.is_abandoned = False
        self.value: Any = None
        self.error: Optional[BaseException] = None

    def done(self) -> bool:
        """Whether it has ended."""
        return self.is_done

    def set_result(self, value: Any) -> None:
        """End it with a value."""
        assert not self.is_done
        self.is_done, self.value = True, value

    def set_exception(self, error: BaseException) -> None:
        """End it with an error."""
        assert not self.is_done
        self.is_done, self.error = True, error

    def cancel(self) -> None:
        """Abandon it."""
        self.is_done = self.is_abandoned = True


def entry(
    job_id: str, target: bytes = b"low", score: Optional[int] = None, document: bytes = b""
) -> Entry:
    """Return an entry whose key and document tell whose they are."""
    name = job_id.encode()
    return Entry(job_id, b"job-" + name, document or b"doc-" + name, target, score)


def submit(
    entries: Sequence[Entry],
    now: float = 0.0,
    *,
    idempotent: bool = False,
    timeout: float = SUBMIT_TIMEOUT,
) -> Submit:
    """Return a submit."""
    ticket: Any = Ticket()
    return Submit(ticket, now, timeout, CONNECT_TIMEOUT, list(entries), idempotent)


def call(
    *commands: bytes, now: float = 0.0, timeout: float = SUBMIT_TIMEOUT, writes: bool = False
) -> Call:
    """Return a call of commands without arguments."""
    ticket: Any = Ticket()
    request = Call(ticket, now, timeout, CONNECT_TIMEOUT, [(verb,) for verb in commands])
    request.writes = writes
    return request


def outcome(request: Any) -> Any:
    """Return the value or the error of a request that has ended."""
    ticket: Ticket = request.future
    assert ticket.is_done
    return ticket.error if ticket.error is not None else ticket.value


def ids(entries: Sequence[Entry]) -> List[str]:
    """Return the ids of some entries."""
    return [one.job_id for one in entries]
