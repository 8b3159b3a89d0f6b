use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn compile(text: &str, protocol: Protocol) -> Result<Program, ScriptError> {
    let mut compiler = Compiler::new(protocol);
    compiler.define("scale", Value::Integer(1)).unwrap();
    compiler.define("default_seed", Value::Integer(7)).unwrap();
    compiler.add("a.sql", text, 1)?;
    compiler.finish()
}

/// Runs a script without a server: the statements that it would send.
fn run(text: &str) -> Result<Vec<String>, String> {
    let program = compile(text, Protocol::Simple).map_err(|e| e.to_string())?;
    let mut client = program.client(3, 42);
    let (mut sent, mut at, steps) = (Vec::new(), 0, &program.scripts[0].steps);
    while let Some(step) = steps.get(at) {
        at += 1;
        match &step.action {
            Action::Set(slot, formula) => {
                let value = client.value(formula).map_err(|e| e.to_string())?;
                client.set(*slot, value);
            }
            Action::Unless(formula, to) if !client.holds(formula).map_err(|e| e.to_string())? => {
                at = *to;
            }
            Action::Jump(to) => at = *to,
            Action::Sql(statement) => {
                let mut out = String::new();
                statement
                    .write_simple(client.variables(), &mut out)
                    .map_err(|slot| program.variable_name(slot).to_owned())?;
                sent.push(out);
            }
            _ => (),
        }
    }
    Ok(sent)
}

fn value(expression: &str) -> Result<String, String> {
    run(&format!("\\set x {expression}\nSELECT :x;"))
        .map(|sent| sent[0].strip_prefix("SELECT ").unwrap().to_owned())
}

