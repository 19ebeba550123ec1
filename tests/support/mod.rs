//! Helpers of the acceptance tests: an estate with known properties, the built binary, and its ledger.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod binary;
pub(crate) mod compare;
pub(crate) mod expected;
pub(crate) mod fake_estate;
pub(crate) mod ledger;
pub(crate) mod mcp_stdio;
pub(crate) mod moto;
pub(crate) mod recipes;
pub(crate) mod redis;
pub(crate) mod request_bound;
pub(crate) mod server;
