//! Texts that repeat are stored once: tags, tag sets, rules, finding sets, and the dimensions.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Attempt, Rule, StoreError, fingerprint::Fingerprint, gathering::ByNumber, rows::int, sql};
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
    /// By hash.
    tag_sets: ByNumber<i64>,
    tag_set_hashes: ByNumber<i64>,
    rules: HashMap<(Code, Severity), HashMap<String, i64>>,
    rules_by_id: HashMap<i64, Rule>,
    finding_sets: HashMap<Vec<i64>, Arc<Findings>>,
    findings_by_set: ByNumber<Arc<Findings>>,
    drivers: HashMap<String, i64>,
    links: HashMap<String, i64>,
    /// By a hash of the neighbours: there are many sets, and each would hold its names.
    link_sets: HashMap<u64, i64>,
}

/// An interned set of findings: what it is, and what it counts as.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// None of the empty set, which is not kept.
    pub(super) id: Option<i64>,
    pub(super) hash: i64,
    /// In the order of the findings.
    pub(super) rules: Vec<Rule>,
    /// Their ids.
    pub(super) ids: Vec<i64>,
}

impl Findings {
    pub(super) fn severities(&self) -> impl Iterator<Item = Severity> {
        self.rules.iter().map(|rule| rule.severity)
    }

    pub(super) fn errors(&self) -> usize {
        self.severities().filter(|severity| *severity == Severity::Error).count()
    }
}

/// An interned set of tags.
#[derive(Debug, Clone, Copy)]
pub(super) struct InternedTags {
    pub(super) id: i64,
    /// The same in every file.
    pub(super) hash: i64,
}

impl Interner {
    /// Knows all tag sets that there are. To be asked for each is dearer, once most of them are met again.
    pub(super) fn knowing(sql: &Connection) -> Result<Self, StoreError> {
        let mut interner = Self::default();
        let mut statement = statement(sql, sql::TAG_SET_KEYS)?;
        let pairs = statement.query_map([], |row| Ok((row.get(1)?, row.get(0)?))).attempt(FAILED)?;
        interner.tag_sets = pairs.collect::<Result<_, _>>().attempt(FAILED)?;
        Ok(interner)
    }

    /// A tag set without its Name tag.
    pub(super) fn tag_set(&mut self, sql: &Connection, tags: &TagSet) -> Result<InternedTags, StoreError> {
        let hash = tag_set_hash(tags);
        if let Some(id) = self.tag_sets.get(&hash) {
            return Ok(InternedTags { id: *id, hash });
        }
        let found =
            statement(sql, sql::FIND_TAG_SET)?.query_row([hash], |row| row.get(0)).optional().attempt(FAILED)?;
        let id = match found {
            Some(id) => id,
            None => self.add_tag_set(sql, hash, tags)?,
        };
        self.tag_sets.insert(hash, id);
        Ok(InternedTags { id, hash })
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
        let found =
            statement(sql, sql::FIND_LINK_SET)?.query_row([&blob], |row| row.get(0)).optional().attempt(FAILED)?;
        let id = match found {
            Some(id) => id,
            None => statement(sql, sql::ADD_LINK_SET)?.insert([&blob]).attempt(FAILED)?,
        };
        self.link_sets.insert(hash, id);
        Ok(Some(id))
    }

    fn link(&mut self, sql: &Connection, link: &Neighbour) -> Result<i64, StoreError> {
        let name = format!("{} {}", link.kind.as_str(), link.name);
        if let Some(id) = self.links.get(&name) {
            return Ok(*id);
        }
        let found = statement(sql, sql::FIND_LINK)?.query_row([&name], |row| row.get(0)).optional().attempt(FAILED)?;
        let id = match found {
            Some(id) => id,
            None => statement(sql, sql::ADD_LINK)?.insert([&name]).attempt(FAILED)?,
        };
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
    pub(super) fn finding_set(&mut self, sql: &Connection, ids: &[i64]) -> Result<Arc<Findings>, StoreError> {
        if let Some(set) = self.finding_sets.get(ids) {
            return Ok(Arc::clone(set));
        }
        let rules: Vec<Rule> = ids.iter().filter_map(|id| self.rules_by_id.get(id).cloned()).collect();
        let mut set = Findings { rules, ids: ids.to_vec(), ..Findings::default() };
        if !ids.is_empty() {
            set.hash = finding_set_hash(&set.rules);
            set.id = Some(add_finding_set(sql, &set)?);
        }
        let set = Arc::new(set);
        self.finding_sets.insert(ids.to_vec(), Arc::clone(&set));
        Ok(set)
    }

    /// A set of findings that is interned already; the empty one where none is given.
    pub(super) fn findings_of(&mut self, sql: &Connection, set: Option<i64>) -> Result<Arc<Findings>, StoreError> {
        let Some(id) = set else { return self.finding_set(sql, &[]) };
        if let Some(findings) = self.findings_by_set.get(&id) {
            return Ok(Arc::clone(findings));
        }
        let (hash, blob): (i64, Vec<u8>) =
            statement(sql, sql::FINDING_SET)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).attempt(FAILED)?;
        let ids = varints(&blob);
        let rules = ids.iter().map(|id| super::page::rule(sql, *id)).collect::<Result<_, _>>()?;
        let findings = Arc::new(Findings { id: Some(id), hash, rules, ids });
        self.findings_by_set.insert(id, Arc::clone(&findings));
        Ok(findings)
    }
}

fn add_finding_set(sql: &Connection, set: &Findings) -> Result<i64, StoreError> {
    let found =
        statement(sql, sql::FIND_FINDING_SET)?.query_row([set.hash], |row| row.get(0)).optional().attempt(FAILED)?;
    if let Some(id) = found {
        return Ok(id);
    }
    let mut blob = Vec::new();
    set.ids.iter().for_each(|id| push_varint(&mut blob, *id));
    let (errors, all) = (set.errors(), set.rules.len());
    let columns = params![set.hash, blob, int(errors), int(all.saturating_sub(errors))];
    statement(sql, sql::ADD_FINDING_SET)?.insert(columns).attempt(FAILED)
}

/// The same in every file.
pub(super) fn finding_set_hash(rules: &[Rule]) -> i64 {
    let hash = rules.iter().fold(Fingerprint::default(), |hash, rule| {
        let hash = hash.field(rule.code.as_str().as_bytes()).field(rule.severity.as_str().as_bytes());
        hash.field(rule.tag.as_bytes())
    });
    hash.finish()
}

/// The tags of an interned set that have one of these keys.
pub(super) fn tags_with_keys(sql: &Connection, set: i64, keys: &[&str]) -> Result<Vec<i64>, StoreError> {
    let mut found = Vec::new();
    for id in tag_ids(sql, set)? {
        let key: String = statement(sql, sql::TAG_BY_ID)?.query_row([id], |row| row.get(0)).attempt("read a tag")?;
        if keys.contains(&key.as_str()) {
            found.push(id);
        }
    }
    Ok(found)
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
    push_word(blob, id.unsigned_abs());
}

/// LEB128.
pub(super) fn push_word(blob: &mut Vec<u8>, word: u64) {
    let mut rest = word;
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
