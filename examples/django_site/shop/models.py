"""What the shop stores."""

from django.db import models


class Report(models.Model):
    """A report that was ordered."""

    job_id = models.CharField(max_length=256, primary_key=True)
    month = models.CharField(max_length=7)
