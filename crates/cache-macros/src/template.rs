//! `"user:{id}"`: literal text and values, as calls that build a key.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, Expr, LitStr, Result};

/// An expression of type `Key`.
pub(crate) fn key(template: &LitStr) -> Result<TokenStream> {
    let written = written(template)?;
    Ok(quote!({ #written __key }))
}

/// Statements that leave the key in `__key`. A hit has them where it looks the key up: moving a key that
/// has just been written costs as much as writing it.
pub(crate) fn written(template: &LitStr) -> Result<TokenStream> {
    let mut literal = String::new();
    let mut first: Option<String> = None;
    let mut parts = Vec::new();
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
        let before = std::mem::take(&mut literal);
        if first.is_none() {
            first = Some(before);
        } else {
            parts.extend(text_part(&before));
        }
        parts.push(quote!((&&::pinchpoint_cache::glue::Part(&#value)).write_to(&mut __key);));
        rest = after;
    }
    literal.push_str(rest);
    if first.is_none() && literal.is_empty() {
        return Err(Error::new(template.span(), "a key cannot be empty"));
    }
    let Some(first) = first else {
        return Ok(quote!(let __key = ::pinchpoint_cache::Key::text(#literal);));
    };
    parts.extend(text_part(&literal));
    Ok(quote! {
        #[allow(unused_imports)]
        use ::pinchpoint_cache::glue::{Numbered as _, Shown as _};
        let mut __key = ::pinchpoint_cache::Key::text(#first);
        #(#parts)*
    })
}

fn text_part(literal: &str) -> Option<TokenStream> {
    (!literal.is_empty()).then(|| quote!(::pinchpoint_cache::glue::text(&mut __key, #literal);))
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
    written(text).map(|_| ())
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
                let text = text.trim_start_matches('{').trim_end_matches('}');
                text.split_once("Shownas_};").map_or(text, |(_, text)| text).to_owned()
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_template_becomes_text_and_values() {
        assert_eq!(
            expand("user:{id}"),
            "letmut__key=Key::text(\"user:\");(&&glue::Part(&id)).write_to(&mut__key);__key"
        );
        assert_eq!(
            expand("{a.b}:x"),
            "letmut__key=Key::text(\"\");(&&glue::Part(&a.b)).write_to(&mut__key);\
             glue::text(&mut__key,\":x\");__key"
        );
        assert_eq!(expand("a{{b}}"), "let__key=Key::text(\"a{b}\");__key");
        assert_eq!(
            expand("{name.to_lowercase()}"),
            "letmut__key=Key::text(\"\");(&&glue::Part(&name.to_lowercase())).write_to(&mut__key);__key"
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in ["", "{", "}", "x{", "{}", "{id:?}", "{1 +}", "{1}"] {
            assert!(expand(bad).starts_with("error: "), "{bad}: {}", expand(bad));
        }
    }
}
