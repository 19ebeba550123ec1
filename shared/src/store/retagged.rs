//! Which tags of resources changed between two nights.

use std::{collections::HashMap, hash::BuildHasherDefault, sync::Arc};

use rusqlite::{Connection, Row};

use super::{
    Attempt, Changed, Side, StoreError, View,
    gathering::ByNumber,
    intern::{NAME, push_varints, statement, varints},
    page::tag,
    sets::TagSets,
    sql,
};
use crate::suggest::counts::Mixer;

/// A value of a tag, of one ledger; in the order in which that met them. [`View::value`] has its text: of the thousands of a night, few are ever told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagValue(Value);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Value {
    /// Of the tag with this local id.
    Tag(i64),
    Name(Arc<str>),
}

/// A key whose value differs between two nights.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagChange {
    /// The key, to the letter.
    pub key: Arc<str>,
    /// Its value in the earlier night; none: it was not there.
    pub before: Option<TagValue>,
    /// Its value in the later one; none: it is there no more.
    pub after: Option<TagValue>,
}

/// Which tags changed on which of some resources.
#[derive(Debug, Default)]
pub struct Retagged {
    /// What changed, each once.
    pub kinds: Vec<TagChange>,
    /// Of all resources, one behind the other: places in `kinds`.
    places: Vec<usize>,
    /// Where those of each resource end.
    ends: Vec<usize>,
}

impl Retagged {
    /// Places in [`kinds`](Self::kinds) of what changed on the resource that stands at this place, in no order; none where it is not
    /// in both nights.
    pub fn of(&self, resource: usize) -> &[usize] {
        let start = resource.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.ends.get(resource).and_then(|end| self.places.get(start..*end)).unwrap_or_default()
    }

    /// What changed on it.
    pub(super) fn changes_of(&self, resource: usize) -> impl Iterator<Item = &TagChange> {
        self.of(resource).iter().filter_map(|place| self.kinds.get(*place))
    }

    pub(super) fn read(db: &Connection, known: Option<&TagSets>, changed: &[Changed]) -> Result<Self, StoreError> {
        let differing = Differing::read(db, known, changed)?;
        let keys = Keys::read(db, known, &differing.tags)?;
        let mut sorter = Sorter { keys, known: Numbers::default(), retagged: Self::default() };
        let mut begin = 0;
        for (one, [gone, came]) in changed.iter().zip(&differing.ends) {
            let tags = |from: usize, to: usize| differing.tags.get(from..to).unwrap_or_default();
            sorter.sort(tags(begin, *gone), tags(*gone, *came));
            if let (Some(was), Some(is)) = (&one.before, &one.after) {
                sorter.name(was.name(), is.name());
            }
            sorter.retagged.ends.push(sorter.retagged.places.len());
            begin = *came;
        }
        Ok(sorter.retagged)
    }

    /// What was read part by part.
    pub(super) fn join(parts: Vec<Self>) -> Self {
        let (mut all, mut known) = (Self::default(), Numbers::default());
        for part in parts {
            let numbers: Vec<usize> = part.kinds.into_iter().map(|kind| all.number(&mut known, kind)).collect();
            let first = all.places.len();
            all.places.extend(part.places.iter().filter_map(|place| numbers.get(*place)));
            all.ends.extend(part.ends.iter().map(|end| first + end));
        }
        all
    }

    /// The place of a kind among all, behind which it comes when it is not known yet.
    fn number(&mut self, known: &mut Numbers, kind: TagChange) -> usize {
        *known.entry((kind.before.clone(), kind.after.clone())).or_insert_with(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        })
    }
}

/// Kinds by their values: each value is of one key.
type Numbers = HashMap<(Option<TagValue>, Option<TagValue>), usize, BuildHasherDefault<Mixer>>;

struct Sorter<'k> {
    keys: Keys<'k>,
    known: Numbers,
    retagged: Retagged,
}

