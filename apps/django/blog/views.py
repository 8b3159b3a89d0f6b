"""The blog service on Django: its ORM over psycopg 3."""

import random
from datetime import UTC, datetime

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse

from blog.models import Post


def rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def healthz(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


def db_test(request: HttpRequest) -> HttpResponse:
    try:
        post_id = int(request.GET.get("id") or random.randint(1, settings.POSTS))
        post = Post.objects.select_related("author").get(pk=post_id)
    except ValueError:
        return JsonResponse({"error": "id is not a number"}, status=400)
    except Post.DoesNotExist:
        return JsonResponse({"error": f"there is no post {post_id}"}, status=404)
    return JsonResponse(
        {
            "post": {
                "id": post.id,
                "title": post.title,
                "content": post.content,
                "category": post.category,
                "created_at": rfc3339(post.created_at),
                "author": {
                    "id": post.author.id,
                    "username": post.author.username,
                    "full_name": post.author.full_name,
                },
            },
            "comments": [
                {"id": c.id, "user_id": c.user_id, "content": c.content, "created_at": rfc3339(c.created_at)}
                for c in post.comments.order_by("id")[:5]
            ],
        }
    )


class NoConnection:
    """Answers 503 when no connection to the database can be had."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, _: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, OperationalError):
            return JsonResponse({"error": str(error)}, status=503)
        return None
