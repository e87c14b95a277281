"""The tests of the shop: ``python manage.py test``."""

from django.test import TestCase, override_settings

from bananas.testing import LocalQueue

from .local_worker import make_report


class ReportTest(TestCase):
    """Order a report, and fetch it."""

    def test_a_report_is_ordered_and_fetched(self) -> None:
        with LocalQueue() as queue, override_settings(BANANAS={"URL": queue.url}):
            queue.handle("report", make_report)
            # A TestCase never commits its transaction, so this
            # calls the functions that wait for the commit.
            with self.captureOnCommitCallbacks(execute=True):
                ordered = self.client.post("/reports", {"month": "2025-01"})
            fetched = self.client.get(ordered["Location"])
        assert fetched.json() == {"report": "the report of 2025-01"}
