//! `docs/troubleshooting.md`, generated from the error types of the workspace.
//!
//! `UPDATE_DOCS=1 cargo test -p tagledger --test troubleshooting` writes the file.

#![cfg(test)]

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

const HEAD: &str = "# Troubleshooting

<!-- Generated from the error types. A test compares the two; UPDATE_DOCS=1 cargo test -p tagledger --test troubleshooting writes this file. -->

`tagledger doctor`, run with the environment of the scanner, reports what is missing and what that disables. In Docker Compose:
`docker compose run --rm scanner doctor`. Its marks are `ok`, `--` (missing, but not required) and `!!` (required). Free space of
less than 1 GiB for the ledger is a warning.

## Symptoms

| symptom | cause and remedy |
|---|---|
| The server ends at start with \"can be reached from other machines\" | The address is not a loopback address, and there is no key file. Run `tagledger key create --name me`. |
| `/mcp` returns status 401 | The key is missing, expired or revoked. `tagledger key list` shows the state of each key. |
| A request returns status 403 because of its host name | Add the name to `TAGLEDGER_ALLOWED_HOSTS`. |
| `/health` returns status 503 | There is no snapshot yet, or the newest scan of the complete estate is older than `TAGLEDGER_MAX_AGE_HOURS`. See the log of the scanner. |
| Answers contain `\"status\": \"partial\"` | Some scopes could not be read. `coverage.gaps` names the action, the account, the region and the remedy. |
| A gap has the reason `denied_by_scp` | A service control policy denies the action. Leave the region out of `TAGLEDGER_REGIONS`, or exempt the role of the scanner in the policy. |
| \"AWS cannot be reached\" in a container on EC2 | The instance metadata service allows one network hop only. Set `HttpPutResponseHopLimit` to 2. |
| Costs are null | Cost Explorer is not enabled, access is denied, or no complete month is recorded yet. The notes of the answer name the cause. |
| \"another scan is writing to the ledger\" | One scan can write at a time. Wait until it finishes, or cancel it over the control port. |
| The disk is full | The running scan is lost; earlier snapshots are not affected. Free space, or prune old snapshots with `TAGLEDGER_RETENTION`. |
| \"must be an https address\" | `TAGLEDGER_OAUTH_ISSUER`, `TAGLEDGER_OAUTH_RESOURCE` and `TAGLEDGER_OAUTH_JWKS` are https URLs; the key set may also be a file. |
| The ledger must be restored | Stop both processes, and replace the ledger with the backup. |
";

const MESSAGES: &str = "
## Error messages

Words in capital letters are placeholders for values. A message contains the remedy, if there is one. The program prints the
underlying cause at the end of the line.
";

/// The sections of the page: a title, and the paths that the files of its error types begin with. A file belongs to the first
/// section that matches.
const SECTIONS: &[(&str, &[&str])] = &[
    ("Commands", &["src/"]),
    (
        "Values of settings and arguments",
        &[
            "shared/model/",
            "shared/cost/",
            "shared/http/src/api_key.rs",
            "shared/http/src/principal.rs",
            "shared/ledger/src/maintenance/retention.rs",
            "shared/ledger/src/page_token.rs",
        ],
    ),
    ("Policy", &["shared/policy/"]),
    ("Scans", &["scanner/", "shared/cloud/", "shared/aws/"]),
    ("Ledger", &["shared/ledger/"]),
    ("Server", &["server/"]),
    ("Redis", &["shared/redis/"]),
    ("Keys and tokens", &["shared/http/"]),
    ("Audit log", &["shared/audit/"]),
    ("Analysis", &["shared/analysis/"]),
];

/// A message of an error type, with the doc comment that states its cause.
struct Message {
    text: String,
    cause: String,
}

/// Every message in the source of a file. Messages of wrapped errors (`transparent`, or only `{0}`) are not listed: the
/// wrapped type has them.
fn parse_messages(source: &str) -> Vec<Message> {
    let product = source.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut messages = Vec::new();
    let mut rest = product;
    while let Some((before, behind)) = rest.split_once("#[error(") {
        let cause = doc_comment_above(before);
        rest = behind;
        let (attribute, _) = behind.split_once("]\n").unwrap();
        if let Some(literal) = attribute.trim_start().strip_prefix('"') {
            let (template, arguments) = split_literal(literal);
            let text = fill(&template, arguments);
            if template != "{0}" {
                messages.push(Message { text, cause });
            }
        }
    }
    messages
}

/// The lines of the doc comment that ends before an attribute. Other attributes may stand between.
fn doc_comment_above(source: &str) -> String {
    let lines = source.trim_end().lines().rev().map(str::trim);
    let comment = lines.skip_while(|line| line.starts_with("#[")).take_while(|line| line.starts_with("///"));
    let mut comment: Vec<&str> = comment.map(|line| line.trim_start_matches('/').trim()).collect();
    comment.reverse();
    comment.join(" ")
}

