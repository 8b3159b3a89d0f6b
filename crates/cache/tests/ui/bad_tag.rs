#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, key = "x", ttl = 5, tags = ["all", "user:{id"])]
async fn f(cache: &Cache, id: u8) -> Option<u8> {
    Some(id)
}

fn main() {}
