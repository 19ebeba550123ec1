//! The Model Context Protocol: handler, tools, prompts and resources.

pub(crate) mod answer_cache;
pub(crate) mod audited_read;
pub(crate) mod call_metrics;
pub(crate) mod completions;
pub(crate) mod handler;
pub(crate) mod list_ttl;
pub(crate) mod prompt_injection;
pub(crate) mod prompts;
pub(crate) mod repeat_detector;
pub(crate) mod resources;
pub(crate) mod schema;
pub(crate) mod spans;
pub(crate) mod stdio;
pub(crate) mod strict_arguments;
pub(crate) mod tool_call;
pub(crate) mod tool_names;
pub(crate) mod tool_router;
pub(crate) mod transport;
