use std::fs;

use crate::error::StackError;

/// The user that servers run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Somebody else to run servers as, when we are root; `None` when we are an ordinary user already.
pub(crate) fn server_account() -> Result<Option<Account>, StackError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let sudo = std::env::var("SUDO_USER").ok().filter(|name| name != "root");
    let names: Vec<String> =
        sudo.into_iter().chain(["postgres", "nobody"].map(str::to_owned)).collect();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    names
        .iter()
        .find_map(|name| account(&passwd, name))
        .map(Some)
        .ok_or_else(|| StackError::NoServerUser { tried: names.join(", ") })
}

/// Who servers run as, for people.
pub fn server_user() -> Result<String, StackError> {
    Ok(server_account()?.map_or_else(|| "you".to_owned(), |account| account.name))
}

fn account(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [user, _, uid, gid, ..] = fields.as_slice() else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        (*user == name && uid != 0).then(|| Account { name: name.to_owned(), uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_and_root_by_another_name_is_not_one() {
        let passwd =
            "root:x:0:0::/:/bin/sh\nbroken\ntoor:x:0:0::/:/bin/sh\npg:x:101:104::/:/bin/sh\n";
        assert_eq!(account(passwd, "pg").map(|a| (a.uid, a.gid)), Some((101, 104)));
        assert_eq!(account(passwd, "toor"), None);
        assert_eq!(account(passwd, "absent"), None);
    }
}
