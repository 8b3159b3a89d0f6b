#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, key = "user:{id:?}", ttl = 5)]
async fn f(cache: &Cache, id: u8) -> Option<u8> {
    Some(id)
}

fn main() {}
