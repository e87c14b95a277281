"""A blocking view orders a report, and async views fetch and follow it."""

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_POST

from bananas.django import (
    get_async_client,
    job_events,
    submit_job_on_commit,
)

from .models import Report


@require_POST
def order(request: HttpRequest) -> JsonResponse:
    month = request.POST["month"]
    with transaction.atomic():
        job_id = submit_job_on_commit("report", {"month": month})
        Report.objects.create(job_id=job_id, month=month)
    where = reverse("fetch", args=[job_id])
    return JsonResponse({"job_id": job_id}, status=202, headers={"Location": where})


async def fetch(request: HttpRequest, job_id: str) -> JsonResponse:
    client = get_async_client()
    result = await client.wait_for_result(job_id, timeout=10, must_exist=True)
    return JsonResponse({"report": result.get_result(str)})


async def follow(request: HttpRequest, job_id: str) -> HttpResponseBase:
    return await job_events(request, job_id, with_result=True)
