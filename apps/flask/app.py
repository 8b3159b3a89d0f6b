"""The blog service on Flask: SQLAlchemy's ORM over psycopg 3."""

import os
import random
import sys
from datetime import UTC, datetime
from typing import Any

from flask import Flask, abort, jsonify, request
from sqlalchemy import BigInteger, DateTime, Engine, ForeignKey, NullPool, create_engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship, scoped_session, sessionmaker
from werkzeug.exceptions import HTTPException

POSTS = int(os.environ.get("POSTS", "50000"))


def make_engine() -> Engine:
    """An engine with SQLAlchemy's defaults, except for what the environment sets."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        print("DATABASE_URL is not set", file=sys.stderr)
        sys.exit(3)  # gunicorn gives up on this one; after any other it starts the worker anew, for ever
    options: dict[str, Any] = {}
    if os.environ.get("DB_NULL_POOL") == "1":
        options["poolclass"] = NullPool
    else:
        names = {"DB_POOL_SIZE": "pool_size", "DB_MAX_OVERFLOW": "max_overflow", "DB_POOL_TIMEOUT": "pool_timeout"}
        options |= {option: int(os.environ[name]) for name, option in names.items() if name in os.environ}
    if os.environ.get("DB_TRANSACTION_POOLING") == "1" and os.environ.get("DB_PREPARED") != "1":
        # psycopg prepares a query on its sixth use, on whichever server connection that happens to be.
        options["connect_args"] = {"prepare_threshold": None}
    if os.environ.get("DB_AUTOCOMMIT") == "1":
        options["isolation_level"] = "AUTOCOMMIT"  # no BEGIN and ROLLBACK around two reads
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), **options)


session = scoped_session(sessionmaker(make_engine()))


class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger, datetime: DateTime(timezone=True)}


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    full_name: Mapped[str]


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    title: Mapped[str]
    content: Mapped[str]
    category: Mapped[str]
    created_at: Mapped[datetime]
    author: Mapped[User] = relationship()


class Comment(Base):
    __tablename__ = "comments"
    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey(Post.id))
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    content: Mapped[str]
    created_at: Mapped[datetime]


def rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


app = Flask(__name__)
app.json.sort_keys = False  # keys in the order in which they are written below


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


@app.get("/benchmark/db-test")
def db_test():
    try:
        post_id = int(request.args.get("id") or random.randint(1, POSTS))
    except ValueError:
        abort(400, "id is not a number")
    post = session.scalar(
        select(Post).options(joinedload(Post.author, innerjoin=True)).where(Post.id == post_id)
    )
    if post is None:
        abort(404, f"there is no post {post_id}")
    comments = session.scalars(
        select(Comment).where(Comment.post_id == post_id).order_by(Comment.id).limit(5)
    )
    return {
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
            for c in comments
        ],
    }


@app.teardown_appcontext
def close_session(_: BaseException | None) -> None:
    session.remove()


@app.errorhandler(HTTPException)
def http_error(error: HTTPException):
    return jsonify(error=error.description), error.code


@app.errorhandler(PoolTimeout)
@app.errorhandler(OperationalError)
def no_connection(error: Exception):
    return jsonify(error=str(error)), 503
