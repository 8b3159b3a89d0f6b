#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, ttl = "5m")]
async fn f(cache: &Cache) -> Option<u8> {
    None
}

fn main() {}
