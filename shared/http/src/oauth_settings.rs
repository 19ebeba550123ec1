//! Which authorization server is trusted, in every build.

/// Whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// The authorization server, to the letter: `iss` of its tokens.
    pub issuer: String,
    /// The address of this server as clients know it, path included: `aud` of tokens for it.
    pub resource: String,
    /// Where its public keys are: an `https` address or a file.
    pub keys: String,
}
