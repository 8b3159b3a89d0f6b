//! What two cases differ in.

use std::collections::{BTreeMap, BTreeSet};

use pinchpoint_plan::{AppPlan, Case, Matrix};

/// Everything that differs, users left out, each by the name of its lever: `cache`, `pooler`, ….
/// Another program is `application`.
pub(crate) fn levers(matrix: &Matrix, a: &Case, b: &Case) -> BTreeSet<String> {
    let (one, other) = (&matrix.apps[a.app], &matrix.apps[b.app]);
    let same_way = a.via == b.via;
    let indexes = |case: &Case| case.profile.indexes.unwrap_or(matrix.dataset.indexes);
    let differ = [
        ("application", program(one, a) != program(other, b)),
        ("pooler", !same_way),
        ("index", indexes(a) != indexes(b)),
        // Whether it is measured as it fills.
        ("cache", a.profile.cold != b.profile.cold),
        ("cpu", one.cpus != other.cpus),
        ("memory", one.memory_bytes != other.memory_bytes),
    ];
    let named = differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned());
    let own = settings(&environment(one, a, same_way), &environment(other, b, same_way));
    let beside = settings(&of(&a.profile.beside), &of(&b.profile.beside));
    named.chain(own).chain(beside).collect()
}

/// What is started, whatever its settings.
fn program<'a>(app: &'a AppPlan, case: &'a Case) -> impl PartialEq + 'a {
    let command = case.profile.command.as_ref().unwrap_or(&app.command);
    (command, &app.directory, &app.requirements, &app.url, &app.pooled_url)
}

type Environment<'a> = BTreeMap<&'a str, &'a str>;

/// The environment of the application; what only goes with its way to the database belongs to that,
/// when the ways differ.
fn environment<'a>(app: &'a AppPlan, case: &'a Case, same_way: bool) -> Environment<'a> {
    let way = match case.via {
        pinchpoint_plan::Via::Direct => &case.profile.direct,
        pinchpoint_plan::Via::PgBouncer => &case.profile.pgbouncer,
    };
    let mut all = of(&app.env);
    all.extend(of(&case.profile.env));
    if same_way {
        all.extend(of(way));
    }
    all
}

fn of(pairs: &[(String, String)]) -> Environment<'_> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The levers of the variables that differ.
fn settings<'a>(a: &Environment<'a>, b: &Environment<'a>) -> Vec<String> {
    let names: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
    names.into_iter().filter(|name| a.get(name) != b.get(name)).map(lever).collect()
}

/// The lever of a variable, by the names that the applications here and most others use; another
/// one's is its own name.
fn lever(variable: &str) -> String {
    match variable {
        name if name.starts_with("CACHE") || name == "WARM" => "cache".to_owned(),
        "DB_TRANSACTION_POOLING" => "pooler".to_owned(),
        "DB_MAX_OVERFLOW" | "DB_CONN_MAX_AGE" => "pool".to_owned(),
        name if name.contains("POOL") => "pool".to_owned(),
        "POST_LIST" => "join".to_owned(),
        "SESSION_CLIENT" => "client".to_owned(),
        other => other.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::tests::built_in;

    fn between(matrix: &Matrix, from: &str, to: &str) -> Vec<String> {
        let cases = matrix.cases();
        let case = |name: &str| cases.iter().find(|c| c.name == name).unwrap();
        levers(matrix, case(from), case(to)).into_iter().collect()
    }

    #[test]
    fn the_cases_that_ship_inside_differ_in_what_they_are_named_for() {
        let cache = built_in("cache");
        for (app, lever) in [
            ("cold", "cache"),
            ("warm", "cache"),
            ("no-indexes", "index"),
            ("n-plus-1", "join"),
            ("dataloader", "join"),
            ("pool-10", "pool"),
        ] {
            let to = format!("{app}-direct-10");
            assert_eq!(between(&cache, "off-direct-10", &to), [lever], "{app}");
        }
        assert_eq!(between(&cache, "off-direct-10", "off-direct-100"), [""; 0]);
        assert_eq!(
            between(&cache, "no-indexes-direct-10", "n-plus-1-direct-10"),
            ["index", "join"]
        );
        let sessions = built_in("sessions");
        assert_eq!(between(&sessions, "per-request-direct-10", "shared-direct-10"), ["client"]);
        let frameworks = built_in("frameworks");
        for app in ["axum", "actix", "fastapi", "flask", "django"] {
            let [direct, pooled] = ["direct", "pgbouncer"].map(|via| format!("{app}-{via}-100"));
            assert_eq!(between(&frameworks, &direct, &pooled), ["pooler"]);
        }
        let other = between(&frameworks, "axum-direct-10", "actix-direct-10");
        assert!(other.contains(&"application".to_owned()), "{other:?}");
    }

    #[test]
    fn a_variable_that_nobody_knows_is_a_lever_by_its_name() {
        assert_eq!(lever("DB_TRANSACTION_POOLING"), "pooler");
        assert_eq!(lever("DB_POOL_MIN"), "pool");
        assert_eq!(lever("JIT"), "jit");
    }
}
