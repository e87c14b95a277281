"""Jobs and results as values, and the forms that they have in Redis."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
import typing
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import _wire, enums
from bananas import exceptions as exc
from bananas._types import NOT_GIVEN
from bananas.models import Job, JobPriority, JobResult, JobSpec, JobStatus
from tests.unit.strategies import BYTES, DOCUMENT_BYTES, JSON_VALUES, TEXTS, quickly

UTC = timezone.utc
NOW = datetime(2025, 1, 15, 10, 30, 0, 120034, tzinfo=UTC)
SECRET = "s3cr3t"


def message(text: str) -> str:
    """Return a pattern that matches this message and no other."""
    return f"^{re.escape(text)}$"


def read(**fields: Any) -> Job:
    """Return the job of a document that has these fields."""
    return Job.from_json(json.dumps(fields))


def test_words_of_the_wire() -> None:
    """Statuses and priorities are the wire's words, as text too, in the order that counts."""
    assert [str(priority) for priority in JobPriority] == ["high", "normal", "low"]
    assert [f"{status}" for status in JobStatus] == [
        "pending", "processing", "completed", "failed", "scheduled",
    ]  # fmt: skip
    assert json.dumps([JobStatus.FAILED, JobPriority.LOW]) == '["failed", "low"]'


@pytest.mark.parametrize("value", ["high", JobPriority.HIGH])
def test_priorities(value: Any) -> None:
    """A priority may be given as its word."""
    assert enums.check_priority(value) is JobPriority.HIGH


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("HIGH", "'HIGH'"),
        ("", "''"),
        ("x" * 61, "'" + "x" * 56 + "..."),
        (1, "1"),
        (None, "NoneType"),
        (["high"], "list"),
        ({"token": "secret"}, "dict"),
    ],
)
def test_bad_priorities(value: Any, shown: str) -> None:
    """What is no priority is refused with the list of those that are, and shown if it is short."""
    expected = f"priority must be a JobPriority: high, normal or low, not {shown}"
    with pytest.raises(ValueError, match=message(expected)):
        enums.check_priority(value)


def test_a_new_job() -> None:
    """A new job is pending, has a UUID, and times to the microsecond."""
    job = Job.create("send_email", {"to": "a"}, now=NOW)
    assert uuid.UUID(job.id).version == 4
    assert (job.name, job.payload, job.status) == ("send_email", {"to": "a"}, JobStatus.PENDING)
    assert (job.priority, job.description, job.error) == (JobPriority.NORMAL, "", "")
    assert (job.created_at, job.updated_at, job.scheduled_for) == (NOW, NOW, None)
    assert (job.attempts, job.max_retries, job.routing_key) == (0, 3, None)
    assert not job.is_dead_letter_stub


def test_the_clock_is_read_where_no_time_is_given() -> None:
    """Without ``now``, a job is created now, in UTC."""
    before = datetime.now(UTC)
    created_at = Job.create("n", None).created_at
    assert created_at is not None
    assert before <= created_at <= datetime.now(UTC)


def test_the_document_of_a_new_job() -> None:
    """The document is what Go would write: its order, and nothing that is empty."""
    job = Job.create("send_email", {"to": "\u00e9"}, now=NOW, job_id="a")
    assert job.to_json() == (
        '{"id":"a","name":"send_email","payload":{"to":"\u00e9"},"status":"pending",'
        '"priority":"normal","created_at":"2025-01-15T10:30:00.120034Z",'
        '"updated_at":"2025-01-15T10:30:00.120034Z","attempts":0,"max_retries":3}'
    )


def test_the_document_of_a_scheduled_job() -> None:
    """A job for later says when it is due, in UTC, and where it goes."""
    zone = timezone(timedelta(hours=5, minutes=30))
    job = Job.create(
        "n", 1, JobPriority.HIGH, "why", scheduled_for=datetime(2025, 1, 15, 17, 30, tzinfo=zone),
        job_id="a", routing_key="gpu", max_retries=0, now=NOW,
    )  # fmt: skip
    assert job.to_json() == (
        '{"id":"a","name":"n","description":"why","payload":1,"status":"scheduled",'
        '"priority":"high","created_at":"2025-01-15T10:30:00.120034Z",'
        '"updated_at":"2025-01-15T10:30:00.120034Z","scheduled_for":"2025-01-15T12:00:00Z",'
        '"attempts":0,"max_retries":0,"routing_key":"gpu"}'
    )