/// The unescaped text of a string literal, and what follows its closing quotation mark.
fn split_literal(literal: &str) -> (String, &str) {
    let (mut text, mut characters) = (String::new(), literal.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (text, literal.split_at(at + 1).1),
            '\\' => match characters.next().unwrap().1 {
                '\n' => {
                    let indented = characters.as_str();
                    let skipped = indented.chars().count() - indented.trim_start().chars().count();
                    characters.by_ref().take(skipped).for_each(drop);
                }
                'n' => text.push(' '),
                escaped => text.push(escaped),
            },
            character => text.push(character),
        }
    }
    panic!("the string literal has no end: {literal}");
}

/// Replaces each placeholder by its name in capital letters. A placeholder without a name has the name of its argument.
fn fill(template: &str, arguments: &str) -> String {
    let mut arguments = arguments.split(',').map(str::trim).filter(|argument| !argument.is_empty());
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap();
        let name = name.split(':').next().unwrap();
        let name = if name.is_empty() { argument_name(arguments.next().unwrap_or("value")) } else { name };
        let name = if name.starts_with(|first: char| first.is_ascii_digit()) { "cause" } else { name };
        text.push_str(before);
        text.push_str(&name.to_uppercase());
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The name in an argument such as `path.display()` or `words(.source)`.
fn argument_name(argument: &str) -> &str {
    let inner = argument.rsplit('(').find(|part| !part.trim_matches([')', '.']).is_empty()).unwrap_or(argument);
    let name = inner.trim_start_matches(['.', '&']).split(['.', ')']).next().unwrap_or(inner);
    if name == "display" { argument.split('.').next().unwrap_or(argument) } else { name }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The messages of each section. A file that belongs to no section is an error.
fn collect_messages() -> Vec<Vec<Message>> {
    let mut sections: Vec<Vec<Message>> = SECTIONS.iter().map(|_| Vec::new()).collect();
    for file in find_error_types() {
        let section = SECTIONS.iter().position(|(_, starts)| starts.iter().any(|start| file.starts_with(start)));
        let section = section.unwrap_or_else(|| panic!("{file} defines an error type and belongs to no section"));
        let source = fs::read_to_string(root().join(&file)).unwrap();
        sections[section].extend(parse_messages(&source));
    }
    sections
}

/// The files of the product that define an error type, in alphabetical order.
fn find_error_types() -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders: Vec<PathBuf> = ["src", "scanner/src", "server/src", "shared"].map(PathBuf::from).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(root().join(&path)).unwrap();
                if source.contains("thiserror::Error") {
                    files.insert(path.to_str().unwrap().to_owned());
                }
            }
        }
    }
    files
}

fn render() -> String {
    let mut page = format!("{HEAD}{MESSAGES}");
    for ((title, _), messages) in SECTIONS.iter().zip(collect_messages()) {
        if messages.is_empty() {
            continue;
        }
        write!(page, "\n### {title}\n\n| message | cause |\n|---|---|\n").unwrap();
        for Message { text, cause } in messages {
            writeln!(page, "| {} | {} |", cell(&text), cell(&cause)).unwrap();
        }
    }
    page
}

/// `docs/troubleshooting.md` is equal to the page that is generated from the error types.
#[test]
fn troubleshooting_page_matches_error_types() {
    let (path, page) = (root().join("docs/troubleshooting.md"), render());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/troubleshooting.md is outdated; run this test with UPDATE_DOCS=1");
}

/// Every file of the workspace that defines an error type contributes its messages.
#[test]
fn every_error_type_has_section() {
    let attributes: usize = find_error_types()
        .iter()
        .map(|file| fs::read_to_string(root().join(file)).unwrap())
        .map(|source| source.matches("#[error(\"").count() + source.matches("#[error(\n").count())
        .sum();
    let wrapped: usize = find_error_types()
        .iter()
        .map(|file| fs::read_to_string(root().join(file)).unwrap().matches("#[error(\"{0}\")]").count())
        .sum();
    let messages: usize = collect_messages().iter().map(Vec::len).sum();
    assert_eq!(messages, attributes - wrapped);
    assert!(messages > 60, "{messages}");
}

/// A message is found with its cause, its placeholders are named, and the text of a literal over several lines is joined.
#[test]
fn messages_are_parsed_from_source() {
    let source = "/// There is no file.\n    /// At all.\n    #[error(\"no file at {}; run `x` \\\n        or {what:?}\", path.display())]\n    Missing,\n    #[error(transparent)]\n    Other,\n";
    let messages = parse_messages(source);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].text, "no file at PATH; run `x` or WHAT");
    assert_eq!(messages[0].cause, "There is no file. At all.");
    assert_eq!(argument_name("words(.source)"), "source");
}
