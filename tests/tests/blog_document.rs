//! The blog service does what its `OpenAPI` document says, and the document says all that it does.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::blog::username;
use crate::service::{Answer, PASSWORD, Service, database};

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
    bounded(value, schema)?;
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

/// Whether a text or a number has the form and the bounds that a schema gives it.
fn bounded(value: &Value, schema: &Value) -> Result<(), String> {
    let within = |number: i64, least: &str, most: &str| {
        schema[least].as_i64().is_none_or(|least| number >= least)
            && schema[most].as_i64().is_none_or(|most| number <= most)
    };
    let (formed, within) = match value {
        Value::String(text) => {
            let formed = match schema["format"].as_str() {
                Some("date-time") => OffsetDateTime::parse(text, &Rfc3339).is_ok(),
                Some(other) => return Err(format!("texts of the form {other} are not checked")),
                None => true,
            };
            let length = i64::try_from(text.chars().count()).map_err(|e| e.to_string())?;
            (formed, within(length, "minLength", "maxLength"))
        }
        Value::Number(number) => {
            let formed = match schema["format"].as_str() {
                Some("int64") => number.is_i64(),
                Some(other) => return Err(format!("numbers of the form {other} are not checked")),
                None => true,
            };
            (formed, number.as_i64().is_none_or(|n| within(n, "minimum", "maximum")))
        }
        _ => (true, true),
    };
    if formed && within { Ok(()) } else { Err(format!("{value} is not {schema}")) }
}

/// Whether an answer is one that the document describes for this route.
fn assert_described(document: &Value, route: &str, method: &Method, answer: &Answer) {
    let (method, status) = (method.as_str().to_lowercase(), answer.status);
    let described = &document["paths"][route][&method]["responses"][status.to_string()];
    assert!(described.is_object(), "{method} {route}: {status} is not described");
    let schema = &described["content"]["application/json"]["schema"];
    if schema.is_object() {
        let fit = fits(&answer.json(), schema, document);
        assert_eq!(fit, Ok(()), "{method} {route} {status}");
    }
    for (name, _) in described["headers"].as_object().into_iter().flatten() {
        assert_ne!(answer.header(name), "", "{method} {route} {status}: no {name}");
    }
    if status == 503 {
        assert!(described["headers"]["retry-after"].is_object(), "{method} {route}");
    }
}

/// Methods, statuses and routes of the document: `GET /api/users/{id} 200`.
fn all_answers(document: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (route, methods) in document["paths"].as_object().expect("paths") {
        for (method, said) in methods.as_object().expect("methods") {
            let statuses = said["responses"].as_object().expect("responses").keys();
            all.extend(
                statuses.map(|status| format!("{} {route} {status}", method.to_uppercase())),
            );
        }
    }
    all
}

/// A request for a route: its method, its path, whether with a session, its body.
type Asked<'a> = (&'a str, Method, &'a str, bool, Option<&'a str>);

const LOG_IN: &str = "/api/sessions";
const USER: &str = "/api/users/{id}";
const POSTS: &str = "/blog/api/posts";
const POST: &str = "/blog/api/posts/{id}";
const CACHED: &str = "/cache/{id}";
const CATEGORIES: &str = "/blog/api/categories";
const DB_TEST: &str = "/benchmark/db-test";
const CHANGE: &str = r#"{"bio":"x"}"#;
const GRAPH: &str = r#"{"query":"{ posts(first: 1) { id } }"}"#;
const STRANGER: &str = r#"{"username":"nobody","password":"wrong"}"#;

