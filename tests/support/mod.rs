//! What the acceptance tests share: an estate with a known truth, the built binary, and the ledger that it leaves.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod binary;
pub(crate) mod bound;
pub(crate) mod chat;
pub(crate) mod compare;
pub(crate) mod expected;
pub(crate) mod ledger;
pub(crate) mod moto;
pub(crate) mod recipes;
pub(crate) mod redis;
pub(crate) mod server;
pub(crate) mod world;
