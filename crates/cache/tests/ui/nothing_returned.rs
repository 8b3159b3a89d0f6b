#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

#[cached(cache = cache, key = "x", ttl = 5)]
async fn f(cache: &Cache) {}

fn main() {}
