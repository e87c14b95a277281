"""The middleware that answers requests whose view an error of ours has ended."""

from __future__ import annotations

from typing import Optional

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin

from .._http import answer_to, log_answer
from ..exceptions import BananasError

__all__ = ["JobErrorMiddleware"]


class JobErrorMiddleware(MiddlewareMixin):
    """Answers with the HTTP status of the error that a view ended with.

    For views that block and views that await. A subclass may say where a job's page is, for the
    header ``Location`` of an answer that the job goes on.

    Attributes:
        retry_after: Seconds for the header ``Retry-After`` while the queue can't be reached.
        show_errors: Whether an answer has the text that a worker recorded of a failure.
    """

    retry_after: int = 5
    show_errors: bool = False

    def job_url(self, request: HttpRequest, job_id: str) -> Optional[str]:
        """Return where a request finds a job; None where that is nowhere."""
        return None

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> Optional[HttpResponse]:
        """Return the answer; None for the errors of others, which Django sees to."""
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