def test_a_span_is_counted_from_now() -> None:
    """A timedelta is counted from the time of creation."""
    assert Job.create("n", 1, scheduled_for=timedelta(hours=1), now=NOW).scheduled_for == (
        NOW + timedelta(hours=1)
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"name": ""}, "name must not be empty: it tells the worker which handler to run"),
        ({"priority": 1}, "priority must be a JobPriority: high, normal or low, not 1"),
        ({"description": None}, "description must be a string, not NoneType"),
        (
            {"job_id": "a:b"},
            "job_id must be 1 to 256 letters, digits, '.', '_' or '-', not 'a:b'",
        ),
        (
            {"routing_key": ""},
            "routing_key must be 1 to 64 letters, digits, '_' or '-', or None, not ''",
        ),
        ({"max_retries": -1}, "max_retries must be from 0 to 2**63 - 1, not -1"),
        (
            {"scheduled_for": datetime(2025, 1, 1)},
            "scheduled_for must be an aware datetime, not the naive 2025-01-01T00:00:00: "
            "give it a time zone, such as datetime.now(timezone.utc)",
        ),
        (
            {"scheduled_for": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))},
            "scheduled_for must be in the years 1 to 9999 in UTC",
        ),
        (
            {"payload": {"a": b""}},
            "payload.a is of type bytes, which JSON has no form for: "
            "pass value.decode(), or base64.b64encode(value).decode()",
        ),
    ],
)
def test_bad_arguments_are_named(arguments: Dict[str, Any], expected: str) -> None:
    """A refusal says which argument, and why."""
    with pytest.raises(ValueError, match=message(expected)):
        Job.create(**{"name": "n", "payload": None, **arguments})


CREATED = st.builds(
    Job.create,
    name=TEXTS.filter(str.strip),
    payload=JSON_VALUES,
    priority=st.sampled_from(JobPriority),
    description=TEXTS,
    scheduled_for=st.none() | st.timedeltas(timedelta(0), timedelta(days=9999)),
    job_id=st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,256}", fullmatch=True),
    routing_key=st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    max_retries=st.just(3) | st.integers(0, 2**63 - 1),
    now=st.datetimes(datetime(1970, 1, 1), datetime(2970, 1, 1), timezones=st.just(UTC)),
)


@quickly
@given(CREATED)
def test_what_is_written_is_read_back_equal(job: Job) -> None:
    """Every job that can be created is read back from its own document, text or mapping."""
    again = Job.from_json(job.to_json())
    assert again == job
    assert repr(again.payload) == repr(job.payload)
    assert again.to_json() == job.to_json()
    assert Job.from_json(job.to_json().encode("utf-8", "strict")) == job
    assert Job.from_dict(job.to_dict()) == job


@quickly
@given(CREATED)
def test_the_short_way_writes_the_same_document(job: Job) -> None:
    """A submit writes what ``Job.to_json`` writes, without making a ``Job`` first."""
    document = job.to_dict()
    assert job.to_json().encode() == _wire.new_document(
        job_id=job.id.encode(),
        name=job.name,
        payload=job.payload,
        priority=job.priority,
        description=job.description,
        now=document["created_at"].encode(),
        due=document.get("scheduled_for"),
        max_retries=job.max_retries,
        routing_key=job.routing_key,
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"name": " "}, "name must not be empty: it tells the worker which handler to run"),
        ({"name": ["n"]}, "name must be a string, not list"),
        ({"description": {}}, "description must be a string, not dict"),
        ({"description": "\udc00"}, "description contains a lone surrogate at position 0, which Go "
                                    "can't read"),
        ({"payload": {1: 2}},
         "payload has a key of type int; JSON keys are strings: pass str(key)"),
    ],
)  # fmt: skip
def test_the_short_way_names_bad_arguments_too(arguments: Dict[str, Any], expected: str) -> None:
    """A submit refuses what ``Job.create`` refuses, in the same words."""
    given = {
        "job_id": b"a", "name": "n", "payload": 1, "priority": JobPriority.NORMAL,
        "description": "", "now": b"2025-01-15T10:30:00Z", "due": None, "max_retries": 3,
        "routing_key": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message(expected)):
        _wire.new_document(**{**given, **arguments})


@quickly
@given(st.binary(min_size=16, max_size=16))
def test_new_ids_are_uuids(entropy: bytes) -> None:
    """An id is the UUID of version 4 that the standard library makes of the same bytes."""
    assert _wire.new_job_id(entropy) == str(uuid.UUID(bytes=entropy, version=4))


def test_new_ids_differ() -> None:
    """No two ids are the same."""
    assert len({_wire.new_job_id() for _ in range(1000)}) == 1000


