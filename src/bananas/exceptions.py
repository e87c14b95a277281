"""The one tree of errors that leaves this package.

```text
BananasError
├── ConnectionError            (the builtin, too) Redis can't be reached; nothing was done
│   └── AuthenticationError    Redis refuses the credentials; trying again is pointless
├── OutcomeUnknownError        a submit may or may not have been applied; carries the id
├── TimeoutError               (the builtin, too) the caller's deadline passed
├── ServerError                Redis answered a command with an error
│   └── JobRejectedError       a job was refused; nothing of it is left behind
├── JobNotFoundError           there is no such job, and the call needs one
├── ResultNotFoundError        the job ended, and its result is gone
├── JobFailedError             the job ran and failed; raised by JobResult.get_result()
│   └── JobCancelledError      it was cancelled, and did not run to its end
├── JobExistsError             the job id is taken, with if_exists="raise"
├── SerializationError         (also ValueError) not JSON that Go accepts, or not readable
└── ClientClosedError          the client was closed
```

Every error takes its message first and its facts as keyword attributes, pickles with both, and
never carries a payload or a password. ``asyncio.CancelledError`` is never translated.
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
    """Base of every error that this package raises on its own account.

    A subclass declares further facts as class attributes with their defaults.

    Args:
        message: What happened and what to do about it; lower case, no full stop.
        job_id: The job that the error is about, where there is one.
        job_ids: All jobs that the error is about, where a call had several.
        submitted: Ids of the same call that *were* queued before the error.
        facts: The facts that the class declares, by name.

    Raises:
        TypeError: The class declares no such fact.
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

    Reads, and the storing or deleting of results, are sent again after a lost connection; one that
    ends with this may have reached Redis, and can be repeated.

    Attributes:
        permanent: Trying again is pointless until somebody changes something.
        sent: An operating call had sent what it was about to do, which may have been carried out.
    """

    permanent: bool = False
    sent: bool = False


class AuthenticationError(ConnectionError):
    """Redis refuses the user name or the password.

    No attempt is repeated, unless a ``credential_provider`` gave them: it may give others.
    """


class OutcomeUnknownError(BananasError):
    """The reply to a submit was lost and the client could not find out what became of it.

    The job ``job_id`` is queued once or not at all. Submitting again with that ``job_id`` is safe:
    an existing job is returned as it is, and is not queued twice. This is no ``ConnectionError``,
    after which nothing was sent: who submits again without the ``job_id`` may double the job.
    """


class TimeoutError(BananasError, builtins.TimeoutError):
    """The caller's deadline passed; the message of a wait says where the job is.

    Attributes:
        whereabouts: Where the job is; of several jobs, if all of them are in the same place. None
            where that is not known, and where the error is about no wait.
    """

    whereabouts: Optional[JobPlace] = None


class ServerError(BananasError):
    """Redis answered a command with an error.

    Attributes:
        code: The first word of Redis's reply, such as ``NOPERM`` or ``WRONGTYPE``.
    """

    code: str = ""


class JobRejectedError(ServerError):
    """Redis refused a job; the job is not queued, and its document is not left behind.

    A refusal that may pass (``READONLY``, ``LOADING``, ``BUSY``) is one only at the deadline.
    """


class JobNotFoundError(BananasError):
    """There is no job with this id, and the call needs one.

    ``wait_for_result(..., must_exist=True)`` and ``requeue`` raise it. Reads return None for such a
    job, and a wait without ``must_exist`` goes on, since the job may come.
    """


class ResultNotFoundError(BananasError):
    """The job has ended, and its result has expired or was never kept."""


class JobFailedError(BananasError):
    """The job failed for good.

    Attributes:
        error: The text that the worker recorded; empty where it recorded none.
    """

    error: str = ""


class JobCancelledError(JobFailedError):
    """Somebody cancelled the job; ``error`` is the reason that was given."""


class JobExistsError(BananasError):
    """A job with this id already exists and you passed ``if_exists="raise"``."""


class SerializationError(BananasError, ValueError):
    """A value is not JSON that Go accepts, or stored bytes are not what the protocol says."""


class ClientClosedError(BananasError):
    """The client was closed, before the call or during it.

    The message says of a submit whether it was sent.
    """
