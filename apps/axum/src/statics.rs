//! `/static/…`: files whose names hold a hash of what is in them, so that a browser or a CDN may
//! keep them for ever.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::state::Blog;

const FILES: [(&str, &str, &str, &str); 2] = [
    ("style", "css", "text/css; charset=utf-8", include_str!("../static/style.css")),
    ("blog", "js", "text/javascript; charset=utf-8", include_str!("../static/blog.js")),
];

pub(crate) struct Statics {
    files: HashMap<String, File>,
    /// `style.css` → `/static/style.0123456789abcdef.css`.
    pub(crate) paths: HashMap<String, String>,
}

struct File {
    kind: &'static str,
    plain: &'static [u8],
    gzip: Vec<u8>,
    etag: String,
}

impl Statics {
    pub(crate) fn new() -> std::io::Result<Self> {
        let (mut files, mut paths) = (HashMap::new(), HashMap::new());
        for (stem, extension, kind, text) in FILES {
            let mut hash = String::new();
            for byte in &Sha256::digest(text)[..8] {
                let _ = write!(hash, "{byte:02x}"); // a String takes everything
            }
            let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
            gzip.write_all(text.as_bytes())?;
            let gzip = gzip.finish()?;
            let name = format!("{stem}.{hash}.{extension}");
            paths.insert(format!("{stem}.{extension}"), format!("/static/{name}"));
            files.insert(name, File { kind, plain: text.as_bytes(), gzip, etag: hash });
        }
        Ok(Self { files, paths })
    }
}

pub(crate) async fn show(
    State(blog): State<Blog>,
    Path(name): Path<String>,
    request: HeaderMap,
) -> Response {
    let Some(file) = blog.parts.statics.files.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let said = |name| request.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let zipped = said(header::ACCEPT_ENCODING).split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        words.next() == Some("gzip") && words.next() != Some("q=0")
    });
    // Each form of a file has its own.
    let etag = format!("\"{}{}\"", file.etag, if zipped { "-gzip" } else { "" });
    let known = said(header::IF_NONE_MATCH);
    let fresh =
        known == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag);
    let mut response = match fresh {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false if zipped => file.gzip.clone().into_response(),
        false => file.plain.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    if zipped && !fresh {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
