//! The blog service against a real PostgreSQL and a real Redis.

use std::collections::BTreeSet;
use std::io::Read as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::processes::until;
use crate::server::Server;
use crate::service::{POSTS, Redis, Service, USERS, database, database_with};

pub(crate) fn username(database: &Server, id: u64) -> String {
    database.value(&format!("SELECT username FROM users WHERE id = {id}"))
}

#[test]
fn a_profile_is_read_through_the_cache_and_changed_by_its_owner_alone() {
    let (database, redis) = (database(), Redis::start());
    let env = [("REDIS_URL", redis.url.as_str())];
    let (here, there) = (Service::start(&database, &env), Service::start(&database, &env));
    let path = "/api/users/7";
    assert_eq!(here.get(path).header("x-cache"), "miss");
    assert_eq!(here.get(path).header("x-cache"), "memory");
    assert_eq!(there.get(path).header("x-cache"), "redis");
    assert_eq!(there.get(path).header("x-cache"), "memory");
    let change = json!({ "full_name": "Ada Lovelace", "bio": "Näher dran." }).to_string();
    let put =
        |headers: &[(&str, &str)], body: &str| here.ask(Method::PUT, path, headers, Some(body));
    assert_eq!(put(&[], &change).status, 401);
    let somebody = here.log_in(&username(&database, 8));
    assert_eq!(put(&[("cookie", &somebody)], &change).status, 403);
    let owner = here.log_in(&username(&database, 7));
    let owner = [("cookie", owner.as_str())];
    for (body, field) in [
        (json!({ "email": "no address" }), "email"),
        (json!({ "full_name": " " }), "full_name"),
        (json!({ "bio": "x".repeat(2001) }), "bio"),
        (json!({ "bio": "a\u{0}b" }), "bio"),
    ] {
        let answer = put(&owner, &body.to_string());
        assert_eq!((answer.status, &answer.json()["field"]), (422, &json!(field)), "{body}");
    }
    // Of another type, or what may not be changed.
    for (body, field) in [(r#"{"bio":5}"#, "bio"), (r#"{"bio":"x","id":8}"#, "id")] {
        let answer = put(&owner, body);
        assert_eq!((answer.status, &answer.json()["field"]), (422, &json!(field)), "{body}");
    }
    assert_eq!(put(&owner, "{").status, 400);
    assert_eq!(put(&owner, &format!("{{\"bio\":\"{}\"}}", "x".repeat(70_000))).status, 413);
    assert_eq!(here.get(path).header("x-cache"), "memory", "nothing was changed so far");
    let changed = put(&owner, &change);
    assert_eq!((changed.status, &changed.json()["full_name"]), (200, &json!("Ada Lovelace")));
    assert_eq!(changed.header("x-cache"), "", "a cache had its session, not its answer");
    assert_eq!(here.get(path).json()["bio"], "Näher dran.", "at once where it was changed");
    until("the other process sees it", || {
        (there.get(path).json()["bio"] == "Näher dran.").then_some(())
    });
    assert_eq!(database.value("SELECT bio FROM users WHERE id = 7"), "Näher dran.");
}

/// An author's name stands in posts, which are cached by themselves.
#[test]
fn a_new_name_is_seen_in_posts_too() {
    let (database, redis) = (database(), Redis::start());
    let env = [("REDIS_URL", redis.url.as_str())];
    let (here, there) = (Service::start(&database, &env), Service::start(&database, &env));
    let author = database.value("SELECT user_id FROM posts WHERE id = 1").parse().expect("an id");
    let name =
        |service: &Service| service.get("/blog/api/posts/1").json()["author"]["full_name"].clone();
    let listed =
        |service: &Service| service.get("/blog/api/posts?limit=100").text.contains("Grace Hopper");
    assert_eq!(name(&here), name(&there));
    assert!(!listed(&here) && !listed(&there));
    let cookie = here.log_in(&username(&database, author));
    let change = |body| {
        let path = format!("/api/users/{author}");
        assert_eq!(here.ask(Method::PUT, &path, &[("cookie", &cookie)], Some(body)).status, 200);
    };
    change(r#"{"bio":"Posts say nothing of it."}"#);
    assert_eq!(here.get("/blog/api/posts/1").header("x-cache"), "memory");
    change(r#"{"full_name":"Grace Hopper"}"#);
    assert_eq!(name(&here), "Grace Hopper");
    until("the other process sees it", || (name(&there) == "Grace Hopper").then_some(()));
    let in_list = "SELECT count(*) FROM (SELECT user_id FROM posts ORDER BY created_at DESC, id DESC \
        LIMIT 100) p WHERE user_id =";
    let in_list = database.value(&format!("{in_list} {author}")) != "0";
    assert_eq!((listed(&here), listed(&there)), (in_list, in_list));
}

/// The handler of a client that goes away is dropped; what it had begun in the database is not.
#[test]
fn a_change_whose_client_goes_away_is_seen_by_every_process() {
    let (database, redis) = (database(), Redis::start());
    let env = [("REDIS_URL", redis.url.as_str())];
    let (here, there) = (Service::start(&database, &env), Service::start(&database, &env));
    let cookie = here.log_in(&username(&database, 7));
    let with = [("cookie", cookie.as_str())];
    let show = || there.ask(Method::GET, "/api/sessions", &with, None);
    for _ in 0..2 {
        assert_eq!((there.get("/api/users/7").status, show().status), (200, 200));
    }
    let gone_while_locked = |rows: &str, method: &str, path: &str, body: &str| {
        let mut lock = database.session();
        lock.query("BEGIN");
        lock.query(&format!("SELECT 1 FROM {rows} FOR UPDATE"));
        let mut client = here.send(method, path, &with, body);
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        until("it waits for the row", || (database.value(waits) == "1").then_some(()));
        client.shutdown(std::net::Shutdown::Write).expect("closed");
        let answer = client.read_to_end(&mut Vec::new());
        assert_eq!(answer.ok(), Some(0), "the service closes, and answers nothing");
        lock.query("COMMIT");
    };
    gone_while_locked("users WHERE id = 7", "PUT", "/api/users/7", r#"{"bio":"Already gone."}"#);
    until("the change is seen", || {
        (there.get("/api/users/7").json()["bio"] == "Already gone.").then_some(())
    });
    gone_while_locked("sessions", "DELETE", "/api/sessions", "");
    until("the session has ended", || (show().status == 401).then_some(()));
}

#[test]
fn sessions_that_have_ended_do_not_pile_up() {
    let database = database();
    let service = Service::start(&database, &[]);
    database.query(
        "INSERT INTO sessions SELECT sha256(n::text::bytea), 1 + n % 9, now() - interval '1 hour', \
         now() + CASE WHEN n > 15 THEN interval '1 hour' ELSE interval '-1 minute' END \
         FROM generate_series(1, 20) n",
    );
    let count = |when| {
        database.value(&format!("SELECT count(*) FROM sessions WHERE expires_at {when} now()"))
    };
    for ended in ["5", "0", "0"] {
        service.log_in(&username(&database, 3));
        assert_eq!(count("<"), ended);
    }
    assert_eq!(count(">"), "8", "those that live on stay");
}

#[test]
fn a_session_is_a_random_token_that_only_its_owner_knows() {
    let (database, redis) = (database(), Redis::start());
    let service = Service::start(&database, &[("REDIS_URL", &redis.url), ("SECURE_COOKIES", "1")]);
    let name = username(&database, 3);
    let wrong = json!({ "username": name, "password": "wrong" }).to_string();
    let unknown = json!({ "username": "nobody", "password": "wrong" }).to_string();
    let log_in = |body: &str| service.ask(Method::POST, "/api/sessions", &[], Some(body));
    let (wrong, unknown) = (log_in(&wrong), log_in(&unknown));
    assert_eq!((wrong.status, &wrong.text), (401, &unknown.text), "which of them is not told");
    let right = json!({ "username": name, "password": crate::service::PASSWORD }).to_string();
    let answer = log_in(&right);
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1800", "Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap_or_default();
    let token = cookie.strip_prefix("session=").expect("a token");
    assert_eq!(token.len(), 43, "256 bits in base64url");
    assert_ne!(service.log_in(&name), cookie);
    let with = [("cookie", cookie)];
    let show = || service.ask(Method::GET, "/api/sessions", &with, None);
    assert_eq!((show().status, &show().json()["user_id"]), (200, &json!(3)));
    assert_eq!(show().header("x-cache"), "memory");
    let as_text = |column: &str| {
        let sql = format!("SELECT string_agg({column}, ' ') FROM sessions");
        database.value(&sql)
    };
    // The hash itself is found in both places: so the token would be, were it there.
    let hash = database.value(&format!("SELECT encode(sha256('{token}'), 'hex')"));
    assert!(as_text("encode(token_hash, 'hex')").contains(&hash));
    let hex = database.value(&format!("SELECT encode('{token}', 'hex')"));
    assert!(!as_text("encode(token_hash, 'hex')").contains(&hex));
    assert!(!as_text("sessions::text").contains(token));
    let shared = everything_in(&redis.url);
    let holds = |what: &str| shared.windows(what.len()).any(|part| part == what.as_bytes());
    assert!(holds(&hash), "{}", String::from_utf8_lossy(&shared));
    assert!(!holds(token) && !holds(&hex), "only its hash is shared");
    let passwords = database
        .value("SELECT count(*) FROM credentials WHERE password_hash LIKE '$argon2id$v=19$m=%'");
    assert_eq!(passwords, USERS.to_string());
    assert_eq!(service.ask(Method::DELETE, "/api/sessions", &with, None).status, 204);
    assert_eq!(show().status, 401, "at once");
    assert_eq!(service.get("/api/sessions").status, 401);
}

/// Every key and every value of a Redis.
fn everything_in(url: &str) -> Vec<u8> {
    let mut redis = redis::Client::open(url).and_then(|c| c.get_connection()).expect("Redis");
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut redis).expect("keys");
    let mut all = Vec::new();
    for key in keys {
        let value: Vec<u8> = redis::cmd("GET").arg(&key).query(&mut redis).expect("a string");
        all.extend(key.into_iter().chain(*b" ").chain(value).chain(*b"\n"));
    }
    all
}

#[test]
fn hostile_requests_are_answered_with_a_4xx() {
    let database = database();
    let service = Service::start(&database, &[]);
    for path in [
        "/api/users/0x7",
        "/api/users/-1",
        "/api/users/9223372036854775808",
        "/api/users/%00",
        "/api/users/7'--",
        "/blog/api/posts/1e3",
        "/blog/api/posts?limit=0",
        "/blog/api/posts?limit=101",
        "/blog/api/posts?limit=x",
        "/blog/api/posts?cursor=%00%ff",
        "/blog/api/posts?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTkuMQ",
        "/blog/api/posts?category=%00",
        "/static/../main.rs",
        "/static/style.css",
        "/nothing",
        "/benchmark/db-test?id=x",
    ] {
        let answer = service.get(path);
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
    }
    for cookie in [
        "session=",
        "session",
        "session=\u{7f}",
        &format!("session={}", "a".repeat(9000)),
        "a=b; session=' OR 1=1; --",
        "session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let answer = service.try_ask(Method::GET, "/api/sessions", &[("cookie", cookie)], None);
        assert!(answer.is_none_or(|a| (400..500).contains(&a.status)), "{cookie}");
    }
    for body in [
        "",
        "[]",
        "{}",
        "\u{feff}",
        "{\"username\":1,\"password\":[]}",
        "{\"username\":\"\\u0000\",\"password\":\"\"}",
    ] {
        let answer = service.ask(Method::POST, "/api/sessions", &[], Some(body));
        assert!((400..500).contains(&answer.status), "{body}: {}", answer.status);
    }
    let text = service.ask(Method::POST, "/api/sessions", &[("content-type", "text/plain")], None);
    assert_eq!(text.status, 415);
    assert_eq!(service.ask(Method::PATCH, "/api/users/7", &[], None).status, 405);
    assert_eq!(service.get("/healthz").status, 200);
}

#[test]
fn invented_methods_and_paths_do_not_make_metrics() {
    let database = database();
    let service = Service::start(&database, &[]);
    for n in 0..50 {
        let method = Method::from_bytes(format!("BREW{n}").as_bytes()).expect("a method");
        assert_eq!(service.ask(method, "/api/users/7", &[], None).status, 405);
        assert_eq!(service.get(&format!("/nothing/{n}")).status, 404);
    }
    let text = service.get("/metrics").text;
    let requests = text.lines().filter(|line| line.starts_with("http_requests_total{"));
    let series = [
        "http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 50",
        "http_requests_total{method=\"other\",route=\"/api/users/{id}\",status=\"405\"} 50",
    ];
    assert_eq!(requests.collect::<BTreeSet<_>>(), BTreeSet::from(series), "{text}");
}

/// Pages through the list; each post once, newest first.
fn page_through(service: &Service, category: &str) -> Vec<i64> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            service.get(&format!("/blog/api/posts?limit=7{category}&cursor={cursor}")).json();
        let posts = page["posts"].as_array().expect("posts");
        ids.extend(posts.iter().filter_map(|post| post["id"].as_i64()));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return ids,
        }
    }
}

