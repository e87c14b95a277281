"""The names that users may rely on."""

from __future__ import annotations

import importlib
import re

import pytest

import bananas
from tests.unit.source_tree import modules

SURFACE = {
    "": [
        "AsyncClient", "AuthenticationError", "BananasError", "Client", "ClientClosedError",
        "ConnectionError", "Job", "JobCancelledError", "JobExistsError", "JobFailedError",
        "JobNotFoundError", "JobPlace", "JobPriority", "JobRejectedError", "JobResult", "JobSpec",
        "JobStatus", "JobType", "Location", "OutcomeUnknownError", "ResultNotFoundError",
        "SerializationError", "ServerError", "TimeoutError", "__version__",
    ],
    "aiohttp": [
        "CLIENT", "IdempotencyKeyReusedError", "accepted", "bananas_context", "client_of",
        "error_middleware", "idempotent_job_id", "job_events", "submit_once", "wait_for_job",
        "while_connected",
    ],
    "client": ["AsCompleted", "AsyncClient", "ClientStats", "JobChanges"],
    "dead_letters": ["DeadLetters"],
    "django": [
        "get_async_client", "get_client", "job_events", "submit_failed", "submit_job_on_commit",
        "submit_on_commit",
    ],
    "django.apps": ["BananasConfig"],
    "django.converters": ["JobIdConverter"],
    "django.management": [],
    "django.management.commands": [],
    "django.management.commands.bananas": ["Command"],
    "django.middleware": ["JobErrorMiddleware"],
    "enums": ["JobPriority", "JobStatus"],
    "exceptions": [
        "AuthenticationError", "BananasError", "ClientClosedError", "ConnectionError",
        "JobCancelledError", "JobExistsError", "JobFailedError", "JobNotFoundError",
        "JobRejectedError", "OutcomeUnknownError", "ResultNotFoundError", "SerializationError",
        "ServerError", "TimeoutError",
    ],
    "fastapi": [
        "BananasClient", "IdempotencyKey", "IdempotencyKeyReusedError", "JobId", "accepted",
        "bananas_lifespan", "client_of", "get_client", "idempotent_job_id",
        "install_error_handlers", "job_events", "open_client", "submit_once", "wait_for_job",
        "while_connected",
    ],
    "flask": ["Bananas"],
    "health": ["Health", "liveness", "readiness"],
    "job_type": ["JobType"],
    "location": ["JobPlace", "Location"],
    "models": ["Job", "JobPriority", "JobResult", "JobSpec", "JobStatus"],
    "opentelemetry": ["instrument", "uninstrument"],
    "operating": [
        "CancelOutcome", "ChangeKind", "DeadLetterCounts", "DeleteOutcome", "Explanation",
        "JobChange", "JobEntry", "QueueDepths", "RescheduleOutcome",
    ],
    "prometheus": ["BananasCollector"],
    "queue": ["ListedJobs", "RedisQueue"],
    "repairs": ["AuditReport", "Finding", "FindingKind", "RecoveryCounts", "RepairCounts"],
    "result_backend": ["RedisResultBackend"],
    "sync": [
        "BlockingDeadLetters", "BlockingJobChanges", "BlockingListedJobs", "BlockingQueue",
        "BlockingResultBackend", "Client", "CompletedResults",
    ],
}  # fmt: skip
# Modules whose imports need an extra, or that run on import, are looked at where they are tested.
EXTRAS = ("testing", "cli", "__main__")
PLAIN = [name for name in modules() if name.split(".")[0] not in EXTRAS]


@pytest.mark.parametrize("name", SURFACE, ids=lambda name: name or "bananas")
def test_public_names(name: str) -> None:
    """A module with a plain name has these public names and no others."""
    module = importlib.import_module(f"bananas.{name}".rstrip("."))
    assert sorted(module.__all__) == sorted(SURFACE[name])


def test_public_modules() -> None:
    """No other module has a plain name."""
    plain = {name for name in PLAIN if not any(part[:1] == "_" for part in name.split("."))}
    assert plain == set(SURFACE)


def test_no_module_has_the_name_of_a_method() -> None:
    """``from bananas import as_completed`` finds nothing, rather than a module of that name."""
    methods = {*dir(bananas.AsyncClient), *dir(bananas.Client)} - {"dead_letters", "queue"}
    assert {name for name in PLAIN if name in methods} == set()


@pytest.mark.parametrize("name", PLAIN, ids=lambda name: name or "bananas")
def test_every_module_lists_its_names(name: str) -> None:
    """Every module has an ``__all__``, sorted, of names that it has."""
    module = importlib.import_module(f"bananas.{name}".rstrip("."))
    listed = module.__all__
    assert [found for found in listed if not hasattr(module, found)] == []
    assert len(set(listed)) == len(listed)


def test_models_say_where_they_are_imported_from() -> None:
    """Every public name is the very object of the module that it is documented in."""
    for name in SURFACE["models"]:
        assert getattr(bananas, name) is getattr(importlib.import_module("bananas.models"), name)
    for name in SURFACE["location"]:
        assert getattr(bananas, name) is getattr(importlib.import_module("bananas.location"), name)
    for name in SURFACE["exceptions"]:
        assert getattr(bananas, name) is getattr(bananas.exceptions, name)


def test_version() -> None:
    """The version is a release number."""
    assert re.match(r"[0-9]+\.[0-9]+\.[0-9]+", bananas.__version__)


def test_the_package_is_typed() -> None:
    """Type checkers find the marker that says that there are types."""
    from tests.unit.source_tree import ROOT

    assert (ROOT / "py.typed").is_file()
