#![allow(unused)]

use pinchpoint_cache::{Cache, cached};

struct Counter {
    cache: Cache,
    count: u8,
}

impl Counter {
    #[cached(cache = self.cache, key = "x", ttl = 5)]
    async fn next(&mut self) -> Option<u8> {
        self.count.checked_add(1)
    }
}

fn main() {}
