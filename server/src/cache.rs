//! The cache that servers share through Redis, and the announcements of scanners.

pub(crate) mod redis;
pub(crate) mod redis_subscriber;
