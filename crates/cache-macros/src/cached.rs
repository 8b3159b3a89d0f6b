//! What `#[cached]` makes of a function.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Error, Expr, FnArg, Ident, ItemFn, Pat, ReceiverKind, Result, ReturnType, Signature, Type,
};

use crate::options::{self, Options};
use crate::template;

/// The function's arguments, as the call that runs in a task of its own passes them on.
struct Arguments {
    /// `let id = Clone::clone(&id);`
    clones: Vec<TokenStream>,
    /// `&state, id`
    passed: Vec<TokenStream>,
    receiver: bool,
}

pub(crate) fn expand(options: &Options, function: ItemFn) -> Result<TokenStream> {
    let ItemFn { attrs, vis, mut sig, block, .. } = function;
    if sig.asyncness.is_none() {
        return Err(Error::new(sig.fn_token.span(), "only an async function can be cached"));
    }
    let ReturnType::Type(_, returned) = sig.output.clone() else {
        return Err(Error::new(
            sig.ident.span(),
            "a function that returns nothing has nothing to cache",
        ));
    };
    let original = Signature { ident: format_ident!("{}_uncached", sig.ident), ..sig.clone() };
    let arguments = arguments(&mut sig)?;
    let (name, uncached) = (&sig.ident, &original.ident);
    let (key_fn, invalidate_fn) = (format_ident!("{name}_key"), format_ident!("{name}_invalidate"));
    let (refresh_fn, about_fn) =
        (format_ident!("{name}_refresh"), format_ident!("__{name}_function"));
    let own = arguments.receiver.then(|| quote!(Self::));
    let turbofish = turbofish(&sig.generics);

    let key = template::key(&options.key)?;
    let about = about(options, name)?;
    let shape = shape(options, &returned);
    let call = call(options, &arguments, own.as_ref(), &about_fn, uncached, turbofish.as_ref())?;
    let cache = &options.cache;
    let inputs = &sig.inputs;
    let (impl_generics, _, where_clause) = sig.generics.split_for_impl();
    let documents = attrs.iter().filter(|a| a.path().is_ident("doc"));
    let refresh_sig = Signature { ident: refresh_fn, ..sig.clone() };
    let others = attrs.iter().filter(|a| !a.path().is_ident("doc"));
    let [key_doc, invalidate_doc, refresh_doc, uncached_doc] = companions(name);
    // The argument that holds the cache may have no other use.
    let holder = holder(&options.cache).map(|name| quote!(let _ = &#name;));
    let (cached_call, fresh_call) = (call(false), call(true));
    Ok(quote! {
        #(#documents)*
        #vis #sig {
            #shape
            #cached_call
        }

        #[doc = #refresh_doc]
        #[allow(dead_code)]
        #vis #refresh_sig {
            #shape
            #fresh_call
        }

        #[doc = #key_doc]
        #[allow(dead_code, unused_variables, clippy::needless_pass_by_value, clippy::unused_self)]
        #vis fn #key_fn #impl_generics (#inputs) -> ::pinchpoint_cache::Key #where_clause {
            #key
        }

        #[doc = #invalidate_doc]
        #[allow(dead_code, unused_variables, clippy::needless_pass_by_value)]
        #vis async fn #invalidate_fn #impl_generics (#inputs) -> ::pinchpoint_cache::Invalidated #where_clause {
            #shape
            let __key = #key;
            let __cache: &::pinchpoint_cache::Cache = &(#cache);
            ::pinchpoint_cache::glue::invalidate(__cache, #own #about_fn(), __key, __shape, __returned).await
        }

        #[doc = #uncached_doc]
        #[allow(clippy::unused_async)]
        #(#others)*
        #vis #original {
            #holder
            #block
        }

        #[doc(hidden)]
        fn #about_fn() -> &'static ::pinchpoint_cache::Function {
            static FUNCTION: ::pinchpoint_cache::Function = #about;
            &FUNCTION
        }
    })
}

/// What the documentation says of the functions beside this one.
fn companions(name: &Ident) -> [String; 4] {
    [
        format!("The key of a call of [`{name}`]."),
        format!("Forgets what [`{name}`] answered to these arguments, in every process."),
        format!("Calls [`{name}`] whatever is stored, and stores its answer."),
        format!("[`{name}`] without the cache."),
    ]
}

/// `state` of `state.cache`; nothing for `self`.
fn holder(cache: &Expr) -> Option<&Ident> {
    match cache {
        Expr::Path(path) => path.path.get_ident().filter(|name| *name != "self"),
        Expr::Field(field) => holder(&field.base),
        Expr::MethodCall(call) => holder(&call.receiver),
        Expr::Reference(reference) => holder(&reference.expr),
        _ => None,
    }
}

