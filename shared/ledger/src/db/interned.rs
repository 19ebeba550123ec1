//! Interned tags, tag sets, rules and finding sets.

use std::collections::hash_map::Entry;

use rusqlite::Connection;
use tagledger_model::inventory::TagSet;

use crate::{
    db::{
        fingerprint::Fingerprint, id_map::HashIdMap, sql, statements::prepare, values::parse,
        varint::try_decode_varints,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::snapshot::Rule,
};

/// The tag key whose value is a column of the resource and not part of its tag set.
pub(crate) const NAME: &str = "Name";

/// The hash is the same in every ledger.
pub(crate) fn hash_finding_set(rules: &[Rule]) -> i64 {
    let hash = rules.iter().fold(Fingerprint::default(), |hash, rule| {
        let hash = hash.field(rule.code.as_str().as_bytes()).field(rule.severity.as_str().as_bytes());
        hash.field(rule.tag.as_bytes())
    });
    hash.finish()
}

/// The tags of an interned set that have one of these keys.
pub(crate) fn find_tags_with_keys(sql: &Connection, set: i64, keys: &[&str]) -> Result<Vec<i64>, LedgerError> {
    let mut found = Vec::new();
    for id in read_tag_ids(sql, set)? {
        let key: String =
            prepare(sql, sql::TAG_BY_ID)?.query_row([id], |row| row.get(0)).context(Operation::ReadTags)?;
        if keys.contains(&key.as_str()) {
            found.push(id);
        }
    }
    Ok(found)
}

/// The ids of the tags of an interned set, in the order of their keys.
pub(crate) fn read_tag_ids(sql: &Connection, set: i64) -> Result<Vec<i64>, LedgerError> {
    let blob: Vec<u8> =
        prepare(sql, sql::TAGS_OF_SET)?.query_row([set], |row| row.get(0)).context(Operation::ReadTags)?;
    try_decode_varints(&blob)
}

/// The hash is the same in every ledger.
pub(crate) fn hash_tag_set(tags: &TagSet) -> i64 {
    let members = tags.iter().filter(|(key, _)| *key != NAME);
    members
        .fold(Fingerprint::default(), |hash, (key, value)| hash.field(key.as_bytes()).field(value.as_bytes()))
        .finish()
}

/// A cache of tags for one session. Most tags of a resource are also tags of a previous resource.
#[derive(Default)]
pub(crate) struct InternedLookup(HashIdMap<(String, String)>);

impl InternedLookup {
    /// The largest number of cached tags: some megabytes.
    const MAX_TAGS: usize = 1 << 14;

    pub(crate) fn load_tags(
        &mut self,
        db: &Connection,
        tag_set: Option<i64>,
        name: Option<String>,
    ) -> Result<TagSet, LedgerError> {
        let ids = tag_set.map(|set| read_tag_ids(db, set)).transpose()?.unwrap_or_default();
        self.load_pairs(db, &ids, name)
    }

    pub(crate) fn load_pairs(
        &mut self,
        db: &Connection,
        ids: &[i64],
        name: Option<String>,
    ) -> Result<TagSet, LedgerError> {
        if self.0.len() >= Self::MAX_TAGS {
            self.0.clear();
        }
        let mut pairs = Vec::with_capacity(ids.len() + 1);
        for id in ids {
            pairs.push(get_or_read(&mut self.0, *id, || read_tag(db, *id))?);
        }
        pairs.extend(name.map(|name| (NAME.to_owned(), name)));
        Ok(pairs.into_iter().collect())
    }
}

/// The cached value of a row id; read and cached when it is not cached yet.
pub(crate) fn get_or_read<T: Clone>(
    cache: &mut HashIdMap<T>,
    id: i64,
    read: impl FnOnce() -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    match cache.entry(id) {
        Entry::Occupied(entry) => Ok(entry.get().clone()),
        Entry::Vacant(entry) => Ok(entry.insert(read()?).clone()),
    }
}

/// The tags of an interned set, with the Name tag, which is a column of the resource.
pub(crate) fn read_tags(db: &Connection, tag_set: Option<i64>, name: Option<String>) -> Result<TagSet, LedgerError> {
    InternedLookup::default().load_tags(db, tag_set, name)
}

pub(crate) fn read_tag(db: &Connection, id: i64) -> Result<(String, String), LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    prepare(db, sql::TAG_BY_ID)?.query_row([id], columns).context(Operation::ReadTags)
}

/// An interned rule.
pub(crate) fn read_rule(sql: &Connection, id: i64) -> Result<Rule, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| Ok([row.get::<_, String>(0)?, row.get(1)?, row.get(2)?]);
    let [code, severity, tag] =
        prepare(sql, sql::RULE_BY_ID)?.query_row([id], columns).context(Operation::ReadFindings)?;
    Ok(Rule { code: parse("a finding code", &code)?, severity: parse("a severity", &severity)?, tag })
}
