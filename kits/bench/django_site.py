"""The contender on Django: sessions in its cache, and the cache in Redis through django-redis."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def site() -> WSGIApplication:
    """The application, whose only middleware is that for sessions."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        CACHES={
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": os.environ["REDIS_URL"],
            }
        },
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="not secret",
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
    )
    return get_wsgi_application()


def sign_in(request: HttpRequest) -> HttpResponse:
    """Keep the account in the session."""
    request.session["account"] = json.loads(request.body)
    return HttpResponse(status=204)


def me(request: HttpRequest) -> HttpResponse:
    """The signed-in account."""
    return JsonResponse({"account": request.session["account"]})


def readyz(request: HttpRequest) -> HttpResponse:
    """The kit waits for this before it measures."""
    return JsonResponse({"status": "ready"})


urlpatterns = [path("sign-in", sign_in), path("me", me), path("readyz", readyz)]