/// Something for every answer that there is while all goes well.
fn asked<'a>(login: &'a str, long: &'a str, asset: &'a str) -> Vec<Asked<'a>> {
    vec![
        (USER, Method::GET, "/api/users/7", false, None),
        (USER, Method::GET, "/api/users/70000", false, None),
        (USER, Method::GET, "/api/users/x", false, None),
        (USER, Method::PUT, "/api/users/7", true, Some(CHANGE)),
        (USER, Method::PUT, "/api/users/x", true, Some(CHANGE)),
        (USER, Method::PUT, "/api/users/8", true, Some(CHANGE)),
        (USER, Method::PUT, "/api/users/7", false, Some(CHANGE)),
        (USER, Method::PUT, "/api/users/7", true, Some("{\"email\":\"x\"}")),
        (USER, Method::PUT, "/api/users/7", true, Some("{\"email\":5}")),
        (USER, Method::PUT, "/api/users/7", true, Some(long)),
        (USER, Method::PUT, "/api/users/7", true, None),
        (LOG_IN, Method::POST, LOG_IN, false, Some(login)),
        (LOG_IN, Method::POST, LOG_IN, false, Some("{}")),
        (LOG_IN, Method::POST, LOG_IN, false, Some("{")),
        (LOG_IN, Method::POST, LOG_IN, false, Some(STRANGER)),
        (LOG_IN, Method::POST, LOG_IN, false, Some(long)),
        (LOG_IN, Method::POST, LOG_IN, false, None),
        (LOG_IN, Method::GET, LOG_IN, true, None),
        (LOG_IN, Method::GET, LOG_IN, false, None),
        (POSTS, Method::GET, "/blog/api/posts?limit=3", false, None),
        (POSTS, Method::GET, "/blog/api/posts?limit=x", false, None),
        (POST, Method::GET, "/blog/api/posts/1", false, None),
        (POST, Method::GET, "/blog/api/posts/70000", false, None),
        (POST, Method::GET, "/blog/api/posts/x", false, None),
        (CATEGORIES, Method::GET, CATEGORIES, false, None),
        ("/graphql", Method::POST, "/graphql", false, Some(GRAPH)),
        ("/graphql", Method::POST, "/graphql", false, Some("{")),
        ("/graphql", Method::POST, "/graphql", false, Some("{\"query\":5}")),
        ("/graphql", Method::POST, "/graphql", false, Some(long)),
        ("/graphql", Method::POST, "/graphql", false, None),
        ("/static/{name}", Method::GET, asset, false, None),
        ("/static/{name}", Method::GET, "/static/none", false, None),
        ("/", Method::GET, "/", false, None),
        ("/openapi.json", Method::GET, "/openapi.json", false, None),
        (DB_TEST, Method::GET, DB_TEST, false, None),
        (DB_TEST, Method::GET, "/benchmark/db-test?id=x", false, None),
        (DB_TEST, Method::GET, "/benchmark/db-test?id=70000", false, None),
        ("/healthz", Method::GET, "/healthz", false, None),
        ("/readyz", Method::GET, "/readyz", false, None),
        ("/metrics", Method::GET, "/metrics", false, None),
        (CACHED, Method::GET, "/cache/7", false, None),
        (CACHED, Method::GET, "/cache/70000", false, None),
        (CACHED, Method::GET, "/cache/x", false, None),
        (CACHED, Method::DELETE, "/cache/7", false, None),
        (CACHED, Method::DELETE, "/cache/x", false, None),
    ]
}

/// What needs a database.
fn asked_without_database(login: &str) -> Vec<Asked<'_>> {
    vec![
        (USER, Method::GET, "/api/users/7", false, None),
        (USER, Method::PUT, "/api/users/7", true, Some(CHANGE)),
        (LOG_IN, Method::POST, LOG_IN, false, Some(login)),
        (LOG_IN, Method::GET, LOG_IN, true, None),
        (LOG_IN, Method::DELETE, LOG_IN, true, None),
        (POSTS, Method::GET, POSTS, false, None),
        (POST, Method::GET, "/blog/api/posts/1", false, None),
        (CATEGORIES, Method::GET, CATEGORIES, false, None),
        ("/graphql", Method::POST, "/graphql", false, Some(GRAPH)),
        (DB_TEST, Method::GET, DB_TEST, false, None),
        ("/readyz", Method::GET, "/readyz", false, None),
        (CACHED, Method::GET, "/cache/9", false, None),
    ]
}

