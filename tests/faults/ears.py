"""Hears everything that a program says of itself: errors, logs, warnings and complaints."""

from __future__ import annotations

import gc
import logging
import pickle
import sys
import traceback
import warnings
from types import TracebackType
from typing import Any, List, Optional, Set, Type

__all__ = ["Ears"]


class Ears(logging.Handler):
    """Collects, inside a ``with`` block, whatever a user could come to read.

    That is every log record from debug on, every warning, every exception that nobody could be
    told of, and what is handed over with ``hear`` and ``hear_error``.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._texts: List[str] = []
        self.setFormatter(logging.Formatter())
        self._warnings = warnings.catch_warnings()

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(self.format(record))
        self._texts.append(repr(record.args))
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.hear_error(record.exc_info[1])

    def hear(self, *things: object) -> None:
        """Hear the ``repr`` and the ``str`` of something."""
        for thing in things:
            self._texts += [repr(thing), str(thing)]

    def hear_error(self, error: BaseException) -> None:
        """Hear all that can be had of an error: its chain, facts, traceback and pickle."""
        seen: Set[int] = set()
        todo: List[Optional[BaseException]] = [error]
        while todo:
            found = todo.pop()
            if found is None or id(found) in seen:
                continue
            seen.add(id(found))
            self.hear(found, found.args, vars(found))
            todo += [found.__cause__, found.__context__]
        self._texts += traceback.format_exception(type(error), error, error.__traceback__)
        self._texts.append(repr(pickle.dumps(error)))

    def check(self, *secrets: str) -> None:
        """Check that no secret was to be heard."""
        assert self._texts
        for text in self._texts:
            for secret in secrets:
                at = text.find(secret)
                assert at < 0, f"{secret!r} is said in {text[max(0, at - 500) : at + 200]!r}"

    def _warned(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self.hear(message)

    def __enter__(self) -> Ears:
        root = logging.getLogger()
        self._level, self._hook = root.level, sys.unraisablehook
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        self._warnings.__enter__()
        warnings.simplefilter("always")
        warnings.showwarning = self._warned
        sys.unraisablehook = self._unraisable
        return self

    def _unraisable(self, unraisable: Any) -> None:
        self.hear(unraisable.err_msg, unraisable.object)
        if unraisable.exc_value is not None:
            self.hear_error(unraisable.exc_value)

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        gc.collect()
        sys.unraisablehook = self._hook
        self._warnings.__exit__(None, None, None)
        root = logging.getLogger()
        root.setLevel(self._level)
        root.removeHandler(self)
