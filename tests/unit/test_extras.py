"""A module that needs an extra says so when it is imported, with the command that installs it."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("bananas.prometheus", "prometheus_client", "prometheus"),
        ("bananas.opentelemetry", "opentelemetry", "otel"),
    ],
)
def test_a_missing_package(
    module: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the extra, for users of a package index and of a clone."""
    monkeypatch.setitem(sys.modules, package, None)
    telemetry = [name for name in sys.modules if name.startswith("bananas._telemetry")]
    for name in (module, *telemetry):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match=rf'"bananas-queue\[{extra}\]".*"\.\[{extra}\]"'):
        importlib.import_module(module)


def test_a_defect_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is there, and lacks one of its own modules, is not called missing."""
    monkeypatch.delitem(sys.modules, "bananas.prometheus", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    with pytest.raises(ImportError) as caught:
        importlib.import_module("bananas.prometheus")
    assert "bananas-queue[" not in str(caught.value)