#[test]
fn the_list_is_the_same_however_it_is_made_and_its_pages_hold_each_post_once() {
    let database = database();
    let mut lists = Vec::new();
    for kind in ["join", "n+1", "dataloader"] {
        let service = Service::start(&database, &[("POST_LIST", kind), ("CACHE", "off")]);
        let page = service.get("/blog/api/posts?limit=5&category=database");
        assert_eq!(page.header("x-cache"), "bypass");
        lists.push(page.text);
        let ids = page_through(&service, "");
        assert_eq!(ids.len() as u64, POSTS, "{kind}");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len() as u64, POSTS, "{kind}");
        let expected = database.query("SELECT id FROM posts ORDER BY created_at DESC, id DESC");
        let expected: Vec<i64> =
            expected.into_iter().flatten().flatten().filter_map(|id| id.parse().ok()).collect();
        assert_eq!(ids, expected);
    }
    assert!(lists.iter().all(|list| *list == lists[0]));
    let service = Service::start(&database, &[]);
    let categories = service.get("/blog/api/categories").json();
    let total: i64 =
        categories.as_array().expect("a list").iter().filter_map(|c| c["posts"].as_i64()).sum();
    assert_eq!(total as u64, POSTS);
    let of_one = page_through(&service, "&category=database");
    let counted = database.value("SELECT count(*) FROM posts WHERE category = 'database'");
    assert_eq!(of_one.len().to_string(), counted);
}

