//! The description of the service, and its front page.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse};

use crate::state::Blog;

pub(crate) const DOCUMENT: &str = include_str!("../openapi.json");

pub(crate) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], DOCUMENT)
}

/// Names the static files by the hashes that they have now.
pub(crate) async fn front(State(blog): State<Blog>) -> Html<String> {
    let path = |name: &str| blog.parts.statics.paths.get(name).cloned().unwrap_or_default();
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Blog</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <link rel=\"stylesheet\" href=\"{}\">\n<h1>Blog</h1>\n<main></main>\n\
         <button type=\"button\">More</button>\n<script type=\"module\" src=\"{}\"></script>\n</html>\n",
        path("style.css"),
        path("blog.js")
    ))
}
