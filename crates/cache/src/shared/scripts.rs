//! The scripts: each compares and writes in one step.

use redis::Script;

/// KEYS: the key, then its tags. ARGV: lease header, how long it lasts in ms, a version for tags
/// that have none, their life in ms, the header of a value seen to be outdated or nothing.
/// Answers with the tags' versions, or nothing when somebody else's lease or value stands.
///
/// A tag's life is lengthened seldom, since every change of it is told to all who know it. The last
/// line of this script and the next has the server tell this connection of the next change: its own
/// writes are not told, and end what was to be told before.
const ACQUIRE: &str = r"
local there = redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if there ~= '' and there ~= ARGV[5] then return false end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local tags = {}
for i = 2, #KEYS do
  local tag = redis.call('GET', KEYS[i])
  if not tag then
    tag = ARGV[3]
    redis.call('SET', KEYS[i], tag, 'PX', ARGV[4] * 2)
  elseif redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[4] * 2)
  end
  tags[i - 1] = tag
end
redis.call('EXISTS', unpack(KEYS))
return tags
";

/// KEYS: the key, its refresh key, its tags. ARGV: the header that must stand under the key, the
/// value, its life in ms, the tags' life in ms, the tags' versions when it was fetched. Answers 1
/// when stored.
const COMMIT: &str = r"
local there = redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
if there ~= ARGV[1] then return 0 end
for i = 3, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[i + 2] then
    redis.call('DEL', KEYS[1])
    return 0
  end
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[4] * 2)
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('EXISTS', unpack(KEYS))
return 1
";

/// KEYS: the key, its refresh key. ARGV: the header of the lease, or of the value to refresh.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
if redis.call('GET', KEYS[2]) == ARGV[1] then return redis.call('DEL', KEYS[2]) end
return 0
";

/// KEYS: the key, its refresh key. ARGV: the header of the value to refresh, how long the right to do
/// so lasts in ms. Answers 1 when it was given: when that value still stands, and nobody else has it.
const REFRESH: &str = r"
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
";

pub(crate) struct Scripts {
    pub(crate) acquire: Script,
    pub(crate) commit: Script,
    pub(crate) release: Script,
    pub(crate) refresh: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            acquire: Script::new(ACQUIRE),
            commit: Script::new(COMMIT),
            release: Script::new(RELEASE),
            refresh: Script::new(REFRESH),
        }
    }
}
