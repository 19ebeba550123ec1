//! Hashes that are the same in every ledger.

use sha2::{Digest, Sha256};

/// In bytes. The tags or the findings of most resources are shorter.
const INITIAL_CAPACITY: usize = 512;

/// A SHA-256 over fields. Each field is preceded by its length, so that different lists of fields have different bytes. The fields are
/// collected and hashed in one call, because about ten calls for a few bytes each take longer than the hash itself.
pub(crate) struct Fingerprint(Vec<u8>);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(Vec::with_capacity(INITIAL_CAPACITY))
    }
}

impl Fingerprint {
    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&bytes.len().to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// The first 63 bits of the hash, never negative.
    pub(crate) fn finish(self) -> i64 {
        let digest = Sha256::digest(&self.0);
        let mut first = [0_u8; 8];
        for (to, from) in first.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        i64::from_be_bytes(first) & i64::MAX
    }
}
