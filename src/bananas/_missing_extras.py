"""What is said where a package of an extra is missing."""

from __future__ import annotations

__all__ = ["missing_extra", "remedy"]


def remedy(extra: str) -> str:
    """Return the commands that install an extra: from a package index, and in a clone."""
    return (
        f'install it with: python -m pip install "bananas-queue[{extra}]" '
        f'(in a clone: python -m pip install ".[{extra}]")'
    )


def missing_extra(what: str, package: str, extra: str) -> ImportError:
    """Return the error for code that can't be used without an extra.

    Args:
        what: What needs the package, for people.
        package: The package that is missing.
        extra: The extra that installs all that is needed.
    """
    return ImportError(f"{what} needs the package {package}; {remedy(extra)}", name=package)
