//! A client for three operations of EC2, which uses the runtime of the AWS SDK.
//!
//! The SDK's crate for EC2 has 700 operations in 1.2 million lines, and compiling it takes more memory than all other crates
//! together. This module has only what is specific to the service: its endpoints ([`endpoint`]), the requests
//! ([`request`]), the responses ([`xml`]) and the errors ([`error`]). Credentials, signatures, retries, timeouts and
//! connections come from the SDK ([`transport`]).

mod client;
pub(crate) mod endpoint;
pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod transport;
pub(crate) mod xml;

pub(crate) use crate::wire::query::{client::Client, request::Request};
