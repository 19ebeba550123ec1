//! The names of the tools that the server offers.

use crate::tools::registry;

/// The names of all tools, in the order in which clients see them.
pub fn tool_names() -> Vec<String> {
    registry::TOOLS.iter().map(|tool| tool.name.to_owned()).collect()
}

/// The name of a tool, or `other` for an unknown name, because callers could invent any number of names.
pub(crate) fn known_tool(name: &str) -> &'static str {
    registry::find(name).map_or("other", |tool| tool.name)
}
