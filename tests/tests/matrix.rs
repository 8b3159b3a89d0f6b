//! A matrix of real applications behind a real PgBouncer, and what may go wrong in one.

use std::fs;
use std::path::{Path, PathBuf};

use pinchpoint_measure::{RunResult, RunStatus, Trial, Variant, VariantStatus};
use pinchpoint_plan::BuiltIn;
use rustix::process::Signal;

use crate::command::{Run, Running, pinchpoint, pinchpoint_with};
use crate::processes::{assert_nothing_left, signal, until};

/// The experiment that ships inside, on a small blog, with these changes.
fn experiment(directory: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let mut text = BuiltIn::find("frameworks").expect("it ships").text.to_owned();
    let small = [
        ("users = 10000\n", "users = 200\n"),
        ("posts = 50000", "posts = 1000"),
        ("comments = 100000", "comments = 3000"),
    ];
    for (from, to) in small.iter().chain(changes) {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let file = directory.join("matrix.toml");
    fs::write(&file, text).expect("the file is written");
    file
}

fn result(directory: &Path) -> RunResult {
    let text = fs::read_to_string(directory.join("result.json")).expect("a result");
    RunResult::from_json(&text).expect("a valid result")
}

/// Runs an experiment with a result directory of its own.
fn run(directory: &Path, file: &Path, options: &[&str]) -> (Run, RunResult) {
    let out = directory.join("result");
    let (file, out_text) = (file.display().to_string(), out.display().to_string());
    let mut arguments = vec!["run", &file, "--out", &out_text];
    arguments.extend(options);
    let run = pinchpoint(&arguments);
    assert!(out.join("result.json").is_file(), "{}", run.stderr);
    let result = result(&out);
    assert_nothing_left(run.pid);
    (run, result)
}

const SHORT: [&str; 4] = ["--duration", "1s", "--warmup", "300ms"];

fn only(options: &[&'static str]) -> Vec<&'static str> {
    let mut all = SHORT.to_vec();
    all.extend(["--trials", "1"]);
    for option in options {
        all.extend(["--only", option]);
    }
    all
}

fn trial(variant: &Variant) -> &Trial {
    variant.trials.first().unwrap_or_else(|| panic!("{}: {:?}", variant.name, variant.reason))
}

#[test]
fn a_python_and_a_rust_application_run_with_and_without_pgbouncer() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &[]);
    let options = only(&["app=flask,axum", "users=5", "waterfall=none"]);
    let (run, result) = run(directory.path(), &file, &options);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(result.status, RunStatus::Complete);
    assert_eq!(result.variants.len(), 4);
    for variant in &result.variants {
        assert_eq!(variant.status, VariantStatus::Ok, "{}: {:?}", variant.name, variant.reason);
        let trial = trial(variant);
        assert!(trial.succeeded > 20 && trial.failed == 0, "{trial:?}");
        let stack = trial.stack.as_ref().expect("the stack was watched");
        let evidence = stack.evidence.as_ref().expect("statements were counted");
        assert_eq!(evidence.statements, evidence.requests * 2, "{}: {evidence:?}", variant.name);
        let sessions = stack.sessions.as_ref().expect("sessions were counted");
        assert!(sessions.most >= 1 && sessions.samples > 3, "{sessions:?}");
        let pooled = variant.factors["connection"] == "pgbouncer";
        assert_eq!(stack.pooler.is_some(), pooled);
        if let Some(pooler) = &stack.pooler {
            assert_eq!(pooler.servers_ready, 5, "the pool is warm before the load");
            let transactions = pooler.total("total_xact_count").expect("a total");
            assert!(transactions >= trial.succeeded, "{transactions} {}", trial.succeeded);
        }
        let gates: Vec<&str> = trial.gates.iter().map(|g| g.name.as_str()).collect();
        for gate in ["littles-law", "generator-headroom", "answers", "statements", "restarts"] {
            assert!(gates.contains(&gate), "{gate} of {gates:?}");
        }
    }
    let flask = &result.variants[2];
    assert!(flask.factors["driver"].as_str().expect("a text").contains("psycopg 3."), "{flask:?}");
    let out = directory.path().join("result");
    for path in [
        "summary_report.md",
        "report.html",
        "plots/rps_comparison.png",
        "plots/p95_latency_comparison.png",
        "cases/axum-direct-5/requests_stats.csv",
        "cases/axum-direct-5/requests_stats_history.csv",
        "cases/axum-direct-5/summary.json",
        "cases/axum-direct-5/metrics.csv",
        "histograms/axum-direct-5-1.hlog",
    ] {
        assert!(out.join(path).is_file(), "{path}");
    }
}

/// The same post, whichever application answers and whichever way it reaches the database.
#[test]
fn every_application_gives_the_same_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let expected = include_str!("answer.json").trim();
    assert!(!expected.contains('\''), "it stands between single quotes");
    let check = format!("{{ json = \"\", equals = '{expected}' }},\n    {{ status = 200 }},");
    let file = experiment(
        directory.path(),
        &[
            ("path = \"/benchmark/db-test\"", "path = \"/benchmark/db-test?id=12\""),
            ("    { status = 200 },", &format!("    {check}")),
        ],
    );
    let (run, result) = run(directory.path(), &file, &only(&["users=10", "waterfall=none"]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(result.variants.len(), 10);
    for variant in &result.variants {
        let trial = trial(variant);
        assert!(trial.succeeded > 0 && trial.failed == 0, "{}: {:?}", variant.name, trial.errors);
    }
}

#[test]
fn an_application_that_does_not_start_is_a_row_and_the_matrix_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(
        directory.path(),
        &[(
            "command = [\"pinchpoint-app-actix\"]",
            "command = [\"sh\", \"-c\", \"echo no luck; exit 3\"]",
        )],
    );
    let options = only(&["app=axum,actix", "users=10", "connection=direct", "waterfall=none"]);
    let (run, result) = run(directory.path(), &file, &options);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(result.variants[0].status, VariantStatus::Ok);
    assert_eq!(result.variants[1].status, VariantStatus::Failed);
    let reason = result.variants[1].reason.as_deref().expect("a reason");
    assert!(reason.contains("no luck") && reason.contains('3'), "{reason}");
    assert!(run.stdout.contains("failed:"), "{}", run.stdout);
}

#[test]
fn packages_that_cannot_be_installed_are_a_reason_and_not_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = directory.path().join("cache");
    let file = experiment(directory.path(), &[]);
    let out = directory.path().join("result");
    let (file, out_text) = (file.display().to_string(), out.display().to_string());
    let mut arguments = vec!["run", &file, "--out", &out_text];
    let options = only(&["app=axum,flask", "users=10", "connection=direct", "waterfall=none"]);
    arguments.extend(options);
    // Neither a cache of wheels nor an index that answers.
    let conf = directory.path().join("pip.conf");
    fs::write(
        &conf,
        "[global]\nindex-url = http://127.0.0.1:9/\nno-cache-dir = true\nretries = 0\n",
    )
    .expect("written");
    let cache_text = cache.display().to_string();
    let run = crate::command::pinchpoint_with_all(
        &[
            ("PIP_CONFIG_FILE", conf.display().to_string().as_str()),
            ("PINCHPOINT_CACHE", &cache_text),
        ],
        &arguments,
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    assert_eq!(result.variants[0].status, VariantStatus::Ok);
    assert_eq!(result.variants[1].status, VariantStatus::Skipped);
    let reason = result.variants[1].reason.as_deref().expect("a reason");
    assert!(reason.contains("pip install") && reason.contains("flask"), "{reason}");
}

/// The first process of this name below the command.
fn process(pid: u32, name: &str) -> u32 {
    until(name, || {
        crate::processes::processes(pid).into_iter().find_map(|line| {
            let (pid, command) = line.split_once(' ')?;
            (command.contains(name) && !command.contains("__exec")).then(|| pid.parse().ok())?
        })
    })
}

#[test]
fn a_pooler_killed_in_mid_case_fails_that_case_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &[]);
    let out = directory.path().join("result");
    let (file, out_text) = (file.display().to_string(), out.display().to_string());
    let mut running = Running::spawn(&[
        "run",
        &file,
        "--out",
        &out_text,
        "--duration",
        "3s",
        "--warmup",
        "300ms",
        "--trials",
        "1",
        "--only",
        "app=axum,actix",
        "--only",
        "users=10",
        "--only",
        "connection=pgbouncer",
        "--only",
        "waterfall=none",
    ]);
    let pooler = process(running.pid(), "pgbouncer.ini");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    signal(pooler, Signal::KILL);
    running.wait_for("actix-pgbouncer-10 trial 1/1");
    let run = running.wait();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    assert_eq!(result.variants[0].status, VariantStatus::Failed);
    let reason = result.variants[0].reason.as_deref().expect("a reason");
    assert!(reason.contains("PgBouncer ended by itself"), "{reason}");
    assert_eq!(result.variants[1].status, VariantStatus::Ok);
    assert_nothing_left(run.pid);
}

