//! The digest that decides whether a scan evaluates all resources again.

#![cfg(test)]

#[path = "../build/source_digest.rs"]
mod source_digest;

use sha2::{Digest, Sha256};

const SOURCE: &str = r#"
//! A module.

/// Doubles a number.
pub fn double(n: u64) -> u64 {
    // Twice.
    n * 2
}

const TEXT: &str = "// not a comment";

#[cfg(test)]
mod tests {
    fn helper() {}
}
"#;

fn digest(source: &str) -> Vec<u8> {
    let mut hasher = Sha256::new();
    source_digest::update_source(&mut hasher, source).unwrap();
    hasher.finalize().to_vec()
}

/// Changes of comments, doc comments, white space and test modules do not change the digest of a source file.
#[test]
fn comments_layout_and_tests_do_not_change_digest() {
    for (old, new) in [
        ("//! A module.", "//! Another\n//! module."),
        ("/// Doubles a number.\n", ""),
        ("// Twice.", "/* 2 times */"),
        ("{\n    // Twice.\n    n * 2\n}", "{ n * 2 }"),
        ("fn helper() {}", "fn other() { panic!() }"),
        ("mod tests {\n    fn helper() {}\n}", "mod tests;"),
    ] {
        assert!(SOURCE.contains(old), "{old}");
        assert_eq!(digest(&SOURCE.replace(old, new)), digest(SOURCE), "{old:?} became {new:?}");
    }
}

/// Changes of code, of literals and of the order of items change the digest of a source file.
#[test]
fn code_change_changes_digest() {
    for (old, new) in [
        ("n * 2", "n * 3"),
        ("n * 2", "n + 2"),
        ("double", "twice"),
        ("// not a comment", "// a comment"),
        ("n * 2", "(n * 2)"),
        ("#[cfg(test)]", "#[cfg(unix)]"),
    ] {
        assert!(SOURCE.contains(old), "{old}");
        assert_ne!(digest(&SOURCE.replace(old, new)), digest(SOURCE), "{old:?} became {new:?}");
    }
}

/// The digest covers files and folders, but no file or folder that is named `tests`. Its length is 16 hexadecimal
/// digits.
#[test]
fn files_of_tests_are_left_out() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (src, tests) = (root.join("src"), root.join("src/tests"));
    let digest = source_digest::digest_files(&[src.as_path()]).unwrap();
    assert_eq!(digest.len(), 16);
    assert_eq!(source_digest::digest_files(&[src.as_path(), tests.as_path()]).unwrap(), digest);
    assert_ne!(source_digest::digest_files(&[src.join("policy.rs").as_path()]).unwrap(), digest);
}
