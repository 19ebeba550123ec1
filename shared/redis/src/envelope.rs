//! The envelope of a stored value: a checksum in front of the content, under a key whose name is a digest.
//!
//! Other programs can write to the same Redis. The checksum detects damaged and foreign values; it is not a signature.

use sha2::{Digest, Sha256};

/// The Redis channel on which a scanner publishes the number of each snapshot that it commits.
pub const NEW_SNAPSHOT_CHANNEL: &str = "tagledger:snapshot";

const CHECKSUM_BYTES: usize = 32;

/// Puts the SHA-256 checksum of the content in front of it.
pub fn add_checksum(content: &[u8]) -> Vec<u8> {
    [Sha256::digest(content).as_slice(), content].concat()
}

/// The content of a value that [`add_checksum`] made; none if the checksum does not match.
pub fn verify_checksum(stored: &[u8]) -> Option<&[u8]> {
    let (checksum, content) = stored.split_at_checked(CHECKSUM_BYTES)?;
    (Sha256::digest(content).as_slice() == checksum).then_some(content)
}

/// A key that depends on every part and on the version of this program: `PREFIX:` and 64 hexadecimal digits.
pub fn key_name(prefix: &str, parts: &[&str]) -> String {
    let joined = [&[env!("CARGO_PKG_VERSION")], parts].concat().join("\0");
    let digest: String = Sha256::digest(joined).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}:{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content is returned only when its checksum matches. A change to any byte or a truncation at any length is
    /// rejected.
    #[test]
    fn damaged_content_is_rejected() {
        let stored = add_checksum(b"a month");
        assert_eq!(verify_checksum(&stored), Some(&b"a month"[..]));
        assert_eq!(verify_checksum(&add_checksum(b"")), Some(&b""[..]));
        for at in 0..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            assert_eq!(verify_checksum(&damaged), None, "byte {at} differs");
            assert_eq!(verify_checksum(&stored[..at]), None, "truncated at {at}");
        }
    }

    /// The name of a key depends on the prefix, on every part and on the boundaries between the parts. Equal inputs
    /// give equal names.
    #[test]
    fn key_name_depends_on_part_boundaries() {
        let names =
            [key_name("a", &["x", "y"]), key_name("a", &["xy", ""]), key_name("a", &["x"]), key_name("b", &["x", "y"])];
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert_eq!(names[0], key_name("a", &["x", "y"]));
    }
}
