//! What is kept where others may write, such as a Redis: with a checksum before it, under a name that is a digest.
//!
//! It tells what was damaged or never ours; it is no signature.

use sha2::{Digest, Sha256};

/// The channel of a Redis on which scanners tell the number of a snapshot that they have committed.
pub const NEW_SNAPSHOT: &str = "tagledger:snapshot";

/// Bytes of the checksum.
const LENGTH: usize = 32;

/// The content with its checksum before it.
pub fn with_checksum(content: &[u8]) -> Vec<u8> {
    [Sha256::digest(content).as_slice(), content].concat()
}

/// The content, if it is what [`with_checksum`] was given.
pub fn checked(kept: &[u8]) -> Option<&[u8]> {
    let (checksum, content) = kept.split_at_checked(LENGTH)?;
    (Sha256::digest(content).as_slice() == checksum).then_some(content)
}

/// A name for something that depends on all of these parts, and on this version of the program: `PREFIX:` and 64 hex digits.
pub fn name(prefix: &str, parts: &[&str]) -> String {
    let whole = [&[env!("CARGO_PKG_VERSION")], parts].concat().join("\0");
    let digest: String = Sha256::digest(whole).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}:{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content is returned only when its checksum matches. A change to any byte or a truncation at any length is
    /// rejected.
    #[test]
    fn damaged_content_is_rejected() {
        let kept = with_checksum(b"a month");
        assert_eq!(checked(&kept), Some(&b"a month"[..]));
        assert_eq!(checked(&with_checksum(b"")), Some(&b""[..]));
        for at in 0..kept.len() {
            let mut other = kept.clone();
            other[at] ^= 1;
            assert_eq!(checked(&other), None, "byte {at} is another one");
            assert_eq!(checked(&kept[..at]), None, "cut at {at}");
        }
    }

    /// The name of a key depends on the prefix, on every part and on the boundaries between the parts. Equal inputs
    /// give equal names.
    #[test]
    fn key_name_depends_on_part_boundaries() {
        let names = [name("a", &["x", "y"]), name("a", &["xy", ""]), name("a", &["x"]), name("b", &["x", "y"])];
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert_eq!(names[0], name("a", &["x", "y"]));
    }
}
