//! The blog service against a real PostgreSQL and a real Redis.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::processes::{postmaster, until};
use crate::server::Server;
use crate::service::{Answer, POSTS, Redis, Service, USERS, database, database_with};

fn username(database: &Server, id: u64) -> String {
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
    assert_eq!(put(&owner, r#"{"id":8}"#).status, 422, "what may not be changed");
    assert_eq!(put(&owner, "{").status, 400);
    assert_eq!(put(&owner, &format!("{{\"bio\":\"{}\"}}", "x".repeat(70_000))).status, 413);
    assert_eq!(here.get(path).header("x-cache"), "memory", "nothing was changed so far");
    let changed = put(&owner, &change);
    assert_eq!((changed.status, &changed.json()["full_name"]), (200, &json!("Ada Lovelace")));
    assert_eq!(here.get(path).json()["bio"], "Näher dran.", "at once where it was changed");
    until("the other process sees it", || {
        (there.get(path).json()["bio"] == "Näher dran.").then_some(())
    });
    assert_eq!(database.value("SELECT bio FROM users WHERE id = 7"), "Näher dran.");
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
    let stored =
        database.value("SELECT string_agg(encode(token_hash, 'escape'), ' ') FROM sessions");
    assert!(!stored.contains(token), "only its hash is stored");
    assert_eq!(service.ask(Method::DELETE, "/api/sessions", &with, None).status, 204);
    assert_eq!(show().status, 401, "at once");
    assert_eq!(service.get("/api/sessions").status, 401);
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
        assert_ne!(zipped.header("etag"), plain.header("etag"));
        let refused = service.ask(Method::GET, path, &[("accept-encoding", "gzip;q=0")], None);
        assert_eq!(refused.header("content-encoding"), "");
        let known = [("if-none-match", plain.header("etag"))];
        let again = service.ask(Method::GET, path, &known, None);
        assert_eq!((again.status, again.text.as_str()), (304, ""));
        assert_eq!(again.header("etag"), plain.header("etag"));
    }
}

/// Whether a value fits a schema: the part of JSON Schema that the document uses.
fn fits(value: &Value, schema: &Value, document: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let path = name.strip_prefix('#').unwrap_or(name);
        return fits(value, document.pointer(path).ok_or_else(|| name.to_owned())?, document);
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.contains(&kind) {
        return Err(format!("{value} is not {kinds:?}"));
    }
    if let Value::Array(items) = value {
        return items.iter().try_for_each(|item| fits(item, &schema["items"], document));
    }
    let Value::Object(fields) = value else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Err(format!("{name} is missing in {value}"));
        }
    }
    for (name, field) in fields {
        match &schema["properties"][name] {
            Value::Null if schema["additionalProperties"] == json!(false) => {
                return Err(format!("{name} is not described"));
            }
            known => fits(field, known, document).map_err(|e| format!("{name}: {e}"))?,
        }
    }
    Ok(())
}

