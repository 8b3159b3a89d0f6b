use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::StackError;

/// The oldest server version that is supported.
const OLDEST: u32 = 14;

/// Where to look for server programs.
#[derive(Debug, Clone, Default)]
pub struct SearchInput {
    /// The directory that the user named; nothing else is looked at then.
    pub explicit: Option<PathBuf>,
    /// The search path, as in the environment.
    pub path: Option<OsString>,
}

impl SearchInput {
    /// The usual places of this system, and the environment's search path.
    pub fn from_env() -> Self {
        Self { explicit: None, path: std::env::var_os("PATH") }
    }
}

/// A server version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 15 of 15.18.
    pub major: u32,
    /// 18 of 15.18; 0 for a development version.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A directory with `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The directory.
    pub bin_dir: PathBuf,
    /// What `postgres --version` says.
    pub version: Version,
    /// How it was found: `PATH`, `pg_config`, `Debian`, ….
    pub source: &'static str,
}

/// What was found, newest first, and where was looked.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Usable installations, newest first.
    pub found: Vec<Installation>,
    /// Each place, and what was there.
    pub looked: Vec<(String, String)>,
}

impl Search {
    /// The newest installation.
    pub fn newest(self) -> Result<Installation, StackError> {
        let Self { found, looked } = self;
        found.into_iter().next().ok_or_else(|| StackError::NotFound {
            looked: looked.iter().map(|(place, what)| format!("  {place}: {what}")).collect(),
        })
    }
}

/// Directories in which distributions keep the programs of each version: parent, suffix, name.
const USUAL: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "bin", "Debian"),
    ("/usr", "bin", "Fedora"),
    ("/opt/homebrew/opt", "bin", "Homebrew"),
    ("/usr/local/opt", "bin", "Homebrew"),
    ("/home/linuxbrew/.linuxbrew/opt", "bin", "Homebrew"),
    ("/Library/PostgreSQL", "bin", "EnterpriseDB"),
];

/// Looks for server programs: newest first, each directory once.
pub fn find_postgres(input: &SearchInput) -> Result<Search, StackError> {
    if let Some(path) = &input.explicit {
        let installation = examine(path, "--pg-bin")
            .map_err(|reason| StackError::NotAnInstallation { path: path.clone(), reason })?;
        let looked = vec![(path.display().to_string(), "named by the user".to_owned())];
        return Ok(Search { found: vec![installation], looked });
    }
    let mut search = Search::default();
    for (place, source) in candidates(input, &mut search.looked) {
        let outcome = match examine(&place, source) {
            Ok(installation) => {
                let real = real(&place);
                let known = search.found.iter().any(|f| crate::search::real(&f.bin_dir) == real);
                let text = format!("PostgreSQL {}", installation.version);
                if !known {
                    search.found.push(installation);
                }
                text
            }
            Err(reason) => reason,
        };
        search.looked.push((format!("{} ({source})", place.display()), outcome));
    }
    search.found.sort_by(|a, b| b.version.cmp(&a.version));
    Ok(search)
}

fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path.join("postgres")).unwrap_or_else(|_| path.to_owned())
}

fn candidates(
    input: &SearchInput,
    looked: &mut Vec<(String, String)>,
) -> Vec<(PathBuf, &'static str)> {
    let mut places = Vec::new();
    match output("pg_config", &["--bindir"], input.path.as_ref()) {
        Some(text) => places.push((PathBuf::from(text.trim()), "pg_config")),
        None => looked.push(("pg_config --bindir".to_owned(), "no such program".to_owned())),
    }
    for (parent, suffix, source) in USUAL {
        let versions = versions_below(Path::new(parent));
        if versions.is_empty() {
            looked.push((format!("{parent} ({source})"), "no version there".to_owned()));
        }
        places.extend(versions.into_iter().map(|v| (v.join(suffix), source)));
    }
    for place in input.path.iter().flat_map(std::env::split_paths) {
        if place.join("postgres").is_file() {
            places.push((place, "PATH"));
        }
    }
    places
}

/// Sub-directories that look like versions: `15`, `pgsql-15`, `postgresql@15`.
fn versions_below(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let bare = name
                .strip_prefix("pgsql-")
                .or_else(|| name.strip_prefix("postgresql@"))
                .unwrap_or(&name);
            !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn examine(place: &Path, source: &'static str) -> Result<Installation, String> {
    for program in ["initdb", "postgres"] {
        if !place.join(program).is_file() {
            return Err(format!("no {program}"));
        }
    }
    let program = place.join("postgres");
    let text = output(&program.to_string_lossy(), &["--version"], None)
        .ok_or("postgres --version does not run")?;
    let version = parse_version(&text).ok_or_else(|| format!("version not understood: {text}"))?;
    if version.major < OLDEST {
        return Err(format!("version {version} is older than {OLDEST}"));
    }
    Ok(Installation { bin_dir: place.to_owned(), version, source })
}

/// `postgres (PostgreSQL) 15.18 (Debian …)`.
fn parse_version(text: &str) -> Option<Version> {
    let number = text.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let major = number[..end].parse().ok()?;
    let rest = number[end..].strip_prefix('.').unwrap_or("0");
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(Version { major, minor: rest[..end].parse().unwrap_or(0) })
}

fn output(program: &str, arguments: &[&str], path: Option<&OsString>) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let output = command.output().ok().filter(|o| o.status.success())?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        for (text, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some((15, 18))),
            ("postgres (PostgreSQL) 18beta1", Some((18, 0))),
            ("postgres (PostgreSQL) 14.0", Some((14, 0))),
            ("postgres", None),
        ] {
            assert_eq!(parse_version(text).map(|v| (v.major, v.minor)), version, "{text}");
        }
    }

    #[test]
    fn a_directory_without_the_programs_is_refused_with_its_reason() {
        let input = SearchInput { explicit: Some("/usr/share".into()), path: None };
        let error = find_postgres(&input).unwrap_err().to_string();
        assert!(error.contains("/usr/share") && error.contains("no initdb"), "{error}");
    }

    #[test]
    fn nothing_found_names_the_places_and_the_packages() {
        let search =
            Search { found: vec![], looked: vec![("/x".into(), "no version there".into())] };
        let error = search.newest().unwrap_err().to_string();
        assert!(error.contains("/x: no version there"), "{error}");
        assert!(error.contains("apt-get install postgresql"), "{error}");
    }
}
