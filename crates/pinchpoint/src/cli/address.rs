use std::fmt::Write as _;
use std::path::Path;

use clap::Args;

use crate::failure::Failure;

/// Where Debian's packages and PostgreSQL's own sources put a server's socket.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// PostgreSQL's port.
const PORT: u16 = 5432;

/// A PostgreSQL that is used instead of a private one: as one URL, or in pgbench's letters.
#[derive(Debug, Args, Default)]
#[group(id = "address", multiple = true)]
#[command(next_help_heading = "A server of your own, instead of a private one")]
pub(crate) struct AddressArgs {
    /// The server, as a URL or as libpq's key=value pairs. Nothing is changed on it but what -i,
    /// --init and the scripts change. A password may come from PGPASSWORD.
    #[arg(
        long,
        value_name = "URL",
        conflicts_with_all = ["pg_bin", "host", "port", "username", "dbname", "database"]
    )]
    pub(crate) dsn: Option<String>,

    /// Its host, or the directory of its socket [default: PGHOST, or the usual socket]
    #[arg(long, short = 'h', value_name = "HOST", conflicts_with = "pg_bin")]
    host: Option<String>,

    /// Its port [default: PGPORT, or 5432]
    #[arg(long, short = 'p', value_name = "PORT", conflicts_with = "pg_bin")]
    port: Option<u16>,

    /// Who connects [default: PGUSER, USER, or postgres]
    #[arg(long, short = 'U', value_name = "ROLE", conflicts_with = "pg_bin")]
    username: Option<String>,

    /// The database, or a URL [default: PGDATABASE, or what the role is called]
    #[arg(long, short = 'd', value_name = "DATABASE", conflicts_with = "pg_bin")]
    dbname: Option<String>,

    /// The same as --dbname
    #[arg(value_name = "DATABASE", conflicts_with_all = ["pg_bin", "dbname"])]
    database: Option<String>,
}

impl AddressArgs {
    /// What to connect to; nothing where a private server is to be started.
    pub(crate) fn dsn(&self) -> Result<Option<String>, Failure> {
        self.dsn_with(|name| std::env::var(name).ok(), Path::exists)
    }

    fn dsn_with(
        &self,
        environment: impl Fn(&str) -> Option<String>,
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Option<String>, Failure> {
        if let Some(dsn) = &self.dsn {
            return Ok(Some(dsn.clone()));
        }
        let database = self.dbname.as_ref().or(self.database.as_ref());
        let letters = self.host.is_some() || self.port.is_some() || self.username.is_some();
        // libpq takes a URL, or pairs, for the name of a database as well.
        match database.filter(|name| name.contains("://") || name.contains('=')) {
            Some(_) if letters => {
                return Err(Failure::input("-h, -p or -U stands beside a URL")
                    .hint("say the host, the port and the role in it, or leave it out"));
            }
            Some(url) => return Ok(Some(url.clone())),
            None if !letters && database.is_none() => return Ok(None),
            None => (),
        }
        if let Some(script) = self.database.as_ref().filter(|name| Path::new(name).is_file()) {
            return Err(Failure::input(format!("{script} is a file, and stands for a database"))
                .hint(format!("give a script with -f {script}, and a database with -d")));
        }
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let port = match (self.port, variable("PGPORT")) {
            (Some(port), _) => port,
            (None, Some(text)) => text.parse().map_err(|_| {
                Failure::input(format!("PGPORT is {text:?}, which is no port"))
                    .hint("give the port with -p")
            })?,
            (None, None) => PORT,
        };
        let socket =
            |directory: &&&str| exists(&Path::new(directory).join(format!(".s.PGSQL.{port}")));
        let usual = || SOCKET_DIRECTORIES.iter().find(socket).map(|found| (*found).to_owned());
        let given = |value: &Option<String>| value.clone();
        let host = given(&self.host).or_else(|| variable("PGHOST")).or_else(usual);
        let user = given(&self.username).or_else(|| variable("PGUSER"));
        let user = user.or_else(|| variable("USER"));
        let database = database.cloned().or_else(|| variable("PGDATABASE"));
        let mut text = format!("port={port}");
        let mode = variable("PGSSLMODE");
        let root = variable("PGSSLROOTCERT");
        for (key, value) in [
            ("host", host),
            ("user", user),
            ("dbname", database),
            ("sslmode", mode),
            ("sslrootcert", root),
        ] {
            if let Some(value) = value {
                let quoted = value.replace('\\', r"\\").replace('\'', r"\'");
                let _ = write!(text, " {key}='{quoted}'");
            }
        }
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dsn(args: &AddressArgs, environment: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        args.dsn_with(variable, |path| path == Path::new("/tmp/.s.PGSQL.5432")).expect("an address")
    }

    #[test]
    fn the_letters_say_what_a_url_says() {
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(dsn(&AddressArgs::default(), &[("PGHOST", "db")]), None, "a private server");
        let url = text("postgresql://me@db/shop");
        assert_eq!(dsn(&AddressArgs { dsn: url.clone(), ..Default::default() }, &[]), url);
        let all = AddressArgs {
            host: text("db"),
            port: Some(5433),
            username: text("o'neil"),
            database: text("shop"),
            ..Default::default()
        };
        let expected = text(r"port=5433 host='db' user='o\'neil' dbname='shop'");
        assert_eq!(dsn(&all, &[("PGHOST", "other"), ("PGPORT", "1")]), expected);
        let by_url = AddressArgs { dbname: url.clone(), ..Default::default() };
        assert_eq!(dsn(&by_url, &[]), url);
        assert!(AddressArgs { host: text("db"), ..by_url }.dsn().is_err(), "two hosts");
    }

    #[test]
    fn what_is_left_out_comes_from_where_libpq_has_it() {
        let shop = AddressArgs { database: Some("shop".to_owned()), ..Default::default() };
        let usual = dsn(&shop, &[("USER", "me")]).expect("an address");
        assert_eq!(usual, "port=5432 host='/tmp' user='me' dbname='shop'");
        let set = [("PGHOST", "db"), ("PGPORT", "6432"), ("PGUSER", "you"), ("USER", "me")];
        let found = dsn(&shop, &set).expect("an address");
        assert_eq!(found, "port=6432 host='db' user='you' dbname='shop'");
        let checked = dsn(&shop, &[("PGHOST", "db"), ("PGSSLMODE", "verify-full")]);
        assert!(checked.expect("an address").ends_with("sslmode='verify-full'"));
        // No socket of this port: the host is DSN's own default.
        assert_eq!(dsn(&shop, &[("PGPORT", "7")]).as_deref(), Some("port=7 dbname='shop'"));
        assert!(shop.dsn_with(|_| Some("x".to_owned()), |_| false).is_err(), "PGPORT=x");
    }
}
