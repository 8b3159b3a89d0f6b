#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[derive(Clone, serde::Deserialize)]
struct Opaque(u8);

#[cached(cache = cache, key = "x", ttl = 5)]
async fn f(cache: &Cache) -> Option<Opaque> {
    None
}

fn main() {}
