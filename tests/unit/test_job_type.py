"""Typed jobs: what is written for a payload, what is read, and what is refused in which words."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Set, Union

import pydantic
import pytest
from typing_extensions import TypedDict

from bananas import Job, JobFailedError, JobResult, JobStatus, JobType, SerializationError


class Fit(enum.Enum):
    """How to fill the frame."""

    COVER = "cover"
    CONTAIN = "contain"


@dataclass
class Size:
    """A size."""

    width: int
    height: int


class Tag(TypedDict, total=False):
    """A tag."""

    name: str
    weight: float


@dataclass
class Resize:
    """A payload with everything in it."""

    size: Size
    fit: Fit = Fit.COVER
    formats: List[str] = field(default_factory=list)
    by_name: Dict[str, Size] = field(default_factory=dict)
    tags: List[Tag] = field(default_factory=list)
    owner: Optional[uuid.UUID] = None
    after: Optional[datetime] = None
    seen: Set[int] = field(default_factory=set)


class Model(pydantic.BaseModel):
    """A pydantic model."""

    width: int = pydantic.Field(ge=1, alias="w")
    at: Optional[datetime] = None
    sizes: List[Size] = []


RESIZE = JobType("resize_image", payload=Resize, result=Size)
MODEL = JobType("resize_image", payload=Model, result=Model)
OWNER = uuid.UUID("12345678-1234-4678-9234-567812345678")


def completed(value: Any = None, *, has_data: bool = True) -> JobResult[Any]:
    """Return the result of a success."""
    return JobResult("job-1", JobStatus.COMPLETED, value, has_data=has_data)


def test_what_is_written() -> None:
    """Dataclasses become objects, and what they hold becomes JSON."""
    payload = Resize(
        Size(1, 2),
        Fit.CONTAIN,
        ["webp"],
        {"a b": Size(3, 4)},
        [{"name": "x", "weight": 1}],
        OWNER,
        datetime(2030, 1, 31, 12, tzinfo=timezone.utc),
        {7},
    )
    spec = RESIZE.spec(payload, scheduled_for=timedelta(seconds=5), job_id="a")
    assert spec.payload == {
        "size": {"width": 1, "height": 2},
        "fit": "contain",
        "formats": ["webp"],
        "by_name": {"a b": {"width": 3, "height": 4}},
        "tags": [{"name": "x", "weight": 1}],
        "owner": str(OWNER),
        "after": "2030-01-31T12:00:00Z",
        "seen": [7],
    }
    assert (spec.name, spec.job_id, spec.scheduled_for) == (
        "resize_image",
        "a",
        timedelta(seconds=5),
    )
    assert RESIZE.load_payload(Job.create("resize_image", spec.payload)) == payload


WRONG = [
    (Resize(Size(1, "2")), "payload.size.height is not an int but a string"),  # type: ignore[arg-type]
    (Resize(Size(1, True)), "payload.size.height is not an int but a boolean"),
    (Resize(None), "payload.size is not a Size but null"),  # type: ignore[arg-type]
    (Resize(Size(1, 2), formats=["a", 1]), "payload.formats[1] is not a str but a number"),  # type: ignore[list-item]
    (
        Resize(Size(1, 2), by_name={"a b": Size(1, None)}),  # type: ignore[arg-type]
        "payload.by_name['a b'].height is not an int but null",
    ),
    (Resize(Size(1, 2), tags=[{"name": 1}]), "payload.tags[0].name is not a str but a number"),  # type: ignore[typeddict-item]
    (Resize(Size(1, 2), after=datetime(2030, 1, 1)), "payload.after"),
    ({"size": {"width": 1, "height": 2}}, "payload is not a Resize but a dict"),
    (Size(1, 2), "payload is not a Resize but a Size"),
    (None, "payload is not a Resize but a NoneType"),
    (Resize, "payload is not a Resize but a type"),
]


@pytest.mark.parametrize(("payload", "problem"), WRONG)
def test_a_wrong_payload(payload: Any, problem: str) -> None:
    """The message says where it is wrong, and shows no value."""
    with pytest.raises(SerializationError) as caught:
        RESIZE.spec(payload)
    assert str(caught.value).startswith(f"job type resize_image: {problem}")


def test_models() -> None:
    """A pydantic model is written with its aliases, and read back."""
    model = Model(w=3, at=datetime(2030, 1, 1, tzinfo=timezone.utc), sizes=[Size(1, 2)])
    value = MODEL.dump_payload(model)
    assert value == {"w": 3, "at": "2030-01-01T00:00:00Z", "sizes": [{"width": 1, "height": 2}]}
    assert MODEL.load_payload(Job.create("x", value)) == model
    assert MODEL.load_result(completed({"w": 3})) == Model(w=3)
    with pytest.raises(SerializationError, match=r"result.w should be greater than or equal to 1"):
        MODEL.load_result(completed({"w": 0}))
    with pytest.raises(SerializationError, match="payload is not a Model but a dict"):
        MODEL.spec({"w": 3})  # type: ignore[arg-type]


def test_a_model_with_a_wrong_field() -> None:
    """What was assigned, and not checked by the model then, is refused here."""
    model = Model(w=3)
    model.width = "wide-secret"  # type: ignore[assignment]
    with pytest.raises(SerializationError) as caught:
        MODEL.spec(model)
    assert "payload.w" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_other_types() -> None:
    """TypedDicts, builtins, and what is made of them."""
    tag = JobType("tag", payload=Tag, result=List[int])
    assert tag.spec({"name": "x"}).payload == {"name": "x"}
    with pytest.raises(SerializationError, match="payload.weight is not a float but a string"):
        tag.spec({"weight": "1"})  # type: ignore[typeddict-item]
    assert tag.load_result(completed([1, 2])) == [1, 2]
    with pytest.raises(SerializationError, match=r"job-1: result\[1\] is not an int but null"):
        tag.load_result(completed([1, None]))
    sizes = JobType("sizes", payload=List[Size], result=Optional[Size])
    assert sizes.spec([Size(1, 2)]).payload == [{"width": 1, "height": 2}]
    with pytest.raises(
        SerializationError, match=r"payload\[0\].width is not an int but a fractional number"
    ):
        JobType("x", payload=List[Size]).spec([Size(1.5, 2)])  # type: ignore[arg-type]
    assert sizes.load_result(completed(has_data=False)) is None
    anything = JobType("x", payload=Any, result=Any)
    assert anything.spec({"a": [Size(1, 2), 1.5]}).payload == {
        "a": [{"width": 1, "height": 2}, 1.5]
    }
    assert JobType("x", payload=Union[int, str]).spec("a").payload == "a"


def test_results() -> None:
    """A result of the wrong form, of no form, and none."""
    assert RESIZE.load_result(completed({"width": 1, "height": 2})) == Size(1, 2)
    with pytest.raises(SerializationError, match="result has no field 'height', which Size needs"):
        RESIZE.load_result(completed({"width": 1}))
    with pytest.raises(ValueError, match="its handler returned no data"):
        RESIZE.load_result(completed(has_data=False))
    silent = JobType("x", payload=int)
    assert silent.load_result(completed(has_data=False)) is None
    failed: JobResult[Any] = JobResult("job-1", JobStatus.FAILED, error="boom")
    for job_type in (RESIZE, silent, JobType("x", payload=int, result=Optional[int])):
        with pytest.raises(JobFailedError, match="boom"):
            job_type.load_result(failed)


def test_its_settings() -> None:
    """They are checked when it is made, and given to every job."""
    job_type = JobType(
        "x", payload=int, priority="high", max_retries=1, routing_key="eu", description="text"
    )
    spec = job_type.spec(1)
    assert (spec.priority, spec.max_retries) == ("high", 1)
    assert (spec.routing_key, spec.description) == ("eu", "text")
    assert (job_type.name, repr(job_type)) == ("x", "<JobType x>")
    for wrong in ({"priority": "urgent"}, {"max_retries": -1}, {"routing_key": "a b"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            JobType("x", payload=int, **wrong)
    with pytest.raises(ValueError, match="name"):
        JobType("", payload=int)


def test_what_can_not_be_checked() -> None:
    """A payload that refers to itself, and a type that nobody can check."""
    loop: List[Any] = []
    loop.append(loop)
    with pytest.raises(SerializationError, match="nested too deeply"):
        JobType("x", payload=Any).spec(loop)
    with pytest.raises(TypeError, match="can't convert to"):
        JobType("x", payload=Dict[int, str]).spec({1: "a"})
