"""Lends an idle connection to threads that submit alone: they write and read without the loop."""

from __future__ import annotations

import types
from typing import Dict, Generator, Optional, Tuple

from ._batch import Transaction, is_applied
from ._ledger import Batch
from ._redis import Link, pack
from ._requests import Submit
from ._wire import Wire

__all__ = ["Flight", "Lender", "Loan", "go_to_the_loop"]

# So many submits of one job each, and never two at once, before the next is sent without the loop.
_LONE_BEFORE_LENDING = 5


class Flight:
    """One submit of one job that a thread sends by itself, unless the loop goes on with it.

    Writing and reading are each done by whoever claims them first. So the loop never has to wait
    for a thread that a signal handler keeps from going on.

    Attributes:
        request: The submit.
        batch: What is sent for it, for whoever has to go on with it.
        data: The bytes that are not written yet, once ``is_written``.
        received: What the thread has read; None before.
        is_written: Whether the thread has written what the network took at once.
        is_taken_over: Whether the loop has gone on with it.
    """

    __slots__ = (
        "_reader",
        "_writer",
        "batch",
        "data",
        "is_taken_over",
        "is_written",
        "received",
        "request",
    )

    def __init__(self, request: Submit) -> None:
        self.request: Submit = request
        transaction = Transaction(request.entries)
        self.batch: Batch = Batch()
        self.batch.transactions.append(transaction)
        self.data: bytes = pack(transaction.commands())
        self.received: Optional[bytes] = None
        self.is_written: bool = False
        self.is_taken_over: bool = False
        self._writer: Dict[str, object] = {}
        self._reader: Dict[str, object] = {}

    def may_write(self, who: object) -> bool:
        """Claim the writing; return whether nobody else has."""
        return self._writer.setdefault("", who) is who

    def may_read(self, who: object) -> bool:
        """Claim the reading; return whether nobody else has."""
        return self._reader.setdefault("", who) is who


class Loan:
    """A connection that is lent to one flight at a time, until its owner takes it back for good.

    Who has it is decided in one atomic step, so that a signal handler may raise at any moment.

    Attributes:
        flights: How many have given it back.
    """

    def __init__(self, wire: Wire) -> None:
        self.flights: int = 0
        self._wire = wire
        self._holder: Dict[str, Optional[Flight]] = {}
        self._recalled = False

    def take(self, flight: Flight) -> bool:
        """Take it for a flight; return whether it may be used."""
        return self._holder.setdefault("flight", flight) is flight and not self._recalled

    @property
    def holder(self) -> Optional[Flight]:
        """The flight that has it."""
        return self._holder.get("flight")

    def give_back(self) -> bool:
        """Let the next flight have it; return whether its owner waits for it instead."""
        self.flights += 1
        del self._holder["flight"]
        return self._recalled

    def recall(self) -> Optional[Flight]:
        """Lend it no more; return the flight that still has it, or None."""
        self._recalled = True  # before looking: else who gives it back meanwhile would not tell
        return self._holder.setdefault("flight", None)

    def wake(self) -> None:
        """End the wait of the thread that waits for replies, if there is one."""
        self._wire.ring()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has arrived, nor the connection ended, since the last flight."""
        return not self._wire.wait(0)

    def carry(self, flight: Flight, limit: float) -> bool:
        """Send a flight and read the replies, for ``limit`` seconds at most.

        Where anything is out of the ordinary it returns at once, for the owner to go on with.

        Returns:
            Whether its job is queued, and nothing else is to be done.
        """
        if not self.is_quiet or not flight.may_write(self):
            return False
        wire = self._wire
        try:
            written = wire.write(flight.data)
            flight.data = flight.data[written:]
            flight.is_written = True
            if flight.data or not wire.wait(limit) or not flight.may_read(self):
                return False
            flight.received = wire.read()
        except OSError:
            return False
        return is_applied(flight.received)


class Lender:
    """Decides when the connection of an auto-pipeline is lent.

    Attributes:
        is_willing: Whether there may be callers on threads of their own.
        loan: The connection while it is lent, to whoever takes it; None while it is not.
    """

    def __init__(self) -> None:
        self.is_willing = False
        self.loan: Optional[Loan] = None
        self._lone = 0

    def offer(self, link: Link, batch: Batch) -> None:
        """Lend an idle connection, if nothing but lone submits has come for a while.

        Args:
            link: The connection.
            batch: What it has been used for last.
        """
        if batch.calls or len(batch.transactions) != 1 or len(batch.transactions[0].entries) != 1:
            self._lone = 0
            return
        self._lone += 1
        if self._lone >= _LONE_BEFORE_LENDING:
            wire = link.lend()
            if wire is not None:
                self.loan = Loan(wire)

    def abandon(self) -> None:
        """In a forked child: nothing is to be written on what is the parent's."""
        if self.loan is not None:
            _, flight = self.recall()
            if flight is not None:
                flight.may_write(self)
                flight.may_read(self)

    def has_company(self) -> None:
        """Note that calls came while others were under way: they had better share pipelines."""
        self._lone = 0

    def recall(self) -> Tuple[Loan, Optional[Flight]]:
        """Lend no more; return the loan, and the flight that still has the connection."""
        loan, self.loan = self.loan, None
        assert loan is not None
        flight = loan.recall()
        if flight is not None:
            self.has_company()
        return loan, flight


@types.coroutine
def go_to_the_loop() -> Generator[None, None, None]:
    """Go on in the loop's thread; for a coroutine that ``LoopThread`` steps in its caller's."""
    yield
