"""The documents, results and verdicts that the Go side recorded, byte for byte."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import _wire
from bananas import exceptions as exc
from bananas._wire.keys import Keys
from bananas._wire.timestamps import format_timestamp, parse_timestamp, stamp
from bananas.models import Job, JobPriority, JobResult, JobStatus
from tests.unit.strategies import JSON_VALUES, TEXTS, quickly

VECTORS: Dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors.json").read_text(encoding="utf-8")
)
UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LIFECYCLES = [step for steps in VECTORS["lifecycles"].values() for step in steps]

each_job = pytest.mark.parametrize("vector", VECTORS["jobs"], ids=lambda vector: vector["case"])
each_result = pytest.mark.parametrize(
    "vector", VECTORS["results"], ids=lambda vector: vector["case"]
)
each_timestamp = pytest.mark.parametrize(
    "vector", VECTORS["timestamps"], ids=lambda vector: vector["text"]
)
each_verdict = pytest.mark.parametrize(
    "vector", VECTORS["documents"], ids=lambda vector: vector["document"][-60:]
)
each_step = pytest.mark.parametrize("vector", LIFECYCLES, ids=lambda vector: vector["step"])


def moment(unix_ns: Optional[str]) -> Optional[datetime]:
    """Return the moment of a Unix time in nanoseconds, cut off after the microsecond."""
    return None if unix_ns is None else EPOCH + timedelta(microseconds=int(unix_ns) // 1000)


def payload_text(document: str) -> str:
    """Return the text between the payload's name and the status."""
    return document[document.index('"payload":') + 10 : document.index(',"status":')]


def as_redis_has_it(fields: Dict[str, str]) -> Dict[bytes, bytes]:
    """Return a hash as Redis gives it."""
    return {name.encode(): value.encode() for name, value in fields.items()}


@each_job
def test_documents_of_go(vector: Dict[str, str]) -> None:
    """Every document that Go wrote is read with the values that Go held."""
    job = Job.from_json(vector["document"].encode())
    document = json.loads(vector["document"])
    assert job.created_at == moment(vector["created_at_unix_ns"])
    assert job.updated_at == moment(vector["updated_at_unix_ns"])
    assert job.scheduled_for == moment(vector.get("scheduled_for_unix_ns"))
    for name in ("id", "name", "payload", "attempts", "max_retries"):
        assert getattr(job, name) == document[name]
    assert job.description == document.get("description", "")
    assert job.status is JobStatus(document["status"])
    assert job.priority is JobPriority(document["priority"])
    assert (job.error, job.routing_key, job.corrupted_data) == ("", None, None)


@each_job
def test_documents_of_go_written_again(vector: Dict[str, str]) -> None:
    """What was read is written with the same fields in the same order, and the same payload."""
    job = Job.from_json(vector["document"])
    again = job.to_json()
    assert list(json.loads(again)) == list(json.loads(vector["document"]))
    assert payload_text(again) == payload_text(vector["document"])
    assert Job.from_json(again) == job


@each_timestamp
def test_verdicts_on_timestamps(vector: Dict[str, Any]) -> None:
    """A time is read exactly where Go reads it, as what Go reads."""
    if vector["accepted"]:
        assert parse_timestamp(vector["text"]) == moment(vector["unix_ns"])
    else:
        with pytest.raises(exc.SerializationError):
            parse_timestamp(vector["text"])


@each_timestamp
def test_verdicts_on_timestamps_in_documents(vector: Dict[str, Any]) -> None:
    """A time that Go refuses makes the whole document unreadable, in whichever field it stands."""
    for name in ("created_at", "updated_at", "scheduled_for"):
        document = json.dumps({"id": "x", name: vector["text"]})
        if vector["accepted"]:
            assert getattr(Job.from_json(document), name) == moment(vector["unix_ns"])
        else:
            with pytest.raises(exc.SerializationError, match=f"^{name} of the job document "):
                Job.from_json(document)


@each_verdict
def test_verdicts_on_documents(vector: Dict[str, Any]) -> None:
    """A document is read exactly where Go reads it."""
    document = vector["document"].encode()
    if vector["accepted"]:
        job = Job.from_json(document)
        assert Job.from_json(job.to_json()) == job
    else:
        with pytest.raises(exc.SerializationError):
            Job.from_json(document)


