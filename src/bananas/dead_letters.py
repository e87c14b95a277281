"""DeadLetters: lists, requeues and deletes the jobs that have failed for good."""

from __future__ import annotations

from typing import Callable, Literal, Optional, Pattern, Union

from ._arguments import check_callable
from ._in_process import InProcess
from ._operating import Clearing, ListedJobs, OperatingCalls
from ._types import NOT_GIVEN, NotGiven, Seconds
from .operating import DeadLetterCounts

__all__ = ["DeadLetters"]


class DeadLetters(InProcess):
    """The dead letters of a deployment.

    Made by a client, as ``client.dead_letters``.

    Args:
        operating: Lists and changes them.
        life: The client's, which must not end before this is forgotten.
    """

    def __init__(self, operating: OperatingCalls, life: object = None) -> None:
        self._life = life
        self._operating = operating

    def __repr__(self) -> str:
        return "<DeadLetters>"

    def jobs(
        self,
        *,
        name: Optional[str] = None,
        error: Union[str, Pattern[str], None] = None,
        older_than: Optional[Seconds] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        limit: Optional[int] = None,
    ) -> ListedJobs:
        """Iterate over dead letters, the oldest first, in pages.

        Args:
            name: Only those of this handler.
            error: Only those whose error holds this text, or in which this pattern is found.
            older_than: Only those that died longer ago, in seconds or as a timedelta.
            routing_key: Only those whose document names this route; None is no route.
            limit: How many at most; None is all.

        Returns:
            An async iterator of ``JobEntry``. Without a filter, entries without a document are
            given too. A step raises ``ServerError``, ``ConnectionError`` or ``TimeoutError``.

        Raises:
            ValueError: An argument is refused.
        """
        wanted = self._operating.changes.letters(name, error, older_than, routing_key, None)
        return self._operating.reads.dead_letters(wanted, limit)

    async def requeue(
        self,
        *,
        name: Optional[str] = None,
        error: Union[str, Pattern[str], None] = None,
        older_than: Optional[Seconds] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        all: bool = False,
        limit: Optional[int] = None,
        rate: Optional[float] = None,
        routes: Optional[Literal["flat", "document"]] = None,
        dry_run: bool = False,
        progress: Optional[Callable[[DeadLetterCounts], None]] = None,
    ) -> DeadLetterCounts:
        """Give dead letters another try, the oldest first; each begins anew.

        A page of them is moved in one step of the server: by a script, or, where EVAL is refused,
        in a transaction, which new dead letters slow down. Interrupted at any moment, nothing is
        lost or queued twice, and calling it again goes on; so do two calls at once. Payloads keep
        every byte, and old results are deleted.

        Args:
            name: Only those of this handler.
            error: Only those whose error holds this text, or in which this pattern is found.
            older_than: Only those that died longer ago, in seconds or as a timedelta.
            routing_key: Only those whose document names this route; None is no route.
            all: All of them; it must be said where nothing else is.
            limit: How many at most; None is all. It counts anew with each call.
            rate: How many a second at most; None is as fast as it goes.
            routes: Onto which lists they go: ``"flat"`` for those without a route, ``"document"``
                for the route that the document of each names. It must be said where one names a
                route and the client has none: servers without routing ignore that name.
            dry_run: Whether only to count.
            progress: Called with the counts so far, after each page, on the caller's thread.

        Returns:
            How many went where, and how many stay for which reason.

        Raises:
            ValueError: An argument is refused, or ``routes`` must be said; what was moved before
                stays moved.
            ServerError: The user has no right to something that this takes, which the message
                names; the page was not moved.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost.
            TimeoutError: It did not answer within ``read_timeout``.
        """
        clearing = await self._requeuing(
            name=name, error=error, older_than=older_than, routing_key=routing_key, all=all,
            limit=limit, rate=rate, routes=routes, dry_run=dry_run,
        )  # fmt: skip
        return await clearing.run(check_callable(progress, "progress"))

    async def _requeuing(
        self,
        *,
        name: Optional[str],
        error: Union[str, Pattern[str], None],
        older_than: Optional[Seconds],
        routing_key: Union[str, None, NotGiven],
        all: bool,
        limit: Optional[int],
        rate: Optional[float],
        routes: Optional[str],
        dry_run: bool,
    ) -> Clearing:
        wanted = self._operating.changes.letters(name, error, older_than, routing_key, all)
        return self._operating.changes.requeuing(
            wanted, routes, limit=limit, rate=rate, dry_run=dry_run
        )

    async def purge(
        self,
        *,
        name: Optional[str] = None,
        error: Union[str, Pattern[str], None] = None,
        older_than: Optional[Seconds] = None,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        all: bool = False,
        limit: Optional[int] = None,
        rate: Optional[float] = None,
        dry_run: bool = False,
        progress: Optional[Callable[[DeadLetterCounts], None]] = None,
    ) -> DeadLetterCounts:
        """Delete dead letters with their documents and results, the oldest first.

        Interrupted at any moment, calling it again goes on.

        Args:
            name: Only those of this handler.
            error: Only those whose error holds this text, or in which this pattern is found.
            older_than: Only those that died longer ago, in seconds or as a timedelta.
            routing_key: Only those whose document names this route; None is no route.
            all: All of them, also entries without a document; it must be said where nothing else
                is.
            limit: How many at most; None is all. It counts anew with each call.
            rate: How many a second at most; None is as fast as it goes.
            dry_run: Whether only to count.
            progress: Called with the counts so far, after each page, on the caller's thread.

        Returns:
            How many went, and how many stay for which reason.

        Raises:
            ValueError: An argument is refused.
            ServerError: The user has no right to something that this takes, which the message
                names; the page was not deleted.
            ConnectionError: Redis could not be reached, or, if ``sent``, the reply was lost.
            TimeoutError: It did not answer within ``read_timeout``.
        """
        clearing = await self._purging(
            name=name, error=error, older_than=older_than, routing_key=routing_key, all=all,
            limit=limit, rate=rate, dry_run=dry_run,
        )  # fmt: skip
        return await clearing.run(check_callable(progress, "progress"))

    async def _purging(
        self,
        *,
        name: Optional[str],
        error: Union[str, Pattern[str], None],
        older_than: Optional[Seconds],
        routing_key: Union[str, None, NotGiven],
        all: bool,
        limit: Optional[int],
        rate: Optional[float],
        dry_run: bool,
    ) -> Clearing:
        wanted = self._operating.changes.letters(name, error, older_than, routing_key, all)
        return self._operating.changes.purging(wanted, limit=limit, rate=rate, dry_run=dry_run)
