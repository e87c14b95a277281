"""JobType: a job's name with the types of its payload and its result."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Generic, Optional, Type, TypeVar, Union, overload

from ._argument_checks import check_integer, check_name, check_routing_key, check_text
from ._typed_payloads import json_value
from ._typed_results import convert
from ._types import NOT_GIVEN, NotGiven
from .enums import JobPriority, Priority, check_priority
from .models import Job, JobResult, JobSpec

__all__ = ["JobType"]

P = TypeVar("P")
R = TypeVar("R")


class JobType(Generic[P, R]):
    """A kind of job: its name, the types of payload and result, and how to submit it.

    Make it once. Pass it to ``client.call``, to ``client.submit``, and to handlers in
    ``bananas.testing``. Type checkers check these calls, and so does the client at run time.

    Args:
        name: The name of the handler.
        payload: A dataclass, a TypedDict, a pydantic model, a builtin type, or ``List``, ``Dict``,
            ``Optional`` of these. ``Any`` is not checked.
        result: The same for the data from the handler. None means that it returns no data.
        priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
        max_retries: The number of attempts after which a failure is final.
        routing_key: The route whose workers run them. The default is the client's route; None means
            the flat lists.
        description: Any text, for people.

    Raises:
        ValueError: An argument is not valid.
    """

    @overload
    def __init__(
        self: JobType[P, R],
        name: str,
        *,
        payload: Type[P],
        result: Type[R],
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: JobType[P, None],
        name: str,
        *,
        payload: Type[P],
        result: None = ...,
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    # To type checkers Optional[int], Union and Literal are not types.
    @overload
    def __init__(
        self: JobType[P, Any],
        name: str,
        *,
        payload: Type[P],
        result: Any,
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: JobType[Any, R],
        name: str,
        *,
        payload: Any,
        result: Type[R],
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: JobType[Any, Any],
        name: str,
        *,
        payload: Any,
        result: Any = ...,
        priority: Priority = ...,
        max_retries: int = ...,
        routing_key: Union[str, None, NotGiven] = ...,
        description: str = ...,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        payload: Any,
        result: Any = None,
        priority: Priority = JobPriority.NORMAL,
        max_retries: int = 3,
        routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
        description: str = "",
    ) -> None:
        self._name = check_name(name)
        self._payload = payload
        self._result = result
        self._priority = check_priority(priority)
        self._max_retries = check_integer(max_retries, "max_retries", at_least=0)
        self._routing_key = routing_key
        if not isinstance(routing_key, NotGiven):
            self._routing_key = check_routing_key(routing_key)
        self._description = check_text(description, "description")

    def __repr__(self) -> str:
        return f"<JobType {self._name}>"

    @property
    def name(self) -> str:
        """The name of the handler."""
        return self._name

    def spec(
        self,
        payload: P,
        *,
        scheduled_for: Union[datetime, timedelta, None] = None,
        job_id: Optional[str] = None,
    ) -> JobSpec:
        """Return a spec for ``submit_jobs``, with the payload checked and converted.

        Args:
            payload: The handler's input.
            scheduled_for: When the job is due: an aware datetime, or a timedelta from the submit.
                None means at once.
            job_id: Your own id. None makes a UUID.

        Raises:
            SerializationError: The payload does not have the right type; the message says where.
            TypeError: This type can't be checked.
        """
        return JobSpec(
            self._name,
            self.dump_payload(payload),
            self._priority,
            self._description,
            scheduled_for,
            job_id,
            self._routing_key,
            self._max_retries,
        )

    def dump_payload(self, payload: P) -> Any:
        """Return a payload as a JSON value.

        Raises:
            SerializationError: It does not have the right type; the message says where.
            TypeError: This type can't be checked.
        """
        return json_value(payload, self._payload, f"job type {self._name}")

    def load_payload(self, job: Job) -> P:
        """Return the payload of a job, converted to its type.

        Raises:
            SerializationError: It does not have the right type; the message says where.
            TypeError: Values can't be converted to this type.
        """
        what = f"job {job.id}"
        loaded: P = convert(job.payload, self._payload, what, "payload", job_id=job.id)
        return loaded

    def load_result(self, result: JobResult[Any]) -> R:
        """Return the data from the handler, converted to the result type; None without such a type.

        Raises:
            JobFailedError: The job failed.
            ValueError: The handler stored no data, but the result type needs data.
            SerializationError: The data does not have the right type; the message says where.
            TypeError: Values can't be converted to this type.
        """
        loaded: Any = None
        if self._result is None:
            result.get_result(default=None)  # raises what there is to raise
        elif result.has_data or result.is_failed or not _takes_none(self._result):
            loaded = result.get_result(self._result)
        return loaded  # type: ignore[no-any-return]

    def dump_result(self, value: R) -> Any:
        """Return the value of a Python handler as a JSON value, for tests.

        Raises:
            SerializationError: It does not have the right type; the message says where.
            TypeError: This type can't be checked.
        """
        what = f"job type {self._name}"
        return None if self._result is None else json_value(value, self._result, what, "result")


def _takes_none(target: Any) -> bool:
    return target is Any or type(None) in getattr(target, "__args__", ())
