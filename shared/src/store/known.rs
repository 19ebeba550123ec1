//! What the ledger knows of every living resource as a night begins.
//!
//! Read once, in the order of the file. A key is a hash: the resources of one scope lie all over `current`, and to read them
//! alone is to visit a page for each. So all are read at once, and kept in some thirty bytes each until their scope is recorded.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasherDefault,
};

use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    Attempt, NightHeader, StoreError,
    gathering::ByNumber,
    intern::{push_word, statement},
    rows::{ScopeIds, state, state_number},
    sql,
    version::{Aside, Version, version, version_columns},
};
use crate::{inventory::GapReason, suggest::counts::Mixer};

const FAILED: &str = "read what is known";

/// What is known of the scopes that the night has not recorded yet.
#[derive(Default)]
pub(super) struct Known {
    /// Resources one behind the other, as [`pack`] writes them.
    scopes: HashMap<ScopeIds, Vec<u8>, BuildHasherDefault<Mixer>>,
    /// Resources that the night has written in the scope where it found them, which may not be the one that knows them.
    moved: HashSet<i64>,
}

impl Known {
    pub(super) fn read(db: &Connection) -> Result<Self, StoreError> {
        let mut known = Self::default();
        let mut statement = statement(db, sql::KNOWN)?;
        let mut rows = statement.query([]).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            let (key, ids, columns, aside) = columns(row).attempt(FAILED)?;
            pack(known.scopes.entry(ids).or_default(), key, &Version { aside, ..version(columns)? });
        }
        Ok(known)
    }

    /// The scopes that were not taken yet, in order.
    pub(super) fn scopes(&self) -> Vec<ScopeIds> {
        let mut scopes: Vec<_> = self.scopes.keys().copied().collect();
        scopes.sort_unstable();
        scopes
    }

    /// Takes what is known of a scope, by key: it is recorded now.
    pub(super) fn take(&mut self, ids: ScopeIds) -> Result<ByNumber<Version>, StoreError> {
        let packed = self.scopes.remove(&ids).unwrap_or_default();
        let mut rest = packed.as_slice();
        let mut versions = ByNumber::default();
        while !rest.is_empty() {
            let broken = || StoreError::Content { what: "what is known of a scope", given: format!("{ids:?}") };
            let (key, version) = unpack(&mut rest).ok_or_else(broken)?;
            versions.insert(key, version);
        }
        versions.retain(|key, _| !self.moved.contains(key));
        Ok(versions)
    }

    /// A resource lives where the night found it. Another scope that knows it has not lost it, when it is recorded later.
    pub(super) fn leave(&mut self, key: i64) {
        self.moved.insert(key);
    }
}

/// The version of the program, and what it judges with: that can change without another version.
pub(super) fn program(header: &NightHeader<'_>) -> String {
    format!("{}+{}", header.app_version, env!("TAGLEDGER_SHARED"))
}

/// Whether the snapshot before was judged by the same policy and the same program, and the day makes no difference.
pub(super) fn judges_as_before(
    sql: &Connection,
    header: &NightHeader<'_>,
    previous: i64,
    policy_id: i64,
) -> Result<bool, StoreError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let before = statement(sql, sql::JUDGED_BY)?.query_row([previous], columns).optional().attempt(FAILED)?;
    let by_us = before.is_some_and(|(policy, version)| policy == policy_id && version == program(header));
    Ok(by_us && !header.policy.depends_on_the_day())
}

type Columns = (i64, ScopeIds, (Version, Option<String>), Aside);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, ScopeIds::read(row, 1)?, version_columns(row, 4)?, Aside::read(row, 11)?))
}

