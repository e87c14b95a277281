"""DeadLetters: lists, requeues and deletes jobs that failed with no retries left."""

from __future__ import annotations

from typing import Callable, Literal, Optional, Pattern, Union

from ._argument_checks import check_callable
from ._in_process import InProcess
from ._operating import Clearing, LetterFilter, ListedJobs, OperatingCalls
from ._types import NOT_GIVEN, NotGiven, Seconds
from .operating import DeadLetterCounts

__all__ = ["DeadLetters"]


class DeadLetters(InProcess):
    """Lists, requeues and deletes dead letters: jobs that failed with no retries left.

    Use it as ``client.dead_letters``.

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
        """Iterate over dead letters, the oldest first.

        Args:
            name: Only those of this handler.
            error: Only those whose error contains this text or matches this compiled pattern.
            older_than: Only those that became dead letters longer ago, in seconds or as a
                timedelta.
            routing_key: Only those with this route in their document; None means without a route.
            limit: The maximum number; None is all.

        Returns:
            An async iterator of ``JobEntry``. Without a filter, this includes entries without a
            document. A step may raise ``ServerError``, ``ConnectionError`` or ``TimeoutError``.

        Raises:
            ValueError: An argument is not valid.
        """
        wanted = LetterFilter.create(name, error, older_than, routing_key, None)
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
        """Queue dead letters again, the oldest first, with zero attempts.

        You may interrupt it, or run it twice at the same time: no job is lost or queued twice. Call
        it again to go on. Payloads do not change; old results are deleted. Each page is moved by a
        script, or by a slower transaction if EVAL is refused.

        Args:
            name: Only those of this handler.
            error: Only those whose error contains this text or matches this compiled pattern.
            older_than: Only those that became dead letters longer ago, in seconds or as a
                timedelta.
            routing_key: Only those with this route in their document; None means without a route.
            all: All of them. Required if no other filter is given.
            limit: The maximum number for this call; None is all.
            rate: The maximum number in a second; None is no limit.
            routes: The lists to use: ``"flat"`` for the lists without a route, ``"document"`` for
                the route in each job's document. Required if a document names a route and the
                client has none, because servers without routing ignore that route.
            dry_run: True only counts.
            progress: Called with the counts so far, after each page, in the caller's thread.

        Returns:
            How many were queued on which list, and how many were not and why.

        Raises:
            ValueError: An argument is not valid, or ``routes`` is required here. Jobs moved before
                stay moved.
            ServerError: The user may not run a command that is needed; the message names it. This
                page was not moved.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost.
            TimeoutError: Redis did not answer within ``read_timeout``.
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
        wanted = LetterFilter.create(name, error, older_than, routing_key, all)
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

        You may interrupt it. Call it again to go on.

        Args:
            name: Only those of this handler.
            error: Only those whose error contains this text or matches this compiled pattern.
            older_than: Only those that became dead letters longer ago, in seconds or as a
                timedelta.
            routing_key: Only those with this route in their document; None means without a route.
            all: All of them, also entries without a document. Required if no other filter is given.
            limit: The maximum number for this call; None is all.
            rate: The maximum number in a second; None is no limit.
            dry_run: True only counts.
            progress: Called with the counts so far, after each page, in the caller's thread.

        Returns:
            How many were deleted, and how many were not and why.

        Raises:
            ValueError: An argument is not valid.
            ServerError: The user may not run a command that is needed; the message names it. This
                page was not deleted.
            ConnectionError: Redis could not be reached. If ``sent`` is true, the reply was lost.
            TimeoutError: Redis did not answer within ``read_timeout``.
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
        wanted = LetterFilter.create(name, error, older_than, routing_key, all)
        return self._operating.changes.purging(wanted, limit=limit, rate=rate, dry_run=dry_run)
