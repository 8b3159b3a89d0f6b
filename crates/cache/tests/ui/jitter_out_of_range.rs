#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, key = "x", ttl = 5, jitter = -0.1)]
async fn f(cache: &Cache) -> Option<u8> {
    None
}

fn main() {}
