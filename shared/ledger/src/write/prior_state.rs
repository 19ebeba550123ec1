//! The resources of the previous snapshot.
//!
//! They are read once, when the snapshot begins, in the order of the file. A key is a hash, so the resources of one scope are spread over
//! all pages of `current`, and reading them scope by scope would read a page for each. All of them stay in memory, in about 70 bytes each,
//! until their scope is recorded.

use std::collections::HashMap;

use rusqlite::{Connection, Row};
use rustc_hash::FxBuildHasher;
use tagledger_model::inventory::GapReason;

use crate::{
    db::{
        id_map::{HashIdMap, HashIdSet},
        resource_state::{ResourceContext, ResourceState, read_state, with_reason},
        sql,
        statements::prepare,
        values::{decode_state, encode_state},
        varint::{push_word, take_word},
    },
    error::{ErrorContext, LedgerError, Operation},
    model::scope_ids::ScopeIds,
};

/// The resources of one scope.
pub(crate) struct RecordedResources {
    packed: Vec<u8>,
    /// By key, the position in `packed` of what [`pack`] wrote.
    positions: HashIdMap<usize>,
}

/// A resource as the previous snapshot has it.
pub(crate) struct RecordedResource<'p> {
    /// The ARN, as `resource.local` has it.
    pub(crate) local: &'p str,
    pub(crate) state: ResourceState,
}

impl RecordedResources {
    /// Removes a resource and returns it; none when the scope does not have it.
    pub(crate) fn remove(&mut self, key: i64) -> Result<Option<RecordedResource<'_>>, LedgerError> {
        self.positions.remove(&key).map(|position| self.unpack(position)).transpose()
    }

    /// The keys of the resources that were not removed, in order.
    pub(crate) fn keys(&self) -> Vec<i64> {
        let mut keys: Vec<_> = self.positions.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    fn unpack(&self, position: usize) -> Result<RecordedResource<'_>, LedgerError> {
        let mut rest = self.packed.get(position..).unwrap_or_default();
        unpack(&mut rest).ok_or_else(|| broken(position))
    }
}

fn broken(position: usize) -> LedgerError {
    LedgerError::Content { what: "a packed resource", given: format!("position {position}") }
}

/// The resources of the scopes that this snapshot has not recorded yet.
#[derive(Default)]
pub(crate) struct PriorState {
    /// The resources of each scope, one after the other, as [`pack`] writes them.
    scopes: HashMap<ScopeIds, Vec<u8>, FxBuildHasher>,
    /// Resources that this snapshot has written. Their previous scope may not be recorded yet.
    written: HashIdSet,
}

impl PriorState {
    pub(crate) fn load(db: &Connection) -> Result<Self, LedgerError> {
        let (mut prior, mut buffer) = (Self::default(), Vec::new());
        let mut statement = prepare(db, sql::CURRENT_RESOURCES)?;
        let mut rows = statement.query([]).context(Operation::ReadResources)?;
        while let Some(row) = rows.next().context(Operation::ReadResources)? {
            let (key, ids, columns, context) = columns(row).context(Operation::ReadResources)?;
            let state = ResourceState { context, ..with_reason(columns)? };
            let local = row.get_ref(16).and_then(|column| Ok(column.as_str()?)).context(Operation::ReadResources)?;
            buffer.clear();
            pack(&mut buffer, &RecordedResource { local, state });
            let scope = prior.scopes.entry(ids).or_default();
            push(scope, key);
            push_word(scope, buffer.len() as u64);
            scope.extend_from_slice(&buffer);
        }
        Ok(prior)
    }

    /// The scopes that are not recorded yet, in order.
    pub(crate) fn scopes(&self) -> Vec<ScopeIds> {
        let mut scopes: Vec<_> = self.scopes.keys().copied().collect();
        scopes.sort_unstable();
        scopes
    }

    /// Removes the resources of a scope, which is recorded now, and returns them.
    pub(crate) fn take(&mut self, ids: ScopeIds) -> Result<RecordedResources, LedgerError> {
        let packed = self.scopes.remove(&ids).unwrap_or_default();
        let mut positions = HashIdMap::default();
        let mut rest = packed.as_slice();
        while !rest.is_empty() {
            let (key, length) =
                take(&mut rest).zip(take_length(&mut rest)).ok_or_else(|| broken(packed.len() - rest.len()))?;
            let position = packed.len() - rest.len();
            rest = rest.get(length..).ok_or_else(|| broken(position))?;
            if !self.written.contains(&key) {
                positions.insert(key, position);
            }
        }
        Ok(RecordedResources { packed, positions })
    }

    /// Removes a resource that this snapshot has written, so that it is not missing when its previous scope is recorded later.
    pub(crate) fn remove(&mut self, key: i64) {
        self.written.insert(key);
    }
}

type Columns = (i64, ScopeIds, (ResourceState, Option<String>), ResourceContext);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    let context = ResourceContext::read(row, 12)?;
    Ok((row.get(0)?, ScopeIds::read(row, 1)?, read_state(row, 4)?, context))
}

