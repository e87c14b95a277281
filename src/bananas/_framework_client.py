"""The one client of an application, for its blocking and its async code."""

from __future__ import annotations

import atexit
import dataclasses
import threading
import weakref
from typing import Callable, Optional, Tuple

from ._awaited_calls import AwaitedClient
from ._framework_settings import ClientSettings
from ._pipeline import Entry
from .client import AsyncClient, spec_fields
from .models import JobSpec
from .sync import Client

__all__ = ["FrameworkClient", "PreparedSubmit"]


class FrameworkClient:
    """Makes the client when it is first asked for, and closes it when the process ends.

    Made without a connection: the first call connects, in each process that a fork makes. There is
    no lock, which a fork might find held.

    Args:
        load: Returns the settings.
    """

    def __init__(self, load: Callable[[], ClientSettings]) -> None:
        self._load = load
        self._made: Optional[Tuple[Client, AsyncClient]] = None
        atexit.register(_close_at_exit, weakref.ref(self))

    @property
    def client(self) -> Client:
        """The client for code that blocks."""
        return self._both()[0]

    @property
    def async_client(self) -> AsyncClient:
        """The same for code that awaits, in whichever event loop."""
        return self._both()[1]

    def _both(self) -> Tuple[Client, AsyncClient]:
        made = self._made
        if made is None:
            client = Client.__new__(Client)
            client._prepare(self._load().make)
            # Of two threads that come first, the later one takes what the other has made.
            made = self._made = self._made or (client, AwaitedClient(client))
        return made

    def close(self) -> None:
        """Close the client, if there is one; it is made anew when it is asked for again."""
        made, self._made = self._made, None
        if made is not None:
            # In a thread, since an asynchronous test may have changed the settings.
            closing = threading.Thread(target=made[0].close, name="bananas close")
            closing.start()
            closing.join()


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


def _close_at_exit(reference: weakref.ReferenceType[FrameworkClient]) -> None:
    client = reference()
    if client is not None:
        client.close()
