"""Jobs and results as frozen values, and the wire forms that they have in Redis."""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import (
    Any,
    Dict,
    Generic,
    Mapping,
    Optional,
    Tuple,
    Type,
    TypeVar,
    Union,
    overload,
)

from . import exceptions as exc
from ._arguments import (
    MAX_INT64,
    check_integer,
    check_job_id,
    check_name,
    check_routing_key,
    check_text,
    due_time,
)
from ._convert import convert
from ._types import NOT_GIVEN, JSONValue, NotGiven
from ._wire import (
    UTC,
    Default,
    Undecoded,
    dumps,
    format_timestamp,
    loads,
    loads_members,
    parse_timestamp,
    quote,
    to_text,
    utcnow,
    without_surrogates,
)
from .enums import JobPriority, JobStatus, Priority, check_priority

__all__ = ["Job", "JobPriority", "JobResult", "JobSpec", "JobStatus"]

T = TypeVar("T")
U = TypeVar("U")
D = TypeVar("D")


_WHOLE = re.compile(rb"-?[0-9]{1,19}\Z")

_STATUSES: Dict[Any, JobStatus] = {status.value: status for status in JobStatus}
_PRIORITIES: Dict[Any, JobPriority] = {priority.value: priority for priority in JobPriority}
_OUTCOMES = {b"completed": JobStatus.COMPLETED, b"failed": JobStatus.FAILED}


