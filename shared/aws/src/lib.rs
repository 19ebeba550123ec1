//! The implementation of the cloud interface for AWS.
//!
//! [`Aws::connect`] identifies the caller. The module of a resource type in `services` lists a scope through the session
//! of its account and region. No type of the AWS SDK is public. EC2 uses the runtime of the SDK without its service crate.

mod accounts;
mod client;
mod cloud_trail;
mod config;
mod cost_explorer;
mod endpoint_override;
mod error_mapping;
mod http;
mod lazy_client;
mod listing_builder;
mod lookup;
mod paginator;
mod permission_probe;
mod rate_limits;
mod request_counter;
mod services;
mod session;
mod settings;
mod tags;
mod wire;

pub use crate::{
    client::Aws,
    lazy_client::LazyAws,
    permission_probe::{ClockSkew, PermissionProbe, ProbeOutcome},
    settings::{AwsSettings, DEFAULT_ROLE_NAME, MemberAccounts},
};