#[test]
fn an_application_killed_in_mid_case_fails_that_case_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &[]);
    let out = directory.path().join("result");
    let (file, out_text) = (file.display().to_string(), out.display().to_string());
    let mut running = Running::spawn(&[
        "run",
        &file,
        "--out",
        &out_text,
        "--duration",
        "3s",
        "--warmup",
        "300ms",
        "--trials",
        "1",
        "--only",
        "app=axum,actix",
        "--only",
        "users=10",
        "--only",
        "connection=direct",
        "--only",
        "waterfall=none",
    ]);
    let app = process(running.pid(), "pinchpoint-app-axum");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    signal(app, Signal::KILL);
    running.wait_for("actix-direct-10 trial 1/1");
    let run = running.wait();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    assert_eq!(result.variants[0].status, VariantStatus::Failed);
    let reason = result.variants[0].reason.as_deref().expect("a reason");
    assert!(reason.contains("axum ended by itself (killed by SIGKILL)"), "{reason}");
    assert_eq!(result.variants[1].status, VariantStatus::Ok);
    assert_nothing_left(run.pid);
}

#[test]
fn a_database_killed_while_a_case_warms_up_fails_that_case_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &[]);
    let out = directory.path().join("result");
    let (file, out_text) = (file.display().to_string(), out.display().to_string());
    let mut arguments = vec!["run", &file, "--out", &out_text, "--duration", "1s"];
    arguments.extend(["--warmup", "3s", "--trials", "1", "--only", "app=axum,actix"]);
    arguments.extend(["--only", "users=10", "--only", "connection=direct"]);
    arguments.extend(["--only", "waterfall=none"]);
    let running = Running::spawn(&arguments);
    process(running.pid(), "pinchpoint-app-axum");
    std::thread::sleep(std::time::Duration::from_secs(1));
    signal(crate::processes::postmaster(running.pid()), Signal::KILL);
    let run = running.wait();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    assert_eq!(result.variants[0].status, VariantStatus::Failed);
    let reason = result.variants[0].reason.as_deref().expect("a reason");
    assert!(reason.contains("PostgreSQL ended by itself (killed by SIGKILL)"), "{reason}");
    assert_eq!(reason.matches("end of its log").count(), 1, "{reason}");
    assert_eq!(result.variants[1].status, VariantStatus::Ok, "{:?}", result.variants[1].reason);
    assert_nothing_left(run.pid);
}

