//! The tags and tag sets of the ledger, in memory while a snapshot is written.
//!
//! Most resources have the tag set that they had in the previous snapshot. To compare it by value takes less time than to compute its
//! hash.

use std::{ops::Range, sync::Arc};

use rusqlite::Connection;
use tagledger_model::inventory::TagSet;

use crate::{
    db::{
        id_map::HashIdMap,
        interned::NAME,
        sql,
        varint::{push_varint, take_word},
    },
    error::{ErrorContext, LedgerError, Operation},
};

/// All tags and tag sets that have a row. A tag set does not contain the Name tag.
#[derive(Default)]
pub(crate) struct StoredTags {
    /// By row id.
    tags: HashIdMap<StoredTag>,
    /// By row id.
    sets: HashIdMap<StoredTagSet>,
    /// The row ids of the tags of all sets, one set after the other, as the table has them.
    members: Vec<u8>,
}

struct StoredTag {
    key: Arc<str>,
    value: Box<str>,
}

struct StoredTagSet {
    hash: i64,
    /// The range in [`StoredTags::members`].
    members: Range<usize>,
}

impl StoredTags {
    pub(crate) fn load(db: &Connection) -> Result<Self, LedgerError> {
        let mut stored = Self::default();
        stored.load_tags(db).context(Operation::ReadTags)?;
        stored.load_sets(db).context(Operation::ReadTags)?;
        Ok(stored)
    }

    fn load_tags(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement = db.prepare_cached(sql::ALL_TAGS)?;
        let mut rows = statement.query([])?;
        let mut last_key: Arc<str> = "".into();
        while let Some(row) = rows.next()? {
            let key = row.get_ref(1)?.as_str()?;
            if *last_key != *key {
                last_key = key.into();
            }
            let tag = StoredTag { key: Arc::clone(&last_key), value: row.get_ref(2)?.as_str()?.into() };
            self.tags.insert(row.get(0)?, tag);
        }
        Ok(())
    }

    fn load_sets(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement = db.prepare_cached(sql::TAG_SET_ROWS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let start = self.members.len();
            self.members.extend_from_slice(row.get_ref(2)?.as_blob()?);
            self.sets.insert(row.get(0)?, StoredTagSet { hash: row.get(1)?, members: start..self.members.len() });
        }
        Ok(())
    }

    /// The row ids of all sets, with their hashes.
    pub(crate) fn set_hashes(&self) -> impl Iterator<Item = (i64, i64)> {
        self.sets.iter().map(|(id, set)| (*id, set.hash))
    }

    /// The hash of a set; none when there is no such set.
    pub(crate) fn find_hash(&self, set: i64) -> Option<i64> {
        self.sets.get(&set).map(|set| set.hash)
    }

    /// Whether a set has these tags. The Name tag is ignored.
    pub(crate) fn has_tags(&self, set: i64, tags: &TagSet) -> bool {
        let mut stored = self.members_of(set);
        let mut given = tags.iter().filter(|(key, _)| *key != NAME);
        loop {
            match (stored.next(), given.next()) {
                (None, None) => return self.sets.contains_key(&set),
                (Some((_, Some(tag))), Some((key, value))) if *tag.key == *key && *tag.value == *value => {}
                _ => return false,
            }
        }
    }

    /// The row ids of the tags of a set whose keys pass the filter, in the order of their keys.
    pub(crate) fn find_members(&self, set: i64, is_included: impl Fn(&str) -> bool) -> Box<[i64]> {
        let included = self.members_of(set).filter(|(_, tag)| tag.is_some_and(|tag| is_included(&tag.key)));
        included.map(|(id, _)| id).collect()
    }

    fn members_of(&self, set: i64) -> impl Iterator<Item = (i64, Option<&StoredTag>)> {
        let range = self.sets.get(&set).map(|set| set.members.clone()).unwrap_or_default();
        let mut rest = self.members.get(range).unwrap_or_default();
        std::iter::from_fn(move || {
            let id = take_word(&mut rest)?.cast_signed();
            Some((id, self.tags.get(&id)))
        })
    }

    /// Adds a tag that was stored.
    pub(crate) fn add_tag(&mut self, id: i64, key: &str, value: &str) {
        self.tags.insert(id, StoredTag { key: key.into(), value: value.into() });
    }

    /// Adds a tag set that was stored. `tags`: the row ids of its tags, in the order of their keys.
    pub(crate) fn add_set(&mut self, id: i64, hash: i64, tags: &[i64]) {
        let start = self.members.len();
        tags.iter().for_each(|tag| push_varint(&mut self.members, *tag));
        self.sets.insert(id, StoredTagSet { hash, members: start..self.members.len() });
    }
}
