use std::fmt::Write as _;
use std::path::Path;

use pinchpoint_measure::{ExitCode, significant};
use pinchpoint_observe::{filesystem, fsync_probe, machine};
use pinchpoint_stack::{SearchInput, find, find_pgbouncer, find_postgres, find_redis};

use crate::cli::DoctorArgs;
use crate::failure::Failure;
use crate::terminal::print;

pub(crate) fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let mut text = format!("pinchpoint {}\n\n", env!("CARGO_PKG_VERSION"));
    describe_machine(&mut text);
    describe_disk(&mut text);
    describe_limits(&mut text);
    describe_matrix(&mut text);
    let usable = describe_postgres(&mut text, args);
    print(&text)?;
    match usable {
        Ok(()) => Ok(ExitCode::Ok),
        Err(failure) => Err(failure),
    }
}

fn describe_machine(text: &mut String) {
    let machine = machine();
    let gib = machine.memory_bytes as f64 / f64::from(1 << 30);
    let _ = writeln!(
        text,
        "machine    {}, {} CPUs, {} GiB",
        machine.cpu_model,
        machine.cpus,
        significant(gib, 3)
    );
    let _ = writeln!(text, "kernel     {}", machine.kernel);
}

fn describe_disk(text: &mut String) {
    let base = pinchpoint_stack::default_base_dir();
    let kind = filesystem(&base).unwrap_or_else(|| "unknown file system".to_owned());
    let flush = match fsync_probe(&base) {
        Ok(time) => format!("one flush takes {} µs", significant(time.as_secs_f64() * 1e6, 3)),
        Err(error) => format!("not writable: {error}"),
    };
    let _ = writeln!(text, "data in    {} ({kind}; {flush})", base.display());
    if kind == "tmpfs" {
        let _ =
            writeln!(text, "           a tmpfs: flushes cost nothing, durable rungs look too fast");
    }
}

fn describe_limits(text: &mut String) {
    let _ = writeln!(text, "limits     {}", pinchpoint_stack::limit_means());
    match pinchpoint_stack::server_user() {
        Ok(user) => {
            let _ = writeln!(text, "servers    run as {user}");
        }
        Err(error) => {
            let _ = writeln!(text, "servers    {error}");
        }
    }
}

/// What a matrix of applications needs beside PostgreSQL.
fn describe_matrix(text: &mut String) {
    let pooler = match find_pgbouncer(None) {
        Ok(found) => format!("{} ({})", found.version, found.path.display()),
        Err(_) => "not found: cases through it are skipped".to_owned(),
    };
    let _ = writeln!(text, "PgBouncer  {pooler}");
    let redis = match find_redis(None) {
        Ok(found) => format!("{} ({})", found.version, found.path.display()),
        Err(_) => "not found: experiments that need it do not run".to_owned(),
    };
    let _ = writeln!(text, "Redis      {redis}");
    let python = find("python3").map_or("not found".to_owned(), |path| display(&path));
    let kept = display(&pinchpoint_stack::cache_dir());
    let _ = writeln!(text, "Python     {python}; applications and their packages in {kept}");
    for program in ["pinchpoint-app-axum", "pinchpoint-app-actix"] {
        let beside = std::env::current_exe().ok().and_then(|e| Some(e.parent()?.join(program)));
        let place = beside.filter(|p| p.is_file()).or_else(|| find(program));
        let place = place
            .map_or("not built: cargo build --release --workspace".to_owned(), |p| display(&p));
        let _ = writeln!(text, "           {program}: {place}");
    }
}

fn describe_postgres(text: &mut String, args: &DoctorArgs) -> Result<(), Failure> {
    let input = SearchInput { explicit: args.search.pg_bin.clone(), ..SearchInput::from_env() };
    text.push_str("\nPostgreSQL\n");
    let search = match find_postgres(&input) {
        Ok(search) => search,
        Err(error) => {
            return Err(Failure::run(error.to_string()));
        }
    };
    for (i, found) in search.found.iter().enumerate() {
        let mark = if i == 0 { "→" } else { " " };
        let place = display(&found.bin_dir);
        let _ =
            writeln!(text, "  {mark} {:<8} {place} ({})", found.version.to_string(), found.source);
    }
    text.push_str("\nlooked in\n");
    for (place, outcome) in &search.looked {
        let _ = writeln!(text, "    {place}: {outcome}");
    }
    search.newest().map(|_| ()).map_err(|error| Failure::run(error.to_string()))
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
