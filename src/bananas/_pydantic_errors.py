"""Says in words what a pydantic model refuses, without showing the value."""

from __future__ import annotations

from typing import Any, Mapping

__all__ = ["sentence"]

# Facts about the model. Others may quote the value, such as a wrong tag or an unreadable text.
_FACTS_OF_THE_MODEL = frozenset(
    {
        "actual_length", "class", "class_name", "decimal_places", "discriminator", "expected",
        "expected_schemes", "expected_tags", "field_type", "ge", "gt", "le", "lt", "max_digits",
        "max_length", "min_length", "multiple_of", "pattern", "whole_digits",
    }
)  # fmt: skip
# Here the text is a validator's own, and may quote the value.
_BY_A_VALIDATOR = frozenset({"assertion_error", "value_error"})
_QUOTING = {
    "bytes_invalid_encoding": "is not text in the encoding of the model",
    "date_from_datetime_parsing": "is not a date",
    "date_parsing": "is not a date",
    "datetime_from_date_parsing": "is not a date with a time",
    "datetime_parsing": "is not a date with a time",
    "json_invalid": "is not JSON",
    "time_delta_parsing": "is not a span of time",
    "time_parsing": "is not a time",
    "union_tag_invalid": "has a tag of none of the models",
    "url_parsing": "is not a URL",
    "url_scheme": "has a URL scheme that the model does not accept",
    "url_syntax_violation": "is not a URL",
    "uuid_parsing": "is not a UUID",
    "uuid_version": "is a UUID of another version",
}


def sentence(error: Mapping[str, Any]) -> str:
    """Return what is wrong, fit to follow the value's place.

    Args:
        error: One of a ``ValidationError``'s ``errors()``.
    """
    code, message = str(error["type"]), str(error.get("msg", ""))
    if code in _QUOTING:
        return _QUOTING[code]
    if code == "missing":
        return "is missing"
    if code in _BY_A_VALIDATOR:
        return "is refused by a validator of the model"
    facts = error.get("ctx") or {}
    if message.startswith("Input should ") and facts.keys() <= _FACTS_OF_THE_MODEL:
        return message[len("Input ") :].partition(", unable to")[0]
    return f"is refused ({code})"