#[test]
fn every_route_of_the_document_answers_as_it_says() {
    let database = database();
    let service = Service::start(&database, &[]);
    let document = service.get("/openapi.json").json();
    let cookie = service.log_in(&username(&database, 7));
    let login = json!({ "username": username(&database, 7), "password": crate::service::PASSWORD });
    let graph = json!({ "query": "{ posts(first: 1) { id } }" });
    let bad = ("/api/users/x", "/blog/api/posts/x");
    let asset =
        service.get("/").text.split('"').find(|p| p.starts_with("/static/")).map(str::to_owned);
    let asset = asset.expect("a file");
    let (login, graph, change) =
        (login.to_string(), graph.to_string(), json!({"bio": "x"}).to_string());
    let asked: Vec<(&str, Method, &str, bool, Option<&str>)> = vec![
        ("/api/users/{id}", Method::GET, "/api/users/7", false, None),
        ("/api/users/{id}", Method::GET, "/api/users/70000", false, None),
        ("/api/users/{id}", Method::GET, bad.0, false, None),
        ("/api/users/{id}", Method::PUT, "/api/users/7", true, Some(&change)),
        ("/api/users/{id}", Method::PUT, "/api/users/8", true, Some(&change)),
        ("/api/users/{id}", Method::PUT, "/api/users/7", false, Some(&change)),
        ("/api/users/{id}", Method::PUT, "/api/users/7", true, Some("{\"email\":\"x\"}")),
        ("/api/sessions", Method::POST, "/api/sessions", false, Some(&login)),
        ("/api/sessions", Method::POST, "/api/sessions", false, Some("{}")),
        ("/api/sessions", Method::GET, "/api/sessions", true, None),
        ("/api/sessions", Method::GET, "/api/sessions", false, None),
        ("/blog/api/posts", Method::GET, "/blog/api/posts?limit=3", false, None),
        ("/blog/api/posts", Method::GET, "/blog/api/posts?limit=x", false, None),
        ("/blog/api/posts/{id}", Method::GET, "/blog/api/posts/1", false, None),
        ("/blog/api/posts/{id}", Method::GET, bad.1, false, None),
        ("/blog/api/categories", Method::GET, "/blog/api/categories", false, None),
        ("/graphql", Method::POST, "/graphql", false, Some(&graph)),
        ("/graphql", Method::POST, "/graphql", false, Some("{")),
        ("/static/{name}", Method::GET, &asset, false, None),
        ("/static/{name}", Method::GET, "/static/none", false, None),
        ("/", Method::GET, "/", false, None),
        ("/openapi.json", Method::GET, "/openapi.json", false, None),
        ("/benchmark/db-test", Method::GET, "/benchmark/db-test", false, None),
        ("/benchmark/db-test", Method::GET, "/benchmark/db-test?id=70000", false, None),
        ("/healthz", Method::GET, "/healthz", false, None),
        ("/readyz", Method::GET, "/readyz", false, None),
        ("/metrics", Method::GET, "/metrics", false, None),
        ("/api/sessions", Method::DELETE, "/api/sessions", true, None),
    ];
    let mut walked = BTreeSet::new();
    for (route, method, path, logged_in, body) in asked {
        let headers: &[(&str, &str)] = if logged_in { &[("cookie", &cookie)] } else { &[] };
        let answer: Answer = service.ask(method.clone(), path, headers, body);
        let method = method.as_str().to_lowercase();
        let described = &document["paths"][route][&method]["responses"][answer.status.to_string()];
        assert!(described.is_object(), "{method} {path}: {} is not described", answer.status);
        let schema = &described["content"]["application/json"]["schema"];
        if schema.is_object() {
            let fit = fits(&answer.json(), schema, &document);
            assert_eq!(fit, Ok(()), "{method} {path} {}", answer.status);
        }
        walked.insert((route.to_owned(), method));
    }
    let all = document["paths"].as_object().expect("paths").iter();
    let all = all.flat_map(|(route, methods)| {
        methods.as_object().into_iter().flatten().map(|(method, _)| (route.clone(), method.clone()))
    });
    assert_eq!(walked, all.collect());
}

#[test]
fn without_redis_the_service_goes_on() {
    let (database, redis) = (database(), Redis::start());
    let service = Service::start(&database, &[("REDIS_URL", &redis.url)]);
    assert_eq!(service.get("/api/users/7").status, 200);
    drop(redis);
    for id in 1..USERS {
        assert_eq!(service.get(&format!("/api/users/{id}")).status, 200);
    }
    until("it is noticed", || (service.get("/readyz").json()["redis"] == false).then_some(()));
    assert_eq!(service.get("/readyz").status, 200);
}

#[test]
fn a_database_that_goes_and_comes_back_costs_503s_and_no_restart() {
    let database = database();
    let service = Service::start(&database, &[("CACHE", "off"), ("DB_POOL_TIMEOUT", "1")]);
    let postmaster = postmaster(database.pid());
    // Stopped, it answers nobody: connections hang, and the pool gives up.
    crate::processes::signal(postmaster, Signal::STOP);
    for backend in database_backends(postmaster) {
        crate::processes::signal(backend, Signal::STOP);
    }
    let first = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..12)
            .map(|id| {
                scope.spawn({
                    let service = &service;
                    move || {
                        service.try_ask(Method::GET, &format!("/api/users/{}", id + 1), &[], None)
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(2500));
        for pid in database_backends(postmaster).into_iter().chain([postmaster]) {
            crate::processes::signal(pid, Signal::CONT);
        }
        asked.into_iter().filter_map(|one| one.join().ok().flatten()).collect::<Vec<_>>()
    });
    assert!(first.iter().any(|a| a.status == 503 && a.header("retry-after") == "1"), "{first:?}");
    assert!(first.iter().all(|a| a.status == 503 || a.status == 200), "{first:?}");
    until("it is back", || (service.get("/api/users/7").status == 200).then_some(()));
}

/// A killed session makes PostgreSQL end them all and recover, as after a crash.
#[test]
fn a_database_that_is_killed_under_load_costs_503s_and_no_restart() {
    let database = database();
    let service = Service::start(&database, &[("CACHE", "off"), ("DB_POOL_TIMEOUT", "2")]);
    let postmaster = postmaster(database.pid());
    let over = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let users: Vec<_> = (1..=4)
            .map(|id| {
                let (service, over) = (&service, &over);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        seen.push(service.get(&format!("/api/users/{id}")));
                    }
                    seen
                })
            })
            .collect();
        for _ in 0..2 {
            let session = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                AND backend_type = 'client backend' AND query LIKE '%FROM users%' LIMIT 1";
            let pid = until("the service has a session", || {
                database.query(session).first()?.first()?.as_ref()?.parse::<u32>().ok()
            });
            crate::processes::signal(pid, Signal::KILL);
            until("the server is gone for somebody", || {
                (service.get("/api/users/9").status == 503
                    || !database_backends(postmaster).contains(&pid))
                .then_some(())
            });
            until("it is back", || (service.get("/api/users/7").status == 200).then_some(()));
        }
        over.store(true, Ordering::Relaxed);
        users.into_iter().flat_map(|user| user.join().expect("no answer")).collect::<Vec<_>>()
    });
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    let fine = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(busy + fine, answers.len(), "503 is the only failure there is");
    assert!(answers.iter().all(|a| a.status == 200 || a.header("retry-after") == "1"));
    assert!(busy > 0 && fine > 0, "{busy} of {}", answers.len());
    // Nobody has to start anything again: not one of them fails from here on.
    for id in 1..=20 {
        assert_eq!(service.get(&format!("/api/users/{id}")).status, 200);
    }
}

