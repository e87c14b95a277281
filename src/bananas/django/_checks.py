"""System checks: what ``manage.py check`` says of the settings."""

from __future__ import annotations

import os
from typing import Any, List

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from .._framework_settings import problems_of
from ._client import load_settings

__all__ = ["check_deployment", "check_settings"]


def check_settings(**_: Any) -> List[CheckMessage]:
    """Find settings that are not valid, and warn if no Redis is configured."""
    found = getattr(settings, "BANANAS", None)
    messages: List[CheckMessage] = []
    if found is None:
        if not os.environ.get("BANANAS_REDIS_URL"):
            hint = "Set BANANAS = {'URL': 'redis://...'}, or BANANAS_REDIS_URL in the environment."
            text = "BANANAS is not set: the client will use redis://localhost:6379."
            messages.append(Warning(text, hint=hint, id="bananas.W001"))
        found = {}
    problems = problems_of(found)
    messages.extend(Error(f"{problem}.", id="bananas.E001") for problem in problems)
    if not problems:
        try:
            load_settings()
        except ImproperlyConfigured as error:
            messages.append(Error(f"{error}.", id="bananas.E002"))
    return messages


def check_deployment(**_: Any) -> List[CheckMessage]:
    """Find unsafe settings if Redis is on another machine; for ``check --deploy``."""
    try:
        found = load_settings()
    except ImproperlyConfigured:
        return []  # check_settings has told
    messages: List[CheckMessage] = []
    hosts = ", ".join(found.remote_hosts)
    if hosts and not found.has_tls:
        text = f"The connection to Redis at {hosts} is not encrypted."
        hint = "Write rediss:// in place of redis://, or silence this on a network of your own."
        messages.append(Warning(text, hint=hint, id="bananas.W002"))
    if hosts and not found.has_password:
        text = f"Redis at {hosts} is given no password."
        hint = "Write redis://user:password@host, or silence this on a network of your own."
        messages.append(Warning(text, hint=hint, id="bananas.W003"))
    return messages
