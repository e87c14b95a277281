"""What the integrations with web frameworks share; it knows none of them."""

from .answers import Answer, answer_to, log_answer, waiting_answer
from .blocking_events import BlockingJobEvents
from .events import END_OF_EVENTS, EVENT_HEADERS, JobEvents
from .idempotency_key import IdempotencyKeyReusedError, hashed_job_id, submit_once
from .request_life import CallerGoneError, end_with_request, wait_for_job
from .termination import call_on_termination, until_termination

__all__ = [
    "END_OF_EVENTS",
    "EVENT_HEADERS",
    "Answer",
    "BlockingJobEvents",
    "CallerGoneError",
    "IdempotencyKeyReusedError",
    "JobEvents",
    "answer_to",
    "call_on_termination",
    "end_with_request",
    "hashed_job_id",
    "log_answer",
    "submit_once",
    "until_termination",
    "wait_for_job",
    "waiting_answer",
]