#[test]
fn expressions_have_the_values_and_precedences_of_pgbench() {
    for (expression, expected) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("- 2 * 3", "-6"),
        ("~1 + 2", "-4"),
        ("-7 / 2", "-3"),
        ("7 % -3", "1"),
        ("1 | 2 & 3", "3"),
        ("1 << 4", "16"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1.0 / 0.0", "Infinity"),
        ("1 / 3.0", "0.333333333333333"),
        ("not true or true", "true"),
        ("not 1 = 2", "true"),
        ("null and false", "NULL"),
        ("false and null", "false"),
        ("true or 1 / 0", "true"),
        ("null = 1", "NULL"),
        ("1 is not null", "true"),
        ("1 < 2 is true", "true"),
        ("case when null then 1 when 2 then 3 else 4 end", "3"),
        ("case when false then 1 end", "NULL"),
        ("int(2.7)", "3"),
        ("greatest(1, 2.5)", "2.5"),
        ("least(3, 2)", "2"),
        ("pow(2, 3)", "8"),
        ("hash(5, 7)", "7395858956932106968"),
        ("hash(5)", "7395858956932106968"),
        ("permute(5, 100, 42)", "76"),
        (":client_id * 2", "6"),
        (".5 + 1e1", "10.5"),
    ] {
        assert_eq!(value(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_has_no_value_fails_and_says_why() {
    for (expression, text) in [
        ("1 / 0", "division by zero"),
        ("mod(1, 0)", "division by zero"),
        ("9223372036854775807 + 1", "out of range"),
        ("-9223372036854775808 / -1", "out of range"),
        ("abs(-9223372036854775808)", "out of range"),
        ("random(2, 1)", "is empty"),
        ("random(-9223372036854775807, 9223372036854775807)", "is too large"),
        ("random_gaussian(1, 2, 1)", "at least 2"),
        ("random_zipfian(1, 2, 1)", "1.001"),
        ("1 + true", "cannot be used as integer"),
        ("not 1", "cannot be used as boolean"),
        ("int(1e30)", "does not fit"),
        ("permute(1, 0)", "more than 0"),
    ] {
        let error = value(expression).unwrap_err();
        assert!(error.contains(text), "{expression}: {error}");
    }
}

#[test]
fn a_script_that_cannot_run_is_refused_with_its_line_and_word() {
    for (text, expected) in [
        ("SELECT 1;\n\\shell ls", "a.sql line 2: `\\shell` starts a program"),
        ("\\setshell x ls\nSELECT 1;", "line 1: `\\setshell`"),
        ("\\setrandom x 1 2\nSELECT 1;", "\\set name random(low, high)"),
        ("\\foo", "line 1: `\\foo` is no command; commands are \\set"),
        ("\n\\set x 1 +\nSELECT 1;", "line 2: the expression ends"),
        ("\\set x rnd(1)\nSELECT 1;", "`rnd` is no function; functions are abs"),
        ("\\set x random(1)\nSELECT 1;", "`random` takes 2 arguments, not 1"),
        ("\\set x 1 < 2 < 3\nSELECT 1;", "brackets"),
        ("\\set x 99999999999999999999\nSELECT 1;", "bigint"),
        ("\\set 1x 1\nSELECT 1;", "`1x` is no name"),
        ("\\set x 'a'\nSELECT 1;", "`'` has no meaning"),
        ("SELECT :nobody;", "`:nobody` has no value; write \\set nobody"),
        ("SELECT 'abc", "`'` begins a text that never ends"),
        ("SELECT /* a", "never ends"),
        ("SELECT $x$ a", "`$x$` begins"),
        ("\\if 1\nSELECT 1;", "`\\if` has no \\endif"),
        ("\\else\nSELECT 1;", "no \\if"),
        ("\\if 1\n\\else\n\\elif 1\n\\endif\nSELECT 1;", "behind \\else"),
        ("\\sleep 5 min\nSELECT 1;", "`min` is no unit"),
        ("\\gset\nSELECT 1;", "behind a statement"),
        ("\\startpipeline\nSELECT 1;\n\\endpipeline", "-M extended"),
        ("COPY t FROM STDIN;", "COPY"),
        ("-- nothing", "holds no statement"),
        ("", "holds no statement"),
    ] {
        let error = compile(text, Protocol::Simple).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn statements_end_where_psql_ends_them() {
    let text = "-- a comment; with :one\nSELECT ';', \"a;b\", E'\\';', $$;$$ /* ; /* : */ */;\n\
                SELECT (1;2), a::int\n  FROM t;\nBEGIN \\; COMMIT;\nSELECT 4 \\gset\nSELECT 5";
    let program = compile(text, Protocol::Simple).unwrap();
    let all: Vec<_> =
        program.all_statements().into_iter().map(|(_, s)| (s.line, s.shown.clone())).collect();
    let expected = [
        (2, "SELECT ';', \"a;b\", E'\\';', $$;$$ /* ; /* : */ */"),
        (3, "SELECT (1;2), a::int FROM t"),
        (5, "BEGIN ; COMMIT"),
        (6, "SELECT 4"),
        (7, "SELECT 5"),
    ];
    assert_eq!(all, expected.map(|(line, sql)| (line, sql.to_owned())));
}

#[test]
fn variables_are_bound_and_never_pasted_but_by_the_simple_protocol() {
    let text = "\\set a 1\nSELECT :a, :a + 1, '12:30', x::int, ':b' FROM t WHERE y[1:2] = :scale;";
    let program = compile(text, Protocol::Prepared).unwrap();
    let (_, statement) = program.all_statements()[0];
    let expected = "SELECT $1, $2 + 1, '12:30', x::int, ':b' FROM t WHERE y[1:2] = $3";
    assert_eq!(statement.sql, expected);
    assert_eq!(statement.parameters.len(), 3);
    let quoted = "\\set a 1\nSELECT 'x :a';";
    assert_eq!(run(quoted).unwrap(), ["SELECT 'x 1'"]);
    let error = compile(quoted, Protocol::Prepared).unwrap_err().to_string();
    assert!(error.contains("line 2: `:a` stands within quotes"), "{error}");
}

#[test]
fn conditions_choose_one_branch() {
    for (n, expected) in [(1, "one"), (2, "two"), (3, "more")] {
        let text = format!(
            "\\set n {n}\n\\if :n = 1\nSELECT 'one';\n\\elif :n = 2\n\\if true\nSELECT 'two';\n\
             \\endif\n\\else\nSELECT 'more';\n\\endif"
        );
        assert_eq!(run(&text).unwrap(), [format!("SELECT '{expected}'")]);
    }
}

#[test]
fn continued_lines_are_one_command() {
    assert_eq!(run("\\set x 1 + \\\n  2\nSELECT :x;").unwrap(), ["SELECT 3"]);
}

#[test]
fn built_in_scripts_compile_and_are_found_by_their_beginning() {
    for built_in in BUILT_IN {
        for protocol in [Protocol::Simple, Protocol::Extended, Protocol::Prepared] {
            assert!(compile(built_in.text, protocol).is_ok(), "{}", built_in.name);
        }
    }
    assert_eq!(BuiltIn::find("sel").map(|b| b.name), Some("select-only"));
    assert_eq!(BuiltIn::find("s"), None);
    assert_eq!(BuiltIn::find(""), None);
}

#[test]
fn weights_choose_scripts() {
    let mut compiler = Compiler::new(Protocol::Simple);
    compiler.add("a", "SELECT 1", 2).unwrap();
    compiler.add("b", "SELECT 2", 0).unwrap();
    compiler.add("c", "SELECT 3", 1).unwrap();
    let program = compiler.finish().unwrap();
    assert_eq!(program.total_weight(), 3);
    assert_eq!((0..3).map(|n| program.pick(n)).collect::<Vec<_>>(), [0, 0, 2]);
}

#[test]
fn deep_or_long_expressions_are_refused_and_do_not_overflow_the_stack() {
    for text in [
        format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("1{}", " + 1".repeat(100_000)),
        format!("{} true", "not ".repeat(100_000)),
        "case when ".repeat(50_000),
    ] {
        assert!(value(&text).is_err());
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = compile(&text, Protocol::Simple);
        let _ = compile(&text, Protocol::Prepared);
    }

    #[test]
    fn any_jumble_of_what_scripts_are_made_of_is_read_or_refused(
        parts in prop::collection::vec(prop::sample::select(vec![
            "\\set", "\\if", "\\elif", "\\else", "\\endif", "\\gset", "\\sleep", "\\;", "\n", " ", ";",
            "'", "\"", "$$", "$a$", "--", "/*", "*/", ":a", "::", "a", "1", "(", ")", "\\", "E'", "BEGIN",
            "random(1,2)", "case", "when", "then", "end", "null", "is", "not", "~", "-", "=", "é",
        ]), 0..40)
    ) {
        let text: String = parts.concat();
        let _ = run(&text);
    }

    /// What is in a statement comes out of it, whatever it is, when no variable is.
    #[test]
    fn quoted_text_goes_through_unchanged(text in "[ -~]{0,60}") {
        let mut sql = String::new();
        let quoted = text.replace('\'', "''");
        let _ = write!(sql, "SELECT '{quoted}' AS a");
        let sent = run(&sql).unwrap();
        prop_assert_eq!(&sent[..], &[sql]);
    }
}
