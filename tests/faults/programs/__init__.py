"""Programs that tests run in processes of their own; what goes wrong in one is on its stderr."""

import logging

from tests.support.event_loop import use_event_loop

logging.basicConfig(level=logging.ERROR)
use_event_loop()