@quickly
@given(DOCUMENT_BYTES)
def test_any_bytes_are_a_job_or_refused(data: bytes) -> None:
    """Any bytes at all give a job, which can be written and read again, or our error."""
    try:
        job = Job.from_json(data)
    except exc.SerializationError as error:
        assert error.__context__ is None or isinstance(error.__context__, ValueError)
        return
    text = job.to_json()
    again = Job.from_json(text.encode("utf-8", "strict"))
    assert again == job
    assert again.to_json() == text


@quickly
@given(JSON_VALUES | st.dictionaries(st.sampled_from(["id", "Attempts", "error", 1]), JSON_VALUES))
def test_any_mapping_is_a_job_or_refused(data: Any) -> None:
    """Any value at all gives a job or our error."""
    try:
        Job.from_dict(data)
    except exc.SerializationError as error:
        assert "job document" in str(error)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('"x"', "job document is a JSON string, not an object"),
        ("[]", "job document is a JSON array, not an object"),
        ("{not json", "job document is not JSON: expecting property name enclosed in double quotes"
                      " at character 1"),
        ('{"name":1}', "name of the job document is not a string but a int"),
        ('{"attempts":1.0}', "attempts of the job document is not a whole number but a float"),
        ('{"attempts":true}', "attempts of the job document is not a whole number but a bool"),
        ('{"max_retries":9223372036854775808}',
         "max_retries of the job document does not fit 64 bits"),
        ('{"created_at":1736937000}', "created_at of the job document is not a time but a int"),
        ('{"scheduled_for":""}',
         "scheduled_for of the job document is not a strict RFC 3339 time: ''"),
    ],
)  # fmt: skip
def test_refused_documents(document: str, expected: str) -> None:
    """What Go refuses is refused, and the message names the field."""
    with pytest.raises(exc.SerializationError, match=message(expected)):
        Job.from_json(document)


def test_unknown_fields_and_nulls_are_read_without_complaint() -> None:
    """A null is what an absent field is, and an unknown field is nothing."""
    plain = read(id="a", name="n", payload=None, status="pending")
    full = read(
        id="a", name="n", payload=None, status="pending", extra={"a": [1]}, priority=None,
        created_at=None, updated_at=None, scheduled_for=None, attempts=None, max_retries=None,
        description=None, error=None, routing_key=None,
    )  # fmt: skip
    assert full == plain
    assert (plain.max_retries, plain.attempts, plain.created_at) == (0, 0, None)


@pytest.mark.parametrize("document", ["{}", "null", " {\n} "])
def test_an_empty_document_is_an_empty_job(document: str) -> None:
    """``null`` and ``{}`` are a job of which nothing is known."""
    job = Job.from_json(document)
    assert (job.id, job.name, job.payload, job.status) == ("", "", None, None)
    assert job.priority is JobPriority.NORMAL
    assert not job.is_dead_letter_stub


def test_empty_strings_of_the_siblings_are_read() -> None:
    """A description, an error or a route that is an empty string is none."""
    job = read(id="a", name="n", payload={}, description="", error="", routing_key="")
    assert (job.description, job.error, job.routing_key) == ("", "", None)


def test_unknown_words_are_read() -> None:
    """An unknown status is None, and an unknown priority counts as normal."""
    job = read(id="a", name="n", status="paused", priority="urgent")
    assert (job.status, job.priority) == (None, JobPriority.NORMAL)


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ('{"NAME":"a"}', "a"),
        ('{"Name":"a","name":"b"}', "b"),
        ('{"name":"a","NAME":"b"}', "b"),
        ('{"name":"a","NAME":"b","name":"c"}', "c"),
        ('{"name":"a","name":"b"}', "b"),
    ],
)
def test_field_names_match_without_regard_to_case(document: str, name: str) -> None:
    """As for Go, a field's name matches in any case, and the last one counts."""
    assert Job.from_json(document).name == name


def test_field_names_of_a_mapping() -> None:
    """A document that is a mapping is read in the same way; unknown names change nothing."""
    data: Dict[Any, Any] = {"ID": "a", "\u017ftatus": "failed", "Extra": 1, 2: 3}
    job = Job.from_dict(data)
    assert (job.id, job.status) == ("a", JobStatus.FAILED)
    stub = Job.from_json(bytearray(b'{"id":"a","error":"x","corrupted_data":"y","extra":1}'))
    assert (stub.status, stub.corrupted_data) == (JobStatus.FAILED, "y")


