use crate::expression::{Expression, Scene};
use crate::names::Names;
use crate::random::Random;
use crate::statement::Statement;
use crate::{EvalError, Value};

/// Checked scripts that share their variables, as the scripts of one pgbench run do.
#[derive(Debug, Clone)]
pub struct Program {
    /// The scripts, in the order in which they were given; never empty.
    pub scripts: Vec<Script>,
    /// How statements are to be sent.
    pub protocol: Protocol,
    /// Statements of all scripts; [`Statement::index`] is below it.
    pub statements: usize,
    pub(crate) names: Names,
    /// What each variable holds before the first transaction.
    pub(crate) defaults: Vec<Option<Value>>,
    pub(crate) client_id: Option<usize>,
    pub(crate) default_seed: usize,
}

/// How statements are sent: pgbench's `-M`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// As text, with variables replaced in it.
    #[default]
    Simple,
    /// Parsed each time, with variables bound.
    Extended,
    /// Prepared once on each connection, with variables bound.
    Prepared,
}

impl Protocol {
    /// The name that `-M` takes and the summary shows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

/// One script.
#[derive(Debug, Clone)]
pub struct Script {
    /// Its file, or the built-in's name.
    pub name: String,
    /// How often it is chosen, among the weights of all.
    pub weight: u32,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

/// One thing that a script does.
#[derive(Debug, Clone)]
pub struct Step {
    /// The line, from 1.
    pub line: u32,
    /// What.
    pub action: Action,
}

/// What a step does. Conditions have become jumps to a step of the same script, or to its end.
#[derive(Debug, Clone)]
pub enum Action {
    /// Gives a variable a value.
    Set(usize, Formula),
    /// Waits.
    Sleep(Pause),
    /// Goes on at a step when the condition does not hold.
    Unless(Formula, usize),
    /// Goes on at a step.
    Jump(usize),
    /// Runs a statement.
    Sql(Box<Statement>),
    /// What follows is sent without waiting for answers.
    StartPipeline,
    /// Ends the statements' common transaction, without waiting.
    SyncPipeline,
    /// Sends what is left, and waits for all answers.
    EndPipeline,
}

/// A checked expression.
#[derive(Debug, Clone)]
pub struct Formula(pub(crate) Expression);

/// How long a `\sleep` is.
#[derive(Debug, Clone)]
pub struct Pause {
    pub(crate) length: Formula,
    pub(crate) unit_us: u64,
}

/// The longest pause: an hour.
const LONGEST_PAUSE_US: u64 = 3_600_000_000;

impl Program {
    /// A client with its variables as they are at the start. `client` is its number from 0, `seed`
    /// what its random numbers are drawn from.
    pub fn client(&self, client: u64, seed: u64) -> Client {
        let mut variables = self.defaults.clone();
        if let Some(slot) = self.client_id
            && let Some(place) = variables.get_mut(slot)
        {
            *place = Some(Value::Integer(i64::try_from(client).unwrap_or(i64::MAX)));
        }
        Client { variables, random: Random::new(seed), default_seed: self.default_seed }
    }

    /// The name of a slot.
    pub fn variable_name(&self, slot: usize) -> &str {
        self.names.name(slot)
    }

    /// Every statement with the place of its script, in the order of [`Statement::index`].
    pub fn all_statements(&self) -> Vec<(usize, &Statement)> {
        let scripts = self.scripts.iter().enumerate();
        scripts
            .flat_map(|(at, script)| script.steps.iter().map(move |step| (at, step)))
            .filter_map(|(at, step)| match &step.action {
                Action::Sql(statement) => Some((at, statement.as_ref())),
                _ => None,
            })
            .collect()
    }

    /// The sum of the scripts' weights; at least 1.
    pub fn total_weight(&self) -> u64 {
        self.scripts.iter().map(|s| u64::from(s.weight)).sum::<u64>().max(1)
    }

    /// The script that a number below [`Program::total_weight`] picks.
    pub fn pick(&self, mut number: u64) -> usize {
        for (at, script) in self.scripts.iter().enumerate() {
            let weight = u64::from(script.weight);
            if number < weight {
                return at;
            }
            number -= weight;
        }
        0
    }
}

/// The variables of one client, which last from one transaction to the next.
#[derive(Debug, Clone)]
pub struct Client {
    variables: Vec<Option<Value>>,
    random: Random,
    default_seed: usize,
}

impl Client {
    /// What the slots hold.
    pub fn variables(&self) -> &[Option<Value>] {
        &self.variables
    }

    /// Gives a variable a value.
    pub fn set(&mut self, slot: usize, value: Value) {
        if let Some(place) = self.variables.get_mut(slot) {
            *place = Some(value);
        }
    }

    /// Computes an expression.
    pub fn value(&mut self, formula: &Formula) -> Result<Value, EvalError> {
        let Self { variables, random, default_seed } = self;
        formula.0.value(&mut Scene { variables, random, default_seed: *default_seed })
    }

    /// Whether a condition holds.
    pub fn holds(&mut self, formula: &Formula) -> Result<bool, EvalError> {
        self.value(formula)?.is_true()
    }

    /// The length of a pause in microseconds.
    pub fn pause_us(&mut self, pause: &Pause) -> Result<u64, EvalError> {
        let count = self.value(&pause.length)?.integer()?;
        let us = u64::try_from(count).unwrap_or(0).saturating_mul(pause.unit_us);
        Ok(us.min(LONGEST_PAUSE_US))
    }

    /// Takes over another's variables and random state, so that a transaction can be tried again
    /// as it was. It allocates nothing once both have been equal.
    pub fn restore(&mut self, earlier: &Self) {
        self.variables.clone_from(&earlier.variables);
        self.random.clone_from(&earlier.random);
    }
}
