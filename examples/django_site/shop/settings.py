"""The settings of the site."""

import os
from pathlib import Path

from .local_worker import start_local_worker

BASE_DIR = Path(__file__).resolve().parent.parent

# Neither Redis nor a Go worker is needed to try this.
BANANAS = {"URL": os.environ.get("BANANAS_REDIS_URL") or start_local_worker()}

INSTALLED_APPS = ["bananas.django", "shop"]
MIDDLEWARE = ["bananas.django.middleware.JobErrorMiddleware"]
ROOT_URLCONF = "shop.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DATABASE", BASE_DIR / "shop.sqlite3"),
    }
}
SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "for this example alone")
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
USE_TZ = True
