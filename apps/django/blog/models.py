"""The tables, which another program makes."""

from django.db import models


class User(models.Model):
    id = models.BigIntegerField(primary_key=True)
    username = models.TextField()
    full_name = models.TextField()

    class Meta:
        managed = False
        db_table = "users"


class Post(models.Model):
    id = models.BigIntegerField(primary_key=True)
    author = models.ForeignKey(User, models.DO_NOTHING, db_column="user_id")
    title = models.TextField()
    content = models.TextField()
    category = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "posts"


class Comment(models.Model):
    id = models.BigIntegerField(primary_key=True)
    post = models.ForeignKey(Post, models.DO_NOTHING, related_name="comments")
    user = models.ForeignKey(User, models.DO_NOTHING)
    content = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "comments"
