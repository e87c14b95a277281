"""Where the views are."""

from django.urls import path

from . import views

urlpatterns = [
    path("reports", views.order, name="order"),
    path("reports/<job_id:job_id>", views.fetch, name="fetch"),
    path("reports/<job_id:job_id>/events", views.follow),
]
