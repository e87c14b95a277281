"""Programs that tests run in processes of their own; what goes wrong in one is on its stderr."""

import logging

logging.basicConfig(level=logging.ERROR)
