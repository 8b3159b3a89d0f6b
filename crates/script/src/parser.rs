use crate::Value;
use crate::error::Flaw;
use crate::expression::{Binary, Expression};
use crate::function::Function;
use crate::names::Names;
use crate::token::{Token, tokens};

/// Reads an expression whole. The grammar and its precedences are those of pgbench's `exprparse.y`.
pub(crate) fn expression(text: &str, names: &mut Names) -> Result<Expression, Flaw> {
    let mut parser = Parser { words: tokens(text)?.into_iter().peekable(), names, operations: 0 };
    let found = parser.climb(0, 0)?;
    match parser.words.next() {
        None => Ok(found),
        Some((_, word)) => Err(Flaw::new(word, "is not expected here")),
    }
}

/// Deeper nesting, or a longer chain of operators, is no script that a person wrote; the bound also
/// keeps every walk over the tree within the stack.
const DEEPEST: usize = 150;
const LONGEST: usize = 400;

// How tightly operators bind, loosest first.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARISON: u8 = 5;
const BITS: u8 = 6;
const SUM: u8 = 7;
const PRODUCT: u8 = 8;
const SIGN: u8 = 9;

struct Parser<'a> {
    words: std::iter::Peekable<std::vec::IntoIter<(Token, String)>>,
    names: &'a mut Names,
    operations: usize,
}

