//! All sets of tags at hand, and the keys of tags, in a few bytes each: what differs between two nights looks up ten thousands of them.

use std::{collections::HashMap, sync::Arc};

use rusqlite::Connection;

use super::{
    Attempt, StoreError,
    intern::{statement, varints},
    sql,
};

const FAILED: &str = "read sets of tags";

/// About what all may have together: some hundred thousand sets.
const MOST_BYTES: usize = 8 << 20;

/// Tags with higher ids have to be looked up: two bytes each.
const MOST_TAGS: usize = 1 << 20;

/// The sets that stood in the ledger when they were read. None changes; another comes in a night only, and an id may then be given
/// again, so that they are of one snapshot.
#[derive(Debug, Default)]
pub(super) struct TagSets {
    /// Where the tags of each end, by local ids: those are given out without holes, but for what thinning leaves.
    ends: Vec<u32>,
    /// Of all sets, one behind the other, as the ledger has them.
    tags: Vec<u8>,
    keys: TagKeys,
    /// Whether these are all sets.
    whole: bool,
}

/// Of which key each tag is: there are many values of few keys.
#[derive(Debug, Default)]
struct TagKeys {
    names: Vec<Arc<str>>,
    /// By the local ids of tags: a place in `names`, or [`UNKNOWN`](Self::UNKNOWN).
    of: Vec<u16>,
    /// Whether these are all tags, and each has its key.
    whole: bool,
}

impl TagKeys {
    const UNKNOWN: u16 = u16::MAX;

    fn read(db: &Connection) -> Result<Self, StoreError> {
        let (mut all, mut known) = (Self { whole: true, ..Self::default() }, HashMap::<Arc<str>, u16>::new());
        let mut asked = statement(db, sql::ALL_TAG_KEYS)?;
        let mut rows = asked.query([]).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            let id: i64 = row.get(0).attempt(FAILED)?;
            let id = usize::try_from(id).unwrap_or(usize::MAX);
            let key = row.get_ref(1).attempt(FAILED)?.as_str().map_err(rusqlite::Error::from).attempt(FAILED)?;
            // What comes behind has to be looked up.
            if id >= MOST_TAGS {
                all.whole = false;
                break;
            }
            let place = known.get(key).copied().unwrap_or_else(|| {
                let place = u16::try_from(all.names.len()).unwrap_or(Self::UNKNOWN);
                if place < Self::UNKNOWN {
                    all.names.push(key.into());
                    known.insert(key.into(), place);
                } else {
                    all.whole = false;
                }
                place
            });
            all.of.resize(id, Self::UNKNOWN);
            all.of.push(place);
        }
        all.of.shrink_to_fit();
        Ok(all)
    }
}

impl TagSets {
    pub(super) fn read(db: &Connection) -> Result<Self, StoreError> {
        let mut all = Self { keys: TagKeys::read(db)?, whole: true, ..Self::default() };
        let mut asked = statement(db, sql::ALL_TAG_SETS)?;
        let mut rows = asked.query([]).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            let id: i64 = row.get(0).attempt(FAILED)?;
            let tags = row.get_ref(1).attempt(FAILED)?.as_blob().map_err(rusqlite::Error::from).attempt(FAILED)?;
            let (id, before) = (usize::try_from(id).unwrap_or(usize::MAX), all.tags.len());
            // What comes behind has to be looked up.
            let (before, end) = (u32::try_from(before), u32::try_from(before + tags.len()));
            let (Ok(before), Ok(end), true) = (before, end, all.tags.len() + 4 * id.min(MOST_BYTES) < MOST_BYTES)
            else {
                all.whole = false;
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

    /// Its tags, unless they have to be looked up; so have those of a set without any.
    pub(super) fn get(&self, set: i64) -> Option<&[u8]> {
        let set = usize::try_from(set).ok()?;
        let start = set.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.tags.get(start as usize..*self.ends.get(set)? as usize).filter(|tags| !tags.is_empty())
    }

    /// The key of a tag, unless it has to be looked up.
    pub(super) fn key_of(&self, tag: i64) -> Option<&Arc<str>> {
        let place = self.keys.of.get(usize::try_from(tag).ok()?)?;
        self.keys.names.get(usize::from(*place))
    }

    /// All sets with the tags of some keys; nothing where not all are at hand. What was a set once has none, and what nobody has any more may be gone from the file.
    pub(super) fn with_keys(&self, meant: impl Fn(&str) -> bool) -> Option<impl Iterator<Item = (i64, Vec<i64>)>> {
        let meant: Vec<bool> = self.keys.names.iter().map(|key| meant(key)).collect();
        let of = move |tag: i64| {
            let place = usize::try_from(tag).ok().and_then(|tag| self.keys.of.get(tag));
            place.and_then(|place| meant.get(usize::from(*place))).copied().unwrap_or_default()
        };
        let sets = (0_i64..).zip(&self.ends).scan(0, |begin, (set, end)| {
            let tags = self.tags.get(std::mem::replace(begin, *end as usize)..*end as usize);
            Some((set, tags.unwrap_or_default()))
        });
        let sets = sets.map(move |(set, tags)| {
            let mut tags = varints(tags);
            tags.retain(|tag| of(*tag));
            (set, tags)
        });
        (self.whole && self.keys.whole).then_some(sets)
    }
}
