"""How Django sites and Flask applications use the package, for the type checker alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Dict, Optional, Tuple

from asgiref.sync import async_to_sync
from django.dispatch import receiver
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from flask import Flask, Response
from typing_extensions import assert_type

from bananas import AsyncClient, Client, JobResult, JobSpec, JobType
from bananas.django import (
    get_async_client,
    get_client,
    job_events,
    submit_failed,
    submit_job_on_commit,
    submit_on_commit,
)
from bananas.django.middleware import JobErrorMiddleware
from bananas.flask import Bananas
from bananas.opentelemetry import instrument

REPORT: JobType[Dict[str, str], str] = JobType("report", payload=Dict[str, str], result=str)

# -- Django --------------------------------------------------------------------------------------


def order(request: HttpRequest) -> JsonResponse:
    """Submit after the commit, in three ways, and at once."""
    first = submit_job_on_commit("report", {"month": "2025-01"}, scheduled_for=timedelta(hours=1))
    assert_type(first, str)
    assert_type(submit_on_commit(REPORT, {"month": "2025-01"}, job_id="a"), str)
    assert_type(get_client(), Client)
    assert_type(instrument(get_client()), Client)
    return JsonResponse({"job_id": get_client().submit(REPORT, {"month": "2025-01"})})


async def fetch(request: HttpRequest, job_id: str) -> JsonResponse:
    """Wait in a view that awaits."""
    client = get_async_client()
    assert_type(client, AsyncClient)
    result = await client.wait_for_result(job_id, timeout=timedelta(seconds=10), must_exist=True)
    assert_type(result, JobResult[Any])
    return JsonResponse({"report": result.get_result(str)})


async def follow(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Send events from a view that awaits."""
    return await job_events(request, job_id, timeout=60, keep_alive=5, with_result=True)


def follow_blocking(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Send events from a view that blocks."""
    response = async_to_sync(job_events)(request, job_id, with_result=True)
    assert_type(response, HttpResponseBase)
    return response


@receiver(submit_failed)
def keep(sender: object, spec: JobSpec, error: Exception, **_: Any) -> None:
    """Keep what could not be submitted."""
    get_client().submit_jobs([spec])


class ShopErrors(JobErrorMiddleware):
    """Says where a job is."""

    show_errors = True
    retry_after = 10

    def job_url(self, request: HttpRequest, job_id: str) -> Optional[str]:
        """Return the path."""
        return f"/reports/{job_id}"


# -- Flask ---------------------------------------------------------------------------------------

bananas = Bananas(handle_errors=True, job_endpoint="read", retry_after=1, show_errors=True)


def create_app() -> Flask:
    """Make an application."""
    app = Flask(__name__)
    app.config["BANANAS"] = {"URL": "redis://localhost:6379", "READ_TIMEOUT": 5}
    bananas.init_app(app)
    app.add_url_rule("/reports", view_func=order_in_flask, methods=["POST"])
    app.add_url_rule("/reports/<job_id>", view_func=read)
    app.add_url_rule("/reports/<job_id>/events", view_func=events)
    return app


def order_in_flask() -> Tuple[Dict[str, str], int]:
    """Submit."""
    assert_type(bananas.client, Client)
    return {"job_id": bananas.client.submit_job("report", {"month": "2025-01"})}, 202


async def read(job_id: str) -> Dict[str, str]:
    """Wait in a view that awaits."""
    assert_type(bananas.async_client, AsyncClient)
    result = await bananas.async_client.wait_for_result(job_id, 10)
    return {"report": result.get_result(str)}


def events(job_id: str) -> Response:
    """Send events."""
    response = bananas.job_events(job_id, timeout=timedelta(minutes=1), show_errors=True)
    assert_type(response, Response)
    return response