impl Parser<'_> {
    /// Reads an operand and all operators behind it that bind more tightly than `floor`.
    fn climb(&mut self, floor: u8, depth: usize) -> Result<Expression, Flaw> {
        let mut left = self.operand(depth + 1)?;
        let mut compared = false;
        loop {
            let Some((token, word)) = self.words.peek().cloned() else { return Ok(left) };
            let Some((level, operator)) = operator(&token) else { return Ok(left) };
            if level <= floor {
                return Ok(left);
            }
            if level == COMPARISON && compared {
                return Err(Flaw::new(word, "compares what is compared already")
                    .instead("put brackets around one of the comparisons"));
            }
            compared = level == COMPARISON;
            self.operations += 1;
            if self.operations > LONGEST {
                return Err(Flaw::new(word, "is one operator too many in one expression"));
            }
            self.words.next();
            left = match operator {
                Operator::Is => self.is(left)?,
                Operator::IsNull { not } => {
                    Expression::Is { operand: Box::new(left), what: None, not }
                }
                Operator::And => {
                    Expression::And(Box::new(left), Box::new(self.climb(level, depth)?))
                }
                Operator::Or => Expression::Or(Box::new(left), Box::new(self.climb(level, depth)?)),
                Operator::Binary(binary) => {
                    let right = self.climb(level, depth)?;
                    Expression::Binary(binary, Box::new(left), Box::new(right))
                }
            };
        }
    }

    /// What stands behind `IS`.
    fn is(&mut self, operand: Expression) -> Result<Expression, Flaw> {
        let not = self.accept("not");
        let (what, word) = match self.words.next() {
            Some((Token::Word(word), _)) => match word.as_str() {
                "null" => (None, word),
                "true" => (Some(true), word),
                "false" => (Some(false), word),
                _ => return Err(truth_expected(word)),
            },
            Some((_, word)) => return Err(truth_expected(word)),
            None => return Err(truth_expected(String::new())),
        };
        drop(word);
        Ok(Expression::Is { operand: Box::new(operand), what, not })
    }

    fn operand(&mut self, depth: usize) -> Result<Expression, Flaw> {
        let Some((token, word)) = self.words.next() else {
            return Err(Flaw::new("", "the expression ends where a value is expected"));
        };
        if depth > DEEPEST {
            return Err(Flaw::new(word, "is nested too deeply"));
        }
        match token {
            Token::Integer(n) => i64::try_from(n)
                .map(|n| Expression::Constant(Value::Integer(n)))
                .map_err(|_| Flaw::new(word, "does not fit into a bigint")),
            Token::Double(x) => Ok(Expression::Constant(Value::Double(x))),
            Token::Variable(name) => self
                .names
                .slot(&name)
                .map(Expression::Variable)
                .ok_or_else(|| Flaw::new(word, "is one variable too many")),
            Token::Sign("(") => {
                let inner = self.climb(0, depth)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("-") => self.negative(depth),
            Token::Sign("+") => self.climb(SIGN, depth),
            Token::Sign("~") => {
                let operand = self.climb(BITS, depth)?;
                let ones = Expression::Constant(Value::Integer(-1));
                Ok(Expression::Binary(Binary::BitXor, Box::new(ones), Box::new(operand)))
            }
            Token::Sign(_) => Err(Flaw::new(word, "stands where a value is expected")),
            Token::Word(name) => self.word(&name, word, depth),
        }
    }

    /// A minus: the one place where the least integer can be written.
    fn negative(&mut self, depth: usize) -> Result<Expression, Flaw> {
        if let Some((Token::Integer(n), _)) = self.words.peek()
            && *n == 1 << 63
        {
            self.words.next();
            return Ok(Expression::Constant(Value::Integer(i64::MIN)));
        }
        let operand = self.climb(SIGN, depth)?;
        let zero = Expression::Constant(Value::Integer(0));
        Ok(Expression::Binary(Binary::Subtract, Box::new(zero), Box::new(operand)))
    }

    fn word(&mut self, name: &str, word: String, depth: usize) -> Result<Expression, Flaw> {
        Ok(match name {
            "null" => Expression::Constant(Value::Null),
            "true" => Expression::Constant(Value::Boolean(true)),
            "false" => Expression::Constant(Value::Boolean(false)),
            "not" => Expression::Not(Box::new(self.climb(NOT, depth)?)),
            "case" => return self.case(depth),
            _ if matches!(self.words.peek(), Some((Token::Sign("("), _))) => {
                return self.call(name, word, depth);
            }
            _ => {
                return Err(Flaw::new(word, "is no value")
                    .instead("a variable begins with a colon, a function has brackets"));
            }
        })
    }

    fn case(&mut self, depth: usize) -> Result<Expression, Flaw> {
        let mut branches = Vec::new();
        while self.accept("when") {
            let condition = self.climb(0, depth)?;
            self.expect("then")?;
            branches.push((condition, self.climb(0, depth)?));
            if branches.len() > LONGEST {
                return Err(Flaw::new("when", "is one branch too many"));
            }
        }
        if branches.is_empty() {
            let word = self.words.next().map(|w| w.1).unwrap_or_default();
            return Err(Flaw::new(word, "stands behind CASE").instead("WHEN is expected there"));
        }
        let otherwise =
            if self.accept("else") { Some(Box::new(self.climb(0, depth)?)) } else { None };
        self.expect("end")?;
        Ok(Expression::Case { branches, otherwise })
    }

    fn call(&mut self, name: &str, word: String, depth: usize) -> Result<Expression, Flaw> {
        if name == "debug" {
            return Err(Flaw::new(word, "prints, and that is not supported")
                .instead("leave it out: its value is its argument"));
        }
        let Some((function, few, many)) = Function::find(name) else {
            return Err(Flaw::new(word, "is no function")
                .instead(format!("functions are {}", Function::names())));
        };
        self.words.next();
        let mut arguments = Vec::new();
        if !self.accept(")") {
            loop {
                arguments.push(self.climb(0, depth)?);
                if !self.accept(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        if !(few..=many).contains(&arguments.len()) {
            let wanted = if few == many { few.to_string() } else { format!("{few} or more") };
            return Err(Flaw::new(
                word,
                format!("takes {wanted} arguments, not {}", arguments.len()),
            ));
        }
        Ok(Expression::Call(function, arguments))
    }

    /// Takes the next word if it is this one.
    fn accept(&mut self, wanted: &str) -> bool {
        let next = matches!(self.words.peek(),
            Some((Token::Word(word), _)) if word == wanted)
            || matches!(self.words.peek(), Some((Token::Sign(sign), _)) if *sign == wanted);
        if next {
            self.words.next();
        }
        next
    }

    fn expect(&mut self, wanted: &str) -> Result<(), Flaw> {
        if self.accept(wanted) {
            return Ok(());
        }
        let word = self.words.next().map(|w| w.1).unwrap_or_default();
        let problem = if word.is_empty() { "the expression ends" } else { "is not expected here" };
        Err(Flaw::new(word, problem).instead(format!("{} is expected", wanted.to_uppercase())))
    }
}

fn truth_expected(word: String) -> Flaw {
    Flaw::new(word, "stands behind IS").instead("NULL, TRUE or FALSE is expected there")
}

enum Operator {
    Or,
    And,
    Is,
    IsNull { not: bool },
    Binary(Binary),
}

/// The operator that a word is, and how tightly it binds.
fn operator(token: &Token) -> Option<(u8, Operator)> {
    let binary = |level, binary| Some((level, Operator::Binary(binary)));
    match token {
        Token::Word(word) => Some(match word.as_str() {
            "or" => (OR, Operator::Or),
            "and" => (AND, Operator::And),
            "is" => (IS, Operator::Is),
            "isnull" => (IS, Operator::IsNull { not: false }),
            "notnull" => (IS, Operator::IsNull { not: true }),
            _ => return None,
        }),
        Token::Sign(sign) => match *sign {
            "=" => binary(COMPARISON, Binary::Equal),
            "<>" | "!=" => binary(COMPARISON, Binary::Unequal),
            "<" => binary(COMPARISON, Binary::Less),
            "<=" => binary(COMPARISON, Binary::LessOrEqual),
            ">" => binary(COMPARISON, Binary::Greater),
            ">=" => binary(COMPARISON, Binary::GreaterOrEqual),
            "|" => binary(BITS, Binary::BitOr),
            "#" => binary(BITS, Binary::BitXor),
            "&" => binary(BITS, Binary::BitAnd),
            "<<" => binary(BITS, Binary::ShiftLeft),
            ">>" => binary(BITS, Binary::ShiftRight),
            "+" => binary(SUM, Binary::Add),
            "-" => binary(SUM, Binary::Subtract),
            "*" => binary(PRODUCT, Binary::Multiply),
            "/" => binary(PRODUCT, Binary::Divide),
            "%" => binary(PRODUCT, Binary::Modulo),
            _ => None,
        },
        _ => None,
    }
}