/// Appends a resource. An optional number is stored as number + 1, and an absent one as 0.
fn pack(bytes: &mut Vec<u8>, resource: &RecordedResource<'_>) {
    let RecordedResource { local, state } = resource;
    let ResourceState { tag_set, name, state, reason, finding_set, errors, missing_required, untagged, context } =
        state;
    let reason = reason.and_then(|reason| GapReason::ALL.iter().position(|one| *one == reason));
    push_optional(bytes, *tag_set);
    push(bytes, encode_state(*state));
    push_optional(bytes, reason.map(|index| index as i64));
    push_optional(bytes, *finding_set);
    push(bytes, i64::from(*errors));
    push(bytes, i64::from(*missing_required));
    push(bytes, i64::from(*untagged));
    push_optional(bytes, context.usage.map(|(driver, _)| driver));
    push(bytes, context.usage.map_or(0, |(_, quantity)| i64::from(quantity)));
    push_optional(bytes, context.links);
    push_optional(bytes, context.parent);
    push(bytes, i64::from(name.is_some()));
    push_text(bytes, name.as_deref().unwrap_or_default());
    push_text(bytes, local);
}

fn push(bytes: &mut Vec<u8>, number: i64) {
    push_word(bytes, number.cast_unsigned());
}

fn push_optional(bytes: &mut Vec<u8>, number: Option<i64>) {
    push(bytes, number.map_or(0, |number| number.wrapping_add(1)));
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    push_word(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// The next resource that [`pack`] wrote.
fn unpack<'p>(rest: &mut &'p [u8]) -> Option<RecordedResource<'p>> {
    let tag_set = take_optional(rest)?;
    let state = decode_state(take(rest)?)?;
    let reason = match take_optional(rest)? {
        Some(index) => Some(*GapReason::ALL.get(usize::try_from(index).ok()?)?),
        None => None,
    };
    let finding_set = take_optional(rest)?;
    let errors = u32::try_from(take(rest)?).ok()?;
    let missing_required = u32::try_from(take(rest)?).ok()?;
    let untagged = take(rest)? != 0;
    let driver = take_optional(rest)?;
    let quantity = u32::try_from(take(rest)?).ok()?;
    let [links, parent] = [take_optional(rest)?, take_optional(rest)?];
    let has_name = take(rest)? != 0;
    let name = Some(take_text(rest)?).filter(|_| has_name).map(str::to_owned);
    let local = take_text(rest)?;
    let context = ResourceContext { usage: driver.map(|driver| (driver, quantity)), links, parent };
    let state =
        ResourceState { tag_set, name, state, reason, finding_set, errors, missing_required, untagged, context };
    Some(RecordedResource { local, state })
}

fn take(rest: &mut &[u8]) -> Option<i64> {
    take_word(rest).map(u64::cast_signed)
}

fn take_optional(rest: &mut &[u8]) -> Option<Option<i64>> {
    take(rest).map(|number| (number != 0).then(|| number.wrapping_sub(1)))
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(take_word(rest)?).ok()
}

fn take_text<'p>(rest: &mut &'p [u8]) -> Option<&'p str> {
    let length = take_length(rest)?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use tagledger_model::inventory::GapReason;
    use tagledger_policy::State;

    use super::*;
    use crate::db::resource_state::{ResourceContext, ResourceState};

    /// A resource state survives packing and unpacking with every optional field present or absent, with every gap
    /// reason and with extreme values.
    #[test]
    fn packed_state_round_trips() {
        let bare = ResourceState {
            tag_set: None,
            name: None,
            state: State::NotApplicable,
            reason: None,
            finding_set: None,
            errors: 0,
            missing_required: 0,
            untagged: false,
            context: ResourceContext::default(),
        };
        let full = ResourceState {
            tag_set: Some(1 << 40),
            name: Some("naïve".to_owned()),
            state: State::NonCompliant,
            finding_set: Some(1),
            errors: 3,
            missing_required: 2,
            untagged: true,
            context: ResourceContext { usage: Some((7, u32::MAX)), links: Some(300), parent: Some(i64::MAX) },
            ..bare.clone()
        };
        let nameless = ResourceState { name: Some(String::new()), ..full.clone() };
        let lost = GapReason::ALL.iter().map(|reason| ResourceState {
            state: State::Unknown,
            reason: Some(*reason),
            ..full.clone()
        });
        let states: Vec<ResourceState> = [bare, full.clone(), nameless].into_iter().chain(lost).collect();
        let mut bytes = Vec::new();
        for state in &states {
            pack(&mut bytes, &RecordedResource { local: "instance/i-1", state: state.clone() });
        }
        let mut rest = bytes.as_slice();
        for state in &states {
            let RecordedResource { local, state: unpacked } = unpack(&mut rest).expect("a resource");
            assert_eq!(local, "instance/i-1");
            assert!(unpacked.is_unchanged(state) && unpacked.context == state.context, "{state:?}, {unpacked:?}");
        }
        assert_eq!((rest, unpack(&mut rest).is_none()), (&[][..], true));
    }
}
