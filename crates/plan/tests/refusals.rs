//! What is refused, and how that reads.

use pinchpoint_plan::parse;

const SMALL: &str = r#"experiment = "small"

[postgres.settings]
max_connections = 60

[table]
name = "t"
primary_key = ["id"]
columns = [
  { name = "id", type = "uuid", generator = { kind = "uuid" } },
  { name = "n", type = "smallint", generator = { kind = "integer", min = 1, max = 9 } },
  { name = "d", type = "numeric(5,2)", generator = { kind = "decimal", min = 1, max = 9.99 } },
  { name = "s", type = "text", generator = { kind = "text", min = 1, max = 9 } },
]

[load]
duration = "1s"

[[rung]]
name = "a"
pool = { max = 4 }
method = "copy"
batch = 10

[[rung]]
name = "b"
connection = "per-operation"
"#;

/// What is said of the small experiment with some of its text replaced.
fn refusal(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    let text = SMALL.replacen(from, to, 1);
    parse("x.toml", &text).expect_err(&text).to_string()
}

/// What is said of the small experiment with another rung at its end.
fn rung(keys: &str) -> String {
    let text = format!("{SMALL}[[rung]]\n{keys}\n");
    parse("x.toml", &text).expect_err(&text).to_string()
}

#[test]
fn the_small_experiment_itself_is_fine() {
    parse("x.toml", SMALL).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn keys() {
    insta::assert_snapshot!(refusal("duration = ", "duraton = "), @r#"
    x.toml:17:1: unknown key `duraton` in [load]
     17 | duraton = "1s"
        | ^^^^^^^
        help: did you mean `duration`?
    "#);
    insta::assert_snapshot!(refusal("duration = ", "method = "), @r#"
    x.toml:17:1: unknown key `method` in [load]
     17 | method = "1s"
        | ^^^^^^
        help: `method` belongs in [[rung]]
    "#);
    insta::assert_snapshot!(refusal("duration = ", "\"\\u001B[2J\" = "), @r#"
    x.toml:17:1: unknown key `\u{1b}[2J` in [load]
     17 | "\u001B[2J" = "1s"
        | ^^^^^^^^^^^
        help: the keys here are `duration`, `warmup`, `warmup_at_most`, `trials`, `interval`, `target_tps`, `stages`, `arrivals`, `seed` and `threads`
    "#);
    insta::assert_snapshot!(refusal("experiment = \"small\"", "pool = 5"), @"
    x.toml:1:1: unknown key `pool` in the top level
     1 | pool = 5
       | ^^^^
       help: `pool` belongs in [[rung]]

    x.toml:1:1: missing key `experiment` in the top level
     1 | pool = 5
       | ^
       help: add it (string of at most 64 characters): the experiment's name: lower-case letters, digits and dashes. Results carry it.
    ");
    insta::assert_snapshot!(refusal("min = 1, max = 9 }", "min = 1, max = 9, exponent = 1 }"), @r#"
    x.toml:11:97: `exponent` is Zipf's, and the choice is uniform
     11 |   { name = "n", type = "smallint", generator = { kind = "integer", min = 1, max = 9, exponent = 1 } …
        |                                                                                                 ^
        help: add `choice = "zipf"`, or leave it out
    "#);
    insta::assert_snapshot!(refusal("[load]", "[[load]]"), @"
    x.toml:16:1: [load] must be a table, not an array
     16 | [[load]]
        | ^^^^^^^^
        help: `[[…]]` makes an array: write single brackets
    ");
    insta::assert_snapshot!(refusal("duration = \"1s\"", "[rung.pool]"), @"
    x.toml:19:3: not valid TOML: duplicate key
     19 | [[rung]]
        |   ^^^^
    ");
    insta::assert_snapshot!(refusal("name = \"a\"", "name = \"a\"\ntitle = \"two\\nlines\""), @r#"
    x.toml:21:9: `title` has the character '\n' in it
     21 | title = "two\nlines"
        |         ^^^^^^^^^^^^
        help: it is shown on terminals: leave it out
    "#);
    insta::assert_snapshot!(refusal("name = \"a\"", ""), @"
    x.toml:19:1: missing key `name` in [[rung]]
     19 | [[rung]]
        | ^^^^^^^^
        help: add it (string of at most 32 characters): the rung's name, as `--rungs` has it: letters, digits, dots, dashes and underscores.
    ");
}

#[test]
fn text_that_is_not_toml() {
    insta::assert_snapshot!(refusal("duration = \"1s\"", "duration = \"1s"), @r#"
    x.toml:17:15: not valid TOML: invalid basic string, expected `"`
     17 | duration = "1s
        |               ^
    "#);
    insta::assert_snapshot!(refusal("duration = \"1s\"", "duration =\ntrials"), @"
    x.toml:17:11: not valid TOML: string values must be quoted, expected literal string
     17 | duration =
        |           ^
    ");
    insta::assert_snapshot!(refusal("duration = \"1s\"", "duration = 1s"), @"
    x.toml:17:12: not valid TOML: string values must be quoted, expected literal string
     17 | duration = 1s
        |            ^^
    ");
    insta::assert_snapshot!(refusal("[load]", "[table]"), @"
    x.toml:16:2: not valid TOML: duplicate key
     16 | [table]
        |  ^^^^^
    ");
    insta::assert_snapshot!(refusal("[load]", "[load]\rtrials = 1"), @"
    x.toml:16:7: a carriage return without a newline
     16 | [load]�trials = 1
        |       ^
        help: save the file with ordinary line ends
    ");
    insta::assert_snapshot!(parse("x.toml", "").unwrap_err().to_string(), @"
    x.toml:1:1: missing key `experiment` in the top level
     1 | 
       | ^
       help: add it (string of at most 64 characters): the experiment's name: lower-case letters, digits and dashes. Results carry it.

    x.toml:1:1: missing key `table` in the top level
     1 | 
       | ^
       help: add it (table `[table]`): what is written.

    x.toml:1:1: missing key `rung` in the top level
     1 | 
       | ^
       help: add it (array of tables `[[rung]]`): the rungs of the ladder in their order, each written `[[rung]]`.
    ");
}

#[test]
fn types_and_durations() {
    insta::assert_snapshot!(refusal("\"1s\"", "1"), @r#"
    x.toml:17:12: `duration` cannot be the whole number `1`
     17 | duration = 1
        |            ^
        help: expected duration such as `"10s"`, 100ms to 168h
    "#);
    insta::assert_snapshot!(refusal("\"1s\"", "\"1 second\""), @r#"
    x.toml:17:12: bad `duration`: `second` is not a unit of time: use `us`, `ms`, `s`, `min` (or `m`) or `h`
     17 | duration = "1 second"
        |            ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(refusal("\"1s\"", "\"0s\""), @r#"
    x.toml:17:12: `duration` cannot be the string `0s`
     17 | duration = "0s"
        |            ^^^^
        help: expected duration such as `"10s"`, 100ms to 168h
    "#);
    insta::assert_snapshot!(refusal("duration = \"1s\"", "trials = 0"), @"
    x.toml:17:10: `trials` cannot be the whole number `0`
     17 | trials = 0
        |          ^
        help: expected whole number, 1 to 1000
    ");
    insta::assert_snapshot!(refusal("duration = \"1s\"", "trials = 2.5"), @"
    x.toml:17:10: `trials` cannot be the number `2.5`
     17 | trials = 2.5
        |          ^^^
        help: expected whole number, 1 to 1000
    ");
}

#[test]
fn numbers_and_names() {
    insta::assert_snapshot!(refusal("duration = \"1s\"", "target_tps = nan"), @"
    x.toml:17:14: `target_tps` cannot be the number `nan`
     17 | target_tps = nan
        |              ^^^
        help: expected number, 0.001 to 1000000000
    ");
    insta::assert_snapshot!(refusal("duration = \"1s\"", "target_tps = -inf"), @"
    x.toml:17:14: `target_tps` cannot be the number `-inf`
     17 | target_tps = -inf
        |              ^^^^
        help: expected number, 0.001 to 1000000000
    ");
    insta::assert_snapshot!(refusal("duration = \"1s\"", "target_tps = 1e400"), @"
    x.toml:17:14: `target_tps` cannot be the number `1e400`
     17 | target_tps = 1e400
        |              ^^^^^
        help: expected number, 0.001 to 1000000000
    ");
    insta::assert_snapshot!(refusal("duration = \"1s\"", "warmup = \"soon\""), @r#"
    x.toml:17:10: bad `warmup`: `soon` is not a duration: write a number and a unit, as in `10s`, `500ms` or `1m30s`
     17 | warmup = "soon"
        |          ^^^^^^
        help: it is `auto`, or a duration such as `5s`
    "#);
    insta::assert_snapshot!(refusal("duration = \"1s\"", "seed = 99999999999999999999999"), @"
    x.toml:17:8: `seed` cannot be the whole number `99999999999999999999999`
     17 | seed = 99999999999999999999999
        |        ^^^^^^^^^^^^^^^^^^^^^^^
        help: expected whole number, 0 to 18446744073709551615
    ");
    insta::assert_snapshot!(refusal("experiment = \"small\"", "experiment = \"My Ladder\""), @r#"
    x.toml:1:14: `My Ladder` cannot be an experiment's name
     1 | experiment = "My Ladder"
       |              ^^^^^^^^^^^
       help: use lower-case letters, digits and dashes, such as `my-ladder`
    "#);
    insta::assert_snapshot!(refusal("experiment = \"small\"", "experiment = 2026-01-01"), @"
    x.toml:1:14: `experiment` cannot be a date or time
     1 | experiment = 2026-01-01
       |              ^^^^^^^^^^
       help: expected string of at most 64 characters
    ");
}

#[test]
fn load() {
    insta::assert_snapshot!(refusal("duration = \"1s\"", "arrivals = \"poisson\""), @r#"
    x.toml:17:12: `arrivals` without a schedule: flat out, each operation follows the last
     17 | arrivals = "poisson"
        |            ^^^^^^^^^
        help: add `target_tps` or `stages`, or leave `arrivals` out
    "#);
    insta::assert_snapshot!(refusal("duration = \"1s\"", "arrivals = \"random\""), @r#"
    x.toml:17:12: `arrivals` cannot be `random`
     17 | arrivals = "random"
        |            ^^^^^^^^
        help: it is `constant` or `poisson`
    "#);
    insta::assert_snapshot!(refusal("duration = \"1s\"", "warmup = \"1s\"\nwarmup_at_most = \"2s\""), @r#"
    x.toml:18:18: `warmup_at_most` bounds an `auto` warm-up, and this one has a fixed length
     18 | warmup_at_most = "2s"
        |                  ^^^^
        help: leave it out, or write `warmup = "auto"`
    "#);
    insta::assert_snapshot!(
        refusal("duration = \"1s\"", "duration = \"1s\"\ntarget_tps = 5\nstages = []"), @r#"
    x.toml:17:12: `duration` and `stages` both say how long a trial is
     17 | duration = "1s"
        |            ^^^^
        help: leave `duration` out: it is the stages' sum

    x.toml:18:14: `target_tps` and `stages` both say how fast to go
     18 | target_tps = 5
        |              ^
        help: leave one of them out

    x.toml:19:10: `stages` never ask for anything
     19 | stages = []
        |          ^^
        help: give at least one stage a `target_tps` above 0
    "#);
    insta::assert_snapshot!(
        refusal("duration = \"1s\"", "stages = [{ duration = \"1s\", target = 5 }]"), @r#"
    x.toml:17:11: missing key `target_tps` in [[load.stages]]
     17 | stages = [{ duration = "1s", target = 5 }]
        |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        help: add it (number, 0 to 1000000000): rows per second at the stage's end.

    x.toml:17:30: unknown key `target` in [[load.stages]]
     17 | stages = [{ duration = "1s", target = 5 }]
        |                              ^^^^^^
        help: did you mean `target_tps`?
    "#);
}

#[test]
fn server() {
    insta::assert_snapshot!(refusal("max_connections = 60", "port = 5432"), @"
    x.toml:4:8: setting `port` is not for an experiment
     4 | port = 5432
       |        ^^^^
       help: pinchpoint decides where the server listens; see `port` and `transport` in [postgres]
    ");
    insta::assert_snapshot!(refusal("max_connections = 60", "synchronous_commit = false"), @"
    x.toml:4:22: setting `synchronous_commit` is not for an experiment
     4 | synchronous_commit = false
       |                      ^^^^^
       help: it is what rungs differ in: set it in a [[rung]]
    ");
    insta::assert_snapshot!(refusal("max_connections = 60", "Work_Mem = \"1MB\""), @r#"
    x.toml:4:1: `Work_Mem` cannot be the name of a setting
     4 | Work_Mem = "1MB"
       | ^^^^^^^^
       help: names are lower-case letters, digits, underscores and dots, such as `shared_buffers`
    "#);
    insta::assert_snapshot!(refusal("max_connections = 60", "work_mem = [1]"), @"
    x.toml:4:12: setting `work_mem` cannot be an array
     4 | work_mem = [1]
       |            ^^^
       help: it is a string, a finite number or a boolean
    ");
    insta::assert_snapshot!(refusal("max_connections = 60", "work_mem = \"1MB\\nport = 1\""), @r#"
    x.toml:4:12: the value of setting `work_mem` has '\n' in it
     4 | work_mem = "1MB\nport = 1"
       |            ^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(refusal("max_connections = 60", "a.b = 2\n\"a.b\" = 1"), @r#"
    x.toml:5:9: setting `a.b` is there twice
     5 | "a.b" = 1
       |         ^
    "#);
    insta::assert_snapshot!(refusal("max_connections = 60", "seq_page_cost = -inf"), @"
    x.toml:4:17: setting `seq_page_cost` cannot be the number `-inf`
     4 | seq_page_cost = -inf
       |                 ^^^^
       help: it is a string, a finite number or a boolean
    ");
    insta::assert_snapshot!(refusal("max_connections = 60", "max_connections = \"many\""), @r#"
    x.toml:4:19: setting `max_connections` cannot be `many`
     4 | max_connections = "many"
       |                   ^^^^^^
       help: it is a whole number, 1 to 262143
    "#);
    insta::assert_snapshot!(refusal("[postgres.settings]", "[postgres]\nmemory = \"512\"\ncpus = 0\nport = 0\n[postgres.settings]"), @r#"
    x.toml:4:10: bad `memory`: `512` is not a size: write a whole number and `B`, `kB`, `MB`, `GB` or `TB`
     4 | memory = "512"
       |          ^^^^^

    x.toml:5:8: `cpus` cannot be the whole number `0`
     5 | cpus = 0
       |        ^
       help: expected number, 0.01 to 4096

    x.toml:6:8: `port` cannot be the whole number `0`
     6 | port = 0
       |        ^
       help: expected whole number, 1 to 65535
    "#);
}

#[test]
fn table() {
    insta::assert_snapshot!(refusal("name = \"t\"", "name = \"\""), @r#"
    x.toml:7:8: `name` cannot be ``
     7 | name = ""
       |        ^^
       help: PostgreSQL takes names of 1 to 63 bytes, without NUL
    "#);
    insta::assert_snapshot!(refusal("[\"id\"]", "[\"idd\", \"id\", \"id\", 3]"), @r#"
    x.toml:8:16: `primary_key` has `idd`, which is no column
     8 | primary_key = ["idd", "id", "id", 3]
       |                ^^^^^
       help: did you mean `id`?

    x.toml:8:29: `primary_key` has `id` twice
     8 | primary_key = ["idd", "id", "id", 3]
       |                             ^^^^

    x.toml:8:35: `primary_key` cannot have the whole number `3` in it
     8 | primary_key = ["idd", "id", "id", 3]
       |                                   ^
       help: it is an array of column names
    "#);
    insta::assert_snapshot!(refusal("{ name = \"n\"", "{ name = \"id\""), @r#"
    x.toml:11:12: column `id` is there twice
     11 |   { name = "id", type = "smallint", generator = { kind = "integer", min = 1, max = 9 } },
        |            ^^^^
        help: give one of them another name
    "#);
    insta::assert_snapshot!(refusal("{ name = \"n\"", "{ name = \"ctid\""), @r#"
    x.toml:11:12: column `ctid` is one that every table has
     11 |   { name = "ctid", type = "smallint", generator = { kind = "integer", min = 1, max = 9 } },
        |            ^^^^^^
        help: give it another name
    "#);
    insta::assert_snapshot!(refusal("type = \"smallint\"", "type = \"integr\""), @r#"
    x.toml:11:24: `type` cannot be `integr`
     11 |   { name = "n", type = "integr", generator = { kind = "integer", min = 1, max = 9 } },
        |                        ^^^^^^^^
        help: did you mean `integer`?
    "#);
    insta::assert_snapshot!(refusal("numeric(5,2)", "numeric"), @r#"
    x.toml:12:24: `type` cannot be `numeric`
     12 |   { name = "d", type = "numeric", generator = { kind = "decimal", min = 1, max = 9.99 } },
        |                        ^^^^^^^^^
        help: write `numeric(precision,scale)`, such as `numeric(12,2)`: 1 to 100 digits in all, at most 18 of them after the point
    "#);
    insta::assert_snapshot!(refusal("\"text\", generator", "\"jsonb\", generator"), @r#"
    x.toml:13:24: `type` cannot be `jsonb`
     13 |   { name = "s", type = "jsonb", generator = { kind = "text", min = 1, max = 9 } },
        |                        ^^^^^^^
        help: rows can be made for `uuid`, `smallint`, `integer`, `bigint`, `numeric(p,s)`, `double precision`, `text` or `timestamptz`
    "#);
}

#[test]
fn generators() {
    insta::assert_snapshot!(refusal("min = 1, max = 9 }", "min = 1, max = 40000 }"), @r#"
    x.toml:11:83: `max` does not fit `smallint`
     11 |   { name = "n", type = "smallint", generator = { kind = "integer", min = 1, max = 40000 } },
        |                                                                                   ^^^^^
        help: it holds -32768 to 32767
    "#);
    insta::assert_snapshot!(refusal("min = 1, max = 9.99", "min = 10, max = 9.99"), @r#"
    x.toml:12:88: `max` is below `min`
     12 |   { name = "d", type = "numeric(5,2)", generator = { kind = "decimal", min = 10, max = 9.99 } },
        |                                                                                        ^^^^
        help: both are included; exchange them
    "#);
    insta::assert_snapshot!(refusal("max = 9.99", "max = 9.999"), @r#"
    x.toml:12:87: `max` does not fit `numeric(5,2)`
     12 |   { name = "d", type = "numeric(5,2)", generator = { kind = "decimal", min = 1, max = 9.999 } },
        |                                                                                       ^^^^^
        help: it keeps 2 digits after the point: round the number
    "#);
    insta::assert_snapshot!(refusal("max = 9.99", "max = 1000"), @r#"
    x.toml:12:87: `max` does not fit `numeric(5,2)`
     12 |   { name = "d", type = "numeric(5,2)", generator = { kind = "decimal", min = 1, max = 1000 } },
        |                                                                                       ^^^^
        help: it has 3 digits before the point
    "#);
    insta::assert_snapshot!(refusal("max = 9.99", "max = 1e99"), @r#"
    x.toml:12:87: `max` is too large, or has too many digits
     12 |   { name = "d", type = "numeric(5,2)", generator = { kind = "decimal", min = 1, max = 1e99 } },
        |                                                                                       ^^^^
        help: values have at most 18 digits
    "#);
    insta::assert_snapshot!(refusal("max = 9.99", "max = inf"), @r#"
    x.toml:12:87: `max` cannot be the number `inf`
     12 |   { name = "d", type = "numeric(5,2)", generator = { kind = "decimal", min = 1, max = inf } },
        |                                                                                       ^^^
        help: it is a finite number
    "#);
    insta::assert_snapshot!(refusal("max = 9.99", "max = \"9.99\""), @r#"
    x.toml:12:87: `max` cannot be the string `9.99`
     12 |   { name = "d", type = "numeric(5,2)", generator = { kind = "decimal", min = 1, max = "9.99" } },
        |                                                                                       ^^^^^^
        help: expected number
    "#);
}

#[test]
fn generators_of_texts_and_others() {
    insta::assert_snapshot!(refusal("kind = \"uuid\"", "kind = \"now\""), @r#"
    x.toml:10:54: a generator of kind `now` does not make values of `uuid`
     10 |   { name = "id", type = "uuid", generator = { kind = "now" } },
        |                                                      ^^^^^
        help: for `uuid` the kind is `uuid`
    "#);
    insta::assert_snapshot!(refusal("kind = \"uuid\"", "kind = \"guid\""), @r#"
    x.toml:10:54: `kind` cannot be `guid`
     10 |   { name = "id", type = "uuid", generator = { kind = "guid" } },
        |                                                      ^^^^^^
        help: did you mean `uuid`?
    "#);
    insta::assert_snapshot!(refusal("{ kind = \"uuid\" }", "\"uuid\""), @r#"
    x.toml:10:45: `generator` cannot be the string `uuid`
     10 |   { name = "id", type = "uuid", generator = "uuid" },
        |                                             ^^^^^^
        help: write a table, such as `{ kind = "uuid" }`
    "#);
    insta::assert_snapshot!(refusal("kind = \"text\", min = 1, max = 9", "kind = \"one_of\", values = []"), @r#"
    x.toml:13:72: `values` has 0 texts
     13 |   { name = "s", type = "text", generator = { kind = "one_of", values = [] } },
        |                                                                        ^^
        help: it needs 1 to 1000
    "#);
    insta::assert_snapshot!(refusal("kind = \"text\", min = 1, max = 9", "kind = \"one_of\", values = [\"a\\u0000\", 1]"), @r#"
    x.toml:13:73: PostgreSQL's `text` cannot hold a NUL character
     13 |   { name = "s", type = "text", generator = { kind = "one_of", values = ["a\u0000", 1] } },
        |                                                                         ^^^^^^^^^

    x.toml:13:84: `values` cannot have the whole number `1` in it
     13 |   { name = "s", type = "text", generator = { kind = "one_of", values = ["a\u0000", 1] } },
        |                                                                                    ^
        help: write each as a string
    "#);
    insta::assert_snapshot!(refusal("kind = \"text\", min = 1, max = 9", "kind = \"text\", min = 0, max = 10001"), @r#"
    x.toml:13:67: `min` cannot be the whole number `0`
     13 |   { name = "s", type = "text", generator = { kind = "text", min = 0, max = 10001 } },
        |                                                                   ^
        help: expected whole number, 1 to 10000

    x.toml:13:76: `max` cannot be the whole number `10001`
     13 |   { name = "s", type = "text", generator = { kind = "text", min = 0, max = 10001 } },
        |                                                                            ^^^^^
        help: expected whole number, 1 to 10000
    "#);
    insta::assert_snapshot!(refusal("min = 1, max = 9 }", "min = 1, max = 9, choice = \"zipf\", exponent = 0 }"), @r#"
    x.toml:11:114: `exponent` cannot be the whole number `0`
     11 | …e = "smallint", generator = { kind = "integer", min = 1, max = 9, choice = "zipf", exponent = 0 } },
        |                                                                                                ^
        help: expected number, 0.01 to 10
    "#);
}

#[test]
fn rungs() {
    let by_default = SMALL.replace("max_connections = 60", "").replace("max = 4 }", "max = 96 }");
    let by_default = parse("x.toml", &by_default).unwrap_err().to_string();
    insta::assert_snapshot!(rung("name = \"A\"\npool = { max = 1 }"), @r#"
    x.toml:29:8: there is a rung `A` already
     29 | name = "A"
        |        ^^^
        help: names must differ in more than case
    "#);
    insta::assert_snapshot!(rung("name = \"a b\"\npool = { max = 1 }"), @r#"
    x.toml:29:8: `a b` cannot be a rung's name
     29 | name = "a b"
        |        ^^^^^
        help: use letters, digits, dots, dashes and underscores, such as `2-B`; `best` has a meaning of its own
    "#);
    insta::assert_snapshot!(rung("name = \"c\""), @r#"
    x.toml:28:1: the rung does not say how it connects
     28 | [[rung]]
        | ^^^^^^^^
        help: add `connection = "per-operation"` or `pool = { min = 10, max = 50 }`
    "#);
    insta::assert_snapshot!(rung("name = \"c\"\nconnection = \"pool\""), @r#"
    x.toml:30:14: `connection = "pool"` without a `pool`
     30 | connection = "pool"
        |              ^^^^^^
        help: add it, such as `pool = { min = 10, max = 50 }`
    "#);
    insta::assert_snapshot!(rung("name = \"c\"\nconnection = \"per-operation\"\npool = { max = 1 }"), @"
    x.toml:31:8: `pool` with a new connection for each operation
     31 | pool = { max = 1 }
        |        ^^^^^^^^^^^
        help: leave out `pool`, or `connection`
    ");
    insta::assert_snapshot!(rung("name = \"c\"\npool = { min = 5, max = 4 }"), @"
    x.toml:30:16: pool `min` 5 is above its `max` 4
     30 | pool = { min = 5, max = 4 }
        |                ^
        help: make it smaller, or leave it out
    ");
    insta::assert_snapshot!(rung("name = \"c\"\npool = { max = 56 }"), @"
    x.toml:30:8: a pool of 56 needs a `max_connections` of 61 (3 are kept for superusers, 2 for observers), and it is 60
     30 | pool = { max = 56 }
        |        ^^^^^^^^^^^^
        help: set `max_connections = 61` in [postgres.settings], or use fewer
    ");
    insta::assert_snapshot!(rung("name = \"c\"\nconnection = \"per-operation\"\nconcurrency = 56"), @"
    x.toml:31:15: a concurrency of 56 needs a `max_connections` of 61 (3 are kept for superusers, 2 for observers), and it is 60
     31 | concurrency = 56
        |               ^^
        help: set `max_connections = 61` in [postgres.settings], or use fewer
    ");
    insta::assert_snapshot!(by_default, @"
    x.toml:21:8: a pool of 96 needs a `max_connections` of 101 (3 are kept for superusers, 2 for observers), and it is 100 by default
     21 | pool = { max = 96 }
        |        ^^^^^^^^^^^^
        help: set `max_connections = 101` in [postgres.settings], or use fewer
    ");
}

#[test]
fn rungs_and_their_batches() {
    insta::assert_snapshot!(rung("name = \"c\"\npool = { max = 1 }\nbatch = 100"), @"
    x.toml:31:9: a batch of 100 with method `insert`, which writes one row a statement
     31 | batch = 100
        |         ^^^
        help: write `batch = 1`, or take a method for batches, such as `executemany`
    ");
    insta::assert_snapshot!(rung("name = \"c\"\npool = { max = 1 }\nbatch = 0\nconcurrency = 0"), @"
    x.toml:31:9: `batch` cannot be the whole number `0`
     31 | batch = 0
        |         ^
        help: expected whole number, 1 to 1000000

    x.toml:32:15: `concurrency` cannot be the whole number `0`
     32 | concurrency = 0
        |               ^
        help: expected whole number, 1 to 10000
    ");
    insta::assert_snapshot!(rung("name = \"c\"\npool = { max = 1 }\nmethod = \"executemany\"\nbatch = [1, 100001]"), @"
    x.toml:32:9: a batch of 100001 is too large for `executemany`
     32 | batch = [1, 100001]
        |         ^^^^^^^^^^^
        help: at most 100000; `unnest` and `copy` take more
    ");
    insta::assert_snapshot!(rung("name = \"c\"\npool = { max = 1 }\nmethod = \"copy\"\nbatch = [5, 5]"), @"
    x.toml:32:13: `batch` has `5` twice
     32 | batch = [5, 5]
        |             ^
    ");
    insta::assert_snapshot!(rung("name = \"c\"\npool = { max = 1 }\nmethod = \"cpoy\""), @r#"
    x.toml:31:10: `method` cannot be `cpoy`
     31 | method = "cpoy"
        |          ^^^^^^
        help: did you mean `copy`?
    "#);
    insta::assert_snapshot!(rung("name = \"c\"\npool = { max = 1 }\nwrite = false\ncrash = true"), @"
    x.toml:32:9: `crash` in a rung that writes nothing: no row can be lost
     32 | crash = true
        |         ^^^^
        help: leave it out
    ");
}

#[test]
fn statements_that_the_server_cannot_take() {
    let text = SMALL.replace("min = 1, max = 9 } },\n]", "min = 1, max = 9999 } },\n]");
    let text = format!(
        "{text}[[rung]]\nname = \"c\"\nlike = \"a\"\nmethod = \"unnest\"\nbatch = 1000000\n"
    );
    insta::assert_snapshot!(parse("x.toml", &text).unwrap_err().to_string(), @"
    x.toml:32:9: a batch of 1000000 rows of up to 10055 bytes is over 1 GiB, the most that PostgreSQL takes in a statement
     32 | batch = 1000000
        |         ^^^^^^^
        help: at most 106786 rows fit
    ");
}

#[test]
fn rungs_like_others() {
    insta::assert_snapshot!(rung("name = \"c\"\nlike = \"d\""), @r#"
    x.toml:30:8: there is no rung `d`
     30 | like = "d"
        |        ^^^
        help: it is the name of another rung, or `best`
    "#);
    insta::assert_snapshot!(rung("name = \"c\"\nlike = \"bst\""), @r#"
    x.toml:30:8: there is no rung `bst`
     30 | like = "bst"
        |        ^^^^^
        help: did you mean `best`?
    "#);
    insta::assert_snapshot!(rung("name = \"c\"\nlike = \"c\""), @r#"
    x.toml:30:8: `like` goes in a circle: `c → c`
     30 | like = "c"
        |        ^^^
        help: one of these rungs must be like no other
    "#);
    insta::assert_snapshot!(rung("name = \"c\"\nlike = \"d\"\n[[rung]]\nname = \"d\"\nlike = \"c\""), @r#"
    x.toml:30:8: `like` goes in a circle: `c → d → c`
     30 | like = "d"
        |        ^^^
        help: one of these rungs must be like no other

    x.toml:33:8: `like` goes in a circle: `d → c → d`
     33 | like = "c"
        |        ^^^
        help: one of these rungs must be like no other
    "#);
    insta::assert_snapshot!(rung("name = \"c\"\nlike = \"best\"\n[[rung]]\nname = \"d\"\nlike = \"c\""), @r#"
    x.toml:33:8: rung `c` is like the best itself
     33 | like = "c"
        |        ^^^
        help: what it will be is not known yet: write `like = "best"` here as well
    "#);
    insta::assert_snapshot!(rung("name = \"c\"\nlike = \"best\"\nbatch = 5"), @"
    x.toml:31:9: `batch` without `method` in a rung like the best
     31 | batch = 5
        |         ^
        help: which rung is the best is not known yet: state both, or neither
    ");
    insta::assert_snapshot!(rung("name = \"c\"\nlike = \"a\"\nmethod = \"insert\""), @r#"
    x.toml:31:10: a batch of 10 with method `insert`, which writes one row a statement
     31 | method = "insert"
        |          ^^^^^^^^
        help: write `batch = 1`, or take a method for batches, such as `executemany`
    "#);
    insta::assert_snapshot!(
        refusal("method = \"copy\"", "synchronous_commit = false")
            + &refusal("[[rung]]\nname = \"a\"", "[[rung]]\nname = \"c\"\nlike = \"best\"\n[[rung]]\nname = \"a\""), @r#"
    x.toml:23:9: a batch of 10 with method `insert`, which writes one row a statement
     23 | batch = 10
        |         ^^
        help: write `batch = 1`, or take a method for batches, such as `executemany`
    x.toml:21:8: no rung before this one can be the best
     21 | like = "best"
        |        ^^^^^^
        help: the best is a rung that writes with `synchronous_commit` on; put one before
    "#);
}

#[test]
fn everything_is_told_at_once_in_the_files_order() {
    let text = SMALL
        .replace("duration = ", "duraton = ")
        .replace("batch = 10", "batch = 0")
        .replace("\"id\", type", "\"ID\", type")
        .replace("small", "Small")
        .replace("method = \"copy\"", "method = \"cop\"");
    let problems = parse("x.toml", &text).unwrap_err();
    let lines: Vec<usize> = problems.0.iter().map(|p| p.line).collect();
    assert_eq!(lines, [1, 8, 17, 22, 23], "{problems}");
}
