"""What Go reads and writes, without I/O: keys, JSON, timestamps."""

from .json import dumps, loads, loads_members, quote, to_text, without_surrogates
from .json_default import Default
from .json_scan import Undecoded
from .keys import Keys
from .timestamps import UTC, format_timestamp, parse_timestamp, stamp, utcnow

__all__ = [
    "UTC",
    "Default",
    "Keys",
    "Undecoded",
    "dumps",
    "format_timestamp",
    "loads",
    "loads_members",
    "parse_timestamp",
    "quote",
    "stamp",
    "to_text",
    "utcnow",
    "without_surrogates",
]
