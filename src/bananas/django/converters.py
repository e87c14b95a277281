"""The path converter for ids of jobs."""

from __future__ import annotations

from django.urls.converters import StringConverter

__all__ = ["JobIdConverter"]


class JobIdConverter(StringConverter):
    """Matches what may be the id of a job, as in ``path("reports/<job_id:job_id>", view)``.

    All else is no page, as it is no job.
    """

    regex = "[A-Za-z0-9._-]{1,256}"