fn database_backends(postmaster: u32) -> Vec<u32> {
    let children =
        std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
    children.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn over_capacity_it_says_so_at_once() {
    let database = database();
    let env = [("CACHE", "off"), ("DB_POOL_SIZE", "1"), ("DB_POOL_WAITING", "1"), ("WORKERS", "2")];
    let service = Service::start(&database, &env);
    let (busy, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..40 {
                    let answer = service.get("/blog/api/categories");
                    match answer.status {
                        200 => served.fetch_add(1, Ordering::Relaxed),
                        503 => {
                            assert_eq!(answer.header("retry-after"), "1");
                            busy.fetch_add(1, Ordering::Relaxed)
                        }
                        other => panic!("{other}: {}", answer.text),
                    };
                }
            });
        }
    });
    assert!(served.load(Ordering::Relaxed) > 0 && busy.load(Ordering::Relaxed) > 0);
}

#[test]
fn asked_to_end_it_answers_what_it_has_accepted_and_exits_well() {
    let database = database();
    let mut service = Service::start(&database, &[("GRACE", "5")]);
    let stop = Arc::new(AtomicBool::new(false));
    let cut_off = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut good = 0;
                while !stop.load(Ordering::Relaxed) {
                    // A kept connection may be closed in the moment in which something is sent on it.
                    let fresh = &[("connection", "close")];
                    match service.try_ask(Method::GET, "/blog/api/posts?limit=50", fresh, None) {
                        Some(answer) => {
                            assert_eq!(answer.status, 200);
                            good += 1;
                        }
                        None if good == 0 => {}
                        None => {
                            // A new connection is refused; an accepted request was answered.
                            let address = service.url.trim_start_matches("http://").to_owned();
                            if std::net::TcpStream::connect(address).is_ok() {
                                cut_off.fetch_add(1, Ordering::Relaxed);
                            }
                            return;
                        }
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        service.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(service.wait().success());
    assert_eq!(cut_off.load(Ordering::Relaxed), 0);
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '' AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    until("its connections are closed", || (database.value(left) == "0").then_some(()));
}

#[test]
fn a_shared_client_keeps_its_connections_and_one_per_request_does_not() {
    let database = database();
    let beside = Service::start(&database, &[("ROLE", "cache")]);
    let mut answers = Vec::new();
    for (client, least, most) in [("per-request", 50.0, 60.0), ("shared", 0.0, 3.0)] {
        let env =
            [("CACHE", "off"), ("CACHE_SERVICE_URL", &beside.url), ("SESSION_CLIENT", client)];
        let service = Service::start(&database, &env);
        let before = beside.metric("http_connections_accepted_total");
        for id in 1..=50 {
            let answer = service.get(&format!("/api/users/{id}"));
            assert_eq!(answer.status, 200, "{}", answer.text);
            answers.push(answer.text);
        }
        assert_eq!(service.get("/api/users/99999").status, 404);
        let opened = beside.metric("http_connections_accepted_total") - before;
        assert!((least..=most).contains(&opened), "{client}: {opened}");
    }
    assert_eq!(answers[..50], answers[50..]);
    assert_eq!(beside.get("/cache/7").header("x-cache"), "memory");
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
