//! Tag changes of resources between two snapshots.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, Row};
use rustc_hash::FxBuildHasher;

use crate::{
    db::interned::NAME,
    db::{
        id_map::HashIdMap,
        interned::read_tag,
        sql,
        statements::prepare,
        varint::{decode_varints, push_varints},
    },
    error::{ErrorContext, LedgerError, Operation},
    index::tag_sets::TagSetIndex,
    model::change::{ResourceChange, ResourceVersion, TagChange, TagValue, Value},
    read::session::ReadSession,
};

/// The tag changes of a list of resources.
#[derive(Debug, Default)]
pub struct TagChanges {
    /// Distinct changes.
    pub kinds: Vec<TagChange>,
    /// Positions in `kinds`, one resource after another.
    positions: Vec<usize>,
    /// For each resource the end of its range in `positions`.
    ends: Vec<usize>,
}

impl TagChanges {
    /// Positions in [`kinds`](Self::kinds) of the changes of the resource at a position of the list, in no order. A resource that is not
    /// in both snapshots has none.
    pub fn positions_of(&self, resource: usize) -> &[usize] {
        let start = resource.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.ends.get(resource).and_then(|end| self.positions.get(start..*end)).unwrap_or_default()
    }

    /// The changes of the resource at a position of the list.
    pub(crate) fn changes_of(&self, resource: usize) -> impl Iterator<Item = &TagChange> {
        self.positions_of(resource).iter().filter_map(|position| self.kinds.get(*position))
    }

    pub(crate) fn load(
        db: &Connection,
        index: Option<&TagSetIndex>,
        changed: &[ResourceChange],
    ) -> Result<Self, LedgerError> {
        let differences = TagDifferences::load(db, index, changed)?;
        let keys = Keys::load(db, index, &differences.tags)?;
        let mut builder = TagChangesBuilder { keys, numbers: Numbers::default(), changes: Self::default() };
        let mut start = 0;
        for (one, [removed, added]) in changed.iter().zip(&differences.ends) {
            let tags = |from: usize, to: usize| differences.tags.get(from..to).unwrap_or_default();
            builder.add_tags(tags(start, *removed), tags(*removed, *added));
            if let (Some(before), Some(after)) = (&one.before, &one.after) {
                builder.add_name(before.name(), after.name());
            }
            builder.changes.ends.push(builder.changes.positions.len());
            start = *added;
        }
        Ok(builder.changes)
    }

    /// The changes of the lists of all parts, one after another.
    pub(crate) fn join(parts: Vec<Self>) -> Self {
        let (mut all, mut numbers) = (Self::default(), Numbers::default());
        for part in parts {
            let moved: Vec<usize> =
                part.kinds.into_iter().map(|kind| all.find_or_add_kind(&mut numbers, kind)).collect();
            let first = all.positions.len();
            all.positions.extend(part.positions.iter().filter_map(|position| moved.get(*position)));
            all.ends.extend(part.ends.iter().map(|end| first + end));
        }
        all
    }

    /// The position of a change in `kinds`; a new one is added.
    fn find_or_add_kind(&mut self, numbers: &mut Numbers, kind: TagChange) -> usize {
        *numbers.entry((kind.before.clone(), kind.after.clone())).or_insert_with(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        })
    }
}

/// Positions of changes by their values; a value belongs to one key.
type Numbers = HashMap<(Option<TagValue>, Option<TagValue>), usize, FxBuildHasher>;

struct TagChangesBuilder<'k> {
    keys: Keys<'k>,
    numbers: Numbers,
    changes: TagChanges,
}

impl TagChangesBuilder<'_> {
    fn add_tags(&mut self, removed: &[i64], added: &[i64]) {
        let mut paired: Vec<i64> = Vec::new();
        for tag in removed {
            let after = added.iter().copied().find(|id| self.keys.get(*id) == self.keys.get(*tag));
            paired.extend(after);
            self.add(Some(*tag), after);
        }
        for id in added.iter().filter(|id| !paired.contains(id)) {
            self.add(None, Some(*id));
        }
    }

    fn add(&mut self, before: Option<i64>, after: Option<i64>) {
        let Some(key) = before.or(after).and_then(|tag| self.keys.get(tag)) else { return };
        let [before, after] = [before, after].map(|tag| tag.map(|id| TagValue(Value::Tag(id))));
        let position =
            self.changes.find_or_add_kind(&mut self.numbers, TagChange { key: Arc::clone(key), before, after });
        self.changes.positions.push(position);
    }

    fn add_name(&mut self, before: Option<&Arc<str>>, after: Option<&Arc<str>>) {
        if before != after {
            let [before, after] = [before, after].map(|name| name.map(|name| TagValue(Value::Name(Arc::clone(name)))));
            let position =
                self.changes.find_or_add_kind(&mut self.numbers, TagChange { key: NAME.into(), before, after });
            self.changes.positions.push(position);
        }
    }
}

