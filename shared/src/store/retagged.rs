//! Which tags of resources changed between two nights.

use std::{collections::HashMap, hash::Hash, ops::Range, sync::Arc};

use rusqlite::{Connection, Row};

use super::{
    Attempt, Changed, Side, StoreError,
    gathering::ByNumber,
    intern::{NAME, push_varints, statement},
    sets::TagSets,
    sql,
};

/// A key whose value differs between two nights.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagChange {
    /// The key, to the letter.
    pub key: Arc<str>,
    /// Its value in the earlier night; none: it was not there.
    pub before: Option<Arc<str>>,
    /// Its value in the later one; none: it is there no more.
    pub after: Option<Arc<str>>,
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
        let both = || changed.iter().filter_map(|one| one.before.as_ref().zip(one.after.as_ref()));
        let sides = || both().filter(|(was, is)| was.tag_set() != is.tag_set());
        let sets = Sets::read(db, known, sides().flat_map(|(was, is)| [was, is]))?;
        let differing = sides().flat_map(|(was, is)| sets.without(was, is).chain(sets.without(is, was)));
        let tags = read_tags(db, differing)?;
        let mut sorter = Sorter { tags, known: HashMap::new(), retagged: Self::default() };
        for one in changed {
            if let (Some(was), Some(is)) = (&one.before, &one.after) {
                sorter.sort(&sets, was, is);
            }
            sorter.retagged.ends.push(sorter.retagged.places.len());
        }
        Ok(sorter.retagged)
    }

    /// What was read part by part.
    pub(super) fn join(parts: Vec<Self>) -> Self {
        let (mut all, mut known) = (Self::default(), HashMap::new());
        for part in parts {
            let numbers = part.kinds.into_iter().map(|kind| number(&mut known, &mut all.kinds, kind.clone(), || kind));
            let numbers: Vec<usize> = numbers.collect();
            let first = all.places.len();
            all.places.extend(part.places.iter().filter_map(|place| numbers.get(*place)));
            all.ends.extend(part.ends.iter().map(|end| first + end));
        }
        all
    }
}

/// The place of a kind among all, behind which it comes when it is not known yet.
fn number<K: Eq + Hash>(
    known: &mut HashMap<K, usize>,
    kinds: &mut Vec<TagChange>,
    name: K,
    kind: impl FnOnce() -> TagChange,
) -> usize {
    *known.entry(name).or_insert_with(|| {
        kinds.push(kind());
        kinds.len() - 1
    })
}

/// A key and its value.
type Tag = (Arc<str>, Arc<str>);

/// What tells kinds from each other before they are written out: interned tags, or names.
#[derive(PartialEq, Eq, Hash)]
enum Kind {
    Tags(Option<i64>, Option<i64>),
    Names(Option<Arc<str>>, Option<Arc<str>>),
}

struct Sorter {
    tags: ByNumber<Tag>,
    known: HashMap<Kind, usize>,
    retagged: Retagged,
}

impl Sorter {
    fn sort(&mut self, sets: &Sets, was: &Side, is: &Side) {
        let came: Vec<i64> = sets.without(is, was).collect();
        let mut paired: Vec<i64> = Vec::new();
        for gone in sets.without(was, is) {
            let after = came.iter().copied().find(|id| self.key(*id) == self.key(gone));
            paired.extend(after);
            self.add(Some(gone), after);
        }
        for id in came.iter().filter(|id| !paired.contains(id)) {
            self.add(None, Some(*id));
        }
        let [before, after] = [was, is].map(Side::name);
        if before != after {
            let Self { known, retagged, .. } = self;
            let name = Kind::Names(before.cloned(), after.cloned());
            let kind = || TagChange { key: NAME.into(), before: before.cloned(), after: after.cloned() };
            retagged.places.push(number(known, &mut retagged.kinds, name, kind));
        }
    }

    fn key(&self, tag: i64) -> Option<&str> {
        self.tags.get(&tag).map(|(key, _)| &**key)
    }

    fn add(&mut self, before: Option<i64>, after: Option<i64>) {
        let Self { tags, known, retagged } = self;
        let [old, new] = [before, after].map(|id| id.and_then(|id| tags.get(&id)));
        let Some((key, _)) = old.or(new) else { return };
        let value = |tag: Option<&Tag>| tag.map(|(_, value)| Arc::clone(value));
        let kind = || TagChange { key: Arc::clone(key), before: value(old), after: value(new) };
        retagged.places.push(number(known, &mut retagged.kinds, Kind::Tags(before, after), kind));
    }
}

/// The sets of tags that resources had or have.
struct Sets {
    /// Of all sets, one behind the other.
    members: Vec<i64>,
    places: ByNumber<Range<usize>>,
}

impl Sets {
    fn read<'s>(
        db: &Connection,
        known: Option<&TagSets>,
        sides: impl Iterator<Item = &'s Side>,
    ) -> Result<Self, StoreError> {
        let (mut members, mut places, mut unknown) = (Vec::new(), ByNumber::default(), Vec::new());
        for set in in_order(sides.filter_map(Side::tag_set)) {
            match known.and_then(|known| known.get(set)) {
                Some(tags) => {
                    let start = members.len();
                    push_varints(&mut members, tags);
                    places.insert(set, start..members.len());
                }
                None => unknown.push(set),
            }
        }
        let add = |row: &Row<'_>| {
            let start = members.len();
            push_varints(&mut members, row.get_ref(0)?.as_blob()?);
            Ok(start..members.len())
        };
        places.extend(look_up(db, sql::TAGS_OF_SET, unknown, add)?);
        Ok(Self { members, places })
    }

    fn of(&self, side: &Side) -> &[i64] {
        let place = side.tag_set().and_then(|set| self.places.get(&set));
        place.and_then(|place| self.members.get(place.clone())).unwrap_or_default()
    }

    /// What one has and the other has not.
    fn without<'s>(&'s self, side: &Side, other: &Side) -> impl Iterator<Item = i64> + use<'s> {
        let other = self.of(other);
        self.of(side).iter().copied().filter(|id| !other.contains(id))
    }
}

fn read_tags(db: &Connection, ids: impl Iterator<Item = i64>) -> Result<ByNumber<Tag>, StoreError> {
    let text = |row: &Row<'_>, column| Ok::<_, rusqlite::Error>(Arc::from(row.get_ref(column)?.as_str()?));
    look_up(db, sql::TAG_BY_ID, in_order(ids), |row| Ok((text(row, 0)?, text(row, 1)?)))
}

/// Each once, in the order in which they lie in the file: neighbours are then on a page that was just read.
fn in_order(ids: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut ids: Vec<i64> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn look_up<T>(
    db: &Connection,
    text: &str,
    ids: Vec<i64>,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<ByNumber<T>, StoreError> {
    let mut asked = statement(db, text)?;
    let mut one = |id| Ok((id, asked.query_row([id], &mut read).attempt("read tags")?));
    ids.into_iter().map(&mut one).collect()
}
