//! How clients are connected.

/// The transport of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Streamable HTTP without sessions: the server sends notifications over streams that a client opens for them only.
    Requests,
    /// One connection, over which the server can send at any time.
    Connection,
}
