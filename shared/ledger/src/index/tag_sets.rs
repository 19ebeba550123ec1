//! An index of all tag sets and of the keys of all tags. A diff of two snapshots looks up ten thousand of them.

use std::{collections::HashMap, sync::Arc};

use rusqlite::Connection;

use crate::{
    db::{sql, statements::prepare, varint::decode_varints},
    error::{ErrorContext, LedgerError, Operation},
    model::snapshot::Snapshot,
    read::{
        memo::{CacheValue, bytes_of},
        session::ReadSession,
    },
};

/// The approximate size limit of the sets, in bytes: some hundred thousand sets.
const MAX_BYTES: usize = 8 << 20;

/// The largest number of tags, two bytes each. The keys of tags with higher ids must be read from the file.
const MAX_TAGS: usize = 1 << 20;

/// The tag sets of the ledger at the newest snapshot. A set never changes, but the next snapshot can add sets and reuse the ids of pruned
/// ones. The index is therefore valid for one snapshot.
#[derive(Debug, Default)]
pub(crate) struct TagSetIndex {
    /// By row id of the set: the end of its tags in `tags`. Ids have no holes except those that pruning leaves.
    ends: Vec<u32>,
    /// The encoded tags of all sets, one after another.
    tags: Vec<u8>,
    keys: TagKeys,
    /// Whether the index has all sets.
    complete: bool,
}

/// The key of each tag: there are many values and few keys.
#[derive(Debug, Default)]
struct TagKeys {
    names: Vec<Arc<str>>,
    /// By row id of the tag: a position in `names`, or [`UNKNOWN`](Self::UNKNOWN).
    by_tag: Vec<u16>,
    /// Whether the index has all tags with their keys.
    complete: bool,
}

impl TagKeys {
    const UNKNOWN: u16 = u16::MAX;

    fn load(db: &Connection) -> Result<Self, LedgerError> {
        let mut all = Self { complete: true, ..Self::default() };
        let mut positions = HashMap::<Arc<str>, u16>::new();
        let mut query = prepare(db, sql::ALL_TAG_KEYS)?;
        let mut rows = query.query([]).context(Operation::BuildIndex)?;
        while let Some(row) = rows.next().context(Operation::BuildIndex)? {
            let id: i64 = row.get(0).context(Operation::BuildIndex)?;
            let id = usize::try_from(id).unwrap_or(usize::MAX);
            let key = row
                .get_ref(1)
                .context(Operation::BuildIndex)?
                .as_str()
                .map_err(rusqlite::Error::from)
                .context(Operation::BuildIndex)?;
            // The index does not have the rows from here on.
            if id >= MAX_TAGS {
                all.complete = false;
                break;
            }
            let position = positions.get(key).copied().unwrap_or_else(|| {
                let next = u16::try_from(all.names.len()).unwrap_or(Self::UNKNOWN);
                if next < Self::UNKNOWN {
                    all.names.push(key.into());
                    positions.insert(key.into(), next);
                } else {
                    all.complete = false;
                }
                next
            });
            all.by_tag.resize(id, Self::UNKNOWN);
            all.by_tag.push(position);
        }
        all.by_tag.shrink_to_fit();
        Ok(all)
    }
}

impl TagSetIndex {
    fn load(db: &Connection) -> Result<Self, LedgerError> {
        let mut all = Self { keys: TagKeys::load(db)?, complete: true, ..Self::default() };
        let mut query = prepare(db, sql::ALL_TAG_SETS)?;
        let mut rows = query.query([]).context(Operation::BuildIndex)?;
        while let Some(row) = rows.next().context(Operation::BuildIndex)? {
            let id: i64 = row.get(0).context(Operation::BuildIndex)?;
            let tags = row
                .get_ref(1)
                .context(Operation::BuildIndex)?
                .as_blob()
                .map_err(rusqlite::Error::from)
                .context(Operation::BuildIndex)?;
            let (id, before) = (usize::try_from(id).unwrap_or(usize::MAX), all.tags.len());
            // The index does not have the rows from here on.
            let (before, end) = (u32::try_from(before), u32::try_from(before + tags.len()));
            let (Ok(before), Ok(end), true) = (before, end, all.tags.len() + 4 * id.min(MAX_BYTES) < MAX_BYTES) else {
                all.complete = false;
                break;
            };
            all.tags.extend_from_slice(tags);
            all.ends.resize(id, before);
            all.ends.push(end);
        }
        all.tags.shrink_to_fit();
        all.ends.shrink_to_fit();
        Ok(all)
    }

    /// The encoded tags of a set; none when they must be read from the file. The tags of an empty set must be read too.
    pub(crate) fn get(&self, set: i64) -> Option<&[u8]> {
        let set = usize::try_from(set).ok()?;
        let start = set.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.tags.get(start as usize..*self.ends.get(set)? as usize).filter(|tags| !tags.is_empty())
    }

    /// The key of a tag; none when it must be read from the file.
    pub(crate) fn key_of(&self, tag: i64) -> Option<&Arc<str>> {
        let position = self.keys.by_tag.get(usize::try_from(tag).ok()?)?;
        self.keys.names.get(usize::from(*position))
    }

    /// All sets, each with its tags of the selected keys; none when the index is not complete. The id of a pruned set has no tags. The
    /// index can have a set that was pruned from the file because no resource has it any more.
    pub(crate) fn with_keys(
        &self,
        is_selected: impl Fn(&str) -> bool,
    ) -> Option<impl Iterator<Item = (i64, Vec<i64>)>> {
        let selected: Vec<bool> = self.keys.names.iter().map(|key| is_selected(key)).collect();
        let has_selected_key = move |tag: i64| {
            let position = usize::try_from(tag).ok().and_then(|tag| self.keys.by_tag.get(tag));
            position.and_then(|position| selected.get(usize::from(*position))).copied().unwrap_or_default()
        };
        let sets = (0_i64..).zip(&self.ends).scan(0, |begin, (set, end)| {
            let tags = self.tags.get(std::mem::replace(begin, *end as usize)..*end as usize);
            Some((set, tags.unwrap_or_default()))
        });
        let sets = sets.map(move |(set, tags)| {
            let mut tags = decode_varints(tags);
            tags.retain(|tag| has_selected_key(*tag));
            (set, tags)
        });
        (self.complete && self.keys.complete).then_some(sets)
    }
}

impl CacheValue for TagSetIndex {
    fn weight(&self) -> usize {
        bytes_of::<u32>(self.ends.capacity()) + self.tags.capacity() + bytes_of::<u16>(self.keys.by_tag.capacity())
    }
}

/// The index of the newest snapshot, if it was preloaded.
pub(crate) fn cached(session: &ReadSession<'_>) -> Result<Option<Arc<TagSetIndex>>, LedgerError> {
    Ok(session.newest()?.and_then(|newest| session.memo(&newest).get()))
}

/// Loads the index of the newest snapshot into the cache.
pub(crate) fn preload(session: &ReadSession<'_>, newest: &Snapshot) -> Result<(), LedgerError> {
    session.memo(newest).replace_or_load(|| TagSetIndex::load(session.db())).map(drop)
}
