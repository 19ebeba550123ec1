//! Hashes that are the same in every file.

use sha2::{Digest, Sha256};

/// A SHA-256 over fields, each preceded by its length so that no two lists of fields look alike.
#[derive(Default)]
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(super) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes.len().to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// 63 bits, never negative.
    pub(super) fn finish(self) -> i64 {
        let digest = self.0.finalize();
        let mut first = [0_u8; 8];
        for (to, from) in first.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        i64::from_be_bytes(first) & i64::MAX
    }
}
