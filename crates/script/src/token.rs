use crate::error::Flaw;
use crate::names::{begins_name, in_name};

/// A word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Integer(u64),
    Double(f64),
    Variable(String),
    /// A keyword or a function, in lower case.
    Word(String),
    /// An operator, a bracket or a comma.
    Sign(&'static str),
}

/// Longest first: `<=` is not `<` and `=`.
const SIGNS: [&str; 20] = [
    "<=", ">=", "!=", "<>", "<<", ">>", "+", "-", "*", "/", "%", "=", "<", ">", "|", "#", "&", "~",
    "(", ")",
];

/// Cuts an expression into its words, each with the text that it was.
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, String)>, Flaw> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_ascii_digit() || first == '.' {
            number(rest)?
        } else if let Some(name) = rest.strip_prefix(':') {
            variable(name)?
        } else if begins_name(first) {
            let length = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
            (Token::Word(rest[..length].to_ascii_lowercase()), length)
        } else if first == ',' {
            (Token::Sign(","), 1)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), sign.len())
        } else {
            return Err(Flaw::new(first, "has no meaning in an expression")
                .instead("operators are + - * / % = <> != < <= > >= and or not is | # & ~ << >>"));
        };
        found.push((token, rest[..length].to_owned()));
        rest = rest[length..].trim_start();
    }
    Ok(found)
}

fn variable(name: &str) -> Result<(Token, usize), Flaw> {
    let length = name.find(|c| !in_name(c)).unwrap_or(name.len());
    if !name.chars().next().is_some_and(begins_name) {
        return Err(Flaw::new(format!(":{}", &name[..length]), "is no variable")
            .instead("a variable is a colon and a name: letters, digits and _"));
    }
    Ok((Token::Variable(name[..length].to_owned()), length + 1))
}

fn number(rest: &str) -> Result<(Token, usize), Flaw> {
    let digits =
        |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut length = digits(rest);
    let mut whole = true;
    if rest[length..].starts_with('.') {
        whole = false;
        length += 1 + digits(&rest[length + 1..]);
    }
    if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let count = digits(&exponent[sign..]);
        if count > 0 {
            whole = false;
            length += 1 + sign + count;
        }
    }
    let text = &rest[..length];
    let bad = |problem: &str| Err(Flaw::new(text, problem));
    if rest[length..].starts_with(|c| in_name(c) || c == '.') {
        let end = rest.find(|c| !in_name(c) && c != '.').unwrap_or(rest.len());
        return Err(Flaw::new(&rest[..end], "is no number"));
    }
    if whole {
        return match text.parse::<u64>() {
            Ok(n) if n <= 1 << 63 => Ok((Token::Integer(n), length)),
            _ => bad("does not fit into a bigint"),
        };
    }
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok((Token::Double(x), length)),
        Ok(_) => bad("does not fit into a double"),
        Err(_) => bad("is no number"),
    }
}
