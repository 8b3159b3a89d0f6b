"""Django's defaults, except for what this service needs and what the environment sets."""

import os
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

SECRET_KEY = "signs nothing: the service has no sessions, forms or cookies"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", os.environ.get("HOST", "127.0.0.1")]
ROOT_URLCONF = "blog.urls"
WSGI_APPLICATION = "blog.wsgi.application"
INSTALLED_APPS = ["blog"]
MIDDLEWARE = ["blog.views.NoConnection"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"

POSTS = int(os.environ.get("POSTS", "50000"))

if not os.environ.get("DATABASE_URL"):
    print("DATABASE_URL is not set", file=sys.stderr)
    sys.exit(3)  # gunicorn gives up on this one; after any other it starts the worker anew, for ever


def database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": parts.port,
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "OPTIONS": options,
    }
    if "DB_CONN_MAX_AGE" in os.environ:
        settings["CONN_MAX_AGE"] = int(os.environ["DB_CONN_MAX_AGE"])
    if "DB_POOL_SIZE" in os.environ:
        size = int(os.environ["DB_POOL_SIZE"])
        options["pool"] = {"min_size": size, "max_size": size}
        if "DB_POOL_TIMEOUT" in os.environ:
            options["pool"]["timeout"] = float(os.environ["DB_POOL_TIMEOUT"])
    if os.environ.get("DB_TRANSACTION_POOLING") == "1":
        # A cursor of the server ends with the transaction that opened it.
        settings["DISABLE_SERVER_SIDE_CURSORS"] = True
    if os.environ.get("DB_PREPARED") == "1":
        options["prepare_threshold"] = 5  # psycopg's own default, which Django turns off
        options["server_side_binding"] = True  # else each id makes another text, and none comes back
    return settings


DATABASES = {"default": database(os.environ["DATABASE_URL"])}