#[test]
fn an_interrupted_matrix_is_readable_and_can_be_resumed() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &[]);
    let out = directory.path().join("result");
    let (file, out_text) = (file.display().to_string(), out.display().to_string());
    let same = [
        "--duration",
        "1s",
        "--warmup",
        "300ms",
        "--trials",
        "1",
        "--only",
        "app=axum,actix",
        "--only",
        "users=10,20",
        "--only",
        "connection=direct",
        "--only",
        "waterfall=none",
    ];
    let mut arguments = vec!["run", &file, "--out", &out_text];
    arguments.extend(same);
    let mut running = Running::spawn(&arguments);
    running.wait_for("axum-direct-10 trial 1/1");
    signal(running.pid(), Signal::INT);
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert_nothing_left(run.pid);
    let partial = result(&out);
    assert_eq!(partial.status, RunStatus::Interrupted);
    let first = trial(&partial.variants[0]).clone();
    assert!(run.stdout.contains("interrupted"), "{}", run.stdout);

    let mut arguments = vec!["run", &file, "--resume", &out_text];
    arguments.extend(same);
    let run = pinchpoint(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let whole = result(&out);
    assert_eq!(whole.status, RunStatus::Complete);
    assert_eq!(trial(&whole.variants[0]), &first, "what was measured stays");
    assert!(whole.variants.iter().all(|v| v.status == VariantStatus::Ok));
}

