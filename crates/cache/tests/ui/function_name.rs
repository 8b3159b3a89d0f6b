#![allow(unused)]

use std::time::Duration;

use pinchpoint_cache::{Function, Policy};

static USER: Function = Function::new("user@v2", Policy::new(Duration::from_secs(5)));

fn main() {}
