"""The one client of an application, for its blocking and its async code."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import weakref
from typing import Callable, Dict, Optional, Tuple

from ._awaited_calls import AwaitedClient
from ._framework_settings import ClientSettings
from ._pipeline import Entry
from .client import AsyncClient, spec_fields
from .models import JobSpec
from .sync import Client

__all__ = ["FrameworkClient", "PreparedSubmit"]

_MADE = "made"


class FrameworkClient:
    """Makes the client when it is first asked for, and closes it when the process ends.

    It is closed, too, when everybody has forgotten the application. Made without a connection: the
    first call connects, in each process that a fork makes. There is no lock, which a fork might
    find held.

    Args:
        load: Returns the settings.
    """

    def __init__(self, load: Callable[[], ClientSettings]) -> None:
        self._load = load
        self._made: Dict[str, Tuple[Client, AsyncClient]] = {}
        weakref.finalize(self, _close, self._made)

    @property
    def client(self) -> Client:
        """The client for code that blocks."""
        return self._both()[0]

    @property
    def async_client(self) -> AsyncClient:
        """The same for code that awaits, in whichever event loop."""
        return self._both()[1]

    def _both(self) -> Tuple[Client, AsyncClient]:
        made = self._made.get(_MADE)
        if made is None:
            client = Client.__new__(Client)
            client._prepare(self._load().make)
            # Of two threads that come first, the later one takes what the other has made.
            made = self._made.setdefault(_MADE, (client, AwaitedClient(client)))
        return made

    def close(self) -> None:
        """Close the client, if there is one; it is made anew when it is asked for again."""
        closing = _close(self._made)
        if closing is not None:
            closing.join()


def _close(made: Dict[str, Tuple[Client, AsyncClient]]) -> Optional[threading.Thread]:
    found = made.pop(_MADE, None)
    if found is None:
        return None
    if asyncio._get_running_loop() is None:
        found[0].close()
        return None
    # An asynchronous test has changed the settings, or the garbage is collected in a loop's thread.
    closing = threading.Thread(target=found[0].close, name="bananas close")
    closing.start()
    return closing


class PreparedSubmit:
    """A submit of which everything is checked, and nothing is sent yet.

    Args:
        client: What it is to be sent by.
        spec: The job. What it does not say, its id among that, is settled now.

    Attributes:
        spec: The job, with its id.

    Raises:
        ValueError: An argument is refused.
        SerializationError: The payload is not JSON that Go accepts.
    """

    def __init__(self, client: Client, spec: JobSpec) -> None:
        self._client = client
        self._fresh = spec.job_id is None
        self._entry: Entry = client._new_entry(*spec_fields(spec))
        self.spec = dataclasses.replace(spec, job_id=self._entry.job_id)

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self._entry.job_id

    def send(self) -> str:
        """Submit the job once; see ``Client.submit_job``."""
        return self._client._submit(self._entry, "return", fresh=self._fresh)
