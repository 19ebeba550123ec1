//! Who is let in over HTTP, and for how long: keys and what they allow, callers, limits on connections and requests.
//!
//! Both ports have the same gate, the server's and the scanner's; what lies behind it is theirs.

mod caller;
mod connections;
mod door;
#[cfg(feature = "oauth")]
mod fetch;
mod key;
mod key_file;
mod keyring;
mod limits;
mod metrics;
mod names;
#[cfg(not(feature = "oauth"))]
#[path = "no_oauth.rs"]
mod oauth;
#[cfg(feature = "oauth")]
mod oauth;
mod oauth_settings;

pub use caller::{By, Caller, LOCAL, Scope, UnknownScope};
pub use connections::{Limits, serve};
pub use door::{Door, DoorError, DoorSettings, METADATA, Port, guard};
pub use key::{Expiry, Key, KeyState, UnknownExpiry};
pub use key_file::{KeyFile, KeyFileError};
pub use keyring::{NewKey, Refused};
pub use metrics::Page;
pub use oauth::{OAuth, OAuthError};
pub use oauth_settings::OAuthSettings;
