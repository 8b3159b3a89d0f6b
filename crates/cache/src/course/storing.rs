//! The end of a course: what the function said, or what Redis had, is stored where it may be.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::{Course, Held, Sampled};
use crate::cache::{Loaded, Value};
use crate::clock::wall_ms;
use crate::envelope::{self, Found, Times, Version};
use crate::memory::Entry;
use crate::shared::{Commit, Down};
use crate::weigh::weigh;

impl Course {
    /// Stores what the function said, where it may be stored.
    pub(super) async fn store<V: Value>(
        &self,
        key: &str,
        loaded: Loaded<V>,
        held: Option<Held>,
        before: &Sampled,
        own_tags: Vec<Version>,
    ) -> Arc<Option<V>> {
        let policy = &self.function.policy;
        let fresh_for = policy.fresh_for(loaded.value.is_none(), loaded.ttl);
        let value = Arc::new(loaded.value);
        let now = wall_ms();
        let times = Times::new(now, fresh_for, policy.stale);
        if let (Some(held), Some(shared)) = (held, &self.inner.shared) {
            let payload = value.as_ref().as_ref().map(postcard::to_allocvec::<V>).transpose();
            let Ok(payload) = payload else {
                self.function.meters().undecodable.increment(1);
                shared.release(key, held.header).await;
                return value;
            };
            let version = envelope::new_version();
            let bytes = envelope::encode(version, times, &held.tags, payload.as_deref());
            let at_commit = self.sample();
            let commit = Commit {
                key,
                tags: &self.remote_tags(shared),
                expected: held.header,
                tag_versions: &held.tags,
                value: bytes,
                lives: Duration::from_millis(times.served_until.saturating_sub(now)),
                tag_ttl: self.tag_ttl(),
            };
            match shared.commit(commit).await {
                Ok(true) => self.keep(&value, times, now, &held.tags, &at_commit),
                Ok(false) => self.function.meters().voided.increment(1),
                Err(down) => {
                    self.keep_alone(&value, fresh_for, before, &own_tags);
                    // A full Redis refuses the value and not the end of the lease, for which callers in
                    // other processes wait. A value to be replaced that stands there stays.
                    if down == Down::Refused && envelope::decode(&held.header) == Found::Lease {
                        shared.release(key, held.header).await;
                    }
                }
            }
        } else if self.inner.shared.is_some() {
            self.keep_alone(&value, fresh_for, before, &own_tags);
        } else {
            self.keep(&value, times, now, &own_tags, before);
        }
        value
    }

    /// Redis does not have this value, so nobody would tell when it changes: it is believed shortly.
    fn keep_alone<V: Value>(
        &self,
        value: &Arc<Option<V>>,
        fresh_for: Duration,
        before: &Sampled,
        tags: &[Version],
    ) {
        let (now, stale) = (wall_ms(), self.function.policy.stale);
        let times = Times::new(now, fresh_for.min(self.inner.alone_ttl), stale);
        self.keep(value, times, now, tags, before);
    }

    pub(super) fn keep<V: Value>(
        &self,
        value: &Arc<Option<V>>,
        times: Times,
        wall: u64,
        tags: &[Version],
        before: &Sampled,
    ) {
        let memory = &self.inner.memory;
        if !memory.is_on() {
            return;
        }
        let here = self.inner.now();
        let on_own_clock = |time: u64| here.saturating_add(time.saturating_sub(wall));
        let fresh_until = on_own_clock(times.fresh_until);
        let lives = times.fresh_until.saturating_sub(times.fetched) as f64;
        let refresh_at = self.function.policy.refresh_at.map_or(fresh_until, |share| {
            on_own_clock(times.fetched.saturating_add((lives * share) as u64)).min(fresh_until)
        });
        let states = self
            .tags
            .iter()
            .zip(tags)
            .zip(&before.tags)
            .map(|((tag, version), before)| memory.put_tag(tag, *version, *before));
        let Some(states) = states.collect::<Option<Box<[_]>>>() else {
            self.function.meters().voided.increment(1);
            return;
        };
        let entry = Arc::new(Entry {
            fresh_until,
            served_until: on_own_clock(times.served_until),
            refresh_at: AtomicU64::new(refresh_at),
            period: memory.period(),
            tags: states,
            bytes: u32::try_from(weigh(value.as_ref())).unwrap_or(u32::MAX),
            value: Option::clone(value),
        });
        if !memory.put(self.name.clone(), entry, before.key) {
            self.function.meters().voided.increment(1);
        }
        self.inner.meter_memory();
    }
}
