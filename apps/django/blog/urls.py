"""What is served, and by which view."""

from django.urls import path

from blog import views

urlpatterns = [
    path("healthz", views.healthz),
    path("benchmark/db-test", views.db_test),
]
