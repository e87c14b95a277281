"""All errors of this package, in one tree.

```text
BananasError
├── ConnectionError            (the builtin, too) Redis can't be reached; no job was sent
│   └── AuthenticationError    Redis refuses the credentials
├── OutcomeUnknownError        the job may be queued or not; has the id
├── TimeoutError               (the builtin, too) the time limit is over
├── ServerError                Redis answered a command with an error
│   └── JobRejectedError       a job was refused; nothing of it is left behind
├── JobNotFoundError           there is no such job, but the call needs one
├── ResultNotFoundError        the job ended, but its result has expired
├── JobFailedError             the job ran and failed; raised by JobResult.get_result()
│   └── JobCancelledError      it was cancelled
├── JobExistsError             the job id exists, with if_exists="raise"
├── SerializationError         (also ValueError) not JSON that Go accepts, or not readable
└── ClientClosedError          the client was closed
```

Every error has a message and attributes, and can be pickled. It never contains a payload or a
password. ``asyncio.CancelledError`` is never replaced by one of these errors.
"""

from __future__ import annotations

import builtins
from typing import Any, Dict, FrozenSet, Optional, Set, Tuple, Type

from .location import JobPlace

__all__ = [
    "AuthenticationError",
    "BananasError",
    "ClientClosedError",
    "ConnectionError",
    "JobCancelledError",
    "JobExistsError",
    "JobFailedError",
    "JobNotFoundError",
    "JobRejectedError",
    "OutcomeUnknownError",
    "ResultNotFoundError",
    "SerializationError",
    "ServerError",
    "TimeoutError",
]


def _rebuild(cls: Type[BananasError], args: Tuple[Any, ...]) -> BananasError:
    # Not through __init__: a subclass may have one that takes something else than a message.
    error = cls.__new__(cls, *args)
    error.args = args
    return error


def _facts_of(cls: Type[BananasError]) -> FrozenSet[str]:
    """Return the names of the facts that a class declares or inherits."""
    names: Set[str] = set()
    for base in cls.__mro__:
        if issubclass(base, BananasError):
            names.update(name for name, value in vars(base).items() if not callable(value))
            names.update(getattr(base, "__annotations__", ()))
    return frozenset(name for name in names if not name.startswith("_"))


class BananasError(Exception):
    """The base class of all errors of this package.

    A subclass declares more attributes, with their defaults.

    Args:
        message: What happened and what to do.
        job_id: The job that the error is about, or None.
        job_ids: All jobs that the error is about, for a call with several jobs.
        submitted: The jobs of the same call that *were* queued before the error.
        facts: Other attributes that the class declares.

    Raises:
        TypeError: The class declares no such attribute.
    """

    job_id: Optional[str] = None
    job_ids: Tuple[str, ...] = ()
    submitted: Tuple[str, ...] = ()

    def __init__(
        self,
        message: str = "",
        *,
        job_id: Optional[str] = None,
        job_ids: Tuple[str, ...] = (),
        submitted: Tuple[str, ...] = (),
        **facts: Any,
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.job_ids = job_ids or (() if job_id is None else (job_id,))
        self.submitted = submitted
        if facts:
            self._set_facts(facts)

    def _set_facts(self, facts: Dict[str, Any]) -> None:
        known = _facts_of(type(self))
        for name, value in facts.items():
            if name not in known:
                raise TypeError(
                    f"{type(self).__name__} has no fact {name!r}; it has {', '.join(sorted(known))}"
                )
            setattr(self, name, value)

    def __reduce__(self) -> Tuple[Any, ...]:
        return _rebuild, (type(self), self.args), self.__dict__


class ConnectionError(BananasError, builtins.ConnectionError):
    """Redis can't be reached, or the connection broke before a submit was sent.

    After a submit, this means that nothing was sent. Reads, and storing or deleting a result, may
    have reached Redis; you can repeat them.

    Attributes:
        permanent: True if trying again does not help until somebody changes something.
        sent: True if an operating call had been sent. It may have been carried out.
    """

    permanent: bool = False
    sent: bool = False


class AuthenticationError(ConnectionError):
    """Redis refuses the user name or the password.

    The client tries again only with a ``credential_provider``, which may return others.
    """


class OutcomeUnknownError(BananasError):
    """The reply to a submit was lost, and the client could not find out what happened.

    The job ``job_id`` is queued once or not at all. You can submit again with this ``job_id``: if
    the job exists, it is not queued twice. Do not submit again without the ``job_id``: then the job
    may be queued twice. This error is not a ``ConnectionError``, because that means that nothing
    was sent.
    """


class TimeoutError(BananasError, builtins.TimeoutError):
    """The time limit is over; after a wait, the message says where the job is.

    Attributes:
        whereabouts: Where the job is, or where all of several jobs are. None if this is not known,
            if several jobs are in different places, or if the call was not a wait.
        not_done: True if a call that changes one job gave up, and changed nothing.
    """

    whereabouts: Optional[JobPlace] = None
    not_done: bool = False


class ServerError(BananasError):
    """Redis answered a command with an error.

    Attributes:
        code: The first word of Redis's reply, such as ``NOPERM`` or ``WRONGTYPE``.
    """

    code: str = ""


class JobRejectedError(ServerError):
    """Redis refused a job; the job is not queued, and nothing of it is left behind.

    Temporary errors (``READONLY``, ``LOADING``, ``BUSY``) were retried until ``submit_timeout``.
    """


class JobNotFoundError(BananasError):
    """There is no job with this id, but the call needs one.

    ``wait_for_result(..., must_exist=True)`` and ``requeue`` raise it. Reads return None instead. A
    wait without ``must_exist`` waits for the job to appear.
    """


class ResultNotFoundError(BananasError):
    """The job has ended, but its result has expired or was never stored."""


class JobFailedError(BananasError):
    """The job failed with no retries left.

    Attributes:
        error: The error text from the worker; empty if there is none.
    """

    error: str = ""


class JobCancelledError(JobFailedError):
    """The job was cancelled; ``error`` is the reason that was given."""


class JobExistsError(BananasError):
    """A job with this id already exists and you passed ``if_exists="raise"``."""


class SerializationError(BananasError, ValueError):
    """A value is not JSON that Go accepts, or data in Redis can't be read."""


class ClientClosedError(BananasError):
    """The client was closed, before the call or during it.

    After a submit, the message says whether the job was sent.
    """
