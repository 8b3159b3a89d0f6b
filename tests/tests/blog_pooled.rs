//! The blog service behind a pooler that hands out a server connection for each transaction.

use std::sync::atomic::{AtomicUsize, Ordering};

use pinchpoint_stack::Transport;
use reqwest::Method;

use crate::pgbouncer::{log_in, options, server, start};
use crate::server::block_on;
use crate::service::{Service, fill};

/// Two server connections for sixteen clients, and statements without names: whatever is sent in
/// two batches meets two sessions sooner or later, unless it is in a transaction.
#[test]
fn every_endpoint_is_safe_behind_a_transaction_pooler() {
    let server = server();
    fill(&server.dsn(Transport::Tcp));
    let small = [("default_pool_size", "2")];
    let pooler = start(&options(&server, &small));
    let dsn = pooler.dsn(server.database());
    let env = [
        ("CACHE", "off"),
        ("DB_POOL_SIZE", "16"),
        ("DB_TRANSACTION_POOLING", "1"),
        ("WORKERS", "2"),
    ];
    let service = Service::start_on(&dsn, &env);
    let name = block_on(async {
        let mut admin = log_in(&server.dsn(Transport::Tcp)).await.expect("a session");
        let rows = admin.query("SELECT username FROM users WHERE id = 7").await.expect("a name");
        rows[0][0].clone().expect("a name")
    });
    let cookie = service.log_in(&name);
    let with_session = [("cookie", cookie.as_str())];
    let graph = r#"{"query":"{ posts(first: 3) { author { username } comments { id } } }"}"#;
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..16 {
            let (service, answered) = (&service, &answered);
            scope.spawn(move || {
                for turn in 0..12 {
                    let bio = format!("{client}-{turn}");
                    let change = serde_json::json!({ "bio": bio }).to_string();
                    let all = [
                        (Method::GET, "/api/users/7", &[][..], None),
                        (Method::PUT, "/api/users/7", &with_session, Some(change.as_str())),
                        (Method::GET, "/api/sessions", &with_session, None),
                        (Method::GET, "/blog/api/posts?category=database", &[], None),
                        (Method::GET, "/blog/api/posts/3", &[], None),
                        (Method::GET, "/blog/api/categories", &[], None),
                        (Method::GET, "/benchmark/db-test?id=3", &[], None),
                        (Method::POST, "/graphql", &[], Some(graph)),
                    ];
                    for (method, path, headers, body) in all {
                        let answer = service.ask(method, path, headers, body);
                        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
                        assert!(!answer.text.contains("\"errors\""), "{path}: {}", answer.text);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(answered.into_inner(), 16 * 12 * 8);
    // What was changed was kept, and a session that was ended stays ended.
    assert!(service.get("/api/users/7").text.contains("-11"), "the last change");
    let path = "/api/sessions";
    assert_eq!(service.ask(Method::DELETE, path, &with_session, None).status, 204);
    assert_eq!(service.ask(Method::GET, path, &with_session, None).status, 401);
}
