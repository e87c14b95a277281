"""Opens links to the server that the settings name, asking the sentinels where there are any."""

from __future__ import annotations

import dataclasses
from typing import List, Sequence

import anyio

from . import exceptions as exc
from ._config import Settings
from ._endpoint import Endpoint
from ._keys import Keys
from ._protocol import LinkLost, ReplyError
from ._redis import Link

__all__ = ["open_link"]


async def open_link(settings: Settings) -> Link:
    """Return a connected link to the primary.

    Raises:
        exceptions.ConnectionError: There is none to be had now, for whatever reason; ``permanent``
            says that trying again is pointless.
    """
    try:
        return await _open_link(settings)
    except exc.ConnectionError:
        raise
    except Exception as error:  # it must not end the task that asks for a link
        raise exc.ConnectionError(
            f"can't reach Redis at {settings.endpoint}: {type(error).__name__}"
        ) from error


async def _open_link(settings: Settings) -> Link:
    two_slots = Keys(settings.key_prefix).two_slots
    if not settings.sentinels:
        link = _to_primary(settings, settings.endpoint, two_slots)
        await link.connect()
        return link
    endpoint = await _ask_sentinels(settings)
    link = _to_primary(settings, endpoint, two_slots)
    await link.connect()
    if link.role not in (None, "master"):
        # The sentinels have not agreed on a failover yet; the next attempt asks them again.
        await link.aclose()
        raise exc.ConnectionError(
            f"the server at {endpoint}, which the sentinels name, is not a primary"
        )
    return link


def _to_primary(settings: Settings, endpoint: Endpoint, two_slots: Sequence[bytes]) -> Link:
    return Link(
        endpoint,
        settings.connect_timeout,
        two_slots,
        ssl_context=settings.ssl_context,
        credential_provider=settings.credential_provider,
    )


async def _ask_sentinels(settings: Settings) -> Endpoint:
    """Return where the first sentinel that answers says the primary is."""
    failures: List[str] = []
    # One that says nothing must leave time for the others, and for the primary.
    limit = settings.connect_timeout / (len(settings.sentinels) + 1)
    for sentinel in settings.sentinels:
        context = None if sentinel.tls else settings.ssl_context
        link = Link(sentinel, limit, what="the sentinel", ssl_context=context)
        try:
            await link.connect(sentinel=True)
            command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.service_name)
            with anyio.fail_after(limit):
                link.send([command])
                (reply,) = await link.read_replies(1)
            if isinstance(reply, ReplyError) and reply.code == "NOAUTH":
                raise link.login_refusal(reply)
        except exc.AuthenticationError:
            raise
        except (exc.ConnectionError, LinkLost, TimeoutError) as error:
            failures.append(str(error) or f"the sentinel at {sentinel} says nothing")
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
