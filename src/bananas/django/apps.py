"""The Django application: add ``bananas.django`` to ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed
from django.urls import register_converter
from django.urls.converters import get_converters

from ._checks import check_deployment, check_settings
from ._client import forget_client
from .converters import JobIdConverter

__all__ = ["BananasConfig"]


class BananasConfig(AppConfig):
    """Registers the system checks and the path converter, and follows changed settings in tests."""

    name = "bananas.django"
    label = "bananas"
    verbose_name: str = "Bananas"

    def ready(self) -> None:
        """Register what is called by Django."""
        checks.register(check_settings)
        checks.register(check_deployment, deploy=True)
        if "job_id" not in get_converters():
            register_converter(JobIdConverter, "job_id")
        setting_changed.connect(forget_client, dispatch_uid="bananas.django")
