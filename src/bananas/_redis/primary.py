"""Connects to the primary that the settings name, asking the sentinels where there are any."""

from __future__ import annotations

import dataclasses
from typing import Any, List, Type, TypeVar

from .. import exceptions as exc
from .._wire import Keys
from .connection import Connection
from .protocol import LinkLost, ReplyError
from .settings import Settings
from .url import Endpoint

__all__ = ["connect"]


C = TypeVar("C", bound=Connection[Any])


async def connect(settings: Settings, kind: Type[C]) -> C:
    """Return a connection to the primary.

    Args:
        settings: Where the primary is.
        kind: Makes a connection of an endpoint.

    Raises:
        exceptions.ConnectionError: None can be made now, for whatever reason; ``permanent`` says
            that trying again is pointless.
    """
    try:
        return await _connect(settings, kind)
    except exc.ConnectionError:
        raise
    except Exception as error:  # it must not end the task that asks for a link
        raise exc.ConnectionError(
            f"can't reach Redis at {settings.endpoint}: {type(error).__name__}"
        ) from error


async def _connect(settings: Settings, kind: Type[C]) -> C:
    endpoint = settings.endpoint
    if settings.sentinels:
        endpoint = await _ask_sentinels(settings, kind)
    link = kind(
        endpoint,
        settings.connect_timeout,
        Keys(settings.key_prefix).two_slots,
        ssl_context=settings.ssl_context,
        credential_provider=settings.credential_provider,
    )
    await link.connect()
    if settings.sentinels and link.role not in (None, "master"):
        # The sentinels have not agreed on a failover yet; the next attempt asks them again.
        await link.aclose()
        raise exc.ConnectionError(
            f"the server at {endpoint}, which the sentinels name, is not a primary"
        )
    return link


async def _ask_sentinels(settings: Settings, kind: Type[Connection[Any]]) -> Endpoint:
    """Return where the first sentinel that answers says the primary is."""
    failures: List[str] = []
    # One that says nothing must leave time for the others, and for the primary.
    limit = settings.connect_timeout / (len(settings.sentinels) + 1)
    for sentinel in settings.sentinels:
        context = None if sentinel.tls else settings.ssl_context
        link = kind(sentinel, limit, what="the sentinel", ssl_context=context)
        try:
            await link.connect(sentinel=True)
            command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.service_name)
            (reply,) = await link.ask([command], limit)
            if isinstance(reply, ReplyError) and reply.code == "NOAUTH":
                raise link.login_refusal(reply)
        except exc.AuthenticationError:
            raise
        except (exc.ConnectionError, LinkLost, TimeoutError) as error:
            failures.append(str(error) or f"the sentinel at {sentinel} does not answer")
            continue
        finally:
            await link.aclose()
        if isinstance(reply, list) and len(reply) == 2:
            host, port = reply[0].decode("utf-8", "replace"), int(reply[1])
            return dataclasses.replace(settings.endpoint, host=host, port=port)
        why = f"refuses: {reply}" if isinstance(reply, ReplyError) else "knows no such primary"
        failures.append(f"the sentinel at {sentinel} {why}")
    raise exc.ConnectionError(
        f"no sentinel names a primary for {settings.service_name!r}: " + "; ".join(failures)
    )
