//! Texts that repeat are stored once: tags, tag sets, rules, finding sets, and the dimensions.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Attempt, Rule, StoreError, fingerprint::Fingerprint, sql};
use crate::{
    inventory::{Neighbour, TagSet},
    policy::{Code, Finding, Severity},
};

/// The key whose value stands in the version rather than in the tag set.
pub(super) const NAME: &str = "Name";

const FAILED: &str = "intern tags and findings";

/// Gives out local ids, each text asked of SQLite once a night.
#[derive(Default)]
pub(super) struct Interner {
    tags: HashMap<String, HashMap<String, i64>>,
    tag_sets: HashMap<i64, i64>,
    tag_set_hashes: HashMap<i64, i64>,
    rules: HashMap<(Code, Severity), HashMap<String, i64>>,
    rules_by_id: HashMap<i64, Rule>,
    finding_sets: HashMap<Vec<i64>, FindingSet>,
    findings_by_set: HashMap<i64, Findings>,
    tags_by_set: HashMap<i64, Vec<i64>>,
    drivers: HashMap<String, i64>,
    links: HashMap<String, i64>,
    /// By a hash of the neighbours: there are many sets, and each would hold its names.
    link_sets: HashMap<u64, i64>,
}

/// What an interned set of findings counts as: its rules, how bad each is, and the set's hash.
pub(super) type Findings = (Vec<i64>, Vec<Severity>, i64);

/// An interned set of findings.
#[derive(Debug, Clone, Copy)]
pub(super) struct FindingSet {
    pub(super) id: i64,
    pub(super) hash: i64,
    pub(super) errors: i64,
}

impl Interner {
    /// The id of a tag set, without its Name tag.
    pub(super) fn tag_set(&mut self, sql: &Connection, tags: &TagSet) -> Result<i64, StoreError> {
        let hash = tag_set_hash(tags);
        if let Some(id) = self.tag_sets.get(&hash) {
            return Ok(*id);
        }
        let found =
            statement(sql, sql::FIND_TAG_SET)?.query_row([hash], |row| row.get(0)).optional().attempt(FAILED)?;
        let id = match found {
            Some(id) => id,
            None => self.add_tag_set(sql, hash, tags)?,
        };
        self.tag_sets.insert(hash, id);
        self.tag_set_hashes.insert(id, hash);
        Ok(id)
    }

    fn add_tag_set(&mut self, sql: &Connection, hash: i64, tags: &TagSet) -> Result<i64, StoreError> {
        let mut blob = Vec::new();
        for (key, value) in tags.iter().filter(|(key, _)| *key != NAME) {
            push_varint(&mut blob, self.tag(sql, key, value)?);
        }
        statement(sql, sql::ADD_TAG_SET)?.insert(params![hash, blob]).attempt(FAILED)
    }

    /// The id of one tag.
    pub(super) fn tag(&mut self, sql: &Connection, key: &str, value: &str) -> Result<i64, StoreError> {
        if let Some(id) = self.tags.get(key).and_then(|values| values.get(value)) {
            return Ok(*id);
        }
        let found =
            statement(sql, sql::FIND_TAG)?.query_row([key, value], |row| row.get(0)).optional().attempt(FAILED)?;
        let id = match found {
            Some(id) => id,
            None => statement(sql, sql::ADD_TAG)?.insert([key, value]).attempt(FAILED)?,
        };
        self.tags.entry(key.to_owned()).or_default().insert(value.to_owned(), id);
        Ok(id)
    }

    /// The hash of an interned tag set, the same in every file.
    pub(super) fn tag_set_hash(&mut self, sql: &Connection, id: i64) -> Result<i64, StoreError> {
        if let Some(hash) = self.tag_set_hashes.get(&id) {
            return Ok(*hash);
        }
        let hash = statement(sql, sql::TAG_SET_HASH)?.query_row([id], |row| row.get(0)).attempt(FAILED)?;
        self.tag_set_hashes.insert(id, hash);
        Ok(hash)
    }

