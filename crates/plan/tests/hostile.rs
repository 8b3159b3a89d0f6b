//! Files that were made to break the reader.

use std::time::Instant;

use pinchpoint_measure::Method;
use pinchpoint_plan::{BUILT_IN, Connection, Experiment, Overrides, Problems, parse};
use proptest::prelude::*;

/// Reads a text that must be refused in reasonable time, with places that lie in it.
fn refused(text: &str) -> Problems {
    let start = Instant::now();
    let problems = parse("hostile.toml", text).expect_err("hostile text is refused");
    let shown = problems.to_string();
    let took = start.elapsed();
    assert!(took.as_secs() < 20, "{took:?}");
    assert!(shown.len() < 100_000, "{} bytes shown", shown.len());
    assert!(!problems.0.is_empty());
    problems
}

/// `piece` over and over, up to just under the size that is still read.
fn filled(piece: &str) -> String {
    piece.repeat(((1 << 20) - 1) / piece.len())
}

fn numbered(line: impl Fn(usize) -> String) -> String {
    (0..60_000).map(line).collect::<Vec<_>>().concat()
}

#[test]
fn nesting_does_not_overflow_the_stack() {
    refused(&format!("a = {}", "[".repeat(500_000)));
    refused(&format!("a = {}", "{a=".repeat(300_000)));
    refused(&format!("a{} = 1", ".a".repeat(500_000)));
    refused(&format!("[a{}]", ".a".repeat(500_000)));
    refused(&format!("[[a{}]]", ".a".repeat(500_000)));
    // Each key just below the limit of a key's length, and each inside the one before: some six
    // thousand levels, on a thread with a small stack.
    let key = format!("a{}", ".a".repeat(78));
    let deep = format!("[{key}]\n{key} = {}1{}", format!("{{{key}=").repeat(79), "}".repeat(79));
    let small = std::thread::Builder::new().stack_size(512 << 10);
    small.spawn(move || refused(&deep)).unwrap().join().unwrap();
    refused(&format!("[table]\ncolumns = {}1{}", "[".repeat(78), "]".repeat(78)));
}

#[test]
fn a_megabyte_of_anything_is_refused_in_time() {
    for piece in [
        "a\n",
        "[",
        "]",
        "=\n",
        "[[rung]]\n",
        "[[rung]]\nname = \"1\"\n",
        "[[table.columns]]\n",
        "[a]\n",
        "[[a.a]]\n",
        "a = 1\n",
        "a.b.c.d.e.f = 1\n",
        "\"",
        "\"\"\"",
        "'''",
        "\\",
        "#",
        "\n",
        "\r",
        "\u{feff}",
        "é",
        "{",
        "{}",
        "a={},",
    ] {
        refused(&filled(piece));
    }
    refused(&numbered(|i| format!("k{i} = {i}\n")));
    let settings = numbered(|i| format!("a.b{i} = 1\n"));
    refused(&format!("[postgres.settings]\n{settings}"));
    refused(&numbered(|i| format!("[t.k{i}]\n")));
    refused(&format!("experiment = \"{}\"", "x".repeat(1_000_000)));
    refused(&format!("{} = 1", "x".repeat(1_000_000)));
    refused(&format!("[load]\nseed = {}", "9".repeat(1_000_000)));
    refused(&format!("[postgres.settings]\na = {}.0", "9".repeat(1_000_000)));
    refused(&format!("[[rung]]\nbatch = [{}]", "1,".repeat(500_000)));
    refused(&format!("[table]\nprimary_key = [{}]", "\"x\",".repeat(200_000)));
    refused(&format!("[load]\nduration = \"{}\"", "1s".repeat(400_000)));
}