@dataclass(frozen=True)
class Job:
    """A job as its document describes it.

    ``Job.create`` makes a new one and checks what it is given; ``Job.from_json`` reads what Go or
    a sibling wrote, and never fails where Go would not.

    Attributes:
        id: The id; a UUID unless the submitter chose it.
        name: The name of the handler that runs the job; empty in a dead letter's stub.
        payload: The handler's input, any JSON value. Reading it raises ``SerializationError`` where
            Go reads a payload that this interpreter can't (nesting or digits beyond its limits);
            all else of such a job can be read, and ``to_json`` writes it back as it was.
        status: What the document says; None where it says nothing that the protocol knows.
        priority: The list it waits in; a word that the protocol does not know counts as normal.
        created_at: When it was submitted, in UTC, to the microsecond.
        updated_at: When its document was last written by a submitter or a worker.
        scheduled_for: When it is due, or due again; None for a job that waits for nothing.
        attempts: Failed attempts so far.
        max_retries: Attempts after which a failure is final (the wire's word for it).
        description: Free text, for people.
        error: What the last failed attempt recorded; empty where there is none.
        routing_key: The route whose workers run it; None for the flat lists.
        corrupted_data: In the stub that a worker leaves of an unreadable document, what stood
            there. None in every other document.
    """

    id: str
    name: str
    payload: Any = field(repr=False)
    status: Optional[JobStatus] = JobStatus.PENDING
    priority: JobPriority = JobPriority.NORMAL
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    scheduled_for: Optional[datetime] = None
    attempts: int = 0
    max_retries: int = 3
    description: str = ""
    error: str = field(default="", repr=False)
    routing_key: Optional[str] = None
    corrupted_data: Optional[str] = field(default=None, repr=False)
    # The payload with the text it was read from: a number keeps the text it was written with.
    # Not a field, which asdict() would show; as an InitVar it passes through replace().
    _verbatim: InitVar[Optional[Tuple[Any, str]]] = None

    def __post_init__(self, _verbatim: Optional[Tuple[Any, str]]) -> None:
        object.__setattr__(self, "_verbatim", _verbatim)

    @classmethod
    def create(
        cls,
        name: str,
        payload: JSONValue,
        priority: Priority = JobPriority.NORMAL,
        description: str = "",
        *,
        scheduled_for: Union[datetime, timedelta, None] = None,
        job_id: Optional[str] = None,
        routing_key: Optional[str] = None,
        max_retries: int = 3,
        now: Optional[datetime] = None,
    ) -> Job:
        """Make a new job.

        Args:
            name: The name of the handler that runs it.
            payload: Any JSON value.
            priority: A ``JobPriority`` or its word: which list the job waits in.
            description: Free text, for people.
            scheduled_for: When it is due: an aware datetime, or a timedelta from now. None is now.
            job_id: An id of the caller's choice; None makes a UUID.
            routing_key: The route whose workers run it; None for the flat lists.
            max_retries: Attempts after which a failure is final, 0 or more.
            now: The time of creation; None reads the clock.

        Raises:
            ValueError: An argument is refused; the message says which and why.
            SerializationError: The payload is not JSON that Go accepts; checked here, so that a
                job that exists can be written.
        """
        moment = utcnow() if now is None else now
        due = None if scheduled_for is None else due_time(scheduled_for, moment).astimezone(UTC)
        text = dumps(payload).decode()
        return cls(
            id=str(uuid.uuid4()) if job_id is None else check_job_id(job_id),
            name=check_name(name),
            payload=payload,
            status=JobStatus.PENDING if due is None else JobStatus.SCHEDULED,
            priority=check_priority(priority),
            created_at=moment,
            updated_at=moment,
            scheduled_for=due,
            max_retries=check_integer(max_retries, "max_retries", at_least=0),
            description=check_text(description, "description"),
            routing_key=check_routing_key(routing_key),
            _verbatim=(payload, text) if _is_immutable(payload) else None,
        )

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._compared() == other._compared()

    def _compared(self) -> Dict[str, Any]:
        facts = dict(self.__dict__)
        verbatim = facts.pop("_verbatim")
        return facts if "payload" in facts else {**facts, "text": verbatim and verbatim[1]}

    @property
    def _source(self) -> Optional[Tuple[Any, str]]:
        """The payload with the text it was read from: a number keeps the text it had."""
        found: Optional[Tuple[Any, str]] = self.__dict__["_verbatim"]
        return found

    @property
    def is_dead_letter_stub(self) -> bool:
        """Whether this is what a worker leaves of a missing or unreadable document."""
        return self == Job.from_dict(self._stub())

    def to_dict(self) -> Dict[str, Any]:
        """Return the document as Go would write it: fields that are empty there are left out."""
        if self.is_dead_letter_stub:
            return self._stub()
        return self._to_dict(self.payload)

    def _to_dict(self, payload: Any) -> Dict[str, Any]:
        document: Dict[str, Any] = {"id": self.id, "name": self.name}
        if self.description:
            document["description"] = self.description
        document["payload"] = payload
        document["status"] = "" if self.status is None else self.status.value
        document["priority"] = self.priority.value
        for name in ("created_at", "updated_at", "scheduled_for"):
            moment = getattr(self, name)
            if moment is not None:
                document[name] = format_timestamp(moment, name)
        for name in ("attempts", "max_retries"):
            document[name] = check_integer(getattr(self, name), name, at_least=-MAX_INT64 - 1)
        if self.error:
            document["error"] = self.error
        if self.routing_key is not None:
            document["routing_key"] = self.routing_key
        return document

    def to_json(self) -> str:
        """Return the document as JSON text.

        Raises:
            SerializationError: The payload is not JSON that Go accepts.
            ValueError: A time is naive, or a count does not fit 64 bits.
        """
        if self.is_dead_letter_stub:
            return dumps(self._stub(), "document").decode()
        payload = self.__dict__.get("payload")
        document = self._to_dict(payload)
        del document["payload"]
        head = {key: document.pop(key) for key in ("id", "name", "description") if key in document}
        text = self._unchanged_text() or dumps(payload).decode()
        start = dumps(head, "document").decode()[:-1]
        return f'{start},"payload":{text},{dumps(document, "document").decode()[1:]}'

    def _stub(self) -> Dict[str, Any]:
        stub = {"corrupted_data": self.corrupted_data, "error": self.error, "id": self.id}
        return {key: value for key, value in stub.items() if value is not None}

    def _unchanged_text(self) -> Optional[str]:
        if "payload" not in self.__dict__ and self._source is not None:
            return self._source[1]
        if self._source is None or self._source[0] is not self.payload:
            return None
        text = self._source[1]
        if _is_immutable(self.payload):
            return text
        # Somebody may have changed the list or dict in place; repr tells 1, 1.0 and True apart.
        return text if repr(loads(text)) == repr(self.payload) else None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Read a document that is already a mapping, as Go reads it.

        Unknown fields and nulls are accepted, field names match without regard to case, and the
        stub of a dead letter is read as a failed job without name and payload.

        Raises:
            SerializationError: Go would not read it either.
        """
        fields = _Fields(data, "job document")
        named = fields.data.keys()
        stub = named <= _STUB_FIELDS and not named.isdisjoint({"error", "corrupted_data"})
        kept = stub and isinstance(fields.data.get("corrupted_data"), str)
        return cls(
            id=fields.text("id"),
            name=fields.text("name"),
            payload=fields.data.get("payload"),
            status=JobStatus.FAILED if stub else _STATUSES.get(fields.text("status")),
            priority=_PRIORITIES.get(fields.text("priority"), JobPriority.NORMAL),
            created_at=fields.moment("created_at"),
            updated_at=fields.moment("updated_at"),
            scheduled_for=fields.moment("scheduled_for"),
            attempts=fields.integer("attempts"),
            max_retries=fields.integer("max_retries"),
            description=fields.text("description"),
            error=fields.text("error"),
            routing_key=fields.text("routing_key") or None,
            corrupted_data=fields.text("corrupted_data") if kept else None,
        )

    @classmethod
    def from_json(cls, text: Union[str, bytes]) -> Job:
        """Read a document as Go reads it.

        Unknown fields and nulls are accepted, ``null`` alone is an empty job, field names match
        without regard to case, the last of several members counts, and the stub of a dead letter
        is read as a failed job without name and payload.

        A payload that this interpreter can't decode (nesting or digits beyond its limits) raises
        when it is read, and not here.

        Raises:
            SerializationError: Go would not read it either.
        """
        text = to_text(text)
        data: Dict[str, Any] = {}
        payload = None
        for name, value, (start, end) in loads_members(text, "job document"):
            name = _folded(name)
            data[name] = value
            if name == "payload":
                payload = (value, text[start:end])
        job = replace(cls.from_dict(data), _verbatim=payload)
        if payload is not None and isinstance(payload[0], Undecoded):
            del job.__dict__["payload"]
        return job


class _UndecodedPayload:
    """Stands in the place of a payload that a job does not hold, and says why when it is read."""

    def __get__(self, job: Optional[Job], owner: Type[Job]) -> Any:
        if job is None:
            raise AttributeError("payload")
        verbatim = job.__dict__.get("_verbatim")
        reason = verbatim[0].reason if verbatim else "was not read"
        raise exc.SerializationError(f"the payload of job {job.id} {reason}", job_id=job.id)


# Not a data descriptor, so that it is asked only by jobs without a payload of their own; set here,
# since a dataclass would take it for the default.
setattr(Job, "payload", _UndecodedPayload())  # noqa: B010
# Python 3.8 can't resolve the annotation of an InitVar, and it is nobody's business but ours.
del Job.__annotations__["_verbatim"]


_STUB_FIELDS = frozenset({"id", "error", "corrupted_data"})
_JOB_FIELDS = _STUB_FIELDS | {
    "name", "payload", "status", "priority", "created_at", "updated_at", "scheduled_for",
    "attempts", "max_retries", "description", "routing_key",
}  # fmt: skip


def _folded(name: str) -> str:
    return name if name in _JOB_FIELDS else name.lower().replace("\u017f", "s")


def _is_immutable(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


class _Fields:
    """Reads the fields of a JSON object as Go's decoder does: null is the zero value."""

    def __init__(self, data: Mapping[str, Any], what: str) -> None:
        if not isinstance(data, Mapping):
            raise exc.SerializationError(f"{what} is no object but a {type(data).__name__}")
        if not data.keys() <= _JOB_FIELDS:
            folded = {_folded(key): value for key, value in data.items() if isinstance(key, str)}
            data = {name: value for name, value in folded.items() if name in _JOB_FIELDS}
        self.data = data
        self.what = what

    def text(self, name: str) -> str:
        value = self.data.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._refusal(name, "a string", value)
        return without_surrogates(value)

    def integer(self, name: str) -> int:
        value = self.data.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._refusal(name, "a whole number", value)
        if not -MAX_INT64 - 1 <= value <= MAX_INT64:
            raise exc.SerializationError(f"{name} of the {self.what} does not fit 64 bits")
        return int(value)

    def moment(self, name: str) -> Optional[datetime]:
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._refusal(name, "a time", value)
        return parse_timestamp(value, f"{name} of the {self.what}")

    def _refusal(self, name: str, expected: str, value: Any) -> exc.SerializationError:
        if isinstance(value, Undecoded):
            return exc.SerializationError(
                f"{name} of the {self.what} is not {expected}: it {value.reason}"
            )
        return exc.SerializationError(
            f"{name} of the {self.what} is not {expected} but a {type(value).__name__}"
        )


