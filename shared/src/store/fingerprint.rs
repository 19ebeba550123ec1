//! Hashes that are the same in every file.

use sha2::{Digest, Sha256};

/// What most lists of fields fit into: the tags of a resource, its verdict.
const USUAL: usize = 512;

/// A SHA-256 over fields, each preceded by its length so that no two lists of fields look alike. They are gathered and hashed
/// at once: there are some ten of them, a few bytes each, and a hash that takes them one by one is longer about that than about
/// hashing.
pub(super) struct Fingerprint(Vec<u8>);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(Vec::with_capacity(USUAL))
    }
}

impl Fingerprint {
    pub(super) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&bytes.len().to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// 63 bits, never negative.
    pub(super) fn finish(self) -> i64 {
        let digest = Sha256::digest(&self.0);
        let mut first = [0_u8; 8];
        for (to, from) in first.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        i64::from_be_bytes(first) & i64::MAX
    }
}
