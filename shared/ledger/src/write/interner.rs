//! Stores each distinct text and set once: tags, tag sets, rules, finding sets, relationships, cost drivers.
//!
//! A new tag set or finding set is found by a 63-bit hash. The stored value is compared, because the ledger would store two sets with
//! the same hash as one.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension, params};
use tagledger_model::inventory::{RelatedResource, RelationshipKind, TagSet};
use tagledger_policy::{Code, Finding, Severity};

use crate::{
    db::{
        id_map::HashIdMap,
        interned::{self, NAME, hash_finding_set, hash_tag_set},
        sql,
        statements::prepare,
        varint::{push_varint, try_decode_varints},
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{findings::Findings, snapshot::Rule},
    write::stored_tags::StoredTags,
};

/// Row ids of texts and sets. Each is read from SQLite at most once for a snapshot.
#[derive(Default)]
pub(crate) struct Interner {
    tags: HashMap<String, HashMap<String, i64>>,
    stored_tags: StoredTags,
    /// Row ids by hash.
    tag_sets: HashIdMap<i64>,
    tag_set_hashes: HashIdMap<i64>,
    rules: HashMap<(Code, Severity), HashMap<String, i64>>,
    rules_by_id: HashMap<i64, Rule>,
    finding_sets: HashMap<Vec<i64>, Arc<Findings>>,
    findings_by_set: HashIdMap<Arc<Findings>>,
    cost_drivers: HashMap<String, i64>,
    links: HashMap<RelationshipKind, HashMap<String, i64>>,
    /// By the row ids of the links, as the table has them.
    link_sets: HashMap<Vec<u8>, i64>,
}

/// An interned tag set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InternedTags {
    pub(crate) id: i64,
    /// The same in every ledger.
    pub(crate) hash: i64,
}

impl Interner {
    /// Loads all tags and tag sets. Most of them occur in every snapshot, and one statement is faster than one for each.
    pub(crate) fn load(db: &Connection) -> Result<Self, LedgerError> {
        let stored_tags = StoredTags::load(db)?;
        let tag_sets = stored_tags.set_hashes().map(|(id, hash)| (hash, id)).collect();
        Ok(Self { stored_tags, tag_sets, ..Self::default() })
    }

    /// The row of a tag set without its Name tag. `previous`: the row of the set that the resource had in the previous snapshot.
    pub(crate) fn intern_tag_set(
        &mut self,
        db: &Connection,
        tags: &TagSet,
        previous: Option<i64>,
    ) -> Result<InternedTags, LedgerError> {
        if let Some(id) = previous
            && let Some(hash) = self.stored_tags.find_hash(id)
            && self.stored_tags.has_tags(id, tags)
        {
            return Ok(InternedTags { id, hash });
        }
        let hash = hash_tag_set(tags);
        if let Some(id) = self.tag_sets.get(&hash).copied() {
            if self.stored_tags.has_tags(id, tags) {
                return Ok(InternedTags { id, hash });
            }
            let given = format!("tag set {id} and {tags:?}");
            return Err(LedgerError::HashCollision { what: "tag sets", hash, given });
        }
        let members = self.intern_tags(db, tags)?;
        let mut blob = Vec::new();
        members.iter().for_each(|tag| push_varint(&mut blob, *tag));
        let id = prepare(db, sql::ADD_TAG_SET)?.insert(params![hash, blob]).context(Operation::WriteSnapshot)?;
        self.stored_tags.add_set(id, hash, &members);
        self.tag_sets.insert(hash, id);
        Ok(InternedTags { id, hash })
    }

    /// The row ids of the tags of a stored set whose keys pass the filter.
    pub(crate) fn find_tags(&self, set: i64, is_included: impl Fn(&str) -> bool) -> Box<[i64]> {
        self.stored_tags.find_members(set, is_included)
    }

    /// The row ids of the tags, in the order of their keys, without the Name tag.
    fn intern_tags(&mut self, db: &Connection, tags: &TagSet) -> Result<Vec<i64>, LedgerError> {
        let tags = tags.iter().filter(|(key, _)| *key != NAME);
        tags.map(|(key, value)| self.intern_tag(db, key, value)).collect()
    }

