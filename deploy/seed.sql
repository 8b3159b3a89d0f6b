-- The blog's tables with rows of the same number and about the same size as pinchpoint's own. The
-- texts are hashes: whoever wants the realistic ones lets pinchpoint load them.
BEGIN;
DROP TABLE IF EXISTS comments, posts, users;
CREATE TABLE users (id bigint PRIMARY KEY, username text NOT NULL, email text NOT NULL,
    full_name text NOT NULL, bio text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE posts (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users,
    title text NOT NULL, content text NOT NULL, category text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE comments (id bigint PRIMARY KEY, post_id bigint NOT NULL REFERENCES posts,
    user_id bigint NOT NULL REFERENCES users, content text NOT NULL, created_at timestamptz NOT NULL);
SELECT setseed(0.5);
INSERT INTO users SELECT i, 'user' || i, 'user' || i || '@example.org', 'User ' || i,
    repeat(md5(i::text) || ' ', 4), timestamptz '2023-01-01' + random() * interval '731 days'
    FROM generate_series(1, 10000) i;
INSERT INTO posts SELECT i, 1 + floor(10000 * random() ^ 2)::bigint % 10000, 'Post ' || md5(i::text),
    repeat(md5((2 * i)::text) || ' ', 8 + (i % 20)::int), 'web',
    timestamptz '2023-01-01' + random() * interval '731 days' FROM generate_series(1, 50000) i;
INSERT INTO comments SELECT i, 1 + floor(50000 * random())::bigint % 50000,
    1 + floor(10000 * random())::bigint % 10000, repeat(md5(i::text) || ' ', 3),
    timestamptz '2023-01-01' + random() * interval '731 days' FROM generate_series(1, 100000) i;
CREATE INDEX posts_user_id ON posts (user_id);
CREATE INDEX comments_post_id ON comments (post_id);
COMMIT;
VACUUM (ANALYZE) users, posts, comments;
