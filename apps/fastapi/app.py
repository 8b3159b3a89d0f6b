"""The blog service on FastAPI: SQLAlchemy's asyncio ORM over asyncpg."""

import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, PlainSerializer
from sqlalchemy import BigInteger, DateTime, ForeignKey, NullPool, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship

POSTS = int(os.environ.get("POSTS", "50000"))


def make_engine() -> AsyncEngine:
    """An engine with SQLAlchemy's defaults, except for what the environment sets."""
    url = os.environ.get("DATABASE_URL") or sys.exit("DATABASE_URL is not set")
    options: dict[str, Any] = {}
    if os.environ.get("DB_NULL_POOL") == "1":
        options["poolclass"] = NullPool
    else:
        names = {"DB_POOL_SIZE": "pool_size", "DB_MAX_OVERFLOW": "max_overflow", "DB_POOL_TIMEOUT": "pool_timeout"}
        options |= {option: int(os.environ[name]) for name, option in names.items() if name in os.environ}
    if os.environ.get("DB_TRANSACTION_POOLING") == "1" and os.environ.get("DB_PREPARED") != "1":
        # Without names a statement cannot be missing, or taken, on the next server connection.
        options["connect_args"] = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    return create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), **options)


engine = make_engine()
new_session = async_sessionmaker(engine, expire_on_commit=False)


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


Timestamp = Annotated[datetime, PlainSerializer(rfc3339)]


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AuthorOut(Out):
    id: int
    username: str
    full_name: str


class PostOut(Out):
    id: int
    title: str
    content: str
    category: str
    created_at: Timestamp
    author: AuthorOut


class CommentOut(Out):
    id: int
    user_id: int
    content: str
    created_at: Timestamp


class PostWithComments(Out):
    post: PostOut
    comments: list[CommentOut]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/benchmark/db-test", response_model=PostWithComments)
async def db_test(session: Annotated[AsyncSession, Depends(get_session)], id: int | None = None) -> Any:
    post_id = random.randint(1, POSTS) if id is None else id
    post = await session.scalar(
        select(Post).options(joinedload(Post.author, innerjoin=True)).where(Post.id == post_id)
    )
    if post is None:
        raise HTTPException(404, f"there is no post {post_id}")
    comments = await session.scalars(
        select(Comment).where(Comment.post_id == post_id).order_by(Comment.id).limit(5)
    )
    return {"post": post, "comments": comments.all()}


@app.exception_handler(HTTPException)
async def http_error(_: Request, error: HTTPException) -> JSONResponse:
    return JSONResponse({"error": error.detail}, error.status_code)


@app.exception_handler(PoolTimeout)
@app.exception_handler(OSError)  # refused: SQLAlchemy hands it on as it is
@app.exception_handler(DBAPIError)
async def no_connection(_: Request, error: Exception) -> JSONResponse:
    # With a statement and a living connection it is the statement that failed.
    if isinstance(error, DBAPIError) and error.statement and not error.connection_invalidated:
        raise error
    return JSONResponse({"error": str(error)}, 503)
