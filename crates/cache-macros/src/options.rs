//! The options of `#[cached(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprArray, ExprLit, ExprUnary, Ident, Lit, LitStr, Result, Token};

use crate::duration::duration;

const NAMES: [&str; 12] = [
    "cache",
    "key",
    "ttl",
    "absent_ttl",
    "stale",
    "refresh_at",
    "jitter",
    "timeout",
    "tags",
    "errors",
    "name",
    "version",
];

pub(crate) struct Options {
    pub(crate) cache: Expr,
    pub(crate) key: LitStr,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) errors: Option<TokenStream>,
    pub(crate) version: Option<Expr>,
    /// An expression of type `Policy`.
    pub(crate) policy: TokenStream,
}

struct Setting {
    name: Ident,
    value: Expr,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self { name, value: input.parse()? })
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let settings = Punctuated::<Setting, Token![,]>::parse_terminated(input)?;
        let mut given: Vec<(String, Expr)> = Vec::new();
        for Setting { name, value } in settings {
            let text = name.to_string();
            if !NAMES.contains(&text.as_str()) {
                let known = NAMES.join("`, `");
                return Err(Error::new(
                    name.span(),
                    format!("no option `{text}`; there are `{known}`"),
                ));
            }
            if given.iter().any(|(other, _)| *other == text) {
                return Err(Error::new(name.span(), format!("`{text}` is given twice")));
            }
            given.push((text, value));
        }
        Given(given).into_options()
    }
}

struct Given(Vec<(String, Expr)>);

impl Given {
    fn take(&mut self, name: &str) -> Option<Expr> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn needed(&mut self, name: &str, example: &str) -> Result<Expr> {
        let missing = || Error::new(Span::call_site(), format!("`{name}` is missing: {example}"));
        self.take(name).ok_or_else(missing)
    }

    fn into_options(mut self) -> Result<Options> {
        let cache = self.needed("cache", "cache = state.cache")?;
        let key = text(&self.needed("key", "key = \"user:{id}\"")?)?;
        let ttl = duration(&self.needed("ttl", "ttl = \"5m\"")?)?;
        let mut policy = quote!(::pinchpoint_cache::Policy::new(#ttl));
        for name in ["absent_ttl", "stale", "timeout"] {
            if let Some(value) = self.take(name) {
                let (value, name) = (duration(&value)?, Ident::new(name, value.span()));
                policy.extend(quote!(.#name(#value)));
            }
        }
        for name in ["refresh_at", "jitter"] {
            if let Some(value) = self.take(name) {
                share(&value)?;
                let name = Ident::new(name, value.span());
                policy.extend(quote!(.#name(#value)));
            }
        }
        let tags = match self.take("tags") {
            None => Vec::new(),
            Some(Expr::Array(ExprArray { elems, .. })) => {
                elems.iter().map(text).collect::<Result<_>>()?
            }
            Some(other) => {
                return Err(Error::new(other.span(), "tags are a list: tags = [\"user:{id}\"]"));
            }
        };
        for tag in &tags {
            crate::template::parse(tag)?;
        }
        let name = self.take("name").map(|name| named(&text(&name)?)).transpose()?;
        let errors = self.take("errors").map(|errors| duration(&errors)).transpose()?;
        let version = self.take("version");
        Ok(Options { cache, key, tags, name, errors, version, policy })
    }
}

fn text(value: &Expr) -> Result<LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.clone()),
        other => Err(Error::new(other.span(), "a text in quotes is needed here")),
    }
}

/// The name stands in keys, between characters that it must not have.
fn named(name: &LitStr) -> Result<LitStr> {
    if is_name(&name.value()) {
        Ok(name.clone())
    } else {
        Err(Error::new(name.span(), "a name is 1 to 64 letters, digits, `_`, `-` or `.`"))
    }
}

/// As `pinchpoint_cache::Function::new` has it.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

/// A literal must lie from 0 to 1; what a constant holds is its own affair.
fn share(value: &Expr) -> Result<()> {
    let fits = match value {
        Expr::Lit(ExprLit { lit: Lit::Float(share), .. }) => {
            (0.0..=1.0).contains(&share.base10_parse::<f64>()?)
        }
        Expr::Unary(ExprUnary { expr, .. }) => !matches!(**expr, Expr::Lit(_)),
        other => !matches!(other, Expr::Lit(_)),
    };
    if fits {
        Ok(())
    } else {
        Err(Error::new(value.span(), "a share from 0.0 to 1.0 is needed here"))
    }
}
