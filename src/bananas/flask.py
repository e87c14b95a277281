"""Flask: the extension that gives each application its client."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from ._framework_client import FrameworkClient
from ._framework_settings import ClientSettings
from ._http import EVENT_HEADERS, BlockingJobEvents, answer_to, log_answer
from ._missing_extras import missing_extra
from ._types import Seconds
from .client import AsyncClient
from .exceptions import BananasError
from .sync import Client

try:
    from flask import Flask, current_app, jsonify, request, url_for
    from flask.wrappers import Response
    from werkzeug.routing import BaseConverter
except ModuleNotFoundError as _error:
    if _error.name != "flask":
        raise
    raise missing_extra("bananas.flask", "flask", "flask") from _error

__all__ = ["Bananas"]

_NAME = "bananas"


class _JobIdConverter(BaseConverter):
    """Matches only valid job ids; everything else is a 404."""

    regex = "[A-Za-z0-9._-]{1,256}"


class Bananas:
    """The extension: write ``bananas = Bananas(app)``, or ``Bananas()`` and ``init_app(app)``.

    Each application has one client. Its settings are in ``app.config["BANANAS"]``, a dictionary
    with ``URL`` and the arguments of a client in capitals. The default URL is
    ``BANANAS_REDIS_URL``, or else ``redis://localhost:6379``. The client connects with its first
    call. All threads share it, it works after a fork, and it is closed when the process ends.

    Args:
        app: The application; None if you call ``init_app`` later.
        handle_errors: True turns errors of this package into answers with an HTTP status.
        job_endpoint: The endpoint that reads one job by its ``job_id``. The header ``Location``
            points to it.
        retry_after: Seconds for the header ``Retry-After`` while Redis can't be reached.
        show_errors: True shows the worker's error text in answers.

    Raises:
        ValueError: A setting is not valid.
    """

    def __init__(
        self,
        app: Optional[Flask] = None,
        *,
        handle_errors: bool = False,
        job_endpoint: Optional[str] = None,
        retry_after: int = 5,
        show_errors: bool = False,
    ) -> None:
        self._handle_errors = handle_errors
        self._job_endpoint = job_endpoint
        self._retry_after = retry_after
        self._show_errors = show_errors
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Make the client of an application, and its URL converter ``job_id``.

        Raises:
            ValueError: A setting is not valid.
            RuntimeError: The application already has one.
        """
        if _NAME in app.extensions:
            raise RuntimeError(f"the application {app.name!r} has this extension already")
        config = app.config

        def load() -> ClientSettings:
            return ClientSettings(config.get("BANANAS", {}))

        load()
        app.url_map.converters.setdefault("job_id", _JobIdConverter)
        app.extensions[_NAME] = FrameworkClient(load)
        if self._handle_errors:
            app.register_error_handler(BananasError, self._answer)

    @property
    def client(self) -> Client:
        """The blocking client of the current application.

        Raises:
            RuntimeError: There is no current application, or it has no client.
        """
        return self._of_current_app().client

    @property
    def async_client(self) -> AsyncClient:
        """The same client for ``async def`` views; it works in the event loop of any request.

        Its calls run in a thread of the client. If the view is cancelled, its call is cancelled,
        too.

        Raises:
            RuntimeError: There is no current application, or it has no client.
        """
        return self._of_current_app().async_client

    def job_events(
        self,
        job_id: str,
        *,
        timeout: Optional[Seconds] = None,
        keep_alive: Seconds = 15.0,
        with_result: bool = False,
        show_errors: bool = False,
    ) -> Response:
        """Return the changes of a job as a stream of server-sent events, until it has ended.

        It is for blocking views. The stream uses a thread of the server until it ends. The name of
        each event is the kind of a change from ``watch`` (``queued``, ``taken``,
        ``attempt-failed``, ``finished`` …). Its data is the change as JSON. A browser that connects
        again continues where it stopped; after the last event it gets a 204 and stops. When the
        caller disconnects, the watch ends with the next event or comment.

        Args:
            job_id: The job.
            timeout: Limit in seconds, or a timedelta. Then the stream ends with the event
                ``timeout``. None is no limit.
            keep_alive: After this many seconds of silence a comment is sent, so that proxies keep
                the connection, and to find out whether the caller has disconnected.
            with_result: True adds the result of a success to the event ``finished``. A number that
                is too large for a double becomes null.
            show_errors: True adds the worker's error text to events.

        Raises:
            JobNotFoundError: There is no such job.
            BananasError: All other errors of ``watch``, before the stream begins.
            RuntimeError: There is no current request, or its application has no client.
        """
        events = BlockingJobEvents(
            self.client,
            job_id,
            timeout=timeout,
            keep_alive=keep_alive,
            last_event_id=request.headers.get("Last-Event-ID"),
            with_result=with_result,
            show_errors=show_errors,
            only_headers=request.method == "HEAD",
        )
        if not events.open():
            return Response(status=204)
        return Response(events, mimetype="text/event-stream", headers=EVENT_HEADERS)

    def _of_current_app(self) -> FrameworkClient:
        found = current_app.extensions.get(_NAME)
        if not isinstance(found, FrameworkClient):
            raise RuntimeError(
                f"the application {current_app.name!r} has no client: call init_app(app)"
            )
        return found

    def _answer(self, error: BananasError) -> Tuple[Response, int, Dict[str, Any]]:
        answer = answer_to(error, retry_after=self._retry_after, show_errors=self._show_errors)
        log_answer(error, answer)
        headers = {**answer.headers, "Content-Type": answer.media_type}
        if answer.location_of is not None and self._job_endpoint is not None:
            headers["Location"] = url_for(self._job_endpoint, job_id=answer.location_of)
        return jsonify(answer.body), answer.status, headers
