"""The worker emulator reads and rewrites documents with Go's bytes and Go's verdicts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict

import pytest

from bananas import Job
from bananas.testing._documents import Document

VECTORS: Dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors.json").read_text(encoding="utf-8")
)
IN_GOS_WORDS = (
    "invalid character",
    "json: cannot unmarshal array into Go value",
    "json: cannot unmarshal string into Go value",
)


@pytest.mark.parametrize("vector", VECTORS["jobs"], ids=lambda vector: vector["case"])
def test_what_go_wrote_is_written_back_unchanged(vector: Dict[str, str]) -> None:
    """Nanoseconds, offsets, escapes, the order of fields and the text of numbers all survive."""
    assert Document(vector["document"].encode()).to_json() == vector["document"]


@pytest.mark.parametrize("name", ["typescript_job", "older_python_job"])
def test_what_a_sibling_wrote_is_written_back_as_go_would(name: str) -> None:
    """The same job, without white space and empty fields, times in Go's form."""
    original = VECTORS["siblings"][name]
    rewritten = Document(original.encode()).to_json()
    assert Job.from_json(rewritten) == Job.from_json(original)
    for trace in ('""', ": ", ", ", "+00:00", "120Z"):
        assert trace not in rewritten


@pytest.mark.parametrize(
    "vector", VECTORS["documents"], ids=lambda vector: vector["document"][-60:]
)
def test_verdicts_of_go(vector: Dict[str, Any]) -> None:
    """A document is refused if Go refuses it; where it is no JSON object, in Go's words."""
    data = vector["document"].encode()
    if vector["accepted"]:
        Job.from_json(Document(data).to_json())
        return
    why = vector["why"] if vector["why"].startswith(IN_GOS_WORDS) else " of the job document "
    with pytest.raises(ValueError, match=re.escape(why)):
        Document(data)


def test_an_empty_document_gets_the_zero_values_of_go() -> None:
    """What Go never leaves out is written with its zero value."""
    assert Document(b"{}").to_json() == (
        '{"id":"","name":"","payload":null,"status":"","priority":"",'
        '"created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z",'
        '"attempts":0,"max_retries":0}'
    )
