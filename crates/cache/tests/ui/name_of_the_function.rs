#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, key = "x", ttl = 5)]
async fn größe(cache: &Cache) -> Option<u8> {
    None
}

fn main() {}
