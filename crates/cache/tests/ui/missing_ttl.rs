#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, key = "x")]
async fn f(cache: &Cache) -> Option<u8> {
    None
}

fn main() {}
