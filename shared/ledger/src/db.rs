//! The SQLite file: statements, columns, interning tables, migrations and connections.

pub(crate) mod bill_tables;
pub(crate) mod checksum_file;
pub(crate) mod columns;
pub(crate) mod connection;
pub(crate) mod dimensions;
pub(crate) mod fingerprint;
pub(crate) mod id_map;
pub(crate) mod interned;
pub(crate) mod migrations;
pub(crate) mod policies;
pub(crate) mod resource_state;
pub(crate) mod snapshots;
pub(crate) mod sql;
pub(crate) mod statements;
pub(crate) mod values;
pub(crate) mod varint;