/// The tags that are in one of two versions only.
#[derive(Default)]
struct TagDifferences {
    /// One resource after another: removed tags, then added ones.
    tags: Vec<i64>,
    /// For each resource the ends of both in `tags`.
    ends: Vec<[usize; 2]>,
}

impl TagDifferences {
    fn load(db: &Connection, index: Option<&TagSetIndex>, changed: &[ResourceChange]) -> Result<Self, LedgerError> {
        let sets = |one: &ResourceChange| {
            one.before.as_ref().zip(one.after.as_ref()).map(|(was, is)| [was, is].map(ResourceVersion::tag_set))
        };
        let differing = || changed.iter().filter_map(sets).filter(|[was, is]| was != is);
        let missing = differing().flatten().flatten().filter(|set| index.and_then(|index| index.get(*set)).is_none());
        let loaded = load_each(db, sql::TAGS_OF_SET, missing, |row| Ok(decode_varints(row.get_ref(0)?.as_blob()?)))?;
        let members = |set: Option<i64>, into: &mut Vec<i64>| {
            into.clear();
            let Some(set) = set else { return };
            match index.and_then(|index| index.get(set)) {
                Some(tags) => push_varints(into, tags),
                None => into.extend(loaded.get(&set).into_iter().flatten()),
            }
        };
        let (mut all, mut tags_before, mut tags_after) = (Self::default(), Vec::new(), Vec::new());
        for one in changed {
            let [before, after] = sets(one).filter(|[before, after]| before != after).unwrap_or_default();
            members(before, &mut tags_before);
            members(after, &mut tags_after);
            all.tags.extend(tags_before.iter().filter(|tag| !tags_after.contains(tag)));
            let removed = all.tags.len();
            all.tags.extend(tags_after.iter().filter(|tag| !tags_before.contains(tag)));
            all.ends.push([removed, all.tags.len()]);
        }
        Ok(all)
    }
}

/// The keys of some tags.
struct Keys<'k> {
    index: Option<&'k TagSetIndex>,
    loaded: HashIdMap<Arc<str>>,
}

impl<'k> Keys<'k> {
    fn load(db: &Connection, index: Option<&'k TagSetIndex>, tags: &[i64]) -> Result<Self, LedgerError> {
        let missing = tags.iter().copied().filter(|tag| index.and_then(|index| index.key_of(*tag)).is_none());
        let loaded = load_each(db, sql::TAG_BY_ID, missing, |row| Ok(row.get_ref(0)?.as_str()?.into()))?;
        Ok(Self { index, loaded })
    }

    fn get(&self, tag: i64) -> Option<&Arc<str>> {
        self.index.and_then(|index| index.key_of(tag)).or_else(|| self.loaded.get(&tag))
    }
}

/// Reads the rows with these ids, each once and in the order of the file, so that adjacent rows are on a page that was just read.
fn load_each<T>(
    db: &Connection,
    text: &str,
    ids: impl Iterator<Item = i64>,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<HashIdMap<T>, LedgerError> {
    let mut ids: Vec<i64> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let mut query = prepare(db, text)?;
    let mut one = |id| Ok((id, query.query_row([id], &mut read).context(Operation::ReadTags)?));
    ids.into_iter().map(&mut one).collect()
}

/// The text of a value.
///
/// # Errors
///
/// When the ledger cannot be read, or the value belongs to another ledger.
pub fn resolve_value(session: &ReadSession<'_>, value: &TagValue) -> Result<Arc<str>, LedgerError> {
    match &value.0 {
        Value::Tag(id) => Ok(read_tag(session.db(), *id)?.1.into()),
        Value::Name(name) => Ok(Arc::clone(name)),
    }
}