/// `::<T, N>`, to pass a generic function's parameters on.
fn turbofish(generics: &syn::Generics) -> Option<TokenStream> {
    let named = generics.params.iter().filter_map(|parameter| match parameter {
        syn::GenericParam::Type(kind) => Some(&kind.ident),
        syn::GenericParam::Const(value) => Some(&value.ident),
        syn::GenericParam::Lifetime(_) => None,
    });
    let named: Vec<_> = named.collect();
    (!named.is_empty()).then(|| quote!(::<#(#named),*>))
}

fn about(options: &Options, name: &Ident) -> Result<TokenStream> {
    let own = || name.unraw().to_string();
    let label = options.name.as_ref().map_or_else(own, syn::LitStr::value);
    if !options::is_name(&label) {
        return Err(Error::new(
            name.span(),
            "this name cannot stand in keys; give another one: name = \"…\", of letters, digits, `_`, `-`, `.`",
        ));
    }
    let (policy, version) = (&options.policy, options.version.as_ref());
    let version = version.map(|version| quote!(.version(#version)));
    Ok(quote!(
        ::pinchpoint_cache::Function::new(#label, #policy).scope(::core::module_path!()) #version
    ))
}

fn shape(options: &Options, returned: &Type) -> TokenStream {
    let shape = match &options.errors {
        Some(ttl) => quote!(::pinchpoint_cache::glue::Whole(#ttl)),
        None => quote!((&&&&__returned).shape()),
    };
    // A type that cannot be stored is pointed at where it stands.
    let place = returned.span().resolved_at(Span::call_site());
    let checked = quote_spanned!(place=> ::pinchpoint_cache::glue::checked(__shape, __returned));
    quote! {
        #[allow(unused_imports)]
        use ::pinchpoint_cache::glue::{AsFallible as _, AsFallibleOption as _, AsOptional as _, AsPlain as _};
        let __returned = ::pinchpoint_cache::glue::Returned::<#returned>::NEW;
        let __shape = #shape;
        let __shape = #checked;
    }
}

fn call(
    options: &Options,
    arguments: &Arguments,
    own: Option<&TokenStream>,
    about: &Ident,
    uncached: &Ident,
    turbofish: Option<&TokenStream>,
) -> Result<impl Fn(bool) -> TokenStream> {
    let key = template::written(&options.key)?;
    let tags = options.tags.iter().map(template::key).collect::<Result<Vec<_>>>()?;
    let Arguments { clones, passed, receiver, .. } = arguments;
    let (clone_self, target) = match receiver {
        true => (Some(quote!(let __self = ::core::clone::Clone::clone(self);)), quote!(__self.)),
        false => (None, quote!()),
    };
    let cache = &options.cache;
    Ok(move |anew: bool| {
        let hit = (!anew).then(|| {
            quote! {
                if let Some(__hit) = ::pinchpoint_cache::glue::hit(
                    __cache, #own #about(), &__key, __shape, __returned,
                ) {
                    return __hit;
                }
            }
        });
        quote! {
            #[allow(unused_imports)]
            use ::pinchpoint_cache::glue::{
                CloneOf as _, FromInterrupted as _, NoCloneOf as _, NotFromInterrupted as _,
            };
            let __cache: &::pinchpoint_cache::Cache = &(#cache);
            // A hit has its key where it was written; only a call keeps one.
            let __key = {
                #key
                #hit
                __key
            };
            let __error = ::pinchpoint_cache::glue::error_of(__shape, __returned);
            let __plan = ::pinchpoint_cache::glue::Plan {
                function: #own #about(),
                key: __key,
                shape: __shape,
                returned: __returned,
                cloner: (&&__error).cloner(),
                interrupter: (&&__error).interrupter(),
                anew: #anew,
            };
            ::pinchpoint_cache::glue::run(__cache, __plan, || ::std::vec![#(#tags),*], || {
                #clone_self
                #(#clones)*
                async move { #target #uncached #turbofish (#(#passed),*).await }
            })
            .await
        }
    })
}

/// Reads the arguments, and takes `mut` from the names in the signature: only the function itself
/// changes them.
fn arguments(sig: &mut Signature) -> Result<Arguments> {
    let mut read = Arguments { clones: Vec::new(), passed: Vec::new(), receiver: false };
    for input in &mut sig.inputs {
        let argument = match input {
            FnArg::Receiver(receiver) => {
                if matches!(receiver.kind, ReceiverKind::Reference(_, _, Some(_))) {
                    return Err(Error::new(
                        receiver.span(),
                        "a method that changes its object cannot be cached",
                    ));
                }
                read.receiver = true;
                continue;
            }
            FnArg::Typed(argument) => argument,
        };
        let Pat::Ident(pattern) = argument.pat.as_mut() else {
            return Err(Error::new(
                argument.pat.span(),
                "name this argument, and take it apart in the body",
            ));
        };
        pattern.mutability = None;
        let name = pattern.ident.clone();
        let (clone, pass) = match argument.ty.as_ref() {
            Type::Reference(reference) if reference.mutability.is_some() => {
                return Err(Error::new(
                    argument.ty.span(),
                    "a call that changes its argument cannot be cached",
                ));
            }
            Type::Reference(_) => {
                (quote!(let #name = ::std::borrow::ToOwned::to_owned(#name);), quote!(&#name))
            }
            _ => (quote!(let #name = ::core::clone::Clone::clone(&#name);), quote!(#name)),
        };
        read.clones.push(clone);
        read.passed.push(pass);
    }
    Ok(read)
}
