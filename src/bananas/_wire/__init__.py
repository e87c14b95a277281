"""What Go reads and writes, without I/O: keys, documents, results, JSON, timestamps."""

from .documents import JOB_FIELDS, STUB_FIELDS, Fields, folded
from .json import dumps, loads, loads_members, quote, to_text, without_surrogates
from .json_default import Default
from .json_problems import MAX_NESTING
from .json_scan import Undecoded, scan_members
from .keys import Keys
from .new_jobs import new_document, new_job_id
from .results import completed_at, milliseconds
from .timestamps import (
    UTC,
    format_timestamp,
    from_unix_time,
    parse_timestamp,
    stamp,
    to_unix_time,
    utcnow,
)

__all__ = [
    "JOB_FIELDS",
    "MAX_NESTING",
    "STUB_FIELDS",
    "UTC",
    "Default",
    "Fields",
    "Keys",
    "Undecoded",
    "completed_at",
    "dumps",
    "folded",
    "format_timestamp",
    "from_unix_time",
    "loads",
    "loads_members",
    "milliseconds",
    "new_document",
    "new_job_id",
    "parse_timestamp",
    "quote",
    "scan_members",
    "stamp",
    "to_text",
    "to_unix_time",
    "utcnow",
    "without_surrogates",
]
