//! Asking the cache service for users, over one shared HTTP client or a new one for each request.
//!
//! The shared one holds at most 100 connections in all and 30 to one host. reqwest bounds only idle
//! ones, so a request holds a place of both kinds until its body has been read. Names are looked up
//! anew after 300 s, and an exchange ends after 30 s.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::histogram;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, StatusCode};
use tokio::sync::Semaphore;
use tower::util::MapFutureLayer;

use crate::error::Failure;
use crate::users::User;

const IN_ALL: usize = 100;
const PER_HOST: usize = 30;
const NAMES_FOR: Duration = Duration::from_secs(300);
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct UserClient {
    url: String,
    shared: Option<Client>,
    in_all: Semaphore,
    /// There is one host.
    host: Semaphore,
    names: Arc<Names>,
}

impl UserClient {
    pub(crate) fn new(url: &str, shared: bool) -> Result<Self, reqwest::Error> {
        let names = Arc::new(Names::default());
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            shared: if shared { Some(client(&names)?) } else { None },
            in_all: Semaphore::new(IN_ALL),
            host: Semaphore::new(PER_HOST),
            names,
        })
    }

    pub(crate) async fn user(&self, id: i64) -> Result<Option<User>, Failure> {
        let _places = self.places().await?;
        let answer = self.client()?.get(self.path(id)).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(answer.error_for_status()?.json().await?))
    }

    /// The user has changed.
    pub(crate) async fn forget(&self, id: i64) -> Result<(), Failure> {
        let _places = self.places().await?;
        self.client()?.delete(self.path(id)).send().await?.error_for_status()?;
        Ok(())
    }

    /// No more requests; waits for those under way, as long as `limit`.
    pub(crate) async fn close(&self, limit: Duration) {
        let all = self.in_all.acquire_many(IN_ALL as u32);
        // Those that take longer are cut off with the process.
        let _ = tokio::time::timeout(limit, all).await;
        self.in_all.close();
    }

    async fn places(&self) -> Result<impl Drop + use<'_>, Failure> {
        let busy = |_| Failure::Busy;
        let both = async {
            let host = self.host.acquire().await.map_err(busy)?;
            Ok::<_, Failure>(Places {
                _host: host,
                _all: self.in_all.acquire().await.map_err(busy)?,
            })
        };
        tokio::time::timeout(LIMIT, both).await.map_err(|_| Failure::Busy)?
    }

    fn client(&self) -> Result<Client, reqwest::Error> {
        if let Some(shared) = &self.shared {
            return Ok(shared.clone());
        }
        let began = Instant::now();
        let client = client(&self.names);
        set_up("client", began);
        client
    }

    fn path(&self, id: i64) -> String {
        format!("{}/cache/{id}", self.url)
    }
}

/// What it took until a request could be sent: to make a client, to connect.
fn set_up(part: &'static str, began: Instant) {
    histogram!("upstream_setup_seconds", "part" => part).record(began.elapsed().as_secs_f64());
}

struct Places<'a> {
    _host: tokio::sync::SemaphorePermit<'a>,
    _all: tokio::sync::SemaphorePermit<'a>,
}

impl Drop for Places<'_> {
    fn drop(&mut self) {}
}

fn client(names: &Arc<Names>) -> Result<Client, reqwest::Error> {
    Client::builder()
        .timeout(LIMIT)
        .connect_timeout(LIMIT)
        .pool_max_idle_per_host(PER_HOST)
        .tcp_nodelay(true)
        .no_proxy()
        .dns_resolver(Arc::clone(names))
        .connector_layer(MapFutureLayer::new(|connecting| async {
            let began = Instant::now();
            let connected = connecting.await;
            set_up("connection", began);
            connected
        }))
        .build()
}

type Answers = HashMap<String, (Instant, Vec<SocketAddr>)>;

/// Names and their addresses, believed for a while.
#[derive(Debug, Clone, Default)]
struct Names(Arc<Mutex<Answers>>);

impl Names {
    fn known(&self, name: &str) -> Option<Vec<SocketAddr>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, addresses) = known.get(name)?;
        (when.elapsed() < NAMES_FOR).then(|| addresses.clone())
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let addresses = match names.known(&name) {
                Some(addresses) => addresses,
                None => {
                    let found: Vec<_> =
                        tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
                    let mut known = names.0.lock().unwrap_or_else(PoisonError::into_inner);
                    known.insert(name, (Instant::now(), found.clone()));
                    found
                }
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_once_in_a_while() {
        let names = Names::default();
        let resolved = names.resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(resolved.map(|address| address.ip()).all(|ip| ip.is_loopback()));
        // From now on what is known is believed.
        let elsewhere: SocketAddr = "127.0.0.9:0".parse().unwrap();
        names.0.lock().unwrap().insert("localhost".into(), (Instant::now(), vec![elsewhere]));
        let again = names.resolve("localhost".parse().unwrap()).await.unwrap();
        assert_eq!(again.collect::<Vec<_>>(), [elsewhere]);
        let long_ago = Instant::now().checked_sub(NAMES_FOR).unwrap();
        names.0.lock().unwrap().insert("localhost".into(), (long_ago, vec![elsewhere]));
        let anew: Vec<_> = names.resolve("localhost".parse().unwrap()).await.unwrap().collect();
        assert_ne!(anew, [elsewhere]);
    }

    #[tokio::test]
    async fn no_more_requests_are_under_way_than_there_are_places() {
        let client = UserClient::new("http://127.0.0.1:1", true).unwrap();
        let mut held = Vec::new();
        for _ in 0..PER_HOST {
            held.push(client.places().await.unwrap());
        }
        assert_eq!(client.in_all.available_permits(), IN_ALL - PER_HOST);
        assert!(tokio::time::timeout(Duration::from_millis(20), client.places()).await.is_err());
        held.pop();
        assert!(client.places().await.is_ok());
    }
}
