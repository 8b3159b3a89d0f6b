use crate::function::Function;
use crate::random::Random;
use crate::{EvalError, Value};

/// A checked expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Constant(Value),
    /// The value of a slot.
    Variable(usize),
    Binary(Binary, Box<Self>, Box<Self>),
    /// False as soon as one side is, without a look at the other.
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// `IS` and `IS NOT` with `NULL`, `TRUE` or `FALSE`.
    Is {
        operand: Box<Self>,
        what: Option<bool>,
        not: bool,
    },
    Case {
        branches: Vec<(Self, Self)>,
        otherwise: Option<Box<Self>>,
    },
    Call(Function, Vec<Self>),
}

/// An operator of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}

/// What an expression sees: the variables, and the generator that it draws from.
pub(crate) struct Scene<'a> {
    pub(crate) variables: &'a [Option<Value>],
    pub(crate) random: &'a mut Random,
    /// The slot of `default_seed`, which hashes take when they are given none.
    pub(crate) default_seed: usize,
}

impl Scene<'_> {
    pub(crate) fn variable(&self, slot: usize) -> Result<Value, EvalError> {
        match self.variables.get(slot) {
            Some(Some(Value::Text(text))) => Value::read(text),
            Some(Some(value)) => Ok(value.clone()),
            _ => Err(EvalError::new("a variable that has no value yet")),
        }
    }
}

impl Expression {
    pub(crate) fn value(&self, scene: &mut Scene<'_>) -> Result<Value, EvalError> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Variable(slot) => scene.variable(*slot),
            Self::Binary(operator, left, right) => {
                let (left, right) = (left.value(scene)?, right.value(scene)?);
                operator.apply(&left, &right)
            }
            Self::And(left, right) => junction(left, right, false, scene),
            Self::Or(left, right) => junction(left, right, true, scene),
            Self::Not(operand) => match operand.value(scene)? {
                Value::Null => Ok(Value::Null),
                value => Ok(Value::Boolean(!value.boolean()?)),
            },
            Self::Is { operand, what, not } => {
                let value = operand.value(scene)?;
                let is = match what {
                    None => value == Value::Null,
                    Some(truth) => value == Value::Boolean(*truth),
                };
                Ok(Value::Boolean(is != *not))
            }
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    if condition.value(scene)?.is_true()? {
                        return result.value(scene);
                    }
                }
                otherwise.as_ref().map_or(Ok(Value::Null), |e| e.value(scene))
            }
            Self::Call(function, arguments) => function.call(arguments, scene),
        }
    }

    /// Every slot that the expression reads.
    pub(crate) fn reads(&self, visit: &mut impl FnMut(usize)) {
        match self {
            Self::Constant(_) => (),
            Self::Variable(slot) => visit(*slot),
            Self::Binary(_, a, b) | Self::And(a, b) | Self::Or(a, b) => {
                a.reads(visit);
                b.reads(visit);
            }
            Self::Not(a) | Self::Is { operand: a, .. } => a.reads(visit),
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    condition.reads(visit);
                    result.reads(visit);
                }
                if let Some(otherwise) = otherwise {
                    otherwise.reads(visit);
                }
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|a| a.reads(visit)),
        }
    }
}

/// `AND` (decided by false) or `OR` (decided by true), as pgbench has them: null on the left is null,
/// whatever SQL would find on the right.
fn junction(
    left: &Expression,
    right: &Expression,
    decisive: bool,
    scene: &mut Scene<'_>,
) -> Result<Value, EvalError> {
    match left.value(scene)? {
        Value::Null => return Ok(Value::Null),
        left if left.boolean()? == decisive => return Ok(Value::Boolean(decisive)),
        _ => (),
    }
    match right.value(scene)? {
        Value::Null => Ok(Value::Null),
        right => right.boolean().map(Value::Boolean),
    }
}

impl Binary {
    fn apply(self, left: &Value, right: &Value) -> Result<Value, EvalError> {
        if matches!((left, right), (Value::Null, _) | (_, Value::Null)) {
            return Ok(Value::Null);
        }
        match self {
            Self::Modulo
            | Self::BitAnd
            | Self::BitOr
            | Self::BitXor
            | Self::ShiftLeft
            | Self::ShiftRight => self.of_integers(left.integer()?, right.integer()?),
            _ if matches!((left, right), (Value::Double(_), _) | (_, Value::Double(_))) => {
                Ok(self.of_doubles(left.double()?, right.double()?))
            }
            _ => self.of_integers(left.integer()?, right.integer()?),
        }
    }

    fn of_integers(self, a: i64, b: i64) -> Result<Value, EvalError> {
        let whole = |n: Option<i64>| {
            n.map(Value::Integer).ok_or(EvalError::new("the result is out of range of a bigint"))
        };
        let shift = u32::try_from(b & 63).unwrap_or(0);
        match self {
            Self::Divide | Self::Modulo if b == 0 => Err(EvalError::new("division by zero")),
            Self::Add => whole(a.checked_add(b)),
            Self::Subtract => whole(a.checked_sub(b)),
            Self::Multiply => whole(a.checked_mul(b)),
            Self::Divide => whole(a.checked_div(b)),
            Self::Modulo => Ok(Value::Integer(a.wrapping_rem(b))),
            Self::BitAnd => Ok(Value::Integer(a & b)),
            Self::BitOr => Ok(Value::Integer(a | b)),
            Self::BitXor => Ok(Value::Integer(a ^ b)),
            Self::ShiftLeft => Ok(Value::Integer(a.wrapping_shl(shift))),
            Self::ShiftRight => Ok(Value::Integer(a.wrapping_shr(shift))),
            _ => Ok(Value::Boolean(self.holds(a.partial_cmp(&b)))),
        }
    }

    fn of_doubles(self, a: f64, b: f64) -> Value {
        match self {
            Self::Add => Value::Double(a + b),
            Self::Subtract => Value::Double(a - b),
            Self::Multiply => Value::Double(a * b),
            Self::Divide => Value::Double(a / b),
            _ => Value::Boolean(self.holds(a.partial_cmp(&b))),
        }
    }

    /// Whether a comparison holds, of two values in this order.
    fn holds(self, order: Option<std::cmp::Ordering>) -> bool {
        let Some(order) = order else { return self == Self::Unequal };
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            _ => order.is_ge(),
        }
    }
}
