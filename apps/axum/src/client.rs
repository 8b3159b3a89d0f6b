//! Asking the cache service for users, over one shared HTTP client or a new one for each request.
//!
//! At most 100 connections are open in all and 30 to one host; a request holds its own until its
//! body has been read. Names are looked up anew after 300 s, and an exchange ends after 30 s, the
//! time for its turn and its connection included.

mod connections;
mod names;

use std::time::{Duration, Instant};

use axum::http::uri::{InvalidUri, Uri};
use axum::http::{Method, StatusCode};
use hyper::body::Bytes;
use metrics::histogram;

use crate::error::Failure;
use crate::turns::Turns;
use crate::users::User;
use connections::{Connections, Host, PER_HOST};

const LIMIT: Duration = Duration::from_secs(30);
/// Requests that may wait for a turn.
const WAITING: usize = 1000;

/// What can go wrong between us and the cache service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("no connection: {0}")]
    NoConnection(#[from] std::io::Error),
    #[error("no answer: {0}")]
    NoAnswer(#[from] hyper::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("what it answered is no user: {0}")]
    NoUser(#[from] serde_json::Error),
    #[error("no answer within {0:?}")]
    Late(Duration),
}

impl Trouble {
    /// Whether it may go well later.
    pub(crate) fn is_want_of_room(&self) -> bool {
        matches!(self, Self::Late(_) | Self::Status(StatusCode::SERVICE_UNAVAILABLE))
    }
}

pub(crate) struct UserClient {
    host: Host,
    path: String,
    shared: Option<Connections>,
    turns: Turns,
}

impl UserClient {
    pub(crate) fn new(url: &str, shared: bool) -> Result<Self, InvalidUri> {
        let url: Uri = url.parse()?;
        let host = Host::of(&url);
        let path = url.path().trim_end_matches('/').to_owned();
        let shared = shared.then(|| Connections::to(&host));
        Ok(Self { host, path, shared, turns: Turns::new(PER_HOST, WAITING, LIMIT) })
    }

    pub(crate) async fn user(&self, id: i64) -> Result<Option<User>, Failure> {
        match self.exchange(Method::GET, id).await? {
            (StatusCode::OK, body) => {
                Ok(Some(serde_json::from_slice(&body).map_err(Trouble::from)?))
            }
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (other, _) => Err(Trouble::Status(other).into()),
        }
    }

    /// The user has changed.
    pub(crate) async fn forget(&self, id: i64) -> Result<(), Failure> {
        match self.exchange(Method::DELETE, id).await? {
            (status, _) if status.is_success() => Ok(()),
            (other, _) => Err(Trouble::Status(other).into()),
        }
    }

    /// Waits for the requests under way; there are no more from then on.
    pub(crate) async fn close(&self) {
        self.turns.close().await;
    }

    async fn exchange(&self, method: Method, id: i64) -> Result<(StatusCode, Bytes), Failure> {
        let path = format!("{}/cache/{id}", self.path);
        let exchange = async {
            let _turn = self.turns.take().await?;
            let answer = match &self.shared {
                Some(shared) => shared.exchange(&method, &path).await,
                None => self.new_connections().exchange(&method, &path).await,
            };
            Ok(answer?)
        };
        tokio::time::timeout(LIMIT, exchange).await.map_err(|_| Trouble::Late(LIMIT))?
    }

    fn new_connections(&self) -> Connections {
        let began = Instant::now();
        let new = Connections::to(&self.host);
        set_up("client", began);
        new
    }
}

/// What it took until a request could be sent: to make a client, to connect.
fn set_up(part: &'static str, began: Instant) {
    histogram!("upstream_setup_seconds", "part" => part).record(began.elapsed().as_secs_f64());
}
