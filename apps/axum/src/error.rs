//! What goes wrong, and what the client is told of it.

use std::borrow::Cow;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pinchpoint_cache::Interrupted;
use serde::Serialize;
use tokio::task::JoinError;

use crate::client::Trouble;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no {0} {1}")]
    Absent(&'static str, i64),
    #[error("{0}")]
    BadRequest(String),
    #[error("log in first: POST /api/sessions")]
    NoSession,
    #[error("the name or the password is wrong")]
    WrongPassword,
    #[error("this is somebody else's")]
    NotYours,
    #[error("{field}: {reason}")]
    Invalid { field: Cow<'static, str>, reason: String },
    #[error("{}", .0.body_text())]
    Body(JsonRejection),
    #[error("too much to do; try again later")]
    Busy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error("the cache service: {0}")]
    CacheService(#[from] Trouble),
    #[error("the password could not be checked")]
    Password,
}

#[derive(Serialize)]
struct Problem {
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Cow<'static, str>>,
}

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Absent(..) => StatusCode::NOT_FOUND,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NoSession | Self::WrongPassword => StatusCode::UNAUTHORIZED,
            Self::NotYours => StatusCode::FORBIDDEN,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Body(rejection) => rejection.status(),
            Self::Interrupted(Interrupted::Panicked(_)) | Self::Password => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Database(error) if no_connection(error) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Busy | Self::Interrupted(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::CacheService(trouble) if trouble.is_want_of_room() => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::CacheService(_) => StatusCode::BAD_GATEWAY,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = (self.status(), self.to_string());
        let field = match self {
            Self::Invalid { field, .. } => Some(field),
            _ => None,
        };
        let problem = Json(Problem { error, field });
        match status {
            StatusCode::SERVICE_UNAVAILABLE => unavailable(problem),
            _ => (status, problem).into_response(),
        }
    }
}

/// A 503, and when to come again.
pub(crate) fn unavailable(body: impl IntoResponse) -> Response {
    let later = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (StatusCode::SERVICE_UNAVAILABLE, later, body).into_response()
}

/// A change that did not come to its end.
impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self::Interrupted(if error.is_panic() {
            Interrupted::Panicked(error.to_string())
        } else {
            Interrupted::ShutDown
        })
    }
}

fn no_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
        // Connection lost, login refused, too many connections, a server that is going or coming.
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            ["08", "28", "53", "57P"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}
