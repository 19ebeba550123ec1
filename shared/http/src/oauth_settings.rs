//! The settings of the trusted authorization server.

/// The authorization server whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// The issuer, exactly as in the claim `iss` of its tokens.
    pub issuer: String,
    /// The URL of this server as clients know it, path included: the claim `aud` of its tokens.
    pub resource: String,
    /// The JSON Web Key Set: an `https` URL or a file.
    pub keys: String,
}
