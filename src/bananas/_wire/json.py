"""JSON that Go accepts, and limits on what is read."""

from __future__ import annotations

import itertools
import json
import re
from json import scanner
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Any, Callable, Iterable, List, NoReturn, Optional, Tuple, Union

# Not inside a call: Ctrl-C there may leave orjson half imported, which crashes the interpreter.
try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

from .. import exceptions as exc
from .json_default import Default, replace_foreign
from .json_problems import MAX_NESTING, describe_problem, is_native, max_levels
from .json_scan import Undecoded, scan_members

__all__ = [
    "Undecoded",
    "dumps",
    "loads",
    "loads_members",
    "quote",
    "to_text",
    "without_surrogates",
]

_SHORT = 100  # characters: too few to be nested too deeply for an interpreter that runs a loop
_FAST_NESTING = 254  # orjson writes no more
_SCALARS = frozenset({str, int, float, bool, type(None)})
_PLAIN_SCALARS = _SCALARS - {float}
_PLAIN_CONTAINERS = frozenset({dict, list, tuple})
_WHITESPACE = " \t\n\r"
# Compiled at their first use, which few programs come to: for what is nested deeply, and for
# text that is not ASCII, where bytes are the rule.
_STRING = r'(?s)"[^"\\]*(?:\\.[^"\\]*)*"?'
_SURROGATE = "[\ud800-\udfff]"


def _make_encode() -> Callable[[Any], str]:
    """Return what ``JSONEncoder.encode`` does, without making a new C encoder for each call.

    Not escaping is what Go does too, and lets the UTF-8 encoder find lone surrogates at no cost.
    """
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    accelerated: Any = json.encoder
    make = accelerated.c_make_encoder
    if make is None:  # pragma: no cover - an interpreter without the C accelerator
        return encoder.encode
    encode = make(
        None, encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False
    )
    join = "".join
    return lambda value: join(encode(value, 0))


_encode = _make_encode()
_fast: Optional[Callable[[Any], bytes]] = None if orjson is None else orjson.dumps


def _is_plain(items: Iterable[Any], levels: int = _FAST_NESTING) -> bool:
    """Whether orjson writes these, down to the last of its levels, as ``json`` does, or refuses.

    It writes exponents differently, and also classes that ``json`` has no form for. Keys that are
    no strings and numbers beyond 64 bits it refuses.
    """
    if not levels:
        return False
    for item in items:
        kind = type(item)
        if kind not in _PLAIN_SCALARS:
            if kind not in _PLAIN_CONTAINERS:
                return False
            if not _is_plain(item.values() if kind is dict else item, levels - 1):
                return False
    return True


def dumps(value: Any, argument: str = "payload", default: Optional[Default] = None) -> bytes:
    """Return the JSON text of a value, in UTF-8.

    Args:
        value: None, bool, int, float, str, list, tuple, or dict with string keys, nested
            less deeply than Go reads, and than two thirds of the interpreter's recursion limit
            (CPython 3.12 stops at 1,500 levels, whatever that limit).
        argument: What the value is to the caller, for messages.
        default: Called with each value of another type, as ``json.dumps`` calls its argument of
            this name: returns what to write in its place, or raises TypeError. None refuses them.

    Raises:
        SerializationError: The value is not JSON that Go accepts. The message says where in the
            value the trouble sits, and never shows the value.
    """
    try:
        if _fast is not None and _is_plain((value,)):
            return _fast(value)
    except (TypeError, RecursionError):
        pass
    try:
        if value.__class__ not in _SCALARS:
            _check(value, max_levels())
        return _encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        pass
    if default is not None:
        return dumps(replace_foreign(value, default, argument), argument)
    raise exc.SerializationError(describe_problem(value, argument))


def quote(text: str) -> str:
    """Return a string as JSON text; the caller has made sure that UTF-8 can carry it."""
    return _encode(text)


def loads(data: Union[bytes, str], what: str = "document") -> Any:
    """Return the value of a JSON text, reading what Go reads.

    Bytes that are not UTF-8 are read as U+FFFD, as Go does. A number beyond a double becomes an
    infinite float.

    Raises:
        SerializationError: The text is not JSON to Go, or is nested more deeply, or holds a longer
            number, than this interpreter can read.
    """
    text = to_text(data)
    try:
        if len(text) > _SHORT:
            _check_depth(text)
        try:  # what decode() does, without its way through the white space that Go never writes
            value, end = _scan_once(text, 0)
        except StopIteration:
            return _decoder.decode(text)
        if not text[end:].strip(_WHITESPACE):
            return value
        return _decoder.decode(text)  # says what is wrong
    except (JSONDecodeError, _NotJSON) as error:
        problem = f"is not JSON: {_reason(error)}"
    except RecursionError:
        problem = "is nested too deeply to be read here"
    except ValueError:
        problem = "holds a number too long to be read here"
    # Raised out here, since a decoder's error holds the whole text and would be the context.
    raise exc.SerializationError(f"{what} {problem}")


