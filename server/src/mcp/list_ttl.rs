//! How long a client may cache the lists of tools, prompts and resource templates.

/// One hour, milliseconds. The lists change with the program only.
pub(crate) const LIST_TTL_MS: u64 = 3_600_000;
