"""What an application's settings say about its client, checked."""

from __future__ import annotations

import difflib
import importlib
import inspect
import ipaddress
from typing import Any, Callable, Dict, List, Mapping

from ._argument_checks import kind_of, shown
from .client import AsyncClient

__all__ = ["ClientSettings", "problems_of"]

#: Settings that only ``from_sentinel`` has, with its arguments. The others are those of a client.
_SENTINEL = {"SENTINELS": "sentinels", "SERVICE_NAME": "service_name"}
_ARGUMENTS = {
    "URL" if name == "redis_url" else name.upper(): name
    for name in inspect.signature(AsyncClient.from_sentinel).parameters
}
#: Settings that may be a dotted path, and whether the object at the path is called.
_NAMED = {"JSON_DEFAULT": False, "CREDENTIAL_PROVIDER": True, "SSL_CONTEXT": True}


class ClientSettings:
    """The arguments of a client, from a mapping with one name in capitals for each.

    ``URL`` is ``redis_url``; ``SENTINELS`` and ``SERVICE_NAME`` are for Redis Sentinel.
    ``JSON_DEFAULT``, ``CREDENTIAL_PROVIDER`` and ``SSL_CONTEXT`` may be dotted paths, the last two
    of a function or class that is called without arguments.

    Args:
        settings: The mapping.
        name: What messages call it.

    Raises:
        ValueError: A setting is refused; the message says which.
    """

    def __init__(self, settings: object, name: str = "BANANAS") -> None:
        for problem in problems_of(settings, name):
            raise ValueError(problem)
        assert isinstance(settings, Mapping)
        self._name = name
        self._settings: Mapping[str, Any] = settings
        self.arguments: Dict[str, Any] = {
            _ARGUMENTS[key]: self._value(key, value) for key, value in settings.items()
        }
        self._client = self.make()

    def make(self, **others: Any) -> AsyncClient:
        """Return a client, which does not connect before it is used.

        Args:
            others: Arguments that it has instead of those of the settings.
        """
        sentinel = set(_SENTINEL) & set(self._settings)
        make: Callable[..., AsyncClient] = AsyncClient.from_sentinel if sentinel else AsyncClient
        missing = set(_SENTINEL) - sentinel
        if sentinel and missing:
            raise ValueError(f"{self._name} has {sentinel.pop()!r}, but no {missing.pop()!r}")
        try:
            return make(**{**self.arguments, **others})
        except ValueError as error:
            raise ValueError(self._in_words_of_the_settings(str(error), others)) from None

    def _value(self, key: str, value: object) -> Any:
        if key not in _NAMED or not isinstance(value, str):
            return value
        found = _imported(f"{self._name}[{key!r}]", value)
        return found() if _NAMED[key] and callable(found) else found

    def _in_words_of_the_settings(self, message: str, others: Mapping[str, Any]) -> str:
        for key, argument in _ARGUMENTS.items():
            if message.startswith(argument) and argument not in others:
                where = f"{self._name}[{key!r}]" if argument in self.arguments else argument
                if self.arguments.get(argument, "") is None:
                    message += " (is the environment variable that it comes from set?)"
                return where + message[len(argument) :]
        return message

    @property
    def remote_hosts(self) -> List[str]:
        """The hosts that are not this machine."""
        settings = self._client._settings
        endpoints = settings.sentinels or (settings.endpoint,)
        hosts = [endpoint.host for endpoint in endpoints if endpoint.scheme != "unix"]
        return [host for host in hosts if not _is_this_machine(host)]

    @property
    def has_tls(self) -> bool:
        """Whether connections to Redis are encrypted."""
        return self._client._settings.endpoint.scheme != "redis"

    @property
    def has_password(self) -> bool:
        """Whether Redis is given a password."""
        settings = self._client._settings
        return bool(settings.endpoint.password) or settings.credential_provider is not None


def problems_of(settings: object, name: str = "BANANAS") -> List[str]:
    """Return what is wrong with the names of the settings, each with the name that is near."""
    if not isinstance(settings, Mapping):
        example = "{'URL': 'redis://...'}"
        return [f"{name} must be a dictionary, such as {example}, not {kind_of(settings)}"]
    problems = []
    for key in settings:
        if key not in _ARGUMENTS:
            near = difflib.get_close_matches(str(key).upper(), _ARGUMENTS, 1, 0.5)
            if str(key).upper() == "REDIS_URL":
                near = ["URL"]
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(_ARGUMENTS)}"
            problems.append(f"{name} has no setting {shown(key)}; {hint}")
    return problems


def _imported(where: str, path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise ValueError(f"{where} names {path!r}, which can't be imported: {error}") from error


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
