//! What `#[cached]` expands to calls of. Not part of the public interface.
//!
//! What a function returns is told apart by trait, not by how its type is spelled: an alias of
//! `Result` is a `Result`. The trick is method resolution: `(&&&&returned).shape()` finds the most
//! particular of the impls below that fits.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cache::{Cache, Invalidated, Loaded, Request, Value};
use crate::error::{Interrupted, LoadError};
use crate::function::Function;
use crate::key::{Key, Tag};

/// What a function returns, as a value to call methods on.
#[derive(Debug)]
pub struct Returned<R>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    pub const NEW: Self = Self(PhantomData);
}

impl<R> Clone for Returned<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for Returned<R> {}

/// How `R` is made of a value that may be absent, and an error.
pub trait Shape<R>: Copy + Send + Sync + 'static {
    type Value: Value;
    type Error: Send + 'static;
    fn split(self, returned: R) -> Result<Loaded<Self::Value>, Self::Error>;
    /// Nothing when `R` cannot say that there is no value.
    fn join(self, value: Option<Self::Value>) -> Option<R>;
    fn fail(self, error: Self::Error) -> R;
}

#[derive(Debug, Clone, Copy)]
pub struct FallibleOption;
impl<T: Value, E: Send + 'static> Shape<Result<Option<T>, E>> for FallibleOption {
    type Value = T;
    type Error = E;
    fn split(self, returned: Result<Option<T>, E>) -> Result<Loaded<T>, E> {
        returned.map(Loaded::from)
    }
    #[inline]
    fn join(self, value: Option<T>) -> Option<Result<Option<T>, E>> {
        Some(Ok(value))
    }
    fn fail(self, error: E) -> Result<Option<T>, E> {
        Err(error)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Fallible;
impl<T: Value, E: Send + 'static> Shape<Result<T, E>> for Fallible {
    type Value = T;
    type Error = E;
    fn split(self, returned: Result<T, E>) -> Result<Loaded<T>, E> {
        returned.map(|value| Some(value).into())
    }
    #[inline]
    fn join(self, value: Option<T>) -> Option<Result<T, E>> {
        value.map(Ok)
    }
    fn fail(self, error: E) -> Result<T, E> {
        Err(error)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Optional;
impl<T: Value> Shape<Option<T>> for Optional {
    type Value = T;
    type Error = Infallible;
    fn split(self, returned: Option<T>) -> Result<Loaded<T>, Infallible> {
        Ok(returned.into())
    }
    #[inline]
    fn join(self, value: Option<T>) -> Option<Option<T>> {
        Some(value)
    }
    fn fail(self, error: Infallible) -> Option<T> {
        match error {}
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Plain;
impl<T: Value> Shape<T> for Plain {
    type Value = T;
    type Error = Infallible;
    fn split(self, returned: T) -> Result<Loaded<T>, Infallible> {
        Ok(Some(returned).into())
    }
    #[inline]
    fn join(self, value: Option<T>) -> Option<T> {
        value
    }
    fn fail(self, error: Infallible) -> T {
        match error {}
    }
}

/// The whole `Result` is stored, an error for its own time: `errors = "5s"`.
#[derive(Debug, Clone, Copy)]
pub struct Whole(pub Duration);
impl<T: Value, E: Value> Shape<Result<T, E>> for Whole {
    type Value = Result<T, E>;
    type Error = Infallible;
    fn split(self, returned: Result<T, E>) -> Result<Loaded<Result<T, E>>, Infallible> {
        let ttl = returned.is_err().then_some(self.0);
        Ok(Loaded { value: Some(returned), ttl })
    }
    fn join(self, value: Option<Result<T, E>>) -> Option<Result<T, E>> {
        value
    }
    fn fail(self, error: Infallible) -> Result<T, E> {
        match error {}
    }
}

macro_rules! resolves {
    ($trait:ident $shape:ident [$($t:ident),*] $receiver:ty) => {
        pub trait $trait {
            fn shape(&self) -> $shape;
        }
        impl<$($t),*> $trait for $receiver {
            fn shape(&self) -> $shape {
                $shape
            }
        }
    };
}
resolves!(AsFallibleOption FallibleOption [T, E] &&&Returned<Result<Option<T>, E>>);
resolves!(AsFallible Fallible [T, E] &&Returned<Result<T, E>>);
resolves!(AsOptional Optional [T] &Returned<Option<T>>);
resolves!(AsPlain Plain [T] Returned<T>);

/// The shape as it is: where the value cannot be stored, the compiler says so here first.
pub fn checked<S: Shape<R>, R>(shape: S, _: Returned<R>) -> S {
    shape
}

/// The error of a function, as a value to call methods on.
#[derive(Debug)]
pub struct ErrorOf<E>(PhantomData<fn() -> E>);

pub fn error_of<S: Shape<R>, R>(_: S, _: Returned<R>) -> ErrorOf<S::Error> {
    ErrorOf(PhantomData)
}

pub trait CloneOf<E> {
    fn cloner(&self) -> Option<fn(&E) -> E>;
}
impl<E: Clone> CloneOf<E> for &ErrorOf<E> {
    fn cloner(&self) -> Option<fn(&E) -> E> {
        Some(E::clone)
    }
}
pub trait NoCloneOf<E> {
    fn cloner(&self) -> Option<fn(&E) -> E>;
}
impl<E> NoCloneOf<E> for ErrorOf<E> {
    fn cloner(&self) -> Option<fn(&E) -> E> {
        None
    }
}

pub trait FromInterrupted<E> {
    fn interrupter(&self) -> Option<fn(Interrupted) -> E>;
}
impl<E: From<Interrupted>> FromInterrupted<E> for &ErrorOf<E> {
    fn interrupter(&self) -> Option<fn(Interrupted) -> E> {
        Some(E::from)
    }
}
pub trait NotFromInterrupted<E> {
    fn interrupter(&self) -> Option<fn(Interrupted) -> E>;
}
impl<E> NotFromInterrupted<E> for ErrorOf<E> {
    fn interrupter(&self) -> Option<fn(Interrupted) -> E> {
        None
    }
}

/// Makes one error of another.
type Cloner<E> = fn(&E) -> E;

/// A value in a key, told apart by trait as above: whole numbers are written without `Display`.
#[derive(Debug)]
pub struct Part<'a, T: ?Sized>(pub &'a T);

pub trait Shown {
    fn write_to(&self, key: &mut Key);
}
impl<T: std::fmt::Display + ?Sized> Shown for Part<'_, T> {
    fn write_to(&self, key: &mut Key) {
        key.push_value(self.0);
    }
}

pub trait Numbered {
    fn write_to(&self, key: &mut Key);
}
macro_rules! numbered {
    ($($t:ty)*, $negative:expr) => { $(
        impl Numbered for &Part<'_, $t> {
            #[inline]
            fn write_to(&self, key: &mut Key) {
                let negative: fn($t) -> bool = $negative;
                key.push_number(negative(*self.0), u64::from(self.0.abs_diff(0)));
            }
        }
    )* };
}
numbered!(i16 i32 i64, |number| number < 0);
numbered!(u16 u32 u64, |_| false);

/// Goes on with literal text.
#[inline]
pub fn text(key: &mut Key, text: &str) {
    key.push_text(text);
}

/// Everything about a cached call but the call.
#[derive(Debug)]
pub struct Plan<S: Shape<R>, R> {
    pub function: &'static Function,
    pub key: Key,
    pub shape: S,
    pub returned: Returned<R>,
    pub cloner: Option<Cloner<S::Error>>,
    pub interrupter: Option<fn(Interrupted) -> S::Error>,
    /// Call the function whatever is stored.
    pub anew: bool,
}

/// The answer of a call from memory, when a fresh one is there.
#[inline]
pub fn hit<S: Shape<R>, R>(
    cache: &Cache,
    function: &'static Function,
    key: &Key,
    shape: S,
    _: Returned<R>,
) -> Option<R> {
    cache.hit(function, key, |value: &Option<S::Value>| shape.join(value.clone()))?
}

/// Makes a cached call. `load` calls the function; a second time only when a caller can be given
/// neither the error of the call it waited for nor word that it was stopped.
pub async fn run<S, R, L, F>(
    cache: &Cache,
    plan: Plan<S, R>,
    tags: impl FnOnce() -> Vec<Tag> + Send,
    load: L,
) -> R
where
    S: Shape<R>,
    L: Fn() -> F + Send + Sync,
    F: Future<Output = R> + Send + 'static,
{
    let shape = plan.shape;
    let once = || {
        let call = load();
        // The error may not be clonable: one of those who waited takes it out.
        async move { shape.split(call.await).map_err(|error| Mutex::new(Some(error))) }
    };
    let answer = if plan.anew {
        cache.refresh(plan.function, plan.key, tags, once).await
    } else {
        let interruptible = plan.interrupter.is_some();
        let request = Request { function: plan.function, key: plan.key, interruptible };
        cache.call(request, tags, once).await
    };
    let why = match answer {
        Ok(value) => match shape.join(value) {
            Some(returned) => return returned,
            None => return load().await,
        },
        Err(LoadError::Failed(error)) => {
            let mut slot = error.lock().unwrap_or_else(PoisonError::into_inner);
            let own = match plan.cloner {
                Some(clone) => slot.as_ref().map(clone),
                None => slot.take(),
            };
            if let Some(error) = own {
                return shape.fail(error);
            }
            Interrupted::Shared("its error went to another caller".to_owned())
        }
        Err(LoadError::Interrupted(why)) => why,
    };
    match (plan.interrupter, why) {
        (Some(error), why) => shape.fail(error(why)),
        // As without a cache: a panic is a panic.
        (None, Interrupted::Panicked(message)) => std::panic::resume_unwind(Box::new(message)),
        (None, _) => load().await,
    }
}

pub async fn invalidate<S: Shape<R>, R>(
    cache: &Cache,
    function: &'static Function,
    key: Key,
    _: S,
    _: Returned<R>,
) -> Invalidated {
    cache.invalidate::<S::Value>(function, key).await
}
