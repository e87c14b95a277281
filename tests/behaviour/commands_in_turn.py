"""Runs commands one after the other in one process, and says after each how it ended."""

from __future__ import annotations

import json
import sys

from bananas.cli import main

for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as end:
        print(f"ended with {end.code}", flush=True)