GO_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{1,2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
GO_FIELDS = {
    **dict.fromkeys(("id", "name", "description", "status", "priority", "error"), str),
    **dict.fromkeys(("attempts", "max_retries"), int),
    **dict.fromkeys(("created_at", "updated_at", "scheduled_for"), datetime),
}


def go_reads_time(text: str) -> bool:
    """Say whether Go reads a time; written from the verdicts, and apart from the package."""
    if not GO_TIME.fullmatch(text):
        return False
    day, _, clock = text.partition("T")
    hour, minute, second = re.split(r"[:.,Z+-]", clock)[:3]
    try:
        year, month, day_of_month = map(int, day.split("-"))
        datetime(year, month, day_of_month, int(hour), int(minute), int(second))
    except ValueError:
        return False
    return True


class Members(List[Any]):
    """The members of an object in their order, duplicates too."""


def go_reads(document: bytes) -> bool:
    """Say whether Go reads a document; written from the verdicts, and apart from the package."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        text = document.decode("utf-8", "strict")
        value = json.loads(text, parse_constant=refuse, object_pairs_hook=Members)
    except ValueError:
        return False
    if not isinstance(value, Members):
        return value is None
    return all(go_reads_field(name, member) for name, member in value)


def go_reads_field(name: str, value: Any) -> bool:
    """Say whether Go reads a field of a document."""
    kind = GO_FIELDS.get(name)
    if value is None or kind is None:
        return True
    if kind is int:
        return type(value) is int and -(2**63) <= value < 2**63
    return isinstance(value, str) and (kind is str or go_reads_time(value))


@each_timestamp
def test_the_model_of_go_knows_times(vector: Dict[str, Any]) -> None:
    """What this module takes for Go's reader of times agrees with every verdict."""
    assert go_reads_time(vector["text"]) is vector["accepted"]


@each_verdict
def test_the_model_of_go_knows_documents(vector: Dict[str, Any]) -> None:
    """What this module takes for Go's reader of documents agrees with every verdict."""
    assert go_reads(vector["document"].encode()) is vector["accepted"]


ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(timezones=ZONES)
PAYLOADS = JSON_VALUES | st.sampled_from(
    [float("nan"), [float("inf")], {"a": "\ud800"}, {"\udfff": 1}, {1: 2}, b"x", {"a": {1}}]
)
ATTEMPTS = st.integers() | st.sampled_from([0, 2**63 - 1, 2**63, -(2**63) - 1, 1.0, True, "1"])


@quickly
@given(
    st.text(max_size=3), PAYLOADS, st.text(max_size=3), MOMENTS | st.datetimes(), MOMENTS, ATTEMPTS,
    ATTEMPTS,
)  # fmt: skip
def test_go_reads_what_is_written(
    name: str, payload: Any, error: str, created_at: datetime, due: datetime, attempts: Any,
    max_retries: Any,
) -> None:  # fmt: skip
    """Whatever a job is made of by hand, it is written so that Go reads it, or not at all."""
    job = Job(
        "x", name, payload, created_at=created_at, scheduled_for=due, error=error,
        attempts=attempts, max_retries=max_retries,
    )  # fmt: skip
    try:
        text = job.to_json()
    except ValueError:
        return
    assert go_reads(text.encode("utf-8", "strict"))
    again = Job.from_json(text)
    assert (again.created_at, again.scheduled_for) == (created_at, due)


@quickly
@given(TEXTS, PAYLOADS, TEXTS, st.none() | MOMENTS, st.just(3) | st.integers())
def test_go_reads_what_is_submitted(
    name: str, payload: Any, description: str, due: Optional[datetime], max_retries: int
) -> None:
    """Whatever a caller submits, it is written so that Go reads it, or refused."""
    try:
        job = Job.create(
            name, payload, description=description, scheduled_for=due, max_retries=max_retries
        )
        document = _wire.new_document(
            _wire.new_job_id().encode(), name, payload, JobPriority.LOW, description,
            stamp(), None if due is None else format_timestamp(due),
            max_retries, "gpu",
        )  # fmt: skip
    except ValueError:
        return
    assert go_reads(job.to_json().encode("utf-8", "strict"))
    assert go_reads(document)


@pytest.mark.parametrize(
    "scheduled_for", [datetime(2025, 1, 15), datetime(2025, 1, 15).isoformat()]
)
def test_a_naive_time_is_never_written(scheduled_for: Any) -> None:
    """The time that most often makes a document unreadable is refused before it is written."""
    with pytest.raises(ValueError, match="^scheduled_for must be an aware datetime"):
        Job.create("n", {}, scheduled_for=scheduled_for)


@each_result
def test_results_of_go(vector: Dict[str, Any]) -> None:
    """Every hash that Go stored is read as the outcome that it records."""
    fields = vector["hash"]
    job_id = vector["key"].rpartition(":")[2]
    result = JobResult.from_hash(job_id, as_redis_has_it(fields))
    assert result.job_id == job_id
    assert result.status is JobStatus(fields["status"])
    assert result.duration_ms == int(fields["duration_ms"])
    expected = datetime.fromisoformat(fields["completed_at"].replace("Z", "+00:00"))
    assert result.completed_at == expected
    if result.is_success:
        assert result.has_data is ("result" in fields)
        assert result.result == json.loads(fields.get("result", "null"))
        assert result.error == ""
    else:
        assert (result.has_data, result.result) == (False, None)
        assert result.error == fields.get("error", "")


@each_result
def test_results_of_go_stored_again(vector: Dict[str, Any]) -> None:
    """What was read is stored as the same fields, but for an error that no longer counts."""
    fields = dict(vector["hash"])
    result = JobResult.from_hash("a", as_redis_has_it(fields))
    again = result.to_hash(EPOCH)
    if result.is_success:
        fields.pop("error", None)
    assert again.keys() == fields.keys()
    assert {**again, "completed_at": fields["completed_at"]} == fields
    assert parse_timestamp(again["completed_at"]) == parse_timestamp(fields["completed_at"])


@each_result
def test_names_of_results(vector: Dict[str, Any]) -> None:
    """Keys and channels are those that Go used."""
    job_id = vector["key"].rpartition(":")[2]
    assert Keys().result(job_id).decode() == vector["key"]
    assert Keys().channel(job_id).decode() == vector["channel"]


@each_step
def test_documents_of_life_cycles(vector: Dict[str, Any]) -> None:
    """Every document on a job's way is read, written with the same fields, and read again."""
    document = json.loads(vector["document"])
    job = Job.from_json(vector["document"])
    assert job.id == document["id"]
    assert job.error == document.get("error", "")
    assert job.is_dead_letter_stub is ("name" not in document)
    assert job.status is JobStatus(document.get("status", "failed"))
    assert job.attempts == document.get("attempts", 0)
    assert (job.scheduled_for is None) is ("scheduled_for" not in document)
    assert list(json.loads(job.to_json())) == list(document)
    assert Job.from_json(job.to_json()) == job


@pytest.mark.parametrize(
    ("name", "priority", "updated_at", "routing_key"),
    [
        ("typescript_job", JobPriority.HIGH, datetime(2025, 1, 15, 10, 30, 5, 120000, UTC), None),
        ("older_python_job", JobPriority.LOW, datetime(2025, 1, 15, 10, 30, 5, 120034, UTC), "gpu"),
    ],
)
def test_jobs_of_siblings(
    name: str, priority: JobPriority, updated_at: datetime, routing_key: Optional[str]
) -> None:
    """What the sibling clients write is read; their empty strings are nothing."""
    document = json.loads(VECTORS["siblings"][name])
    job = Job.from_json(VECTORS["siblings"][name])
    assert job == Job(
        id=document["id"],
        name="send_email",
        payload={"to": "user@example.com"},
        status=JobStatus.PENDING,
        priority=priority,
        created_at=updated_at,
        updated_at=updated_at,
        max_retries=3,
        routing_key=routing_key,
    )
    assert go_reads(job.to_json().encode())


def test_results_of_siblings() -> None:
    """What the sibling workers store is read, fractions of seconds too."""
    siblings = VECTORS["siblings"]
    success = JobResult.from_hash("a", as_redis_has_it(siblings["typescript_result_hash"]))
    assert success == JobResult(
        "a",
        JobStatus.COMPLETED,
        {"output": "success"},
        completed_at=datetime(2025, 1, 15, 10, 30, 5, 120000, UTC),
        duration_ms=1500,
    )
    failure = JobResult.from_hash("a", as_redis_has_it(siblings["older_python_result_hash"]))
    assert failure == JobResult(
        "a",
        JobStatus.FAILED,
        error="boom",
        completed_at=datetime(2025, 1, 15, 10, 30, 5, 120034, UTC),
        duration_ms=1500,
    )