/// Statements of the blog that the server was told to execute, by its log.
fn statements(database: &Server) -> i64 {
    let sql = "SELECT count(*) FROM regexp_split_to_table(pg_read_file(pg_current_logfile()), E'\\n') AS line \
        WHERE line ~ 'LOG: +execute [^:]+: SELECT .* FROM (posts|users|unnest)'";
    database.value(sql).parse().expect("a count")
}

#[test]
fn graphql_fetches_each_kind_at_once_and_bounds_what_is_asked() {
    let database = database_with(&["logging_collector=on", "log_statement=all"]);
    let service = Service::start(&database, &[]);
    let ask = |query: &str| {
        let body = json!({ "query": query }).to_string();
        service.ask(Method::POST, "/graphql", &[], Some(&body)).json()
    };
    let answer =
        ask("{ posts(first: 20) { id title author { username } comments { id content } } }");
    assert!(answer["errors"].is_null(), "{answer}");
    let posts = answer["data"]["posts"].as_array().expect("posts");
    assert_eq!(posts.len(), 20);
    assert!(posts.iter().all(|post| post["author"]["username"].is_string()));
    let first = posts[0]["id"].as_i64().expect("an id");
    let comments = database.value(&format!(
        "SELECT json_agg(id ORDER BY id) FROM (SELECT id FROM comments WHERE post_id = {first} ORDER BY id LIMIT 5) c"
    ));
    let shown: Vec<&Value> =
        posts[0]["comments"].as_array().expect("comments").iter().map(|c| &c["id"]).collect();
    let comments: Value = serde_json::from_str(&comments).unwrap_or(json!([]));
    assert_eq!(json!(shown), comments);
    // Posts, their authors, their comments: not a statement for each post. A loader waits a millisecond
    // for more keys, so that a slow machine may need a few statements where a quick one needs one.
    let shape = "{ id author { username } comments { id } }";
    for (first, at_most) in [(1, 3), (90, 20)] {
        let before = statements(&database);
        let answer = ask(&format!("{{ posts(first: {first}) {shape} }}"));
        assert!(answer["errors"].is_null(), "{answer}");
        let made = statements(&database) - before;
        assert!((3..=at_most).contains(&made), "{first} posts: {made} statements");
    }
    for refused in [
        "{ posts(first: 0) { id } }",
        "{ posts(first: 101) { id } }",
        "{ nothing }",
        "{",
        "{ posts(first: 100) { a: title b: title c: title d: title e: title f: title g: title h: title \
         i: title j: title k: title l: title m: title n: title o: title p: title q: title r: title s: title t: title } }",
    ] {
        assert!(ask(refused)["errors"].is_array(), "{refused}");
    }
    let answer =
        ask("{ post(id: 1) { category author { fullName } } missing: post(id: 999999) { id } }");
    assert!(answer["data"]["post"]["author"]["fullName"].is_string(), "{answer}");
    assert!(answer["data"]["missing"].is_null(), "{answer}");
}

