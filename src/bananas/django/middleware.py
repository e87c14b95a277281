"""The middleware that turns errors of this package into answers."""

from __future__ import annotations

from typing import Optional

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin

from .._http import answer_to, log_answer
from ..exceptions import BananasError

__all__ = ["JobErrorMiddleware"]


class JobErrorMiddleware(MiddlewareMixin):
    """Turns errors of this package into answers with an HTTP status.

    It works for blocking and for ``async def`` views. A subclass can override ``job_url``, so that
    answers have the header ``Location``.

    Attributes:
        retry_after: Seconds for the header ``Retry-After`` while Redis can't be reached.
        show_errors: True shows the worker's error text in answers.
    """

    retry_after: int = 5
    show_errors: bool = False

    def job_url(self, request: HttpRequest, job_id: str) -> Optional[str]:
        """Return the URL of a job, or None."""
        return None

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> Optional[HttpResponse]:
        """Return the answer to an error of this package; None for other errors."""
        if not isinstance(exception, BananasError):
            return None
        answer = answer_to(exception, retry_after=self.retry_after, show_errors=self.show_errors)
        log_answer(exception, answer)
        response = JsonResponse(answer.body, status=answer.status)
        response["Content-Type"] = answer.media_type
        for name, value in answer.headers.items():
            response[name] = value
        where = None if answer.location_of is None else self.job_url(request, answer.location_of)
        if where is not None:
            response["Location"] = where
        return response
