//! Redis: connections, commands, and the envelope of stored values.
//!
//! This is the only crate that uses the crate `redis`. TagLedger stores nothing in Redis that it cannot compute again.

mod connection;
pub mod envelope;

pub use crate::connection::{Command, CommandError, InvalidRedisUrl, RedisClient, RedisConnection, with_timeout};
pub use redis::FromRedisValue;
