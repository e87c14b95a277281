"""Runs programs one after the other in one process, and says as JSON what each of them printed.

It is a program itself: ``python blocks.py FILE...``.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import runpy
import sys
import traceback
from typing import Dict


def outcome(path: str) -> Dict[str, str]:
    """Run a program; return what it wrote to stdout and stderr, a traceback included."""
    written, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(errors):
        try:
            runpy.run_path(path, run_name="__main__")
        except BaseException:
            traceback.print_exc()
        gc.collect()  # what was left open warns now
    return {"stdout": written.getvalue(), "stderr": errors.getvalue()}


if __name__ == "__main__":
    print(json.dumps({path: outcome(path) for path in sys.argv[1:]}))