    /// The row of one tag.
    pub(crate) fn intern_tag(&mut self, db: &Connection, key: &str, value: &str) -> Result<i64, LedgerError> {
        if let Some(id) = self.tags.get(key).and_then(|values| values.get(value)) {
            return Ok(*id);
        }
        let found = prepare(db, sql::FIND_TAG)?
            .query_row([key, value], |row| row.get(0))
            .optional()
            .context(Operation::ReadTags)?;
        let id = match found {
            Some(id) => id,
            None => prepare(db, sql::ADD_TAG)?.insert([key, value]).context(Operation::WriteSnapshot)?,
        };
        self.tags.entry(key.to_owned()).or_default().insert(value.to_owned(), id);
        self.stored_tags.add_tag(id, key, value);
        Ok(id)
    }

    /// The hash of a stored tag set, the same in every ledger.
    pub(crate) fn load_tag_set_hash(&mut self, db: &Connection, id: i64) -> Result<i64, LedgerError> {
        if let Some(hash) = self.stored_tags.find_hash(id).or_else(|| self.tag_set_hashes.get(&id).copied()) {
            return Ok(hash);
        }
        let hash = prepare(db, sql::TAG_SET_HASH)?.query_row([id], |row| row.get(0)).context(Operation::ReadTags)?;
        self.tag_set_hashes.insert(id, hash);
        Ok(hash)
    }

    /// The row of a cost driver: a usage type for which the bill has one amount, which resources share.
    pub(crate) fn intern_cost_driver(&mut self, db: &Connection, driver: &str) -> Result<i64, LedgerError> {
        if let Some(id) = self.cost_drivers.get(driver) {
            return Ok(*id);
        }
        let id =
            prepare(db, sql::ADD_BILL_TEXT)?.query_row([driver], |row| row.get(0)).context(Operation::WriteSnapshot)?;
        self.cost_drivers.insert(driver.to_owned(), id);
        Ok(id)
    }

    /// The row of a set of related resources; none for the empty set.
    pub(crate) fn intern_link_set(
        &mut self,
        db: &Connection,
        links: &[RelatedResource],
    ) -> Result<Option<i64>, LedgerError> {
        if links.is_empty() {
            return Ok(None);
        }
        let mut blob = Vec::new();
        for link in links {
            push_varint(&mut blob, self.intern_link(db, link)?);
        }
        if let Some(id) = self.link_sets.get(&blob) {
            return Ok(Some(*id));
        }
        let found = prepare(db, sql::FIND_LINK_SET)?
            .query_row([&blob], |row| row.get(0))
            .optional()
            .context(Operation::ReadRelationships)?;
        let id = match found {
            Some(id) => id,
            None => prepare(db, sql::ADD_LINK_SET)?.insert([&blob]).context(Operation::WriteSnapshot)?,
        };
        self.link_sets.insert(blob, id);
        Ok(Some(id))
    }

    fn intern_link(&mut self, db: &Connection, link: &RelatedResource) -> Result<i64, LedgerError> {
        if let Some(id) = self.links.get(&link.kind).and_then(|names| names.get(&link.name)) {
            return Ok(*id);
        }
        let text = format!("{} {}", link.kind.as_str(), link.name);
        let found = prepare(db, sql::FIND_LINK)?
            .query_row([&text], |row| row.get(0))
            .optional()
            .context(Operation::ReadRelationships)?;
        let id = match found {
            Some(id) => id,
            None => prepare(db, sql::ADD_LINK)?.insert([&text]).context(Operation::WriteSnapshot)?,
        };
        self.links.entry(link.kind).or_default().insert(link.name.clone(), id);
        Ok(id)
    }

