use crate::compile::Compiler;
use crate::error::{Flaw, ScriptError};
use crate::names::is_name;
use crate::parser;
use crate::program::{Action, Formula, Pause, Protocol, Step};
use crate::scan::{Part, Piece, RawSql};
use crate::statement::{Gather, Role, Statement, Text};

/// The most parameters of a statement, as pgbench has it.
const MOST_PARAMETERS: usize = 255;

/// A script under way.
pub(crate) struct Build<'a> {
    compiler: &'a mut Compiler,
    file: &'a str,
    /// The line of the command under way.
    line: u32,
    steps: Vec<Step>,
    /// Conditions that no `\endif` has ended.
    open: Vec<Condition>,
    /// The line of the pipeline under way.
    pipeline: Option<u32>,
}

/// An `\if` under way.
struct Condition {
    line: u32,
    /// The step that jumps to the next branch.
    to_next: Option<usize>,
    /// Steps that jump to the end.
    to_end: Vec<usize>,
    /// `\else` has been seen.
    last: bool,
}

/// The deepest nesting of conditions.
const DEEPEST: usize = 100;

const COMMANDS: &str = "commands are \\set, \\sleep, \\if, \\elif, \\else, \\endif, \\gset, \\aset, \
                        \\startpipeline, \\syncpipeline and \\endpipeline";

impl<'a> Build<'a> {
    pub(crate) const fn new(compiler: &'a mut Compiler, file: &'a str) -> Self {
        Self { compiler, file, line: 1, steps: Vec::new(), open: Vec::new(), pipeline: None }
    }

