"""A stored document is edited member by member, and every other byte stays."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import Job
from bananas import exceptions as exc
from bananas._operating.rewriting import rewritten
from tests.unit.strategies import DOCUMENT_BYTES, JSON_VALUES, quickly

CHANGES = {"status": b'"pending"', "attempts": b"0", "updated_at": b'"2026-01-02T03:04:05Z"'}
DROPPED = {"error", "scheduled_for"}

#: Texts that a value may have and that a decoder would lose.
_EXACT = [
    b"1e400",
    b"12345678901234567890.50",
    b"-0.0",
    b"1E+2",
    b'"\\ud800"',
    b'"\\u00e9"',
    b"9" * 5000,
    b"[" * 2000 + b"]" * 2000,
    b'{"a":1,"a":2}',
    b'"\xff\xfe"',
    b'"\xc5\xbf"',
    b'{ "status" : "failed" , "x":[1 , 2]}',
    b'"},\\"status\\":\\"failed\\""',
    b"null",
]
_VALUES = st.sampled_from(_EXACT) | JSON_VALUES.map(lambda value: json.dumps(value).encode())
_NAMES = st.sampled_from(
    [
        "payload",
        "status",
        "Status",
        "STATUS",
        "\\u0073tatus",
        "\u017ftatus",
        "\\u017Ftatu\\u017f",
        "error",
        "ERROR",
        "scheduled_for",
        "attempts",
        "attempt\u017f",
        "updated_at",
        "extra",
        "",
        "\u00c5\u00bftatus",
        "\\u00c5\\u00bftatus",
        "wor\u212aer",
        "\u00e9",
    ]
)
_SPACE = st.sampled_from([b"", b"", b" ", b"\n\t", b"\r\n  "])
_MEMBERS = st.lists(st.tuples(_NAMES, _VALUES, _SPACE, _SPACE), max_size=10)


def written(members: List[Tuple[str, bytes, bytes, bytes]]) -> bytes:
    """Return a document with white space of all kinds."""
    parts = (
        left + b'"' + name.encode() + b'"' + right + b":" + left + value + right
        for name, value, left, right in members
    )
    return b" {" + b",".join(parts) + b"}\n"


def parsed(document: bytes) -> List[Tuple[bytes, bytes]]:
    """Return the quoted names and the texts of the values, found byte by byte."""
    parts: List[bytes] = [b""]
    depth, in_string, escaped = 0, False, False
    for byte in (document[n : n + 1] for n in range(len(document))):
        if in_string:
            in_string = escaped or byte != b'"'
            escaped = byte == b"\\" and not escaped
        else:
            in_string = byte == b'"'
            depth += (byte in (b"[", b"{")) - (byte in (b"]", b"}"))
            if (depth == 1 and byte in b"{:,") or (depth == 0 and byte == b"}"):
                parts.append(b"")
                continue
        parts[-1] += byte
    texts = [part.strip(b" \t\r\n") for part in parts[1:-1]]
    return list(zip(texts[::2], texts[1::2]))


def folded(quoted: bytes) -> str:
    """Return what Go compares; made without a table."""
    text: str = json.loads(quoted.decode())
    text = "".join(c.lower() if c.isascii() else c for c in text)
    return text.replace("\u017f", "s").replace("\u212a", "k")


def expected(members: List[Tuple[bytes, bytes]]) -> List[Tuple[bytes, bytes]]:
    """Return the members that are to be there, with the texts of their values."""
    missing: Dict[str, bytes] = dict(CHANGES)
    found = []
    for quoted, value in members:
        name = folded(quoted)
        if name in missing:
            found.append((f'"{name}"'.encode(), missing.pop(name)))
        elif name not in CHANGES and name not in DROPPED:
            found.append((quoted, value))
    return found + [(f'"{name}"'.encode(), value) for name, value in missing.items()]


def as_set(found: List[Tuple[bytes, bytes]]) -> List[Tuple[bytes, bytes]]:
    """Return members with a name that was set written plainly."""
    return [(f'"{folded(n)}"'.encode() if folded(n) in CHANGES else n, v) for n, v in found]


@quickly
@given(_MEMBERS)
def test_members_are_set_and_dropped_as_a_reference_would(members: Any) -> None:
    """The bytes of every other member are there, in their order, and nothing else is."""
    document = written(members)
    found = rewritten(document, CHANGES, DROPPED)
    assert as_set(parsed(found)) == expected(parsed(document))
    assert found.startswith(b" {")
    assert found.endswith(b"}\n")


@quickly
@given(DOCUMENT_BYTES)
def test_what_is_no_document_is_refused(document: bytes) -> None:
    """Whatever the reader of documents takes is edited, but for null; all else is refused."""
    try:
        job = Job.from_json(document)
    except exc.SerializationError:
        job = None
    try:
        found = rewritten(document, CHANGES, DROPPED)
    except exc.SerializationError:
        assert job is None or b"{" not in document
        return
    if job is not None:
        again = Job.from_json(found)
        assert (again.id, again.name, again.attempts) == (job.id, job.name, 0)
        before, after = (each._source and each._source[1] for each in (job, again))
        assert before == after


@pytest.mark.parametrize("value", _EXACT, ids=lambda value: repr(value[:30]))
def test_a_payload_keeps_every_byte(value: bytes) -> None:
    """Numbers beyond a double, duplicates, lone surrogates, bytes that are not UTF-8."""
    document = b'{"id":"a","payload":%b,"status":"failed","error":"boom","attempts":3}' % value
    assert rewritten(document, {"status": b'"pending"', "attempts": b"0"}, {"error"}) == (
        b'{"id":"a","payload":%b,"status":"pending","attempts":0}' % value
    )


@pytest.mark.parametrize(
    "name",
    ["status", "STATUS", "\\u0073tatus", "\u017ftatus", "\\u017ftatus", "\\u017Ftatu\u017f"],
)
def test_a_name_is_recognised_as_go_recognises_it(name: str) -> None:
    """With escapes, in either case, and with letters that fold to those of the name."""
    document = b'{"%b":"failed","x":1}' % name.encode()
    assert json.loads(rewritten(document, {"status": b'"pending"'})) in (
        {json.loads(f'"{name}"'): "pending", "x": 1},
        {"status": "pending", "x": 1},
    )


def test_letters_that_only_look_like_it_are_another_name() -> None:
    """The bytes of a folded letter, written as two letters, are not that letter."""
    document = b'{"\\u00c5\\u00bftatus":"a","\xc3\x85\xc2\xbftatus":"b"}'
    assert rewritten(document, {}, {"status"}) == document


def test_an_object_without_members_gets_some() -> None:
    """What is missing is put at the end, without a comma before the first."""
    assert rewritten(b" { } ", {"a": b"1", "b": b"2"}) == b' {"a":1,"b":2} '
    assert rewritten(b'{"a":0}', {}, {"a"}) == b"{}"


@pytest.mark.parametrize(
    "document", [b"null", b"[]", b"", b'{"a":NaN}', b"\xef\xbb\xbf{}", b"{} {}"]
)
def test_no_object_is_refused(document: bytes) -> None:
    """What is no JSON object has no members to set."""
    with pytest.raises(exc.SerializationError, match="job document"):
        rewritten(document, {"a": b"1"})