#[test]
fn static_files_may_be_kept_for_ever() {
    let database = database();
    let service = Service::start(&database, &[]);
    let page = service.get("/").text;
    let paths: Vec<&str> = page.split('"').filter(|part| part.starts_with("/static/")).collect();
    assert_eq!(paths.len(), 2);
    for path in paths {
        let plain = service.get(path);
        assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
        let zipped = service.ask(Method::GET, path, &[("accept-encoding", "br, gzip;q=0.8")], None);
        assert_eq!(zipped.header("content-encoding"), "gzip");
        let mut inflated = String::new();
        let read =
            flate2::read::GzDecoder::new(zipped.bytes.as_slice()).read_to_string(&mut inflated);
        assert_eq!(read.ok(), Some(plain.bytes.len()));
        assert_eq!(inflated, plain.text);
        for answer in [&plain, &zipped] {
            assert_eq!(answer.header("vary"), "accept-encoding");
        }
        assert_ne!(zipped.header("etag"), plain.header("etag"));
        let refused = service.ask(Method::GET, path, &[("accept-encoding", "gzip;q=0")], None);
        assert_eq!(refused.header("content-encoding"), "");
        let known = [("if-none-match", plain.header("etag"))];
        let again = service.ask(Method::GET, path, &known, None);
        assert_eq!((again.status, again.text.as_str()), (304, ""));
        assert_eq!(again.header("etag"), plain.header("etag"));
    }
}

#[test]
fn it_is_ready_when_the_cache_is_warm() {
    let database = database();
    let service = Service::start(&database, &[("WARM", "40")]);
    let ready = service.get("/readyz").json();
    assert_eq!((&ready["warmed"], &ready["to_warm"]), (&json!(81), &json!(81)));
    assert_eq!(service.get("/api/users/40").header("x-cache"), "memory");
    assert_eq!(service.get("/blog/api/categories").header("x-cache"), "memory");
    assert!(service.metric("cache_hits_total{cache=\"get_user\",level=\"memory\"}") >= 1.0);
    assert!(service.metric("cache_misses_total") >= 81.0);
}
