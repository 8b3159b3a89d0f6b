//! The shared level: Redis, by the commands and scripts that keep a value from being stored after
//! it was invalidated.

mod link;
mod overdue;
mod pending;
mod removal;
mod scripts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, Value};

use crate::envelope::{HEADER, Version, lease};
use crate::memory::Name;

pub(crate) use link::{Down, Link, LinkOptions, Listener, State};
pub(crate) use overdue::Overdue;

/// How keys are written: `namespace:function@id:arguments`, `namespace:#tag`, and for the right to
/// refresh a value that is still served `namespace:!function@id:arguments`.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    namespace: String,
}

impl Layout {
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    pub(crate) fn prefix(&self) -> String {
        format!("{}:", self.namespace)
    }

    pub(crate) fn key(&self, function: &str, name: &Name) -> String {
        // By hand: this is done at each lookup, and formatting takes several times as long.
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let length = self.namespace.len() + function.len() + name.text.len() + 19;
        let mut key = String::with_capacity(length);
        key.push_str(&self.namespace);
        key.push(':');
        key.push_str(function);
        key.push('@');
        let mut id = [0; 16];
        for (at, digit) in id.iter_mut().rev().enumerate() {
            *digit = HEX[(name.function >> (4 * at) & 15) as usize];
        }
        key.push_str(std::str::from_utf8(&id).unwrap_or_default());
        key.push(':');
        key.push_str(&name.text);
        key
    }

    fn refresh(&self, key: &str) -> String {
        let rest = key.get(self.namespace.len() + 1..).unwrap_or_default();
        format!("{}:!{rest}", self.namespace)
    }

    pub(crate) fn tag(&self, text: &str) -> String {
        format!("{}:#{text}", self.namespace)
    }

    /// What a key of Redis is called in the process; nothing for keys that are not kept there.
    pub(crate) fn name(&self, key: &str) -> Option<Name> {
        let rest = key.strip_prefix(&self.namespace)?.strip_prefix(':')?;
        if let Some(tag) = rest.strip_prefix('#') {
            return Some(Name { function: crate::memory::TAGS, text: tag.into() });
        }
        let (function, text) = rest.split_once('@')?.1.split_once(':')?;
        let function = u64::from_str_radix(function, 16).ok()?;
        (!rest.starts_with('!')).then(|| Name { function, text: text.into() })
    }
}

/// What the shared level holds for a key and its tags.
pub(crate) struct Read {
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) tags: Vec<Option<Version>>,
}

impl Read {
    /// Whether the tags stand as they stood when the value was fetched.
    pub(crate) fn stand(&self, then: &[Version]) -> bool {
        then.len() == self.tags.len() && then.iter().zip(&self.tags).all(|(a, b)| Some(*a) == *b)
    }
}

/// A lease taken, with the versions of the tags at that moment.
pub(crate) struct Lease {
    pub(crate) header: [u8; HEADER],
    pub(crate) tags: Vec<Version>,
}

/// A value to be stored.
pub(crate) struct Commit<'a> {
    pub(crate) key: &'a str,
    pub(crate) tags: &'a [String],
    /// What must still stand under the key.
    pub(crate) expected: [u8; HEADER],
    pub(crate) tag_versions: &'a [Version],
    pub(crate) value: Vec<u8>,
    pub(crate) lives: Duration,
    pub(crate) tag_ttl: Duration,
}

pub(crate) struct Shared {
    pub(crate) layout: Layout,
    pub(crate) link: Arc<Link>,
    scripts: scripts::Scripts,
}

impl Shared {
    pub(crate) fn new(layout: Layout, link: Arc<Link>) -> Self {
        Self { layout, link, scripts: scripts::Scripts::new() }
    }