#[test]
fn users_are_raised_until_they_bring_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &[]);
    let mut options = only(&["app=axum", "users=2", "connection=direct", "waterfall=none"]);
    options.push("--until-limit");
    let (run, result) = run(directory.path(), &file, &options);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let levels: Vec<_> = result.variants.iter().map(|v| v.factors["users"].clone()).collect();
    assert!(levels.len() >= 2 && levels[..2] == [2, 4], "{levels:?}");
    let [knee] = result.knees.as_slice() else { panic!("{:?}", result.knees) };
    assert!(knee.app == "axum" && knee.users >= 2 && knee.throughput_per_s > 0.0, "{knee:?}");
    assert!(run.stdout.contains("Where more users gave no more"), "{}", run.stdout);
}

#[test]
fn too_many_connections_are_counted_and_not_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(
        directory.path(),
        &[
            ("max_connections = 100 ", "max_connections = 12 "),
            ("pool = \"2 a CPU\"", "pool = \"40\"\nenv = { DB_POOL_SIZE = 40 }"),
        ],
    );
    let options = only(&["app=actix", "users=100", "connection=direct", "waterfall=none"]);
    let (run, result) = run(directory.path(), &file, &options);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let trial = trial(&result.variants[0]);
    assert!(trial.succeeded > 0 && trial.failed > 0, "{} {}", trial.succeeded, trial.failed);
    assert!(trial.errors.contains_key("status 503"), "{:?}", trial.errors);
    let verdict = result.variants[0].verdict.as_ref().expect("a verdict");
    assert_eq!(verdict.bottleneck, "failures");
}

#[test]
fn a_machine_without_pgbouncer_runs_what_it_can() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &[]);
    let out = directory.path().join("result");
    let (file, out_text) = (file.display().to_string(), out.display().to_string());
    let mut arguments = vec!["run", &file, "--out", &out_text];
    arguments.extend(only(&["app=axum", "users=10", "waterfall=none"]));
    let run = pinchpoint_with(("PINCHPOINT_PGBOUNCER", "/nowhere/pgbouncer"), &arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let result = result(&out);
    assert_eq!(result.variants[0].status, VariantStatus::Ok);
    assert_eq!(result.variants[1].status, VariantStatus::Skipped);
    assert!(result.variants[1].reason.as_deref().is_some_and(|r| r.contains("pgbouncer")));
}

