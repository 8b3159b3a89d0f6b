#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, key = "{a}", ttl = 5)]
async fn f(cache: &Cache, (a, b): (u8, u8)) -> Option<u8> {
    a.checked_add(b)
}

fn main() {}
