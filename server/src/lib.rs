//! The MCP server of TagLedger. It answers tool calls from the ledger, and queries AWS only for resources that a call names by ARN.
//!
//! It opens the ledger read-only, and calls AWS only through an optional [`tagledger_cloud::Lookup`]. One [`AppState`] serves every
//! transport: streamable HTTP ([`serve_http`]) and stdio ([`serve_stdio`]).

mod app_state;
mod audit_writer;
mod auth;
mod cache;
mod error;
mod http;
mod lookup;
mod mcp;
mod policy_watcher;
mod snapshot_ref;
mod snapshot_watcher;
mod subscriptions;
mod tools;
mod untrusted_text;

pub use crate::{
    app_state::AppState,
    audit_writer::{Audit, AuditSettings},
    cache::redis::RedisCache,
    http::router::{HttpError, guard, router, serve_http},
    mcp::{
        stdio::{StdioError, serve_stdio},
        tool_names::tool_names,
    },
    policy_watcher::PolicyWatcher,
    snapshot_ref::Clock,
};
