//! The numbers in the header of the SQLite file that identify a ledger.

/// The version of `schema.sql`, stored as `user_version`.
pub const SCHEMA_VERSION: i64 = 9;

/// Marks the file as a ledger, stored as `application_id`: "TagL".
pub(crate) const APPLICATION_ID: i64 = 0x5461_674C;