def test_field_that_only_go_reads() -> None:
    """What Python can't decode is refused with the reason, where it is not the payload."""
    with pytest.raises(
        exc.SerializationError, match="name of the job document is not a string: it"
    ):
        Job.from_json('{"name":' + "[" * 9999 + "]" * 9999 + "}")


def test_whole_numbers_of_64_bits() -> None:
    """The last whole number that Go can hold is read, and the next one is refused."""
    assert Job.from_dict({"attempts": -(2**63), "max_retries": 2**63 - 1}).attempts == -(2**63)
    for number in (-(2**63) - 1, 2**63):
        with pytest.raises(exc.SerializationError, match="does not fit 64 bits"):
            Job.from_dict({"attempts": number})


def test_field_names_match_as_go_folds_them() -> None:
    """Two letters beyond ASCII fold to letters within; Go takes them, and so do we."""
    job = Job.from_json('{"\u017ftatus":"failed","routing_\u212aey":"gpu"}')
    assert (job.status, job.routing_key) == (JobStatus.FAILED, "gpu")
    assert Job.from_json('{"\ufb05atus":"failed"}').status is None


def test_the_last_payload_counts() -> None:
    """Value and text of a payload that is there twice are those of the last."""
    job = Job.from_json('{"payload":1.10,"PAYLOAD":2.20}')
    assert job.payload == 2.2
    assert '"payload":2.20,' in job.to_json()


def test_a_number_keeps_its_text() -> None:
    """A payload that was read is written as it stood, whatever a float would make of it."""
    text = '{"a": 3.14159265358979323846, "b": 1e400, "c": -0, "d": "\\ud800"}'
    job = Job.from_json(f'{{"id":"a","name":"n","payload": {text} ,"status":"pending"}}')
    assert f'"payload":{text},' in job.to_json()
    assert f'"payload":{text},' in dataclasses.replace(job, attempts=2).to_json()
    assert f'"payload":{text},' in pickle.loads(pickle.dumps(job)).to_json()


def test_another_payload_is_written_in_its_place() -> None:
    """The text that was read is forgotten with the payload that it belongs to."""
    job = read(id="a", name="n", payload={"a": 1})
    assert '"payload":[],' in dataclasses.replace(job, payload=[]).to_json()


@pytest.mark.parametrize("value", [True, 1.0, "1", [1]])
def test_a_payload_changed_in_place_is_written_changed(value: Any) -> None:
    """Whoever changes a payload in place finds the change written."""
    job = read(id="a", name="n", payload={"a": 1})
    job.payload["a"] = value
    assert json.loads(job.to_json())["payload"] == {"a": value}
    assert type(json.loads(job.to_json())["payload"]["a"]) is type(value)


def test_lone_surrogates_are_read_as_go_reads_them() -> None:
    """In fields that are text, an escaped lone surrogate is U+FFFD."""
    job = Job.from_json(r'{"id":"a","name":"n\ud800","error":"\udc00 boom","payload":"\ud800"}')
    assert (job.name, job.error) == ("n\ufffd", "\ufffd boom")
    assert r'"payload":"\ud800"' in job.to_json()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"attempts": 2**63}, "attempts must be from -9223372036854775808 to 2**63 - 1, not"
                              " 9223372036854775808"),
        ({"attempts": True}, "attempts must be a whole number, not True"),
        ({"max_retries": 1.0}, "max_retries must be a whole number, not 1.0"),
        ({"payload": float("nan")},
         "payload is not a finite number; JSON has no NaN or Infinity: pass None or a string"),
        ({"name": "\ud800"}, "document.name contains a lone surrogate at position 0, not UTF-8"),
        ({"created_at": datetime(2025, 1, 1)},
         "created_at must be an aware datetime, not the naive 2025-01-01T00:00:00: "
         "give it a time zone, such as datetime.now(timezone.utc)"),
    ],
)  # fmt: skip
def test_a_job_made_by_hand_writes_nothing_that_go_refuses(
    change: Dict[str, Any], expected: str
) -> None:
    """What no constructor checks, writing checks."""
    job = dataclasses.replace(Job.create("n", {}, job_id="a", now=NOW), **change)
    with pytest.raises(ValueError, match=message(expected)):
        job.to_json()


STUBS = [
    '{"error":"Job data not found (corrupted reference)","id":"a"}',
    '{"corrupted_data":"{not json","error":"Failed to unmarshal job","id":"a"}',
]