    /// The rows of the rules of some findings, in the order of the findings.
    pub(crate) fn intern_rules(&mut self, db: &Connection, findings: &[Finding<'_>]) -> Result<Vec<i64>, LedgerError> {
        findings.iter().map(|finding| self.intern_rule(db, finding)).collect()
    }

    fn intern_rule(&mut self, db: &Connection, finding: &Finding<'_>) -> Result<i64, LedgerError> {
        let kind = (finding.code, finding.severity);
        if let Some(id) = self.rules.get(&kind).and_then(|tags| tags.get(finding.tag)) {
            return Ok(*id);
        }
        let columns = params![finding.code.as_str(), finding.severity.as_str(), finding.tag];
        let id = prepare(db, sql::ADD_RULE)?.query_row(columns, |row| row.get(0)).context(Operation::WriteSnapshot)?;
        self.rules.entry(kind).or_default().insert(finding.tag.to_owned(), id);
        let rule = Rule { code: finding.code, severity: finding.severity, tag: finding.tag.to_owned() };
        self.rules_by_id.insert(id, rule);
        Ok(id)
    }

    /// The interned set of rules that [`Interner::intern_rules`] returned.
    pub(crate) fn intern_findings(&mut self, db: &Connection, ids: &[i64]) -> Result<Arc<Findings>, LedgerError> {
        if let Some(set) = self.finding_sets.get(ids) {
            return Ok(Arc::clone(set));
        }
        let rules: Vec<Rule> = ids.iter().filter_map(|id| self.rules_by_id.get(id).cloned()).collect();
        let mut set = Findings { rules, ids: ids.to_vec(), ..Findings::default() };
        if !ids.is_empty() {
            set.hash = hash_finding_set(&set.rules);
            set.id = Some(intern_finding_set(db, &set)?);
        }
        let set = Arc::new(set);
        self.finding_sets.insert(ids.to_vec(), Arc::clone(&set));
        Ok(set)
    }

    /// A stored set of findings; the empty set when none is given.
    pub(crate) fn load_findings(&mut self, db: &Connection, set: Option<i64>) -> Result<Arc<Findings>, LedgerError> {
        let Some(id) = set else { return self.intern_findings(db, &[]) };
        if let Some(findings) = self.findings_by_set.get(&id) {
            return Ok(Arc::clone(findings));
        }
        let (hash, blob): (i64, Vec<u8>) = prepare(db, sql::FINDING_SET)?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .context(Operation::ReadFindings)?;
        let ids = try_decode_varints(&blob)?;
        let rules = ids.iter().map(|id| interned::read_rule(db, *id)).collect::<Result<_, _>>()?;
        let findings = Arc::new(Findings { id: Some(id), hash, rules, ids });
        self.findings_by_set.insert(id, Arc::clone(&findings));
        Ok(findings)
    }
}

fn intern_finding_set(db: &Connection, set: &Findings) -> Result<i64, LedgerError> {
    let mut blob = Vec::new();
    set.ids.iter().for_each(|id| push_varint(&mut blob, *id));
    let found = prepare(db, sql::FIND_FINDING_SET)?
        .query_row([set.hash], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .optional()
        .context(Operation::ReadFindings)?;
    if let Some((id, stored)) = found {
        check_same_value("finding sets", set.hash, &stored, &blob)?;
        return Ok(id);
    }
    let errors = set.errors();
    let columns = params![set.hash, blob, errors, set.rules.len() - errors];
    prepare(db, sql::ADD_FINDING_SET)?.insert(columns).context(Operation::WriteSnapshot)
}

fn check_same_value(what: &'static str, hash: i64, stored: &[u8], new: &[u8]) -> Result<(), LedgerError> {
    if stored == new {
        return Ok(());
    }
    Err(LedgerError::HashCollision { what, hash, given: format!("{stored:02x?} and {new:02x?}") })
}

#[cfg(test)]
mod tests {
    use crate::db::{
        interned::hash_tag_set,
        varint::{decode_varints, push_varint},
    };

    /// Identifiers from one byte up to `i64::MAX` survive encoding as variable-length integers and decoding.
    #[test]
    fn varints_round_trip() {
        let ids = vec![1, 127, 128, 300, 16_383, 16_384, i64::MAX];
        let mut blob = Vec::new();
        ids.iter().for_each(|id| push_varint(&mut blob, *id));
        assert_eq!(decode_varints(&blob), ids);
    }

    /// The hash of a tag set depends on where each key ends and its value begins. The `Name` tag does not contribute to
    /// it.
    #[test]
    fn tag_set_hash_separates_key_and_value_and_ignores_name() {
        let hash = |pairs: &[(&str, &str)]| hash_tag_set(&pairs.iter().copied().collect());
        assert_ne!(hash(&[("ab", "c")]), hash(&[("a", "bc")]));
        assert_eq!(hash(&[("a", "1"), ("Name", "x")]), hash(&[("a", "1")]));
    }
}
