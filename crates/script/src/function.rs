use crate::expression::{Expression, Scene};
use crate::random::{Range, fnv1a, murmur2, permute};
use crate::{EvalError, Value};

/// A function of pgbench's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Abs,
    Double,
    Exp,
    Greatest,
    HashFnv1a,
    HashMurmur2,
    Int,
    Least,
    Ln,
    Mod,
    Permute,
    Pi,
    Power,
    Random,
    RandomExponential,
    RandomGaussian,
    RandomZipfian,
    Sqrt,
}

/// A name, its function, and the fewest and most arguments.
type Entry = (&'static str, Function, usize, usize);

const ANY: usize = 1000;

const TABLE: [Entry; 20] = [
    ("abs", Function::Abs, 1, 1),
    ("double", Function::Double, 1, 1),
    ("exp", Function::Exp, 1, 1),
    ("greatest", Function::Greatest, 1, ANY),
    ("hash", Function::HashMurmur2, 1, 2),
    ("hash_fnv1a", Function::HashFnv1a, 1, 2),
    ("hash_murmur2", Function::HashMurmur2, 1, 2),
    ("int", Function::Int, 1, 1),
    ("least", Function::Least, 1, ANY),
    ("ln", Function::Ln, 1, 1),
    ("mod", Function::Mod, 2, 2),
    ("permute", Function::Permute, 2, 3),
    ("pi", Function::Pi, 0, 0),
    ("pow", Function::Power, 2, 2),
    ("power", Function::Power, 2, 2),
    ("random", Function::Random, 2, 2),
    ("random_exponential", Function::RandomExponential, 3, 3),
    ("random_gaussian", Function::RandomGaussian, 3, 3),
    ("random_zipfian", Function::RandomZipfian, 3, 3),
    ("sqrt", Function::Sqrt, 1, 1),
];

impl Function {
    /// The function of a name, and how many arguments it takes.
    pub(crate) fn find(name: &str) -> Option<(Self, usize, usize)> {
        TABLE.iter().find(|e| e.0 == name).map(|(_, function, few, many)| (*function, *few, *many))
    }

    /// All names, for a message.
    pub(crate) fn names() -> String {
        TABLE.map(|(name, ..)| name).join(", ")
    }

    /// Whether it takes `default_seed` when it is called with so many arguments.
    pub(crate) fn wants_seed(self, arguments: usize) -> bool {
        match self {
            Self::HashFnv1a | Self::HashMurmur2 => arguments < 2,
            Self::Permute => arguments < 3,
            _ => false,
        }
    }

    pub(crate) fn call(
        self,
        arguments: &[Expression],
        scene: &mut Scene<'_>,
    ) -> Result<Value, EvalError> {
        if matches!(self, Self::Least | Self::Greatest) {
            return self.extreme(arguments, scene);
        }
        let mut values = [Value::Null, Value::Null, Value::Null];
        let mut null = false;
        for (place, argument) in values.iter_mut().zip(arguments) {
            *place = argument.value(scene)?;
            null |= *place == Value::Null;
        }
        // As in SQL, nothing comes of nothing.
        if null {
            return Ok(Value::Null);
        }
        if self.wants_seed(arguments.len())
            && let Some(place) = values.get_mut(arguments.len())
        {
            *place = scene.variable(scene.default_seed)?;
        }
        self.apply(&values, scene)
    }

    fn apply(self, [a, b, c]: &[Value; 3], scene: &mut Scene<'_>) -> Result<Value, EvalError> {
        let range = || Range::new(a.integer()?, b.integer()?);
        Ok(match self {
            Self::Abs => match a {
                Value::Double(x) => Value::Double(x.abs()),
                other => Value::Integer(
                    other
                        .integer()?
                        .checked_abs()
                        .ok_or(EvalError::new("the result is out of range of a bigint"))?,
                ),
            },
            Self::Double => Value::Double(a.double()?),
            Self::Exp => Value::Double(a.double()?.exp()),
            Self::HashFnv1a => Value::Integer(fnv1a(a.integer()?, b.integer()?)),
            Self::HashMurmur2 => Value::Integer(murmur2(a.integer()?, b.integer()?)),
            Self::Int => Value::Integer(a.integer()?),
            Self::Ln => Value::Double(a.double()?.ln()),
            Self::Mod => match b.integer()? {
                0 => return Err(EvalError::new("division by zero")),
                divisor => Value::Integer(a.integer()?.wrapping_rem(divisor)),
            },
            Self::Permute => Value::Integer(permute(a.integer()?, b.integer()?, c.integer()?)?),
            Self::Pi => Value::Double(std::f64::consts::PI),
            Self::Power => Value::Double(a.double()?.powf(b.double()?)),
            Self::Random => Value::Integer(scene.random.uniform(range()?)),
            Self::RandomExponential => {
                Value::Integer(scene.random.exponential(range()?, c.double()?)?)
            }
            Self::RandomGaussian => Value::Integer(scene.random.gaussian(range()?, c.double()?)?),
            Self::RandomZipfian => Value::Integer(scene.random.zipfian(range()?, c.double()?)?),
            Self::Sqrt => Value::Double(a.double()?.sqrt()),
            Self::Least | Self::Greatest => return Err(EvalError::new("needs all its arguments")),
        })
    }

    /// The least or greatest argument: a double as soon as one of them is.
    fn extreme(self, arguments: &[Expression], scene: &mut Scene<'_>) -> Result<Value, EvalError> {
        let mut found: Option<Value> = None;
        for argument in arguments {
            let value = argument.value(scene)?;
            found = Some(match (found, value) {
                (Some(Value::Null), _) | (_, Value::Null) => Value::Null,
                (None, value) => match value {
                    Value::Double(_) => value,
                    other => Value::Integer(other.integer()?),
                },
                (Some(Value::Integer(a)), Value::Integer(b)) => {
                    Value::Integer(if self == Self::Least { a.min(b) } else { a.max(b) })
                }
                (Some(a), b) => {
                    let (a, b) = (a.double()?, b.double()?);
                    Value::Double(if self == Self::Least { a.min(b) } else { a.max(b) })
                }
            });
        }
        Ok(found.unwrap_or(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_take_no_more_than_three_arguments_unless_they_fold() {
        let mut names = TABLE.map(|e| e.0).to_vec();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for (name, function, few, many) in TABLE {
            assert!(few <= many, "{name}");
            let folds = matches!(function, Function::Least | Function::Greatest);
            assert!(folds || many <= 3, "{name}");
        }
    }
}
