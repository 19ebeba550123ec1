//! Answers cached in Redis.

pub(crate) mod redis;
pub(crate) mod redis_subscriber;
