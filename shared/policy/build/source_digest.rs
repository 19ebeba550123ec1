//! A digest of Rust sources that depends only on their code.
//!
//! Comments, white space, doc comments, and items under `#[cfg(test)]` do not affect the digest, because they do not
//! affect what a program computes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use sha2::{Digest, Sha256};

/// The digest of the files and folders: 16 hexadecimal digits. Files named `tests.rs` and folders named `tests` are
/// left out.
///
/// # Errors
/// When a file cannot be read, or is not Rust.
pub(crate) fn digest_files(paths: &[&Path]) -> io::Result<String> {
    let mut files = Vec::new();
    for path in paths {
        collect_files(path, &mut files)?;
    }
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        update_field(&mut hasher, &file.to_string_lossy());
        update_source(&mut hasher, &fs::read_to_string(&file)?)?;
    }
    Ok(hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn collect_files(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.file_stem().is_some_and(|stem| stem == "tests") {
        return Ok(());
    }
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect_files(&entry?.path(), files)?;
    }
    Ok(())
}

/// Adds the code of one source file to the hash.
///
/// # Errors
/// When the text is not Rust.
pub(crate) fn update_source(hasher: &mut Sha256, source: &str) -> io::Result<()> {
    let tokens: TokenStream = source.parse().map_err(|error| io::Error::other(format!("{error}")))?;
    update_tokens(hasher, tokens);
    update_field(hasher, "end of file");
    Ok(())
}

/// Hashes the tokens themselves: the text of a token stream differs between versions of `proc-macro2`.
fn update_tokens(hasher: &mut Sha256, tokens: TokenStream) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    while let [token, after @ ..] = rest {
        if let Some(after) = skip_doc_attribute(rest).or_else(|| skip_test_item(rest)) {
            rest = after;
            continue;
        }
        match token {
            TokenTree::Group(group) => {
                update_field(hasher, delimiter(group.delimiter()));
                update_tokens(hasher, group.stream());
                update_field(hasher, "end of group");
            }
            other => update_field(hasher, &other.to_string()),
        }
        rest = after;
    }
}

const fn delimiter(delimiter: Delimiter) -> &'static str {
    match delimiter {
        Delimiter::Parenthesis => "(",
        Delimiter::Brace => "{",
        Delimiter::Bracket => "[",
        Delimiter::None => "",
    }
}

/// The length makes the boundaries between fields part of the hash.
fn update_field(hasher: &mut Sha256, text: &str) {
    hasher.update(text.len().to_le_bytes());
    hasher.update(text);
}

/// What follows an attribute, and the text of the attribute; none when the tokens do not begin with one.
fn split_attribute(tokens: &[TokenTree]) -> Option<(String, &[TokenTree])> {
    let (TokenTree::Punct(mark), after) = tokens.split_first()? else { return None };
    if mark.as_char() != '#' {
        return None;
    }
    match after {
        [TokenTree::Group(group), after @ ..] if group.delimiter() == Delimiter::Bracket => {
            Some((group.stream().to_string().replace(' ', ""), after))
        }
        [TokenTree::Punct(bang), TokenTree::Group(group), after @ ..] if bang.as_char() == '!' => {
            Some((group.stream().to_string().replace(' ', ""), after))
        }
        _ => None,
    }
}

/// The parser turns doc comments into attributes.
fn skip_doc_attribute(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let (text, after) = split_attribute(tokens)?;
    text.starts_with("doc=").then_some(after)
}

/// An item that only tests compile: it ends at its body or its semicolon.
fn skip_test_item(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let (text, after) = split_attribute(tokens)?;
    if text != "cfg(test)" {
        return None;
    }
    let ends_item = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    };
    let end = after.iter().position(ends_item)?;
    after.get(end + 1..)
}