    /// The id of something that resources take of, and that is billed in one sum.
    pub(super) fn driver(&mut self, sql: &Connection, driver: &str) -> Result<i64, StoreError> {
        if let Some(id) = self.drivers.get(driver) {
            return Ok(*id);
        }
        let id = statement(sql, sql::ADD_BILL_TEXT)?.query_row([driver], |row| row.get(0)).attempt(FAILED)?;
        self.drivers.insert(driver.to_owned(), id);
        Ok(id)
    }

    /// The id of a set of neighbours; none of the empty one.
    pub(super) fn link_set(&mut self, sql: &Connection, links: &[Neighbour]) -> Result<Option<i64>, StoreError> {
        if links.is_empty() {
            return Ok(None);
        }
        let mut hasher = DefaultHasher::new();
        links.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(id) = self.link_sets.get(&hash) {
            return Ok(Some(*id));
        }
        let mut blob = Vec::new();
        for link in links {
            push_varint(&mut blob, self.link(sql, link)?);
        }
        let id = statement(sql, sql::ADD_LINK_SET)?.query_row([blob], |row| row.get(0)).attempt(FAILED)?;
        self.link_sets.insert(hash, id);
        Ok(Some(id))
    }

    fn link(&mut self, sql: &Connection, link: &Neighbour) -> Result<i64, StoreError> {
        let name = format!("{} {}", link.kind.as_str(), link.name);
        if let Some(id) = self.links.get(&name) {
            return Ok(*id);
        }
        let id = statement(sql, sql::ADD_LINK)?.query_row([&name], |row| row.get(0)).attempt(FAILED)?;
        self.links.insert(name, id);
        Ok(id)
    }

    /// The ids of the rules of some findings, in their order.
    pub(super) fn rules(&mut self, sql: &Connection, findings: &[Finding<'_>]) -> Result<Vec<i64>, StoreError> {
        findings.iter().map(|finding| self.rule(sql, finding)).collect()
    }

    fn rule(&mut self, sql: &Connection, finding: &Finding<'_>) -> Result<i64, StoreError> {
        let kind = (finding.code, finding.severity);
        if let Some(id) = self.rules.get(&kind).and_then(|tags| tags.get(finding.tag)) {
            return Ok(*id);
        }
        let columns = params![finding.code.as_str(), finding.severity.as_str(), finding.tag];
        let id = statement(sql, sql::ADD_RULE)?.query_row(columns, |row| row.get(0)).attempt(FAILED)?;
        self.rules.entry(kind).or_default().insert(finding.tag.to_owned(), id);
        let rule = Rule { code: finding.code, severity: finding.severity, tag: finding.tag.to_owned() };
        self.rules_by_id.insert(id, rule);
        Ok(id)
    }

    /// The interned set of these rules, which [`Interner::rules`] gave out.
    pub(super) fn finding_set(&mut self, sql: &Connection, rules: &[i64]) -> Result<FindingSet, StoreError> {
        if let Some(set) = self.finding_sets.get(rules) {
            return Ok(*set);
        }
        let (mut hash, mut blob, mut errors, mut warnings) = (Fingerprint::default(), Vec::new(), 0, 0);
        for id in rules {
            push_varint(&mut blob, *id);
            let Some(rule) = self.rules_by_id.get(id) else { continue };
            hash = hash.field(rule.code.as_str().as_bytes()).field(rule.severity.as_str().as_bytes());
            hash = hash.field(rule.tag.as_bytes());
            match rule.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
        }
        let hash = hash.finish();
        let found =
            statement(sql, sql::FIND_FINDING_SET)?.query_row([hash], |row| row.get(0)).optional().attempt(FAILED)?;
        let id = match found {
            Some(id) => id,
            None => statement(sql, sql::ADD_FINDING_SET)?
                .query_row(params![hash, blob, errors, warnings], |row| row.get(0))
                .attempt(FAILED)?,
        };
        let set = FindingSet { id, hash, errors };
        self.finding_sets.insert(rules.to_vec(), set);
        Ok(set)
    }
}

impl Interner {
    /// What a set of findings of some earlier night counts as.
    pub(super) fn findings_of(&mut self, sql: &Connection, set: i64) -> Result<Findings, StoreError> {
        if let Some(findings) = self.findings_by_set.get(&set) {
            return Ok(findings.clone());
        }
        let (hash, blob): (i64, Vec<u8>) =
            statement(sql, sql::FINDING_SET)?.query_row([set], |row| Ok((row.get(0)?, row.get(1)?))).attempt(FAILED)?;
        let rules = varints(&blob);
        let severity = |id: &i64| super::page::rule(sql, *id).map(|rule| rule.severity);
        let findings = (rules.clone(), rules.iter().map(severity).collect::<Result<_, _>>()?, hash);
        self.findings_by_set.insert(set, findings.clone());
        Ok(findings)
    }