def loads_members(
    data: Union[bytes, str], what: str = "document"
) -> List[Tuple[str, Any, Tuple[int, int]]]:
    """Return the members of a JSON object in their order, duplicates too.

    Args:
        data: The JSON text. ``null`` counts as an empty object, as it does for Go.
        what: What the text is to the caller, for messages.

    Returns:
        Each member's name, its value, and where the value stands in the text. A value that Go
        reads and this interpreter can't, for its nesting or its digits, is an ``Undecoded``.

    Raises:
        SerializationError: The text is not JSON to Go, or no object.
    """
    text = to_text(data)
    try:
        _check_depth(text)
        return _members(text)
    except (ValueError, IndexError, StopIteration, RecursionError):
        pass
    try:
        return [
            (loads(name), _value_or_reason(text[start:end]), (start, end))
            for name, (start, end) in scan_members(text, MAX_NESTING)
        ]
    except ValueError:
        pass
    value = loads(text, what)  # says what is wrong
    if value is None:
        return []
    raise exc.SerializationError(f"{what} is a JSON {_kind(value)}, not an object")


def _members(text: str) -> List[Tuple[str, Any, Tuple[int, int]]]:
    found: List[Tuple[str, Any, Tuple[int, int]]] = []
    at = _skip(text, _expect(text, 0, "{"))
    closing = text[at] == "}"
    while not closing:
        name, at = scanstring(text, _expect(text, at, '"'))
        start = _skip(text, _expect(text, at, ":"))
        value, end = _scan_once(text, start)
        found.append((name, value, (start, end)))
        at = _skip(text, end)
        closing = text[at] == "}"
        at = at if closing else _skip(text, _expect(text, at, ","))
    if text[at + 1 :].strip(_WHITESPACE):
        raise ValueError
    return found


def _value_or_reason(text: str) -> Any:
    try:
        return loads(text, "")
    except exc.SerializationError as error:  # the text is JSON, so that it is a limit of ours
        return Undecoded(str(error).strip())


def _expect(text: str, at: int, character: str) -> int:
    at = _skip(text, at)
    if text[at] != character:
        raise ValueError
    return at + 1


def _check_depth(text: str) -> None:
    """Refuse what Go refuses; an interpreter with a deep stack would read it, and write it on."""
    most = max_levels() + 1
    if text.count("[") + text.count("{") <= most:
        return
    depth = 0
    text = re.sub(_STRING, "", text)
    for start in range(0, len(text), 4096):
        piece = text[start : start + 4096]
        opened = piece.count("[") + piece.count("{")
        if depth + opened > most and depth + _deepest(piece) > most:
            raise RecursionError
        depth += opened - piece.count("]") - piece.count("}")


def _deepest(piece: str) -> int:
    steps = ((character in "[{") - (character in "]}") for character in piece)
    return max(itertools.accumulate(steps))


def _skip(text: str, at: int) -> int:
    while text[at] in _WHITESPACE:
        at += 1
    return at


def to_text(data: Union[bytes, str]) -> str:
    """Return a JSON text as a string; what is not UTF-8 becomes U+FFFD, as it does for Go."""
    if isinstance(data, (bytes, bytearray)):
        return data.decode("utf-8", "replace")
    return without_surrogates(data)


def without_surrogates(text: str) -> str:
    """Return a string as Go holds it, where lone surrogates become U+FFFD."""
    return text if text.isascii() else re.sub(_SURROGATE, "\ufffd", text)


class _NotJSON(ValueError):
    pass


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJSON(f"{name} is not a JSON value")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_scanner: Any = scanner  # typed narrowly, or not at all, from one typeshed to the next
_scan_once: Callable[[str, int], Tuple[Any, int]] = _scanner.make_scanner(_decoder)


def _reason(error: ValueError) -> str:
    if isinstance(error, JSONDecodeError):
        return f"{error.msg.lower()} at character {error.pos}"
    return str(error)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "array"


def _check(value: Any, levels: int) -> None:
    """Refuse what ``json`` would write unasked: keys that are no strings, and NumPy's floats.

    Types decide, and not ``__class__``, which a lazy proxy sets to that of its target.
    """
    if levels <= 0:
        raise RecursionError
    kind = type(value)
    if issubclass(kind, dict):
        for key in value:
            if key.__class__ is not str and not isinstance(key, str):
                raise TypeError
        value = value.values()
    elif not issubclass(kind, (list, tuple)):
        if not is_native(value):
            raise TypeError
        return
    for child in value:
        if child.__class__ not in _SCALARS:
            _check(child, levels - 1)