@pytest.mark.parametrize("document", STUBS)
def test_stubs_of_dead_letters(document: str) -> None:
    """What a worker leaves of a document that it can't read is a failed job without the rest."""
    job = Job.from_json(document)
    assert job.is_dead_letter_stub
    assert (job.id, job.name, job.payload, job.status) == ("a", "", None, JobStatus.FAILED)
    assert job.error == json.loads(document)["error"]
    assert job.corrupted_data == json.loads(document).get("corrupted_data")
    assert job.to_json() == document
    assert Job.from_dict(job.to_dict()) == job


@pytest.mark.parametrize(
    "document",
    [
        '{"id":"a","error":"boom","name":"n"}',
        '{"id":"a","error":"boom","status":"failed","payload":{}}',
        '{"id":"a","error":"boom","payload":null,"status":"failed","attempts":3}',
        '{"id":"a"}',
        '{"id":"a","name":null}',
    ],
)
def test_other_documents_are_no_stubs(document: str) -> None:
    """A document that says more than a stub does is written with all that it says."""
    job = Job.from_json(document)
    assert Job.from_json(job.to_json()) == job
    assert set(json.loads(document)) <= set(json.loads(job.to_json()))


@pytest.mark.parametrize(
    "document",
    [
        '{"id":"a","name":"n","corrupted_data":"x"}',
        '{"id":"a","name":"n","corrupted_data":7}',
        '{"id":"a","error":"boom","corrupted_data":7}',
        '{"id":"a","corrupted_data":null}',
    ],
)
def test_corrupted_data_count_in_stubs_alone(document: str) -> None:
    """Outside of a stub, or where it is no text, the field is one of those that Go ignores."""
    job = Job.from_json(document)
    assert job.corrupted_data is None
    assert job.is_dead_letter_stub is ("name" not in document)
    assert Job.from_json(job.to_json()) == job


FROZEN: List[Any] = [
    Job.create("n", SECRET, job_id="a", now=NOW),
    JobSpec("n", SECRET),
    JobResult("a", JobStatus.COMPLETED, SECRET),
    JobResult("a", JobStatus.FAILED, error=SECRET),
    dataclasses.replace(Job.from_json('{"id":"a","payload":{"k":"s3cr3t"}}'), error=SECRET),
    Job.from_json('{"corrupted_data":"s3cr3t","error":"s3cr3t","id":"a"}'),
]
each_value = pytest.mark.parametrize("value", FROZEN, ids=lambda value: type(value).__name__)


@each_value
def test_values_are_frozen(value: Any) -> None:
    """No field can be set or deleted."""
    for name in [field.name for field in dataclasses.fields(value)]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(value, name)


@each_value
def test_reprs_hide_payloads(value: Any) -> None:
    """A repr, which ends in logs, shows neither payload nor result nor error text."""
    assert SECRET not in repr(value)
    assert SECRET not in f"{value}"
    assert type(value).__name__ in repr(value)


@each_value
def test_values_are_pickled(value: Any) -> None:
    """A value goes to another process and arrives equal."""
    assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize("cls", [Job, JobSpec, JobResult])
def test_fields_have_types_that_resolve(cls: Any) -> None:
    """Tools that read annotations find types for all fields, on every Python."""
    hints = typing.get_type_hints(cls)
    assert {field.name for field in dataclasses.fields(cls)} <= hints.keys()


def test_the_defaults_of_a_spec_are_those_of_a_submit() -> None:
    """A spec that gives a name and a payload leaves the rest to the defaults."""
    spec = JobSpec("n", {})
    assert (spec.priority, spec.description, spec.max_retries) == (JobPriority.NORMAL, "", 3)
    assert (spec.scheduled_for, spec.job_id, spec.routing_key) == (None, None, NOT_GIVEN)
    assert repr(NOT_GIVEN) == "NOT_GIVEN"


def stored(**fields: str) -> Dict[bytes, bytes]:
    """Return the hash of a result as Redis gives it."""
    return {name.encode(): value.encode() for name, value in fields.items()}


def test_a_success() -> None:
    """A success has a value, a time and a duration."""
    result = JobResult.from_hash(
        "a",
        stored(
            status="completed", completed_at="2025-01-15T16:00:05+05:30", duration_ms="1500",
            result='{"n":[1,null]}',
        ),
    )  # fmt: skip
    assert (result.job_id, result.status) == ("a", JobStatus.COMPLETED)
    assert (result.is_success, result.is_failed) == (True, False)
    assert result.get_result() == {"n": [1, None]}
    assert result.completed_at == datetime(2025, 1, 15, 10, 30, 5, tzinfo=UTC)
    assert (result.duration_ms, result.duration) == (1500, timedelta(seconds=1.5))
    assert (result.error, result.has_data) == ("", True)


