//! What TagLedger stores in Redis, and how it verifies what it reads back.

pub mod envelope;
