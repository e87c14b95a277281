"""The path converter for ids of jobs."""

from __future__ import annotations

from django.urls.converters import StringConverter

__all__ = ["JobIdConverter"]


class JobIdConverter(StringConverter):
    """Matches only valid job ids, as in ``path("reports/<job_id:job_id>", view)``.

    Everything else is a 404.
    """

    regex = "[A-Za-z0-9._-]{1,256}"