impl Sorter<'_> {
    fn sort(&mut self, gone: &[i64], came: &[i64]) {
        let mut paired: Vec<i64> = Vec::new();
        for tag in gone {
            let after = came.iter().copied().find(|id| self.keys.of(*id) == self.keys.of(*tag));
            paired.extend(after);
            self.add(Some(*tag), after);
        }
        for id in came.iter().filter(|id| !paired.contains(id)) {
            self.add(None, Some(*id));
        }
    }

    fn add(&mut self, before: Option<i64>, after: Option<i64>) {
        let Some(key) = before.or(after).and_then(|tag| self.keys.of(tag)) else { return };
        let [before, after] = [before, after].map(|tag| tag.map(|id| TagValue(Value::Tag(id))));
        let place = self.retagged.number(&mut self.known, TagChange { key: Arc::clone(key), before, after });
        self.retagged.places.push(place);
    }

    fn name(&mut self, before: Option<&Arc<str>>, after: Option<&Arc<str>>) {
        if before != after {
            let [before, after] = [before, after].map(|name| name.map(|name| TagValue(Value::Name(Arc::clone(name)))));
            let place = self.retagged.number(&mut self.known, TagChange { key: NAME.into(), before, after });
            self.retagged.places.push(place);
        }
    }
}

/// Tags that one night has and the other has not.
#[derive(Default)]
struct Differing {
    /// Of one resource after another: those that are gone, and then those that came.
    tags: Vec<i64>,
    /// Where both end.
    ends: Vec<[usize; 2]>,
}

impl Differing {
    fn read(db: &Connection, known: Option<&TagSets>, changed: &[Changed]) -> Result<Self, StoreError> {
        let sides =
            |one: &Changed| one.before.as_ref().zip(one.after.as_ref()).map(|(was, is)| [was, is].map(Side::tag_set));
        let both = || changed.iter().filter_map(sides).filter(|[was, is]| was != is);
        let unknown = both().flatten().flatten().filter(|set| known.and_then(|known| known.get(*set)).is_none());
        let read = look_up(db, sql::TAGS_OF_SET, unknown, |row| Ok(varints(row.get_ref(0)?.as_blob()?)))?;
        let members = |set: Option<i64>, into: &mut Vec<i64>| {
            into.clear();
            let Some(set) = set else { return };
            match known.and_then(|known| known.get(set)) {
                Some(tags) => push_varints(into, tags),
                None => into.extend(read.get(&set).into_iter().flatten()),
            }
        };
        let (mut all, mut had, mut has) = (Self::default(), Vec::new(), Vec::new());
        for one in changed {
            let [was, is] = sides(one).filter(|[was, is]| was != is).unwrap_or_default();
            members(was, &mut had);
            members(is, &mut has);
            all.tags.extend(had.iter().filter(|tag| !has.contains(tag)));
            let gone = all.tags.len();
            all.tags.extend(has.iter().filter(|tag| !had.contains(tag)));
            all.ends.push([gone, all.tags.len()]);
        }
        Ok(all)
    }
}

/// The keys of some tags.
struct Keys<'k> {
    held: Option<&'k TagSets>,
    read: ByNumber<Arc<str>>,
}

impl<'k> Keys<'k> {
    fn read(db: &Connection, held: Option<&'k TagSets>, tags: &[i64]) -> Result<Self, StoreError> {
        let unknown = tags.iter().copied().filter(|tag| held.and_then(|held| held.key_of(*tag)).is_none());
        Ok(Self { held, read: look_up(db, sql::TAG_BY_ID, unknown, |row| Ok(row.get_ref(0)?.as_str()?.into()))? })
    }

    fn of(&self, tag: i64) -> Option<&Arc<str>> {
        self.held.and_then(|held| held.key_of(tag)).or_else(|| self.read.get(&tag))
    }
}

/// Each once, in the order in which they lie in the file: neighbours are then on a page that was just read.
fn look_up<T>(
    db: &Connection,
    text: &str,
    ids: impl Iterator<Item = i64>,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<ByNumber<T>, StoreError> {
    let mut ids: Vec<i64> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let mut asked = statement(db, text)?;
    let mut one = |id| Ok((id, asked.query_row([id], &mut read).attempt("read tags")?));
    ids.into_iter().map(&mut one).collect()
}

impl View<'_> {
    /// The text of a value.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read, or the value is of another one.
    pub fn value(&self, value: &TagValue) -> Result<Arc<str>, StoreError> {
        match &value.0 {
            Value::Tag(id) => Ok(tag(self.db(), *id)?.1.into()),
            Value::Name(name) => Ok(Arc::clone(name)),
        }
    }
}