#[test]
fn more_than_a_megabyte_is_not_read_at_all() {
    let problems = refused(&"#".repeat((1 << 20) + 1));
    insta::assert_snapshot!(problems.0[0].message, @"the file has 1048577 bytes, more than 1 MiB");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn places_lie_in_the_text_whatever_it_is(text in "\\PC{0,80}|(.|[\n\r\t\"'=\\[\\]{}.,#]){0,80}") {
        check_places(&text)?;
    }

    #[test]
    fn places_lie_in_a_spoilt_ladder(edits in prop::collection::vec(edit(), 1..6)) {
        let mut bytes = BUILT_IN[0].text.as_bytes().to_vec();
        for edit in edits {
            edit.spoil(&mut bytes);
        }
        check_places(&String::from_utf8_lossy(&bytes))?;
    }
}

fn check_places(text: &str) -> Result<(), TestCaseError> {
    let problems = match parse("f.toml", text) {
        Ok(experiment) => return check_promises(&experiment),
        Err(problems) => problems,
    };
    prop_assert!(!problems.0.is_empty());
    for problem in &problems.0 {
        let line = text.split('\n').nth(problem.line - 1);
        let length = line.map(|l| l.chars().count());
        prop_assert!(problem.column >= 1);
        prop_assert!(length.is_some_and(|l| problem.column <= l + 1), "{problem:?} in {text:?}");
        prop_assert!(problem.snippet.width >= 1);
        prop_assert_eq!(
            problem.to_string().lines().count(),
            3 + usize::from(problem.help.is_some())
        );
    }
    Ok(())
}

/// What every experiment that is not refused keeps, however it was spoilt.
fn check_promises(experiment: &Experiment) -> Result<(), TestCaseError> {
    let settings = &experiment.postgres.settings;
    let set = settings.iter().find(|(name, _)| name == "max_connections");
    let available = set.map_or(100, |(_, value)| value.parse().unwrap_or(0));
    prop_assert!(experiment.max_connections_needed() <= available);
    prop_assert!(!experiment.rungs.is_empty() && !experiment.table.columns.is_empty());
    for rung in &experiment.rungs {
        prop_assert!(rung.concurrency > 0 && rung.batch.largest() > 0);
        prop_assert!(rung.method != Method::Insert || rung.batch.largest() == 1);
        if let Connection::Pool { min, max, .. } = rung.connection {
            prop_assert!(min <= max && max > 0);
        }
    }
    let unchanged = experiment.clone().with(&Overrides::default());
    prop_assert_eq!(unchanged.as_ref(), Ok(experiment));
    Ok(())
}

/// A way to spoil a file; positions wrap around.
#[derive(Debug, Clone)]
enum Edit {
    Delete(usize, usize),
    Insert(usize, Vec<u8>),
    SwapLines(usize, usize),
    SwapWords(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Edit::Delete(at, length)),
        (any::<usize>(), prop::collection::vec(any::<u8>(), 1..4))
            .prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<usize>(), "[-0-9.e\"\\[\\]{}=,\n#_'a-z]{1,4}")
            .prop_map(|(at, text)| Edit::Insert(at, text.into_bytes())),
        any::<(usize, usize)>().prop_map(|(a, b)| Edit::SwapLines(a, b)),
        any::<(usize, usize)>().prop_map(|(a, b)| Edit::SwapWords(a, b)),
    ]
}

impl Edit {
    fn spoil(self, bytes: &mut Vec<u8>) {
        let size = bytes.len() + 1;
        match self {
            Self::Delete(at, length) => {
                let at = at % size;
                bytes.drain(at..(at + length).min(size - 1));
            }
            Self::Insert(at, new) => {
                bytes.splice(at % size..at % size, new);
            }
            Self::SwapLines(a, b) => swap(bytes, b'\n', a, b),
            Self::SwapWords(a, b) => swap(bytes, b' ', a, b),
        }
    }
}

fn swap(bytes: &mut Vec<u8>, between: u8, a: usize, b: usize) {
    let mut parts: Vec<&[u8]> = bytes.split(|byte| *byte == between).collect();
    let count = parts.len();
    parts.swap(a % count, b % count);
    *bytes = parts.join(&between);
}