def test_a_failure() -> None:
    """A failure has the text that the worker recorded, and no value."""
    result = JobResult.from_hash("a", stored(status="failed", error="boom \u00e9", duration_ms="5"))
    assert (result.is_success, result.is_failed) == (False, True)
    assert (result.error, result.result, result.has_data) == ("boom \u00e9", None, False)
    with pytest.raises(exc.JobFailedError, match="^job a failed: boom \u00e9$") as caught:
        result.get_result()
    assert (caught.value.job_id, caught.value.error) == ("a", "boom \u00e9")


def test_a_default_stands_in_for_data_that_were_not_stored() -> None:
    """A default is given as it is, also with a type; null is data, and a failure is a failure."""
    empty = JobResult[Any]("a", JobStatus.COMPLETED)
    assert empty.get_result(default=None) is None
    assert empty.get_result(int, default="nothing") == "nothing"
    null = JobResult[Any]("a", JobStatus.COMPLETED, None, has_data=True)
    assert null.get_result(default=1) is None
    assert JobResult("a", JobStatus.COMPLETED, 7).get_result(int, default=1) == 7
    with pytest.raises(exc.JobFailedError):
        JobResult[Any]("a", JobStatus.FAILED, error="boom").get_result(default=1)


def test_a_panic_is_told_in_one_line() -> None:
    """A worker records a panic with its stack; the message has its first line."""
    text = "panic: boom\n\ngoroutine 7 [running]:\nmain.main()\n" + "x" * 1500
    with pytest.raises(exc.JobFailedError, match="^job a failed: panic: boom$") as caught:
        JobResult[Any]("a", JobStatus.FAILED, error=text).get_result()
    assert caught.value.error == text


def test_a_job_shows_its_payload_once() -> None:
    """What is made of a job holds no private copy of its payload."""
    text = '{"id":"a","name":"work","payload":{"secret":1.50},"status":"pending"}'
    for job in (Job.from_json(text), Job.create("work", "secret")):
        shown = dataclasses.asdict(job)
        assert set(shown) == {field.name for field in dataclasses.fields(job)}
        assert not [name for name in shown if name.startswith("_")]
        assert set(get_type_hints(Job)) == set(shown)
        assert str(shown).count("secret") == 1
        assert "secret" not in repr(job)
        assert not [name for name in dataclasses.astuple(job) if isinstance(name, tuple)]


def test_copies_of_a_job_keep_its_text() -> None:
    """A number keeps the text it was written with, through every kind of copy."""
    job = Job.from_json('{"id":"a","name":"work","payload":{"n":1.50},"status":"pending"}')
    copies = [copy.copy(job), copy.deepcopy(job), dataclasses.replace(job, description="x")]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copies.append(pickle.loads(pickle.dumps(job, protocol)))
    for again in copies:
        assert '"payload":{"n":1.50}' in again.to_json()
        assert dataclasses.replace(again, description="") == job
    changed = dataclasses.replace(job, payload={"n": 2})
    assert '"payload":{"n":2}' in changed.to_json()


def test_outcomes_are_properties() -> None:
    """``if result.is_success:`` does what it reads like; a method would always be true."""
    failed, succeeded = JobResult("a", JobStatus.FAILED), JobResult("a", JobStatus.COMPLETED)
    assert [failed.is_success, failed.is_failed] == [False, True]
    assert [succeeded.is_success, succeeded.is_failed] == [True, False]
    for name in ("is_success", "is_failed"):
        assert isinstance(vars(JobResult)[name], property)


def test_a_failure_without_a_reason() -> None:
    """A worker may record nothing."""
    result = JobResult.from_hash("a", stored(status="failed"))
    assert (result.error, result.completed_at, result.duration_ms) == ("", None, 0)
    with pytest.raises(exc.JobFailedError, match="^job a failed without saying why$"):
        result.get_result()


def test_a_success_without_data() -> None:
    """A plain Go handler returns nothing, and there is nothing to get."""
    result = JobResult.from_hash("a", stored(status="completed"))
    assert (result.is_success, result.result, result.has_data) == (True, None, False)
    expected = (
        "job a completed, but its handler returned no data; "
        "use .result, which is then None, or get_result(default=...)"
    )
    with pytest.raises(ValueError, match=message(expected)) as caught:
        result.get_result()
    assert not isinstance(caught.value, exc.BananasError)