#[test]
fn an_external_server_gets_the_blog_and_loses_nothing() {
    let server = crate::server::Server::start(&[]);
    // A session of somebody else, which must live on.
    let bystander = server.value("SELECT pg_backend_pid()");
    assert!(!bystander.is_empty());
    server.query("CREATE TABLE precious AS SELECT 7 AS n");
    let directory = tempfile::tempdir().expect("a directory");
    let file = experiment(directory.path(), &[]);
    let mut options = only(&["app=axum", "users=5", "waterfall=none"]);
    let dsn: &'static str = Box::leak(server.dsn.trim().to_owned().into_boxed_str());
    options.extend(["--dsn", dsn]);
    let (run, result) = run(directory.path(), &file, &options);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for variant in &result.variants {
        let trial = trial(variant);
        assert!(trial.succeeded > 20 && trial.failed == 0, "{}: {:?}", variant.name, trial.errors);
        let stack = trial.stack.as_ref().expect("what could be watched");
        // It runs on this machine, so what it uses can be read; nothing of it is ours to change.
        let postgres = stack.process("postgres").expect("a server on this machine");
        assert!(postgres.cpu_s.is_some() && postgres.cpus.is_none(), "{postgres:?}");
        assert!(stack.sessions.as_ref().is_some_and(|s| s.most >= 1), "{:?}", stack.sessions);
    }
    assert!(!result.environment.software[0].managed);
    assert_eq!(server.value("SELECT n FROM precious"), "7");
    assert_eq!(server.value("SELECT count(*) FROM posts"), "1000");
    let text = fs::read_to_string(directory.path().join("result/result.json")).expect("a result");
    let password = dsn.split(':').nth(2).and_then(|r| r.split('@').next()).expect("a password");
    assert!(!text.contains(password), "the password stays out of the result");
}

#[test]
fn the_experiment_that_ships_inside_drives_an_application_by_its_url() {
    let database = crate::server::Server::start(&[]);
    let server = crate::http::serve(crate::http::Manner::Answer);
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("result").display().to_string();
    let url = format!("django={}", server.url);
    let run = pinchpoint(&[
        "run",
        "frameworks",
        "--quick",
        "--duration",
        "500ms",
        "--warmup",
        "200ms",
        "--only",
        "app=django",
        "--only",
        "users=2",
        "--only",
        "connection=direct",
        "--url",
        &url,
        "--dsn",
        &database.dsn,
        "--out",
        &out,
    ]);
    let result = result(Path::new(&out));
    // It is asked, and answers something else than the blog.
    let trial = &result.variants[0].trials[0];
    assert!(trial.failed > 0, "{}\n{}", run.stdout, run.stderr);
    assert_eq!(result.variants.len(), 1);
    for (wrong, why) in
        [("flask=ftp://x", "is not of the form"), ("flusk=http://x", "did you mean")]
    {
        let run = pinchpoint(&["run", "frameworks", "--url", wrong]);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
}

#[test]
fn an_application_that_somebody_else_runs_is_loaded_where_it_is() {
    let server = crate::http::serve(crate::http::Manner::Answer);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mine.toml");
    let text = format!(
        r#"
        experiment = "mine"
        [dataset]
        users = 1
        posts = 1
        comments = 0
        [[request]]
        path = "/"
        checks = [{{ json = "/status", equals = "ok" }}]
        [matrix]
        connections = ["direct"]
        users = [3]
        [[app]]
        name = "mine"
        url = "{}"
        [thresholds]
        http_req_failed = ["rate<0.5"]
        http_req_duration = ["p(95)<0.000001"]
        "#,
        server.url
    );
    fs::write(&file, text).expect("written");
    let (run, result) = run(directory.path(), &file, &only(&[]));
    assert_eq!(run.code, Some(99), "a missed threshold: {}", run.stderr);
    let trial = trial(&result.variants[0]);
    assert!(trial.succeeded > 20 && trial.failed == 0, "{:?}", trial.errors);
    assert_eq!(trial.thresholds.iter().map(|t| t.passed).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn bad_choices_of_cases_are_refused_with_what_there_is() {
    let mut texts = String::new();
    for choice in ["app=fastap", "users=0", "framework=x", "app", "profile=tunde", "connection=udp"]
    {
        let run = pinchpoint(&["run", "frameworks", "--only", choice]);
        assert_eq!(run.code, Some(2), "{choice}: {}", run.stderr);
        texts.push_str(&run.stderr);
    }
    insta::assert_snapshot!(texts);
}
