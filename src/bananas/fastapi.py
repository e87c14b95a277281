"""Bananas in FastAPI and Starlette: one client for each process, and HTTP answers to its errors."""

from __future__ import annotations

from typing import Optional, Union

from ._missing_extras import missing_extra

try:
    from fastapi import Depends, Header, Path
    from starlette.requests import HTTPConnection, Request
    from typing_extensions import Annotated

    from ._starlette import (
        accepted,
        bananas_lifespan,
        client_of,
        install_error_handlers,
        job_events,
        open_client,
        wait_for_job,
        while_connected,
    )
except ModuleNotFoundError as _error:
    raise missing_extra("bananas.fastapi", str(_error.name), "fastapi") from None

from ._http import IdempotencyKeyReusedError, hashed_job_id, submit_once
from .client import AsyncClient

__all__ = [
    "BananasClient",
    "IdempotencyKey",
    "IdempotencyKeyReusedError",
    "JobId",
    "accepted",
    "bananas_lifespan",
    "client_of",
    "get_client",
    "idempotent_job_id",
    "install_error_handlers",
    "job_events",
    "open_client",
    "submit_once",
    "wait_for_job",
    "while_connected",
]


async def get_client(connection: HTTPConnection) -> AsyncClient:
    """Return the client of the application; the dependency of ``BananasClient``.

    Tests can replace it in ``app.dependency_overrides``.
    """
    return client_of(connection)


#: The type of an endpoint's parameter that gets the client: ``client: BananasClient``.
BananasClient = Annotated[AsyncClient, Depends(get_client)]
#: A path parameter for the id of a job. If it is not a valid id, the answer is 422.
JobId = Annotated[str, Path(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9._-]+$")]
#: The header ``Idempotency-Key`` of the request: ``key: IdempotencyKey = None``.
IdempotencyKey = Annotated[
    Optional[str], Header(alias="Idempotency-Key", min_length=1, max_length=255)
]


def idempotent_job_id(
    request: Request,
    key: Optional[str],
    *,
    tenant: str,
    route: Optional[str] = None,
    secret: Union[str, bytes] = b"",
) -> Optional[str]:
    """Return a job id that is made from an idempotency key, for ``submit_once``.

    It is a hash. With the key itself as id, a caller could read the result of another caller.

    Args:
        request: The request.
        key: The key from the caller; see ``IdempotencyKey``.
        tenant: The account of the authenticated caller.
        route: The operation that the key is for. None uses the method and the path of the request.
        secret: A secret of the application. Without it, others can compute the id from tenant and
            key, so the application must check who may read a job.

    Returns:
        The id; None if there is no key.
    """
    if key is None:
        return None
    place = f"{request.method} {request.url.path}" if route is None else route
    return hashed_job_id(key, tenant=tenant, route=place, secret=secret)