@dataclass(frozen=True)
class JobSpec:
    """What ``submit_jobs`` takes, one for each job; the fields mean what they mean there.

    Attributes:
        name: The name of the handler that runs the job.
        payload: Any JSON value.
        priority: A ``JobPriority`` or its word: which list the job waits in.
        description: Free text, for people.
        scheduled_for: When it is due: an aware datetime, or a timedelta from the submit, which
            must not be negative. None is at once, and so is a datetime in the past.
        job_id: An id of the caller's choice; None makes a UUID.
        routing_key: The route; not given is the client's own, None the flat lists.
        max_retries: Attempts after which a failure is final.
    """

    name: str
    payload: Any = field(repr=False)
    priority: Priority = JobPriority.NORMAL
    description: str = ""
    scheduled_for: Union[datetime, timedelta, None] = None
    job_id: Optional[str] = None
    routing_key: Union[str, None, NotGiven] = NOT_GIVEN
    max_retries: int = 3


@dataclass(frozen=True)
class JobResult(Generic[T]):
    """How a job, or one attempt of it, ended.

    A failed result that ``get_result`` of a client read may be that of an attempt that will be
    retried. A failure is final only if ``wait_for_result``, ``submit_and_wait`` or
    ``as_completed`` returned it, without ``wait_for_retries=False``.

    Attributes:
        job_id: The job.
        status: ``COMPLETED`` or ``FAILED``.
        result: What the handler returned; None also where it stored nothing (see ``has_data``).
        error: Why it failed; empty after a success and where the worker recorded nothing.
        completed_at: When, in UTC; whole seconds from Go workers. None where it is not known.
        duration_ms: How long the last attempt ran, in milliseconds.
        has_data: Whether a value was stored; ``null`` is a value. By default, whether ``result``
            is anything but None.
    """

    job_id: str
    status: JobStatus
    result: Optional[T] = field(default=None, repr=False)
    error: str = field(default="", repr=False)
    completed_at: Optional[datetime] = None
    duration_ms: int = 0
    has_data: Optional[bool] = None

    def __post_init__(self) -> None:
        if self.has_data is None:
            object.__setattr__(self, "has_data", self.result is not None)

    @property
    def duration(self) -> timedelta:
        """How long the last attempt ran."""
        try:
            return timedelta(milliseconds=self.duration_ms)
        except OverflowError:  # 64 bits of milliseconds are more than a timedelta holds
            return timedelta.max if self.duration_ms > 0 else timedelta.min

    @property
    def is_success(self) -> bool:
        """Whether the job completed."""
        return self.status is JobStatus.COMPLETED

    @property
    def is_failed(self) -> bool:
        """Whether the attempt that stored this result failed.

        A worker stores a failed result after every failed attempt. The failure is final if
        ``wait_for_result``, ``submit_and_wait`` or ``as_completed`` returned it; one that
        ``get_result`` read, or a wait with ``wait_for_retries=False``, may be followed by a retry.
        """
        return self.status is JobStatus.FAILED

    @overload
    def get_result(self) -> T: ...

    @overload
    def get_result(self, result_type: Type[U]) -> U: ...

    # To type checkers Optional[int], Union and Literal are not types.
    @overload
    def get_result(self, result_type: Any) -> Any: ...

    @overload
    def get_result(self, *, default: D) -> Union[T, D]: ...

    @overload
    def get_result(self, result_type: Type[U], *, default: D) -> Union[U, D]: ...

    @overload
    def get_result(self, result_type: Any, *, default: Any) -> Any: ...

    def get_result(self, result_type: Any = None, *, default: Any = NOT_GIVEN) -> Any:
        """Return what the handler returned.

        Args:
            result_type: A type to convert to and check against: a dataclass, a TypedDict, a
                pydantic model, a builtin, or ``Optional``, ``Union``, ``List``, ``Dict`` and such
                of these. None returns the JSON value as it is.
            default: What to return, unconverted, where the handler stored no data. It does not
                stand in for the result of a job that failed.

        Raises:
            JobFailedError: The job failed; ``error`` says why.
            ValueError: The handler stored no data, as every plain Go handler does, and no
                ``default`` is given. The attribute ``result`` is None then.
            SerializationError: The data do not fit ``result_type``; the message says where.
        """
        if not self.is_success:
            # What follows the first line is a panic's stack; the attribute has it.
            lines = self.error.strip().splitlines()
            reason = f": {lines[0]}" if lines else " without saying why"
            raise exc.JobFailedError(
                f"job {self.job_id} failed{reason}", job_id=self.job_id, error=self.error
            )
        if not self.has_data:
            if default is not NOT_GIVEN:
                return default
            raise ValueError(
                f"job {self.job_id} completed without data, as its handler returns none; "
                "use .result, which is None then, or get_result(default=...)"
            )
        if result_type is None:
            return self.result
        return convert(self.result, result_type, f"result of job {self.job_id}")

    def to_hash(self, now: datetime) -> Dict[str, str]:
        """Return the fields of the hash that a worker stores; absent ones are left out."""
        if self.status not in (JobStatus.COMPLETED, JobStatus.FAILED):
            raise ValueError(f"status of a result is completed or failed, not {self.status}")
        moment = now if self.completed_at is None else self.completed_at
        duration = check_integer(self.duration_ms, "duration_ms", at_least=0)
        fields = {
            "status": self.status.value,
            "completed_at": format_timestamp(moment, "completed_at"),
            "duration_ms": str(duration),
        }
        if self.is_failed and self.error:
            fields["error"] = check_text(self.error, "error")
        elif self.is_success and self.has_data:
            fields["result"] = dumps(self.result, "result").decode()
        return fields

    @classmethod
    def from_hash(cls, job_id: str, fields: Mapping[bytes, bytes]) -> JobResult[Any]:
        """Read the hash that Go or a sibling stored.

        Which fields count follows from ``status``: HSET lies over what an earlier attempt left, so
        a success may sit beside an old error, and a failure beside an old result.

        Raises:
            SerializationError: The hash is not what the protocol says.
        """
        status = _OUTCOMES.get(fields.get(b"status", b""))
        if status is None:
            raise exc.SerializationError(
                f"stored result of job {job_id} has no status of completed or failed",
                job_id=job_id,
            )
        moment = fields.get(b"completed_at")
        data = fields.get(b"result") if status is JobStatus.COMPLETED else None
        reason = fields.get(b"error", b"") if status is JobStatus.FAILED else b""
        try:
            # Not through __init__, which sets the fields of a frozen class one by one: of all that
            # a wait costs, that would be a tenth.
            made = object.__new__(cls)
            made.__dict__.update(
                job_id=job_id,
                status=status,
                result=None if data is None else loads(data, "result"),
                error=reason.decode("utf-8", "replace"),
                completed_at=None if moment is None else _completed_at(moment),
                duration_ms=_milliseconds(fields.get(b"duration_ms")),
                has_data=data is not None,
            )
        except exc.SerializationError as error:
            raise exc.SerializationError(
                f"stored result of job {job_id}: {error}", job_id=job_id
            ) from None
        return made

    @classmethod
    def from_dead_letter(cls, job: Job) -> JobResult[Any]:
        """Make the failed result of a job that ended without storing one (no handler, panic)."""
        return cls(
            job_id=job.id,
            status=JobStatus.FAILED,
            error=job.error or "the job was dead-lettered without a reason",
            completed_at=job.updated_at,
            has_data=False,
        )


