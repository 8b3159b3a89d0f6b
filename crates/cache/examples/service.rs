//! A service with one cached function: `cargo run -p pinchpoint-cache --example service`, `curl -i
//! 127.0.0.1:8000/7`, `curl -X DELETE 127.0.0.1:8000/7`. With `REDIS_URL` it shares its cache.

use pinchpoint_cache::{Cache, cached, trace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[cached(cache = cache, key = "square:{n}", ttl = "30s", stale = "30s", tags = ["squares"])]
async fn square(cache: &Cache, n: u64) -> Option<u64> {
    tokio::time::sleep(std::time::Duration::from_millis(500)).await; // what makes it worth caching
    n.checked_mul(n)
}

async fn answer(cache: Cache, mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 1024];
    let length = stream.read(&mut request).await?;
    let line = String::from_utf8_lossy(&request[..length]).into_owned();
    let n = line.split([' ', '/']).find_map(|word| word.parse().ok()).unwrap_or(1);
    if line.starts_with("DELETE") {
        let _ = square_invalidate(&cache, n).await;
    }
    let (value, how) = trace(square(&cache, n)).await;
    let how = how.first().map_or("none", |(_, outcome)| outcome.as_str());
    let head = format!("HTTP/1.1 200 OK\r\nx-cache: {how}\r\nconnection: close\r\n\r\n");
    stream.write_all(format!("{head}{value:?}\n").as_bytes()).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = Cache::builder("example");
    let cache = std::env::var("REDIS_URL").iter().try_fold(cache, |c, url| c.redis(url))?;
    let cache = cache.build().await?;
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let listener = TcpListener::bind(address).await?;
    loop {
        tokio::spawn(answer(cache.clone(), listener.accept().await?.0));
    }
}