    /// The tags of a set that have one of these keys, the same keys at each call.
    pub(super) fn tags_with_keys(&mut self, sql: &Connection, set: i64, keys: &[&str]) -> Result<Vec<i64>, StoreError> {
        if let Some(tags) = self.tags_by_set.get(&set) {
            return Ok(tags.clone());
        }
        let mut found = Vec::new();
        for id in tag_ids(sql, set)? {
            let key: String =
                statement(sql, sql::TAG_BY_ID)?.query_row([id], |row| row.get(0)).attempt("read a tag")?;
            if keys.contains(&key.as_str()) {
                found.push(id);
            }
        }
        self.tags_by_set.insert(set, found.clone());
        Ok(found)
    }
}

/// The ids of the tags of an interned set, in the order of their keys.
pub(super) fn tag_ids(sql: &Connection, set: i64) -> Result<Vec<i64>, StoreError> {
    let blob: Vec<u8> = statement(sql, sql::TAGS_OF_SET)?.query_row([set], |row| row.get(0)).attempt("read tags")?;
    Ok(varints(&blob))
}

/// The same in every file.
pub(super) fn tag_set_hash(tags: &TagSet) -> i64 {
    let named = tags.iter().filter(|(key, _)| *key != NAME);
    named.fold(Fingerprint::default(), |hash, (key, value)| hash.field(key.as_bytes()).field(value.as_bytes())).finish()
}

/// A prepared statement, kept for the next time.
pub(super) fn statement<'c>(sql: &'c Connection, text: &str) -> Result<rusqlite::CachedStatement<'c>, StoreError> {
    sql.prepare_cached(text).attempt("prepare a statement")
}

pub(super) fn push_varint(blob: &mut Vec<u8>, id: i64) {
    let mut rest = id.unsigned_abs();
    loop {
        let low = rest.to_le_bytes().first().copied().unwrap_or_default() & 0x7f;
        rest >>= 7;
        if rest == 0 {
            blob.push(low);
            return;
        }
        blob.push(low | 0x80);
    }
}

/// The ids in a blob that [`push_varint`] wrote.
pub(super) fn varints(blob: &[u8]) -> Vec<i64> {
    let mut ids = Vec::new();
    push_varints(&mut ids, blob);
    ids
}

/// The same, behind those that are there.
pub(super) fn push_varints(ids: &mut Vec<i64>, blob: &[u8]) {
    let (mut id, mut shift) = (0_i64, 0_u32);
    for byte in blob {
        id |= i64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            ids.push(id);
            (id, shift) = (0, 0);
        } else {
            shift += 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_size_come_back_from_their_blob() {
        let ids = vec![1, 127, 128, 300, 16_383, 16_384, i64::MAX];
        let mut blob = Vec::new();
        ids.iter().for_each(|id| push_varint(&mut blob, *id));
        assert_eq!(varints(&blob), ids);
    }

    #[test]
    fn a_set_of_tags_has_one_hash_however_its_texts_are_cut() {
        let hash = |pairs: &[(&str, &str)]| tag_set_hash(&pairs.iter().copied().collect());
        assert_ne!(hash(&[("ab", "c")]), hash(&[("a", "bc")]));
        assert_eq!(hash(&[("a", "1"), ("Name", "x")]), hash(&[("a", "1")]));
    }
}
