//! TagLedger's MCP server: answers from the ledger, and only from it.
//!
//! It opens the ledger read-only, has no AWS credentials and makes no request of its own. One [`Ledger`] serves every
//! transport: streamable HTTP ([`serve_http`]) and stdio ([`serve_stdio`]).

mod announce;
mod http;
mod ledger;
mod mcp;
mod policy_file;
mod text;
mod tools;

pub use http::{HttpError, router, serve_http};
pub use ledger::{Clock, Ledger};
pub use mcp::{StdioError, serve_stdio, tool_names};
pub use policy_file::PolicyFile;
