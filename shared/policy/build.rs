//! Sets `TAGLEDGER_POLICY_PROGRAM` to a digest of the code that evaluates resources. A scan evaluates every resource
//! again when the digest differs from that of the previous snapshot.

#[path = "build/source_digest.rs"]
mod source_digest;

use std::{io, path::Path};

/// This crate, and the definition of the tags that it evaluates.
const SOURCES: [&str; 2] = ["src", "../model/src/inventory.rs"];

fn main() -> io::Result<()> {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rustc-env=TAGLEDGER_POLICY_PROGRAM={}", source_digest::digest_files(&SOURCES.map(Path::new))?);
    Ok(())
}