@lru_cache(maxsize=256)  # results that come together were mostly stored in the same second
def _completed_at(text: bytes) -> datetime:
    return parse_timestamp(text.decode("utf-8", "replace"), "completed_at")


def _milliseconds(text: Optional[bytes]) -> int:
    if text is None:
        return 0
    if text.isdigit() and len(text) < 20:
        return int(text)
    if not _WHOLE.match(text):
        raise exc.SerializationError("duration_ms is not a whole number")
    return int(text)


def new_job_id(entropy: Optional[bytes] = None) -> str:
    """Return a UUID of version 4; by hand, since ``uuid.uuid4()`` takes three times as long."""
    digits = (os.urandom(16) if entropy is None else entropy).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


@lru_cache(maxsize=512, typed=True)
def _name(name: str) -> bytes:
    """Return what stands between the id and the description of a new document."""
    return f'","name":{quote(check_name(name))},'.encode()


_BEFORE_TIMES = {
    (priority, due): f',"status":"{status}","priority":"{priority.value}","created_at":"'.encode()
    for priority in JobPriority
    for due, status in ((False, "pending"), (True, "scheduled"))
}
_PLAIN_END = b'","attempts":0,"max_retries":3}'


def new_document(
    job_id: bytes,
    name: str,
    payload: Any,
    priority: JobPriority,
    description: str,
    now: bytes,
    due: Optional[str],
    max_retries: int,
    routing_key: Optional[str],
    json_default: Optional[Default] = None,
) -> bytes:
    """Return the document of a new job, without making a ``Job`` first.

    The caller has checked ``job_id``, ``priority``, ``max_retries`` and ``routing_key``, and
    written the times. ``json_default`` converts what JSON has no form for in the payload.

    Raises:
        ValueError: The name or the description is refused.
        SerializationError: The payload is not JSON that Go accepts.
    """
    try:
        head = _name(name)
    except TypeError:  # unhashable, hence no string
        head = _name(check_name(name))
    if description or type(description) is not str:
        text = quote(check_text(description, "description"))
        head = f'{head.decode()}"description":{text},'.encode()
    end = _PLAIN_END
    if due is not None or routing_key is not None or max_retries != 3:
        when = "" if due is None else f',"scheduled_for":"{due}"'
        route = "" if routing_key is None else f',"routing_key":"{routing_key}"'
        end = f'"{when},"attempts":0,"max_retries":{max_retries}{route}}}'.encode()
    return b"".join((
        b'{"id":"', job_id, head, b'"payload":', dumps(payload, "payload", json_default),
        _BEFORE_TIMES[priority, due is not None], now, b'","updated_at":"', now, end,
    ))  # fmt: skip