@pytest.mark.parametrize("text", ["null", "0", "false", "{}", "[]", '""', "-0.0"])
def test_falsy_values_are_values(text: str) -> None:
    """Only an absent field means that there is no data."""
    result = JobResult.from_hash("a", stored(status="completed", result=text))
    assert result.has_data is True
    assert repr(result.get_result()) == repr(json.loads(text))


def test_an_old_error_beside_a_success_does_not_count() -> None:
    """After a retry that succeeded, the error of the first attempt is still in the hash."""
    result = JobResult.from_hash("a", stored(status="completed", error="old", result="1"))
    assert (result.error, result.get_result()) == ("", 1)


def test_an_old_result_beside_a_failure_does_not_count() -> None:
    """A failure may lie over the result of an earlier run, readable or not."""
    for old in ("1", "{not json"):
        result = JobResult.from_hash("a", stored(status="failed", error="boom", result=old))
        assert (result.result, result.has_data, result.error) == (None, False, "boom")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "stored result of job a has no status of completed or failed"),
        ({"status": "pending"}, "stored result of job a has no status of completed or failed"),
        ({"status": "Completed"}, "stored result of job a has no status of completed or failed"),
        (
            {"status": "completed", "result": "{not"},
            "stored result of job a: result is not JSON: "
            "expecting property name enclosed in double quotes at character 1",
        ),
        (
            {"status": "completed", "result": ""},
            "stored result of job a: result is not JSON: expecting value at character 0",
        ),
        (
            {"status": "failed", "completed_at": "yesterday"},
            "stored result of job a: completed_at is not a strict RFC 3339 time: 'yesterday'",
        ),
        *(
            (
                {"status": "failed", "duration_ms": bad},
                "stored result of job a: duration_ms is not a whole number",
            )
            for bad in ("", "-", "--5", "1.5", "1e3", " 1", "1\n", "\u0661", "9" * 20)
        ),
    ],
)
def test_bad_hashes(fields: Dict[str, str], expected: str) -> None:
    """A hash that is not what the protocol says is refused, and the message names the job."""
    with pytest.raises(exc.SerializationError, match=message(expected)) as caught:
        JobResult.from_hash("a", stored(**fields))
    assert caught.value.job_id == "a"


@pytest.mark.parametrize("text", ["-1", "0", "9223372036854775807", "-9223372036854775808"])
def test_any_duration_of_64_bits_is_read(text: str) -> None:
    """A duration that Go can write is read, and its span is as close as a timedelta gets."""
    result = JobResult.from_hash("a", stored(status="failed", duration_ms=text))
    assert result.duration_ms == int(text)
    assert timedelta.min <= result.duration <= timedelta.max


_FIELD_NAMES = st.sampled_from([b"status", b"completed_at", b"duration_ms", b"result", b"error"])


@quickly
@given(
    st.dictionaries(
        _FIELD_NAMES | BYTES,
        DOCUMENT_BYTES | st.sampled_from([b"completed", b"failed", b"1", b"-", b"null"]),
    ),
    st.sampled_from([b"completed", b"failed", b""]),
)
def test_any_hash_is_a_result_or_refused(fields: Dict[bytes, bytes], status: bytes) -> None:
    """Any hash at all gives a result or our error."""
    try:
        result = JobResult.from_hash("a", {**fields, b"status": status})
    except exc.SerializationError as error:
        assert error.job_id == "a"
        return
    assert result.is_success is not result.is_failed
    assert timedelta.min <= result.duration <= timedelta.max
    if result.has_data:
        result.get_result()


RESULTS: st.SearchStrategy[JobResult[Any]] = st.one_of(
    st.builds(
        JobResult,
        job_id=st.just("a"),
        status=st.just(JobStatus.COMPLETED),
        result=JSON_VALUES,
        completed_at=st.datetimes(timezones=st.just(UTC)),
        duration_ms=st.integers(0, 2**63 - 1),
        has_data=st.just(True),
    ),
    st.builds(
        JobResult,
        job_id=st.just("a"),
        status=st.just(JobStatus.FAILED),
        error=TEXTS,
        completed_at=st.datetimes(timezones=st.just(UTC)),
        duration_ms=st.integers(0, 2**63 - 1),
    ),
)


@quickly
@given(RESULTS)
def test_a_stored_result_is_read_back_equal(result: JobResult[Any]) -> None:
    """What is stored reads back as the same result."""
    fields = {name.encode(): value.encode() for name, value in result.to_hash(NOW).items()}
    assert JobResult.from_hash("a", fields) == result


