//! What a request brings: a refusal is JSON like every other answer.

use std::error::Error as _;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::Failure;

/// A JSON body: 400 for what is no JSON, 422 with the field for JSON of another shape, 413 for too
/// much of it, 415 for what says that it is something else.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(misfit(&rejection).unwrap_or(Failure::Body(rejection))),
        }
    }
}

type Misfit = serde_path_to_error::Error<serde_json::Error>;

/// Which field of a body has another shape than it should.
fn misfit(rejection: &JsonRejection) -> Option<Failure> {
    let JsonRejection::JsonDataError(error) = rejection else { return None };
    let mut causes = std::iter::successors(error.source(), |error| (*error).source());
    let misfit = causes.find_map(|error| error.downcast_ref::<Misfit>())?;
    let reason = misfit.inner().to_string();
    // What is missing has no place; serde says its name.
    let missing = || reason.strip_prefix("missing field `")?.split('`').next();
    let field = match misfit.path().to_string() {
        root if root == "." => missing()?.to_owned(),
        path => path,
    };
    Some(Failure::Invalid { field: field.into(), reason })
}

/// The id in the path.
pub(crate) struct Id(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = Path::<i64>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|rejection| Failure::BadRequest(rejection.body_text()))
    }
}

/// The query behind the path.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        asked
            .map(|Query(asked)| Self(asked))
            .map_err(|rejection| Failure::BadRequest(rejection.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Shape {
        name: String,
        more: Option<Vec<u8>>,
    }

    #[test]
    fn a_body_of_another_shape_says_which_field_it_is() {
        let field = |body: &str| match misfit(&Json::<Shape>::from_bytes(body.as_bytes()).err()?)? {
            Failure::Invalid { field, .. } => Some(field.into_owned()),
            other => panic!("{other}"),
        };
        for (body, expected) in [
            (r#"{"name":5}"#, Some("name")),
            (r#"{"name":"x","more":[1,256]}"#, Some("more[1]")),
            (r#"{"name":"x","less":1}"#, Some("less")),
            ("{}", Some("name")),
            ("5", None),
            (r#"{"name":"#, None),
        ] {
            assert_eq!(field(body).as_deref(), expected, "{body}");
        }
    }
}
