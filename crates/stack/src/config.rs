use std::fmt::Write;
use std::path::Path;

/// The settings of a managed server, as a configuration file. The user's come last, and so win,
/// except over what we must own: the plan refuses those.
pub(crate) fn text(port: u16, socket_dir: &Path, settings: &[(String, String)]) -> String {
    let own = [
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", socket_dir.display().to_string()),
        ("unix_socket_permissions", "0700".to_owned()),
        ("password_encryption", "scram-sha-256".to_owned()),
        ("cluster_name", "pinchpoint".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
    ];
    let mut text = String::from("\n# pinchpoint\n");
    for (name, value) in own {
        let _ = writeln!(text, "{name} = {}", quote(&value));
    }
    for (name, value) in settings {
        let _ = writeln!(text, "{name} = {}", quote(value));
    }
    text
}

/// A value as the configuration file's grammar wants it: quotes doubled, backslashes escaped.
fn quote(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('\'');
    for c in value.chars() {
        match c {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\n' | '\r' | '\0' => quoted.push(' '),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_quotes() {
        assert_eq!(quote("it's"), "'it''s'");
        assert_eq!(quote("a\\'\nport=1"), "'a\\\\'' port=1'");
    }
}
