//! The blog service while its Redis or its database goes away and comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pinchpoint_stack::{Cancel, Transport};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::blog::username;
use crate::processes::{children, postmaster, until};
use crate::service::{Answer, MortalRedis, Redis, Service, USERS, database, fill};

/// What `users` clients get, one request after the other, while something happens.
fn under_load(
    service: &Service,
    path: impl Fn(u64, usize) -> String + Sync,
    happens: impl FnOnce(),
) -> Vec<Answer> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (path, over) = (&path, &over);
        let users: Vec<_> = (1..=4)
            .map(|user| {
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        seen.push(service.get(&path(user, seen.len())));
                    }
                    seen
                })
            })
            .collect();
        // Also when what happens fails: else the clients would never end.
        let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(happens));
        over.store(true, Ordering::Relaxed);
        let seen = users.into_iter().flat_map(|user| user.join().expect("answers")).collect();
        happened.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        seen
    })
}

/// Nothing but 200 and, for a while, 503; and from now on nothing but 200.
fn assert_recovered(service: &Service, answers: &[Answer]) {
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
    for backend in children(postmaster) {
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
        for pid in children(postmaster).into_iter().chain([postmaster]) {
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
    let answers = under_load(
        &service,
        |user, _| format!("/api/users/{user}"),
        || {
            for _ in 0..2 {
                let session = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                AND backend_type = 'client backend' AND query LIKE '%FROM users%' LIMIT 1";
                let pid = until("the service has a session", || {
                    database.query(session).first()?.first()?.as_ref()?.parse::<u32>().ok()
                });
                crate::processes::signal(pid, Signal::KILL);
                until("the server is gone for somebody", || {
                    (service.get("/api/users/9").status == 503
                        || !children(postmaster).contains(&pid))
                    .then_some(())
                });
                until("it is back", || (service.get("/api/users/7").status == 200).then_some(()));
            }
        },
    );
    assert_recovered(&service, &answers);
}

/// The server's first process is killed, as by a machine that is out of memory, and started again
/// on the same data and port by whoever watches over it.
#[test]
fn a_database_whose_server_is_killed_under_load_and_started_again_costs_503s_and_no_restart() {
    let mut postgres = crate::pgbouncer::server();
    let dsn = postgres.dsn(Transport::Tcp);
    fill(&dsn);
    let service = Service::start_on(&dsn, &[("CACHE", "off"), ("DB_POOL_TIMEOUT", "2")]);
    let answers = under_load(
        &service,
        |user, _| format!("/api/users/{user}"),
        || {
            for _ in 0..2 {
                until("it serves", || (service.get("/api/users/7").status == 200).then_some(()));
                let before = postgres.pid().expect("it runs");
                crate::processes::signal(before, Signal::KILL);
                until("it is gone", || (service.get("/api/users/9").status == 503).then_some(()));
                assert_eq!(service.get("/readyz").status, 503);
                postgres.restart(&Cancel::default()).expect("it starts again");
                assert_ne!(postgres.pid(), Some(before));
                until("it is back", || (service.get("/api/users/7").status == 200).then_some(()));
            }
        },
    );
    assert_recovered(&service, &answers);
}

#[test]
fn a_redis_that_is_killed_under_load_and_started_again_costs_nothing_but_hits() {
    let (database, mut redis) = (database(), MortalRedis::start());
    let url = redis.url();
    let env = [("REDIS_URL", url.as_str())];
    let (here, there) = (Service::start(&database, &env), Service::start(&database, &env));
    let is_whole = |service: &Service, whole: bool| {
        until("Redis comes or goes", || {
            (service.get("/readyz").json()["redis"] == whole).then_some(())
        });
    };
    let path = |user, n: usize| match n % 2 {
        0 => format!("/blog/api/posts/{}", 1 + (n as u64 * user) % 100),
        _ => format!("/api/users/{}", 1 + (n as u64 * user) % (USERS - 1)),
    };
    let answers = under_load(&here, path, || {
        for _ in 0..2 {
            is_whole(&here, true);
            redis.kill();
            is_whole(&here, false);
            // Long enough for what memory knows to be asked for again.
            std::thread::sleep(Duration::from_millis(300));
            redis.again();
        }
        is_whole(&here, true);
        is_whole(&there, true);
    });
    let failed: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(failed.is_empty(), "{} of {}: {:?}", failed.len(), answers.len(), failed[0]);
    // It shares again, and tells the others again what has changed.
    let last = format!("/api/users/{USERS}");
    assert_eq!(here.get(&last).header("x-cache"), "miss");
    assert_eq!(there.get(&last).header("x-cache"), "redis");
    let cookie = here.log_in(&username(&database, USERS));
    let change = json!({ "bio": "After the fall." }).to_string();
    assert_eq!(here.ask(Method::PUT, &last, &[("cookie", &cookie)], Some(&change)).status, 200);
    until("the other process sees it", || {
        (there.get(&last).json()["bio"] == "After the fall.").then_some(())
    });
}
