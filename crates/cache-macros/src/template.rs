//! `"user:{id}"`: literal text and values, as calls that build a key.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, Expr, LitStr, Result};

/// An expression of type `Key`.
pub(crate) fn key(template: &LitStr) -> Result<TokenStream> {
    let mut literal = String::new();
    let mut built: Option<TokenStream> = None;
    let text = template.value();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        literal.push_str(before);
        if brace.starts_with("{{") || brace.starts_with("}}") {
            literal.push_str(&brace[..1]);
            rest = &brace[2..];
            continue;
        }
        let Some((inside, after)) = brace.strip_prefix('{').and_then(|b| b.split_once('}')) else {
            return Err(Error::new(
                template.span(),
                "a `{` or `}` stands alone; write `{{` or `}}` for the character",
            ));
        };
        let value = value(inside, template.span())?;
        let so_far = text_part(built.take(), &std::mem::take(&mut literal));
        built = Some(quote!((&&::pinchpoint_cache::glue::Part(&#value)).after(#so_far)));
        rest = after;
    }
    literal.push_str(rest);
    if built.is_none() && literal.is_empty() {
        return Err(Error::new(template.span(), "a key cannot be empty"));
    }
    let Some(built) = built else { return Ok(text_part(None, &literal)) };
    let key = text_part(Some(built), &literal);
    Ok(quote!({
        #[allow(unused_imports)]
        use ::pinchpoint_cache::glue::{Numbered as _, Shown as _};
        #key
    }))
}

fn text_part(built: Option<TokenStream>, literal: &str) -> TokenStream {
    match built {
        None => quote!(::pinchpoint_cache::Key::text(#literal)),
        Some(built) if literal.is_empty() => built,
        Some(built) => quote!(#built.then(#literal)),
    }
}

fn value(inside: &str, span: Span) -> Result<Expr> {
    let inside = inside.trim();
    if inside.is_empty() {
        return Err(Error::new(span, "name the value: `{id}`"));
    }
    if inside.contains(':') && !inside.contains("::") {
        return Err(Error::new(
            span,
            format!("`{{{inside}}}`: a key takes values as they are, without a format"),
        ));
    }
    let parsed = LitStr::new(inside, span)
        .parse_with(|input: syn::parse::ParseStream<'_>| input.parse::<Expr>());
    let value =
        parsed.map_err(|_| Error::new(span, format!("`{{{inside}}}` is not an expression")))?;
    match value {
        Expr::Path(_) | Expr::Field(_) | Expr::MethodCall(_) | Expr::Call(_) | Expr::Index(_) => {
            Ok(value)
        }
        other => Err(Error::new(
            other.span(),
            "a name, a field or a call, such as `{id}` or `{filter.category}`",
        )),
    }
}

/// The names that a template mentions at the start of its values.
pub(crate) fn parse(text: &LitStr) -> Result<()> {
    key(text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::key;
    use proc_macro2::Span;
    use syn::LitStr;

    fn expand(text: &str) -> String {
        match key(&LitStr::new(text, Span::call_site())) {
            Ok(tokens) => {
                let text = tokens.to_string().replace(' ', "").replace("::pinchpoint_cache::", "");
                text.rsplit(';').next().unwrap_or_default().trim_end_matches('}').to_owned()
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_template_becomes_text_and_values() {
        assert_eq!(expand("user:{id}"), "(&&glue::Part(&id)).after(Key::text(\"user:\"))");
        assert_eq!(expand("{a.b}:x"), "(&&glue::Part(&a.b)).after(Key::text(\"\")).then(\":x\")");
        assert_eq!(expand("a{{b}}"), "Key::text(\"a{b}\")");
        assert_eq!(
            expand("{name.to_lowercase()}"),
            "(&&glue::Part(&name.to_lowercase())).after(Key::text(\"\"))"
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in ["", "{", "}", "x{", "{}", "{id:?}", "{1 +}", "{1}"] {
            assert!(expand(bad).starts_with("error: "), "{bad}: {}", expand(bad));
        }
    }
}
