#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(key = "x", ttl = 5)]
async fn f(cache: &Cache) -> Option<u8> {
    None
}

fn main() {}
