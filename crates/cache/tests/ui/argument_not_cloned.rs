#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[derive(Debug)]
struct Opaque(u8);

#[cached(cache = cache, key = "x", ttl = 5)]
async fn f(cache: &Cache, opaque: Opaque) -> Option<u8> {
    Some(opaque.0)
}

fn main() {}
