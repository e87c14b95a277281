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
    """Return the client of a request's application: what ``BananasClient`` depends on.

    A test may replace it in ``app.dependency_overrides``.
    """
    return client_of(connection)


#: The parameter of an endpoint that takes the client: ``client: BananasClient``.
BananasClient = Annotated[AsyncClient, Depends(get_client)]
#: A path parameter that takes the id of a job; what can't be one is answered with 422.
JobId = Annotated[str, Path(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9._-]+$")]
#: The request's key: ``key: IdempotencyKey = None``.
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
    """Return the job id that belongs to an idempotency key, for ``submit_once``.

    It is a hash: the key itself would let a caller name the job of another, and read its result.

    Args:
        request: The request.
        key: What the caller sent, such as ``IdempotencyKey`` takes.
        tenant: Whose key it is: the account that the request was authenticated for.
        route: What the key is for; None is the method and the path of the request.
        secret: A secret of the application, which keeps those who guess tenant and key from
            computing the id. Without it, whoever shows jobs has to check whose they are.

    Returns:
        The id; None without a key.
    """
    if key is None:
        return None
    place = f"{request.method} {request.url.path}" if route is None else route
    return hashed_job_id(key, tenant=tenant, route=place, secret=secret)