/// Numbers that can be absent stand one higher than they are, and 0 where they are absent.
fn pack(bytes: &mut Vec<u8>, key: i64, version: &Version) {
    let Version { tag_set, name, state, reason, finding_set, errors, lacking, aside } = version;
    let mut number = |number: i64| push_word(bytes, number.cast_unsigned());
    let or_none = |number: Option<i64>| number.map_or(0, |number| number.wrapping_add(1));
    let place = reason.and_then(|reason| GapReason::ALL.iter().position(|one| *one == reason));
    number(key);
    number(or_none(*tag_set));
    number(state_number(*state));
    number(or_none(place.and_then(|place| i64::try_from(place).ok())));
    number(or_none(*finding_set));
    number(*errors);
    number(*lacking);
    number(or_none(aside.usage.map(|(driver, _)| driver)));
    number(aside.usage.map_or(0, |(_, quantity)| i64::from(quantity)));
    number(or_none(aside.links));
    number(or_none(aside.parent));
    number(or_none(name.as_ref().and_then(|name| i64::try_from(name.len()).ok())));
    bytes.extend_from_slice(name.as_deref().unwrap_or_default().as_bytes());
}

/// The next resource that [`pack`] wrote.
fn unpack(rest: &mut &[u8]) -> Option<(i64, Version)> {
    let key = number(rest)?;
    let tag_set = or_none(number(rest)?);
    let state = state(number(rest)?);
    let reason = or_none(number(rest)?).and_then(|place| GapReason::ALL.get(usize::try_from(place).ok()?)).copied();
    let finding_set = or_none(number(rest)?);
    let [errors, lacking] = [number(rest)?, number(rest)?];
    let driver = or_none(number(rest)?);
    let quantity = u32::try_from(number(rest)?).ok()?;
    let [links, parent] = [or_none(number(rest)?), or_none(number(rest)?)];
    let name = or_none(number(rest)?).map(|length| text(rest, length));
    let name = if let Some(name) = name { Some(name?) } else { None };
    let aside = Aside { usage: driver.map(|driver| (driver, quantity)), links, parent };
    Some((key, Version { tag_set, name, state, reason, finding_set, errors, lacking, aside }))
}

fn or_none(number: i64) -> Option<i64> {
    (number != 0).then(|| number.wrapping_sub(1))
}

/// A number as [`push_word`] wrote it.
fn number(rest: &mut &[u8]) -> Option<i64> {
    let (mut number, mut shift) = (0_u64, 0_u32);
    loop {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number.cast_signed());
        }
        shift += 7;
    }
}

fn text(rest: &mut &[u8], length: i64) -> Option<String> {
    let (text, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::State;

    #[test]
    fn what_was_packed_comes_back_as_it_was() {
        let bare = Version {
            tag_set: None,
            name: None,
            state: State::NotApplicable,
            reason: None,
            finding_set: None,
            errors: 0,
            lacking: 0,
            aside: Aside::default(),
        };
        let full = Version {
            tag_set: Some(1 << 40),
            name: Some("naïve".to_owned()),
            state: State::NonCompliant,
            finding_set: Some(1),
            errors: 3,
            lacking: 1002,
            aside: Aside { usage: Some((7, u32::MAX)), links: Some(300), parent: Some(i64::MAX) },
            ..bare.clone()
        };
        let nameless = Version { name: Some(String::new()), ..full.clone() };
        let lost = GapReason::ALL.iter().map(|reason| Version {
            state: State::Unknown,
            reason: Some(*reason),
            ..full.clone()
        });
        let versions: Vec<Version> = [bare, full.clone(), nameless].into_iter().chain(lost).collect();
        let mut bytes = Vec::new();
        versions.iter().zip(0..).for_each(|(version, key)| pack(&mut bytes, i64::MAX - key, version));
        let mut rest = bytes.as_slice();
        for (version, key) in versions.iter().zip(0..) {
            let (found, unpacked) = unpack(&mut rest).expect("a resource");
            assert_eq!(found, i64::MAX - key);
            assert!(unpacked.goes_on_as(version) && unpacked.aside == version.aside, "{version:?}, {unpacked:?}");
        }
        assert_eq!((rest, unpack(&mut rest).is_none()), (&[][..], true));
    }
}
