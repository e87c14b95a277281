"""What belongs to one process: a copy of it is the same object, and it can't be pickled."""

from __future__ import annotations

from typing import NoReturn, TypeVar

__all__ = ["InProcess"]

Self = TypeVar("Self", bound="InProcess")


class InProcess:
    """A client, or a part of one, which stands on its connections."""

    def __copy__(self: Self) -> Self:
        return self

    def __deepcopy__(self: Self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} can't be pickled: pass the URL, and make a client in the other "
            "process"
        )