    /// What stands under a key and its tags, asked for by a caller that `began` just now.
    pub(crate) async fn read(
        &self,
        key: &str,
        tags: &[String],
        began: Instant,
    ) -> Result<Read, Down> {
        // With room for all of it, which is otherwise grown into step by step.
        let room = 4 + key.len() + tags.iter().map(String::len).sum::<usize>();
        let mut command = Cmd::with_capacity(2 + tags.len(), room);
        command.arg(if tags.is_empty() { "GET" } else { "MGET" }).arg(key).arg(tags);
        let mut tag_versions = Vec::new();
        let bytes = match self.link.read(&command, began).await? {
            Value::Array(found) => {
                let mut found = found.into_iter().map(bytes);
                let value = found.next().flatten();
                tag_versions.extend(found.map(|tag| tag?.try_into().ok()));
                value
            }
            value => bytes(value),
        };
        Ok(Read { bytes, tags: tag_versions })
    }

    /// Takes the lease on an absent value, or on one that was seen to begin with `outdated`.
    /// Nothing when somebody else was faster.
    pub(crate) async fn acquire(
        &self,
        key: &str,
        tags: &[String],
        outdated: &[u8],
        lasts: Duration,
        tag_ttl: Duration,
    ) -> Result<Option<Lease>, Down> {
        let header = lease(crate::envelope::new_version());
        let mut call = self.scripts.acquire.key(key);
        for tag in tags {
            call.key(tag);
        }
        call.arg(&header[..]).arg(ms(lasts)).arg(&crate::envelope::new_version()[..]);
        call.arg(ms(tag_ttl)).arg(outdated);
        let versions: Option<Vec<Vec<u8>>> = self.link.script(&call).await?;
        let Some(versions) = versions else { return Ok(None) };
        let tags = versions.into_iter().filter_map(|version| version.try_into().ok()).collect();
        Ok(Some(Lease { header, tags }))
    }

    /// Stores a value if what was `expected` still stands under its key and its tags are as they
    /// were; says whether it did.
    pub(crate) async fn commit(&self, commit: Commit<'_>) -> Result<bool, Down> {
        let mut call = self.scripts.commit.key(commit.key);
        call.key(self.layout.refresh(commit.key));
        for tag in commit.tags {
            call.key(tag);
        }
        call.arg(&commit.expected[..])
            .arg(commit.value)
            .arg(ms(commit.lives))
            .arg(ms(commit.tag_ttl));
        for version in commit.tag_versions {
            call.arg(&version[..]);
        }
        let stored: i64 = self.link.script(&call).await?;
        Ok(stored == 1)
    }

    /// Gives up a lease, or the right to refresh.
    pub(crate) async fn release(&self, key: &str, header: [u8; HEADER]) {
        let mut call = self.scripts.release.key(key);
        call.key(self.layout.refresh(key)).arg(&header[..]);
        // When it cannot be given up it ends by itself.
        let _: Result<i64, Down> = self.link.script(&call).await;
    }

    /// The right to refresh a value that is still served: one process has it at a time, and nobody
    /// once the value was replaced.
    pub(crate) async fn may_refresh(
        &self,
        key: &str,
        seen: [u8; HEADER],
        lasts: Duration,
    ) -> Result<bool, Down> {
        let mut call = self.scripts.refresh.key(key);
        call.key(self.layout.refresh(key)).arg(&seen[..]).arg(ms(lasts));
        let given: i64 = self.link.script(&call).await?;
        Ok(given == 1)
    }
}

/// What stands under a key, without copying it.
fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::TAGS;

    #[test]
    fn the_layout_of_keys_is_pinned() {
        let layout = Layout::new("blog");
        let name = Name { function: 0xab, text: "user:1:x".into() };
        let key = layout.key("get_user", &name);
        assert_eq!(key, "blog:get_user@00000000000000ab:user:1:x");
        assert_eq!(layout.refresh(&key), "blog:!get_user@00000000000000ab:user:1:x");
        assert_eq!(layout.tag("user:1"), "blog:#user:1");
        assert_eq!(layout.name(&key), Some(name));
        let tag = Name { function: TAGS, text: "user:1".into() };
        assert_eq!(layout.name("blog:#user:1"), Some(tag));
        for other in
            ["blog:!get_user@00ab:x", "blog", "blogs:f@00:x", "blog:f:x", "", "blog:f@zz:x"]
        {
            assert_eq!(layout.name(other), None, "{other}");
        }
    }
}