#[test]
fn every_route_of_the_document_answers_as_it_says() {
    let database = database();
    let service = Service::start(&database, &[("CACHE", "off"), ("DB_POOL_TIMEOUT", "1")]);
    let cache = Service::start(&database, &[("ROLE", "cache"), ("DB_POOL_TIMEOUT", "1")]);
    let lost = [("CACHE", "off"), ("CACHE_SERVICE_URL", "http://127.0.0.1:9")];
    let lost = Service::start(&database, &lost);
    let document = service.get("/openapi.json").json();
    let cookie = service.log_in(&username(&database, 7));
    let login = json!({ "username": username(&database, 7), "password": PASSWORD }).to_string();
    let long = format!("\"{}\"", "x".repeat(70_000));
    let front = service.get("/").text;
    let asset = front.split('"').find(|p| p.starts_with("/static/")).expect("a file");
    let mut seen = BTreeSet::new();
    let mut ask = |service: &Service, (route, method, path, logged_in, body): Asked<'_>| {
        let headers: &[(&str, &str)] = if logged_in { &[("cookie", &cookie)] } else { &[] };
        let answer = service.ask(method.clone(), path, headers, body);
        assert_described(&document, route, &method, &answer);
        seen.insert(format!("{method} {route} {}", answer.status));
    };
    let of = |route: &str| if route == CACHED { &cache } else { &service };
    for one in asked(&login, &long, asset) {
        ask(of(one.0), one);
    }
    // The cache service cannot be reached.
    ask(&lost, (USER, Method::GET, "/api/users/7", false, None));
    ask(&lost, (USER, Method::PUT, "/api/users/7", true, Some(CHANGE)));
    ask(&service, (LOG_IN, Method::DELETE, LOG_IN, false, None));
    ask(&service, (LOG_IN, Method::DELETE, LOG_IN, true, None));
    let etag = service.get(asset).header("etag").to_owned();
    let known = service.ask(Method::GET, asset, &[("if-none-match", &etag)], None);
    drop(database);
    for one in asked_without_database(&login) {
        ask(of(one.0), one);
    }
    assert_described(&document, "/static/{name}", &Method::GET, &known);
    seen.insert(format!("GET /static/{{name}} {}", known.status));
    // All that is described was seen, but for one: a user with a session cannot be deleted here.
    let mut all = all_answers(&document);
    assert!(all.remove("PUT /api/users/{id} 404"));
    assert_eq!(seen, all);
}

/// The routes themselves are held against the document beside their table; here, their methods.
#[test]
fn every_method_of_a_route_is_in_the_document() {
    let database = database();
    let service = Service::start(&database, &[]);
    let cache = Service::start(&database, &[("ROLE", "cache")]);
    let document = service.get("/openapi.json").json();
    for (route, methods) in document["paths"].as_object().expect("paths") {
        let path = route.replace("{id}", "7").replace("{name}", "none");
        let method = Method::from_bytes(b"PURGE").expect("a method");
        let whom = if route.starts_with("/cache/") { &cache } else { &service };
        let answer = whom.ask(method, &path, &[], None);
        assert_eq!(answer.status, 405, "{route}");
        // Whoever answers a GET answers a HEAD.
        let allowed = answer.header("allow").split(',').filter(|method| *method != "HEAD");
        let allowed: BTreeSet<String> = allowed.map(str::to_lowercase).collect();
        let described = methods.as_object().expect("methods").keys().cloned();
        assert_eq!(allowed, described.collect(), "{route}");
    }
}

/// What the document says of a body is what the service takes: at each bound, and one beyond it.
#[test]
fn bodies_are_taken_as_far_as_the_document_says() {
    let database = database();
    let service = Service::start(&database, &[("CACHE", "off")]);
    let document = service.get("/openapi.json").json();
    let name = username(&database, 7);
    let cookie = service.log_in(&name);
    let change = &document["paths"][USER]["put"]["requestBody"]["content"]["application/json"];
    let change = match change["schema"]["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).expect("a schema"),
        None => &change["schema"],
    };
    let put = |field: &str, length: usize| {
        // An e-mail address has its host.
        let text = if field == "email" { "@example.org" } else { "" };
        let text = "x".repeat(length.saturating_sub(text.len())) + text;
        let body = json!({ field: text }).to_string();
        service.ask(Method::PUT, "/api/users/7", &[("cookie", &cookie)], Some(&body)).status
    };
    let mut bounds = 0;
    for (field, schema) in change["properties"].as_object().expect("fields") {
        let bound = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
        if let Some(most) = bound("maxLength") {
            assert_eq!((put(field, most), put(field, most + 1)), (200, 422), "{field}");
            bounds += 1;
        }
        if let Some(least) = bound("minLength") {
            assert_eq!((put(field, least), put(field, least - 1)), (200, 422), "{field}");
            bounds += 1;
        }
    }
    assert!(bounds >= 4, "{bounds} bounds");
    let parameters = document["paths"][POSTS]["get"]["parameters"].as_array().expect("parameters");
    let limit = parameters.iter().find(|p| p["name"] == "limit").expect("a limit");
    let list = |limit: i64| service.get(&format!("{POSTS}?limit={limit}")).status;
    let bound = |name: &str| limit["schema"][name].as_i64().expect("a bound");
    assert_eq!((list(bound("minimum")), list(bound("minimum") - 1)), (200, 400));
    assert_eq!((list(bound("maximum")), list(bound("maximum") + 1)), (200, 400));
}
