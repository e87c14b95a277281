"""Job and JobSpec: a job as its document describes it, and one that is to be submitted."""

from __future__ import annotations

import uuid
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Dict, Mapping, NamedTuple, Optional, Type, Union

from . import exceptions as exc
from ._argument_checks import (
    MAX_INT64,
    check_integer,
    check_job_id,
    check_name,
    check_routing_key,
    check_text,
    due_time,
)
from ._types import NOT_GIVEN, JSONValue, NotGiven
from ._wire import (
    JOB_FIELDS,
    STUB_FIELDS,
    UTC,
    Fields,
    Undecoded,
    dumps,
    folded,
    format_timestamp,
    loads,
    loads_members,
    to_text,
    utcnow,
)
from .enums import JobPriority, JobStatus, Priority, check_priority

__all__ = ["Job", "JobSpec"]

_STATUSES: Dict[Any, JobStatus] = {status.value: status for status in JobStatus}


_PRIORITIES: Dict[Any, JobPriority] = {priority.value: priority for priority in JobPriority}


@dataclass(frozen=True)
class Job:
    """A job as its document describes it.

    ``Job.create`` makes a new job and checks its arguments. ``Job.from_json`` reads a document, and
    accepts every document that Go accepts.

    Attributes:
        id: The id: a UUID, or the id that the submitter chose.
        name: The name of the handler; empty in the stub of a dead letter.
        payload: The handler's input, any JSON value. Reading it raises ``SerializationError`` if Go
            can read the payload but Python can't (nested too deeply, or a number with too many
            digits). The other attributes work, and ``to_json`` writes such a payload unchanged.
        status: The status in the document; None if it is not a known status.
        priority: The list it waits in. An unknown priority counts as normal.
        created_at: When it was submitted, in UTC.
        updated_at: When its document was last written by a submitter or a worker.
        scheduled_for: When the job or its retry is due; None if it does not wait for a time.
        attempts: The number of failed attempts.
        max_retries: The number of attempts (not of retries) after which a failure is final.
        description: Any text, for people.
        error: The error text of the last failed attempt; empty if there is none.
        routing_key: The route whose workers run it. None means the flat lists.
        corrupted_data: The unreadable document, if a worker replaced it by a stub. None in every
            other document.
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
    _verbatim: InitVar[Optional[_Source]] = None

    def __post_init__(self, _verbatim: Optional[_Source]) -> None:
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
            name: The name of the handler.
            payload: Any JSON value.
            priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
            description: Any text, for people.
            scheduled_for: When the job is due: an aware datetime, or a timedelta from now. None
                means now.
            job_id: Your own id. None makes a UUID.
            routing_key: The route whose workers run it. None means the flat lists.
            max_retries: The number of attempts after which a failure is final, 0 or more.
            now: The time of creation; None uses the clock.

        Raises:
            ValueError: An argument is not valid; the message says which and why.
            SerializationError: The payload is not JSON that Go accepts.
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
            _verbatim=_Source(payload, text) if _is_immutable(payload) else None,
        )

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._compared() == other._compared()

    def _compared(self) -> Dict[str, Any]:
        facts = dict(self.__dict__)
        verbatim = facts.pop("_verbatim")
        return facts if "payload" in facts else {**facts, "text": verbatim and verbatim.text}

    @property
    def _source(self) -> Optional[_Source]:
        found: Optional[_Source] = self.__dict__["_verbatim"]
        return found

    @property
    def is_dead_letter_stub(self) -> bool:
        """Whether a worker made this document to replace a missing or unreadable one."""
        return self == Job.from_dict(self._stub())

    def to_dict(self) -> Dict[str, Any]:
        """Return the document as Go writes it, without empty fields."""
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
        source = self._source
        if source is None:
            return None
        if "payload" in self.__dict__ and source.value is not self.payload:
            return None
        text = source.text if source.document is None else _payload_text(source.document)
        if text is None or "payload" not in self.__dict__:
            return text
        if _is_immutable(self.payload):
            return text
        # Somebody may have changed the list or dict in place; repr tells 1, 1.0 and True apart.
        return text if repr(loads(text)) == repr(self.payload) else None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Read a document that is a mapping, as Go reads it.

        Unknown fields and nulls are allowed, and field names are not case-sensitive. The stub of a
        dead letter becomes a failed job without name and payload.

        Raises:
            SerializationError: Go can't read the document.
        """
        return cls._from_fields(data, None)

    @classmethod
    def _from_fields(cls, data: Mapping[str, Any], source: Optional[_Source]) -> Job:
        fields = Fields(data)
        named = fields.data.keys()
        stub = named <= STUB_FIELDS and not named.isdisjoint({"error", "corrupted_data"})
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
            _verbatim=source,
        )

    @classmethod
    def from_json(cls, text: Union[str, bytes]) -> Job:
        """Read a document as Go reads it.

        Unknown fields and nulls are allowed, and ``null`` alone is an empty job. Field names are
        not case-sensitive; if a name occurs twice, the last value counts. The stub of a dead letter
        becomes a failed job without name and payload.

        If Python can't decode the payload (nested too deeply, or a number with too many digits),
        the attribute ``payload`` raises, not this method.

        Raises:
            SerializationError: Go can't read the document.
        """
        text = to_text(text)
        plain = _read_plain(text)
        if plain is not None:
            return cls._from_fields(plain, _Source(plain.get("payload"), document=text))
        data: Dict[str, Any] = {}
        source = None
        for name, value, (start, end) in loads_members(text, "job document"):
            name = folded(name)
            data[name] = value
            if name == "payload":
                source = _Source(value, text[start:end])
        job = cls._from_fields(data, source)
        if source is not None and isinstance(source.value, Undecoded):
            del job.__dict__["payload"]
        return job


