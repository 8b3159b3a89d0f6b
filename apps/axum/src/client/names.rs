//! Names and their addresses, believed for a while.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const FOR: Duration = Duration::from_secs(300);

type Answers = HashMap<String, (Instant, Vec<IpAddr>)>;

#[derive(Debug, Clone, Default)]
pub(super) struct Names(Arc<Mutex<Answers>>);

impl Names {
    pub(super) async fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        // An address of version 6 stands in brackets in a URL.
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let addresses = match self.known(name) {
            Some(addresses) => addresses,
            None => {
                let found = tokio::net::lookup_host((name, port)).await?;
                let found: Vec<_> = found.map(|address| address.ip()).collect();
                let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(name.to_owned(), (Instant::now(), found.clone()));
                found
            }
        };
        Ok(addresses.into_iter().map(|address| (address, port).into()).collect())
    }

    fn known(&self, name: &str) -> Option<Vec<IpAddr>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, addresses) = known.get(name)?;
        (when.elapsed() < FOR).then(|| addresses.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_once_in_a_while() {
        let names = Names::default();
        let found = names.look_up("localhost", 7).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
        // From now on what is known is believed.
        let elsewhere: IpAddr = "127.0.0.9".parse().unwrap();
        names.0.lock().unwrap().insert("localhost".into(), (Instant::now(), vec![elsewhere]));
        let again = names.look_up("localhost", 8).await.unwrap();
        assert_eq!(again, [SocketAddr::from((elsewhere, 8))]);
        let long_ago = Instant::now().checked_sub(FOR).unwrap();
        names.0.lock().unwrap().insert("localhost".into(), (long_ago, vec![elsewhere]));
        assert_ne!(names.look_up("localhost", 8).await.unwrap(), again);
        assert_eq!(names.look_up("[::1]", 9).await.unwrap()[0].to_string(), "[::1]:9");
    }
}
