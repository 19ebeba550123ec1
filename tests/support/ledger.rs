//! Reads a ledger with SQLite as `schema.sql` describes it, independently of `LedgerReader`.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use tagledger_ledger::{LedgerError, LedgerReader, ReadSession, Snapshot, query::compliance};

/// Tags in the order of their keys.
pub(crate) type Pairs = Vec<(String, String)>;

/// What the ledger knows of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) resource_type: String,
    pub(crate) state: String,
    /// Why it is unknown.
    pub(crate) reason: Option<String>,
    /// None when never known, or when the resource cannot carry any.
    pub(crate) tags: Option<Pairs>,
    /// Seconds since 1970.
    pub(crate) created: Option<i64>,
    /// As `severity CODE tag`, sorted.
    pub(crate) findings: Vec<String>,
}

/// Resources by ARN.
pub(crate) type Records = BTreeMap<String, Record>;

/// A gap: the scope as `account region type`, then `reason operation`.
pub(crate) type Gaps = BTreeMap<String, String>;

/// A ledger file.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub(crate) path: PathBuf,
}

impl Ledger {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(crate) fn sql(&self) -> Connection {
        Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the ledger opens")
    }

    /// The first column of every row.
    pub(crate) fn column<T: rusqlite::types::FromSql>(&self, query: &str) -> Vec<T> {
        let sql = self.sql();
        let mut statement = sql.prepare(query).expect("a right query");
        let rows = statement.query_map([], |row| row.get(0)).expect("the query runs");
        rows.collect::<Result<_, _>>().expect("the column has its type")
    }

    /// How many rows there are of a table, with what may follow its name.
    pub(crate) fn count(&self, of: &str) -> i64 {
        self.column(&format!("SELECT count(*) FROM {of}")).remove(0)
    }

    /// Every living resource.
    ///
    /// # Panics
    /// When two rows are the same resource.
    pub(crate) fn records(&self) -> Records {
        let sql = self.sql();
        let texts = Texts::of(&sql);
        let mut statement = sql.prepare(CURRENT).expect("a right query");
        let mut rows = statement.query([]).expect("the query runs");
        let mut records = Records::new();
        while let Some(row) = rows.next().expect("a row") {
            let (arn, record) = texts.record(row).expect("a row of the schema's types");
            let before = records.insert(arn, record);
            assert_eq!(before, None, "a resource twice");
        }
        records
    }

    /// What changed in a snapshot: how many resources, by kind.
    pub(crate) fn changes(&self, snapshot: i64) -> BTreeMap<String, i64> {
        let sql = self.sql();
        // Of the first snapshot everything is new, and the view does not say so.
        let query = "SELECT kind, count(*) FROM (SELECT kind FROM change WHERE snapshot_id = ?1
            UNION ALL SELECT 'new' FROM resource WHERE ?1 = 1 AND first_seen = 1) GROUP BY kind";
        let mut statement = sql.prepare(query).expect("a right query");
        let rows = statement.query_map([snapshot], |row| Ok((row.get(0)?, row.get(1)?))).expect("the query runs");
        rows.collect::<Result<_, _>>().expect("kinds and counts")
    }

    /// Asks the newest snapshot as the server does.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&ReadSession<'_>, &Snapshot) -> Result<T, LedgerError>) -> T {
        let answer = LedgerReader::new(&self.path).read(|view| {
            let snapshot = view.newest()?.expect("there is a snapshot");
            question(view, &snapshot)
        });
        answer.expect("the reader answers")
    }

    pub(crate) fn newest(&self) -> Snapshot {
        self.ask(|_, snapshot| Ok(snapshot.clone()))
    }

    /// The scopes of the newest snapshot that have a gap.
    pub(crate) fn gaps(&self) -> Gaps {
        let rows = self.ask(compliance::list_scopes);
        let answer = rows.iter().filter_map(|row| {
            let (scope, gap) = (&row.scope, row.gap.as_ref()?);
            let place = format!("{} {} {}", scope.account, scope.region, scope.resource_type);
            Some((place, format!("{} {}", gap.reason, gap.operation)))
        });
        answer.collect()
    }
}

const CURRENT: &str =
    "SELECT r.local, a.partition, a.account_id, g.name, t.name, c.state, c.reason, c.tag_set_id, c.name,
        r.created_at, c.finding_set_id
    FROM current c JOIN resource r USING (key) JOIN account a ON a.id = c.account_id JOIN region g ON g.id = c.region_id
        JOIN resource_type t ON t.id = c.type_id";

const STATES: [&str; 5] = ["compliant", "non_compliant", "not_applicable", "unknown", "exempt"];

/// The interned texts of a ledger.
struct Texts {
    tag_sets: HashMap<i64, Pairs>,
    finding_sets: HashMap<i64, Vec<String>>,
}

impl Texts {
    fn of(sql: &Connection) -> Self {
        let tags = table(sql, "SELECT id, key, value FROM tag", |row| Ok((row.get(1)?, row.get(2)?)));
        let rule = |row: &rusqlite::Row<'_>| {
            let parts: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
            Ok(parts.join(" ").trim_end().to_owned())
        };
        let rules = table(sql, "SELECT id, severity, code, tag FROM rule", rule);
        let tag_sets = table(sql, "SELECT id, tags FROM tag_set", |row| row.get::<_, Vec<u8>>(1));
        let finding_sets = table(sql, "SELECT id, rules FROM finding_set", |row| row.get::<_, Vec<u8>>(1));
        Self {
            tag_sets: tag_sets.into_iter().map(|(id, blob)| (id, named(&blob, &tags))).collect(),
            finding_sets: finding_sets.into_iter().map(|(id, blob)| (id, named(&blob, &rules))).collect(),
        }
    }

    fn record(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, Record)> {
        let local: String = row.get(0)?;
        let (partition, account): (String, String) = (row.get(1)?, row.get(2)?);
        let (region, resource_type): (String, String) = (row.get(3)?, row.get(4)?);
        let service = resource_type.split(':').next().expect("a type has a service");
        let complete = if local.starts_with("arn:") {
            local.clone()
        } else {
            format!("arn:{partition}:{service}:{region}:{account}:{local}")
        };
        let state: u16 = row.get(5)?;
        let mut tags = row.get::<_, Option<i64>>(7)?.map(|id| self.tag_sets[&id].clone());
        if let Some(name) = row.get(8)? {
            let tags = tags.as_mut().expect("who has a Name has tags");
            tags.push(("Name".to_owned(), name));
            tags.sort();
        }
        let mut findings: Vec<String> =
            row.get::<_, Option<i64>>(10)?.map_or_else(Vec::new, |id| self.finding_sets[&id].clone());
        findings.sort();
        let (reason, created) = (row.get(6)?, row.get(9)?);
        let state = STATES[usize::from(state)].to_owned();
        Ok((complete, Record { account, region, resource_type, state, reason, tags, created, findings }))
    }
}

fn table<T>(
    sql: &Connection,
    query: &str,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> HashMap<i64, T> {
    let mut statement = sql.prepare(query).expect("a right query");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, read(row)?))).expect("the query runs");
    rows.collect::<Result<_, _>>().expect("rows of the schema's types")
}

/// The texts whose ids stand in a blob as LEB128 varints.
fn named<T: Clone>(blob: &[u8], texts: &HashMap<i64, T>) -> Vec<T> {
    let (mut named, mut id, mut shift) = (Vec::new(), 0, 0);
    for byte in blob {
        id |= i64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            named.push(texts[&id].clone());
            (id, shift) = (0, 0);
        }
    }
    named
}
