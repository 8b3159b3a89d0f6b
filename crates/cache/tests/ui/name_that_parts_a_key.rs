#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, key = "x", ttl = 5, name = "user@v2")]
async fn f(cache: &Cache) -> Option<u8> {
    None
}

fn main() {}
