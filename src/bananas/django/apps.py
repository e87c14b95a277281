"""The Django application: name ``bananas.django`` in ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed

from ._checks import check_deployment, check_settings
from ._client import forget_client

__all__ = ["BananasConfig"]


class BananasConfig(AppConfig):
    """Registers the system checks, and follows settings that tests change."""

    name = "bananas.django"
    label = "bananas"
    verbose_name = "Bananas"

    def ready(self) -> None:
        """Register what is called by Django."""
        checks.register(check_settings)
        checks.register(check_deployment, deploy=True)
        setting_changed.connect(forget_client, dispatch_uid="bananas.django")