def test_the_fields_of_a_stored_result() -> None:
    """What is empty or belongs to the other outcome is left out."""
    success = JobResult("a", JobStatus.COMPLETED, {"n": 1}, error="old", duration_ms=5)
    assert success.to_hash(NOW) == {
        "status": "completed",
        "completed_at": "2025-01-15T10:30:00.120034Z",
        "duration_ms": "5",
        "result": '{"n":1}',
    }
    failure = JobResult("a", JobStatus.FAILED, "old", error="boom", completed_at=NOW)
    assert failure.to_hash(datetime.max) == {
        "status": "failed",
        "completed_at": "2025-01-15T10:30:00.120034Z",
        "duration_ms": "0",
        "error": "boom",
    }
    for status in (JobStatus.COMPLETED, JobStatus.FAILED):
        assert JobResult("a", status).to_hash(NOW).keys() == {
            "status", "completed_at", "duration_ms",
        }  # fmt: skip
    assert JobResult("a", JobStatus.COMPLETED, has_data=True).to_hash(NOW)["result"] == "null"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            JobResult("a", JobStatus.PENDING),
            "status of a result must be completed or failed, not pending",
        ),
        (
            JobResult("a", JobStatus.FAILED, duration_ms=-1),
            "duration_ms must be from 0 to 2**63 - 1, not -1",
        ),
        (
            JobResult("a", JobStatus.FAILED, error="\ud800"),
            "error contains a lone surrogate at position 0, which Go can't read",
        ),
        (
            JobResult("a", JobStatus.COMPLETED, [object()]),
            "result[0] is of type object, which JSON has no form for: "
            "convert it first; a client's json_default does that for every submit",
        ),
        (
            JobResult("a", JobStatus.FAILED, completed_at=datetime(2025, 1, 1)),
            "completed_at must be an aware datetime, not the naive 2025-01-01T00:00:00: "
            "give it a time zone, such as datetime.now(timezone.utc)",
        ),
    ],
)
def test_bad_results_are_not_stored(result: JobResult[Any], expected: str) -> None:
    """What could not be read again is refused."""
    with pytest.raises(ValueError, match=message(expected)):
        result.to_hash(NOW)


def test_data_are_there_unless_the_result_is_none() -> None:
    """By default a result has data unless it is None."""
    assert JobResult("a", JobStatus.COMPLETED, 0).has_data is True
    assert JobResult("a", JobStatus.COMPLETED).has_data is False
    assert dataclasses.replace(JobResult("a", JobStatus.COMPLETED, 1), duration_ms=2).result == 1


@dataclasses.dataclass
class Item:
    """What a handler returns."""

    price: int
    note: Optional[str] = None


def test_a_result_is_converted_and_checked() -> None:
    """A type turns the value into itself, or says where it does not fit."""
    result = JobResult("a", JobStatus.COMPLETED, {"items": [{"price": 1}, {"price": SECRET}]})
    items = JobResult("a", JobStatus.COMPLETED, {"price": 1}).get_result(Item)
    assert items == Item(1)
    expected = "result of job a: result.items[1].price is not an int but a string"
    with pytest.raises(exc.SerializationError, match=message(expected)):
        result.get_result(Dict[str, List[Item]])


def test_a_dead_letter_is_a_failure() -> None:
    """A job that ended without a result is a failed result, with the reason if there is one."""
    job = Job.from_json(
        '{"id":"a","name":"n","status":"failed","error":"no handler","attempts":3,'
        '"updated_at":"2025-01-15T10:30:00Z"}'
    )
    result = JobResult.from_dead_letter(job)
    assert (result.job_id, result.status, result.error) == ("a", JobStatus.FAILED, "no handler")
    assert result.completed_at == datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
    assert result.has_data is False
    silent = JobResult.from_dead_letter(Job.from_json('{"id":"a","status":"failed"}'))
    assert silent.error == "the job was dead-lettered without a reason"
    assert silent.completed_at is None


@pytest.mark.parametrize(
    "payload", ["12345678901234567890.50", "1e400", "[1.0, 1e2]", '{"b" : 1,"a":2}', "null"]
)
@pytest.mark.parametrize("before", ["", '"payload":7,', '"unknown":[],', '"PAYLOAD":7,'])
def test_a_payload_is_written_as_it_was_read(payload: str, before: str) -> None:
    """Whether the document has known names only, or must be read member by member."""
    job = Job.from_json(f'{{{before}"payload":{payload},"id":"a","name":"work"}}')
    assert f'"payload":{payload},' in job.to_json()
    assert job.payload == json.loads(payload)
