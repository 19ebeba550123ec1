//! All sets of tags at hand, in a few bytes each: what differs between two nights looks up ten thousands of them.

use rusqlite::Connection;

use super::{Attempt, StoreError, intern::statement, sql};

const FAILED: &str = "read sets of tags";

/// About what all may have together: some hundred thousand sets.
const MOST_BYTES: usize = 8 << 20;

/// The sets that stood in the ledger when they were read. None changes; another comes in a night only, and an id may then be given
/// again, so that they are of one snapshot.
#[derive(Debug, Default)]
pub(super) struct TagSets {
    /// In order.
    ids: Vec<u32>,
    /// Where the tags of each end.
    ends: Vec<u32>,
    /// Of all sets, one behind the other, as the ledger has them.
    tags: Vec<u8>,
}

impl TagSets {
    pub(super) fn read(db: &Connection) -> Result<Self, StoreError> {
        let mut all = Self::default();
        let mut asked = statement(db, sql::ALL_TAG_SETS)?;
        let mut rows = asked.query([]).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            let id: i64 = row.get(0).attempt(FAILED)?;
            all.tags.extend_from_slice(
                row.get_ref(1).attempt(FAILED)?.as_blob().map_err(rusqlite::Error::from).attempt(FAILED)?,
            );
            // What comes behind has to be looked up.
            let (Ok(id), Ok(end)) = (u32::try_from(id), u32::try_from(all.tags.len())) else { break };
            all.ids.push(id);
            all.ends.push(end);
            if all.tags.len() + 8 * all.ids.len() >= MOST_BYTES {
                break;
            }
        }
        all.tags.shrink_to_fit();
        all.ids.shrink_to_fit();
        all.ends.shrink_to_fit();
        Ok(all)
    }

    /// Its tags, unless they have to be looked up.
    pub(super) fn get(&self, set: i64) -> Option<&[u8]> {
        let place = self.ids.binary_search(&u32::try_from(set).ok()?).ok()?;
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.tags.get(start as usize..*self.ends.get(place)? as usize)
    }
}
