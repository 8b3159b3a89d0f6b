//! What is asked for where. The document that describes it is held against these tables.

use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};

use crate::settings::Role;
use crate::state::Blog;
use crate::{db_test, graphql, health, layer, meters, openapi, posts, sessions, statics, users};

/// A body larger than this is refused.
const LARGEST_BODY: usize = 64 << 10;

type Routes = Vec<(&'static str, MethodRouter<Blog>)>;

fn of(role: Role) -> Routes {
    match role {
        Role::Cache => vec![("/cache/{id}", get(users::show).delete(users::forget))],
        Role::Service => vec![
            ("/", get(openapi::front)),
            ("/api/users/{id}", get(users::show).put(users::change)),
            ("/api/sessions", post(sessions::log_in).get(sessions::show).delete(sessions::log_out)),
            ("/blog/api/posts", get(posts::list)),
            ("/blog/api/posts/{id}", get(posts::show)),
            ("/blog/api/categories", get(posts::categories)),
            ("/graphql", post(graphql::ask)),
            ("/static/{name}", get(statics::show)),
            ("/openapi.json", get(openapi::show)),
        ],
    }
}

/// Not observed: what a framework costs is measured here.
fn unobserved() -> Routes {
    vec![
        ("/benchmark/db-test", get(db_test::db_test)),
        ("/healthz", get(health::healthz)),
        ("/readyz", get(health::readyz)),
        ("/metrics", get(meters::show)),
    ]
}

fn with(router: Router<Blog>, routes: Routes) -> Router<Blog> {
    routes.into_iter().fold(router, |router, (path, methods)| router.route(path, methods))
}

pub(crate) fn router(blog: Blog) -> Router {
    let own = with(Router::new(), of(blog.settings.role))
        .layer(middleware::from_fn(layer::observe))
        .layer(DefaultBodyLimit::max(LARGEST_BODY));
    with(own, unobserved()).with_state(blog)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_in_the_document_and_nothing_else() {
        let document: serde_json::Value = serde_json::from_str(openapi::DOCUMENT).unwrap();
        let described = document["paths"].as_object().unwrap();
        let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        let routes = [of(Role::Service), of(Role::Cache), unobserved()].into_iter().flatten();
        assert_eq!(routes.map(|(path, _)| path).collect::<BTreeSet<_>>(), described);
    }
}
