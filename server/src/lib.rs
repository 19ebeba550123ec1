//! TagLedger's MCP server: answers from the ledger, and asks AWS only about resources that a question names.
//!
//! It opens the ledger read-only, and reaches a cloud only through [`shared::cloud::Look`], if it is given one. One [`Ledger`] serves every
//! transport: streamable HTTP ([`serve_http`]) and stdio ([`serve_stdio`]).

mod announce;
mod audit;
mod health;
mod heard;
mod http;
mod ledger;
mod live;
mod mcp;
mod metrics;
mod policy_file;
mod reach;
mod shelf;
mod text;
mod tools;

pub use audit::{Audit, AuditSettings};
pub use http::{HttpError, door, router, serve_http};
pub use ledger::{Clock, Ledger};
pub use mcp::{StdioError, serve_stdio, tool_names};
pub use policy_file::PolicyFile;
pub use shelf::{Shelf, ShelfError};
