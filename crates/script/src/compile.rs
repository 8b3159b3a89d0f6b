use crate::Value;
use crate::build::Build;
use crate::built_in::BUILT_IN;
use crate::error::{Flaw, ScriptError};
use crate::names::{Names, is_name};
use crate::program::{Action, Program, Protocol, Script};
use crate::scan::scan;

/// Reads scripts into one program.
#[derive(Debug)]
pub struct Compiler {
    pub(crate) protocol: Protocol,
    pub(crate) names: Names,
    /// By slot: what the variable holds at the start.
    pub(crate) defaults: Vec<Option<Value>>,
    /// By slot: some script sets it.
    pub(crate) set: Vec<bool>,
    /// Some `\gset` may set any variable.
    pub(crate) gathers: bool,
    /// Where each slot is first read: file, line.
    pub(crate) reads: Vec<(usize, String, u32)>,
    scripts: Vec<Script>,
    pub(crate) statements: usize,
}

/// Longer scripts are data.
const LARGEST: usize = 1 << 20;
/// The largest weight.
const HEAVIEST: u32 = 1_000_000;

impl Compiler {
    /// For statements that are sent by this protocol.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            names: Names::default(),
            defaults: Vec::new(),
            set: Vec::new(),
            gathers: false,
            reads: Vec::new(),
            scripts: Vec::new(),
            statements: 0,
        }
    }

    /// Gives a variable a value from the start, as `-D` does. Text that is a number is one.
    pub fn define(&mut self, name: &str, value: Value) -> Result<(), String> {
        if !is_name(name) {
            return Err(format!("{name:?} is no name of a variable: letters, digits and _"));
        }
        let slot = self.names.slot(name).ok_or("too many variables")?;
        self.defaults.resize(self.names.len(), None);
        let value = match value {
            Value::Text(text) => Value::read(&text).unwrap_or(Value::Text(text)),
            other => other,
        };
        self.defaults[slot] = Some(value);
        Ok(())
    }

    /// Reads a script.
    pub fn add(&mut self, name: &str, text: &str, weight: u32) -> Result<(), ScriptError> {
        let whole = |problem: &str| Flaw::new("", problem).at(name, 1);
        if text.len() > LARGEST {
            return Err(whole("a script is at most 1 MiB"));
        }
        if weight > HEAVIEST {
            return Err(whole("a script's weight is 0 to 1000000"));
        }
        let parts = scan(name, text)?;
        let mut build = Build::new(self, name);
        for part in parts {
            build.part(part)?;
        }
        let steps = build.finish()?;
        if !steps.iter().any(|s| matches!(s.action, Action::Sql(_) | Action::Sleep(_))) {
            return Err(whole("the script holds no statement"));
        }
        self.scripts.push(Script { name: name.to_owned(), weight, steps });
        Ok(())
    }

    /// The program, once all scripts have been read.
    pub fn finish(mut self) -> Result<Program, ScriptError> {
        let whole = |problem: &str| Flaw::new("", problem).at("scripts", 1);
        if self.scripts.iter().all(|s| s.weight == 0) {
            return Err(whole("no script has a weight above 0"));
        }
        let default_seed =
            self.names.slot("default_seed").ok_or_else(|| whole("too many variables"))?;
        let client_id = self.names.find("client_id");
        self.defaults.resize(self.names.len(), None);
        self.set.resize(self.names.len(), false);
        for (slot, file, line) in &self.reads {
            let known = self.set[*slot]
                || self.defaults[*slot].is_some()
                || Some(*slot) == client_id
                || *slot == default_seed;
            if known || self.gathers {
                continue;
            }
            let name = self.names.name(*slot);
            let flaw = Flaw::new(format!(":{name}"), "has no value")
                .instead(format!("write \\set {name} …, or give -D {name}=…"));
            return Err(flaw.at(file, *line));
        }
        self.wire_gathers();
        Ok(Program {
            scripts: self.scripts,
            protocol: self.protocol,
            statements: self.statements,
            names: self.names,
            defaults: self.defaults,
            client_id,
            default_seed,
        })
    }

    /// Tells each `\gset` which columns somebody reads.
    fn wire_gathers(&mut self) {
        for step in self.scripts.iter_mut().flat_map(|s| &mut s.steps) {
            let Action::Sql(statement) = &mut step.action else { continue };
            let Some(gather) = &mut statement.gather else { continue };
            gather.slots = (0..self.names.len())
                .filter_map(|slot| {
                    let column = self.names.name(slot).strip_prefix(gather.prefix.as_str())?;
                    Some((column.to_owned(), slot))
                })
                .collect();
        }
    }
}

/// Whether a text names one of pgbench's own scripts, for a message.
pub fn built_in_names() -> String {
    BUILT_IN.map(|b| b.name).join(", ")
}