    pub(crate) fn part(&mut self, part: Part) -> Result<(), ScriptError> {
        match part {
            Part::Sql(raw) => self.sql(raw),
            Part::Command { line, name, rest } => {
                self.line = line;
                self.command(line, &name, &rest).map_err(|flaw| flaw.at(self.file, line))
            }
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<Step>, ScriptError> {
        if let Some(condition) = self.open.last() {
            return Err(Flaw::new("\\if", "has no \\endif").at(self.file, condition.line));
        }
        if let Some(line) = self.pipeline {
            return Err(Flaw::new("\\startpipeline", "has no \\endpipeline").at(self.file, line));
        }
        Ok(self.steps)
    }

    fn push(&mut self, line: u32, action: Action) {
        self.steps.push(Step { line, action });
    }

    fn command(&mut self, line: u32, name: &str, rest: &str) -> Result<(), Flaw> {
        let word = format!("\\{name}");
        match name {
            "set" => {
                let action = self.set(rest)?;
                self.push(line, action);
            }
            "sleep" => {
                let pause = self.sleep(rest)?;
                self.push(line, Action::Sleep(pause));
            }
            "if" | "elif" => self.condition(line, name == "elif", rest)?,
            "else" => {
                nothing_behind(&word, rest)?;
                self.branch(&word)?;
                if let Some(condition) = self.open.last_mut() {
                    condition.last = true;
                }
            }
            "endif" => {
                nothing_behind(&word, rest)?;
                self.end_condition(&word)?;
            }
            "gset" | "aset" => self.gather(&word, rest)?,
            "startpipeline" | "syncpipeline" | "endpipeline" => {
                nothing_behind(&word, rest)?;
                self.pipeline(line, &word)?;
            }
            "shell" | "setshell" => {
                return Err(Flaw::new(word, "starts a program, and that is not supported")
                    .instead(COMMANDS));
            }
            "setrandom" => {
                return Err(Flaw::new(word, "has gone from pgbench, too")
                    .instead("write \\set name random(low, high)"));
            }
            _ => return Err(Flaw::new(word, "is no command").instead(COMMANDS)),
        }
        Ok(())
    }

    fn set(&mut self, rest: &str) -> Result<Action, Flaw> {
        let split = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (name, text) = rest.split_at(split);
        if !is_name(name) {
            return Err(Flaw::new(name, "is no name of a variable")
                .instead("\\set takes a name and an expression"));
        }
        if text.trim().is_empty() {
            return Err(Flaw::new("\\set", "has no expression")
                .instead("\\set takes a name and an expression"));
        }
        let formula = self.formula(text)?;
        let slot = self.slot(name)?;
        let set = &mut self.compiler.set;
        if set.len() <= slot {
            set.resize(slot + 1, false);
        }
        set[slot] = true;
        Ok(Action::Set(slot, formula))
    }

    fn slot(&mut self, name: &str) -> Result<usize, Flaw> {
        self.compiler.names.slot(name).ok_or_else(|| Flaw::new(name, "is one variable too many"))
    }

    fn formula(&mut self, text: &str) -> Result<Formula, Flaw> {
        let expression = parser::expression(text, &mut self.compiler.names)?;
        let line = self.line;
        let reads = &mut self.compiler.reads;
        expression.reads(&mut |slot| reads.push((slot, self.file.to_owned(), line)));
        Ok(Formula(expression))
    }

    fn sleep(&mut self, rest: &str) -> Result<Pause, Flaw> {
        let mut words = rest.split_whitespace();
        let Some(length) = words.next() else {
            return Err(Flaw::new("\\sleep", "has no length").instead("as in \\sleep 10 ms"));
        };
        // A unit may stand right behind the digits.
        let digits = length.len() - length.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let glued = digits > 0 && digits < length.len();
        let (count, unit) = if glued {
            let (count, unit) = length.split_at(digits);
            (count, Some(unit))
        } else {
            (length, words.next())
        };
        let unit_us = match unit.map(str::to_ascii_lowercase).as_deref() {
            None | Some("s") => 1_000_000,
            Some("ms") => 1000,
            Some("us") => 1,
            Some(_) => {
                return Err(Flaw::new(unit.unwrap_or_default(), "is no unit of \\sleep")
                    .instead("units are us, ms and s"));
            }
        };
        if let Some(more) = words.next() {
            return Err(Flaw::new(more, "is not expected behind \\sleep"));
        }
        if !count.starts_with(|c: char| c == ':' || c.is_ascii_digit()) {
            return Err(Flaw::new(count, "is no length of \\sleep")
                .instead("a length is an integer or a variable"));
        }
        Ok(Pause { length: self.formula(count)?, unit_us })
    }

    fn condition(&mut self, line: u32, another: bool, rest: &str) -> Result<(), Flaw> {
        let word = if another { "\\elif" } else { "\\if" };
        if rest.is_empty() {
            return Err(Flaw::new(word, "has no condition"));
        }
        if another {
            self.branch(word)?;
        } else if self.open.len() >= DEEPEST {
            return Err(Flaw::new(word, "is nested too deeply"));
        }
        let formula = self.formula(rest)?;
        let at = self.steps.len();
        self.push(line, Action::Unless(formula, usize::MAX));
        if another {
            if let Some(condition) = self.open.last_mut() {
                condition.to_next = Some(at);
            }
        } else {
            self.open.push(Condition { line, to_next: Some(at), to_end: Vec::new(), last: false });
        }
        Ok(())
    }

    /// Ends a branch: whoever ran it goes to the end, whoever did not comes here.
    fn branch(&mut self, word: &str) -> Result<(), Flaw> {
        let at = self.steps.len();
        let Some(condition) = self.open.last_mut() else {
            return Err(Flaw::new(word, "has no \\if before it"));
        };
        if condition.last {
            return Err(Flaw::new(word, "stands behind \\else"));
        }
        condition.to_end.push(at);
        let (line, to_next) = (condition.line, condition.to_next.take());
        self.push(line, Action::Jump(usize::MAX));
        self.aim(to_next, at + 1);
        Ok(())
    }

    fn end_condition(&mut self, word: &str) -> Result<(), Flaw> {
        let Some(condition) = self.open.pop() else {
            return Err(Flaw::new(word, "has no \\if before it"));
        };
        let end = self.steps.len();
        for jump in condition.to_end.into_iter().chain(condition.to_next) {
            self.aim(Some(jump), end);
        }
        Ok(())
    }

    fn aim(&mut self, step: Option<usize>, target: usize) {
        if let Some(Action::Unless(_, to) | Action::Jump(to)) =
            step.and_then(|at| self.steps.get_mut(at)).map(|s| &mut s.action)
        {
            *to = target;
        }
    }

    fn pipeline(&mut self, line: u32, word: &str) -> Result<(), Flaw> {
        if self.compiler.protocol == Protocol::Simple {
            return Err(Flaw::new(word, "does not go with the simple protocol")
                .instead("give -M extended or -M prepared"));
        }
        if let Some(condition) = self.open.last() {
            return Err(Flaw::new(
                word,
                format!("stands within the \\if of line {}", condition.line),
            )
            .instead("a pipeline begins and ends outside conditions"));
        }
        let action = match (word, self.pipeline) {
            ("\\startpipeline", None) => {
                self.pipeline = Some(line);
                Action::StartPipeline
            }
            ("\\startpipeline", Some(_)) => {
                return Err(Flaw::new(word, "stands within a pipeline already"));
            }
            (_, None) => return Err(Flaw::new(word, "has no \\startpipeline before it")),
            ("\\syncpipeline", _) => Action::SyncPipeline,
            _ => {
                self.pipeline = None;
                Action::EndPipeline
            }
        };
        self.push(line, action);
        Ok(())
    }

    fn gather(&mut self, word: &str, rest: &str) -> Result<(), Flaw> {
        if self.pipeline.is_some() {
            return Err(Flaw::new(word, "does not go into a pipeline"));
        }
        if !rest.is_empty() && !is_name(rest) {
            return Err(Flaw::new(rest, "is no beginning of a variable's name"));
        }
        let Some(Step { action: Action::Sql(statement), .. }) = self.steps.last_mut() else {
            return Err(Flaw::new(word, "does not stand behind a statement"));
        };
        if statement.gather.is_some() {
            return Err(Flaw::new(word, "stands behind another one"));
        }
        statement.gather = Some(Gather {
            prefix: rest.to_owned(),
            any_number: word == "\\aset",
            slots: Vec::new(),
        });
        self.compiler.gathers = true;
        Ok(())
    }

    fn sql(&mut self, raw: RawSql) -> Result<(), ScriptError> {
        let bound = self.compiler.protocol != Protocol::Simple;
        if let Some(line) = raw.joined.filter(|_| bound) {
            let flaw = Flaw::new("\\;", "joins statements, and only -M simple can send them so");
            return Err(flaw.at(self.file, line));
        }
        let mut statement = Statement {
            index: self.compiler.statements,
            line: raw.line,
            sql: String::new(),
            shown: String::new(),
            parameters: Vec::new(),
            role: Role::Other,
            gather: None,
            texts: Vec::new(),
        };
        for piece in raw.pieces {
            self.piece(piece, &mut statement)?;
        }
        let shown = statement.shown.split_whitespace().collect::<Vec<_>>().join(" ");
        statement.shown = shown;
        let word = statement.shown.split(|c: char| !c.is_ascii_alphabetic()).next();
        statement.role = match word.map(str::to_ascii_lowercase).as_deref() {
            Some("begin" | "start") => Role::Begin,
            Some("commit" | "end") => Role::End,
            _ => Role::Other,
        };
        if word.is_some_and(|w| w.eq_ignore_ascii_case("copy")) {
            let flaw = Flaw::new("COPY", "is not supported in a script, as in pgbench");
            return Err(flaw.at(self.file, raw.line));
        }
        if statement.parameters.len() > MOST_PARAMETERS {
            let flaw = Flaw::new("", "a statement takes at most 255 variables");
            return Err(flaw.at(self.file, raw.line));
        }
        self.compiler.statements += 1;
        self.push(raw.line, Action::Sql(Box::new(statement)));
        Ok(())
    }

    fn piece(&mut self, piece: Piece, into: &mut Statement) -> Result<(), ScriptError> {
        let (name, line, quoted) = match piece {
            Piece::Text(text) => {
                into.sql.push_str(&text);
                into.shown.push_str(&text);
                into.texts.push(Text::Plain(text));
                return Ok(());
            }
            Piece::Variable { name, line, quoted } => (name, line, quoted),
        };
        into.shown.push(':');
        into.shown.push_str(&name);
        if quoted {
            return self.quoted_piece(&name, line, into);
        }
        let slot = self.slot(&name).map_err(|flaw| flaw.at(self.file, line))?;
        self.compiler.reads.push((slot, self.file.to_owned(), line));
        into.parameters.push(slot);
        into.sql.push('$');
        into.sql.push_str(&into.parameters.len().to_string());
        into.texts.push(Text::Slot(slot));
        Ok(())
    }

    /// `:name` within quotes: a variable to pgbench's simple protocol, if there is one of this name
    /// so far; text otherwise.
    fn quoted_piece(
        &mut self,
        name: &str,
        line: u32,
        into: &mut Statement,
    ) -> Result<(), ScriptError> {
        let known = self.compiler.names.find(name).filter(|slot| {
            let set = self.compiler.set.get(*slot).copied().unwrap_or(false);
            set || self.compiler.defaults.get(*slot).is_some_and(Option::is_some)
        });
        let bound = self.compiler.protocol != Protocol::Simple;
        match known {
            Some(_) if bound => {
                let flaw = Flaw::new(format!(":{name}"), "stands within quotes")
                    .instead("only -M simple replaces it there; build the text in SQL, or take it out of the quotes");
                Err(flaw.at(self.file, line))
            }
            Some(slot) => {
                into.texts.push(Text::Slot(slot));
                Ok(())
            }
            None => {
                let text = format!(":{name}");
                into.sql.push_str(&text);
                into.texts.push(Text::Plain(text));
                Ok(())
            }
        }
    }
}

fn nothing_behind(word: &str, rest: &str) -> Result<(), Flaw> {
    match rest.split_whitespace().next() {
        None => Ok(()),
        Some(more) => Err(Flaw::new(more, format!("is not expected behind {word}"))),
    }
}