class _Source(NamedTuple):
    """A payload and what it was read from: written again, a number keeps the digits it had.

    Attributes:
        value: The payload.
        text: Its JSON text; empty where the whole document is at hand.
        document: The document's text, in which the payload's is looked up when it is needed.
    """

    value: Any
    text: str = ""
    document: Optional[str] = None


def _read_plain(text: str) -> Optional[Dict[str, Any]]:
    """Return the fields of a document that has known names only, as all writers write them.

    None is any other, whose members must be read one by one: their names may differ in case, and
    their values may be beyond this interpreter.
    """
    try:
        data = loads(text, "job document")
    except exc.SerializationError:
        return None
    return data if isinstance(data, dict) and data.keys() <= JOB_FIELDS else None


def _payload_text(document: str) -> Optional[str]:
    """Return the JSON text of a document's payload; the last of several counts."""
    places = [place for name, _, place in loads_members(document) if name == "payload"]
    return document[slice(*places[-1])] if places else None


class _UndecodedPayload:
    """Stands in the place of a payload that a job does not hold, and says why when it is read."""

    def __get__(self, job: Optional[Job], owner: Type[Job]) -> Any:
        if job is None:
            raise AttributeError("payload")
        verbatim = job.__dict__.get("_verbatim")
        reason = verbatim.value.reason if verbatim else "was not read"
        raise exc.SerializationError(f"the payload of job {job.id} {reason}", job_id=job.id)


# It has no __set__, so only jobs without their own payload use it. It is set here, because a
# dataclass would use it as the default.
setattr(Job, "payload", _UndecodedPayload())  # noqa: B010


# Python 3.8 can't resolve the annotation of an InitVar, and it is nobody's business but ours.
del Job.__annotations__["_verbatim"]


def _is_immutable(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


@dataclass(frozen=True)
class JobSpec:
    """A job for ``submit_jobs``.

    Attributes:
        name: The name of the handler.
        payload: Any JSON value.
        priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
        description: Any text, for people.
        scheduled_for: When the job is due: an aware datetime, or a timedelta from the submit, which
            must not be negative. None and a datetime in the past mean at once.
        job_id: Your own id. None makes a UUID.
        routing_key: The route. The default is the client's route; None means the flat lists.
        max_retries: The number of attempts after which a failure is final.
    """

    name: str
    payload: Any = field(repr=False)
    priority: Priority = JobPriority.NORMAL
    description: str = ""
    scheduled_for: Union[datetime, timedelta, None] = None
    job_id: Optional[str] = None
    routing_key: Union[str, None, NotGiven] = NOT_GIVEN
    max_retries: int = 3
