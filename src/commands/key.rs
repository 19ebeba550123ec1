//! `tagledger key`: creates, lists and revokes API keys.

use std::{path::Path, process::ExitCode};

use jiff::Timestamp;
use tagledger_http::{ApiKey, ApiKeyFile, Expiry, NewKey, Scope};
use tagledger_model::AccountId;

use super::now;
use crate::{
    cli::{KeyArguments, KeyCommand},
    failure::Failure,
    output::{format_count, print_line, print_note},
};

/// Maximum length of the name of a key, in characters. A list has one column for it.
const MAX_NAME_LENGTH: usize = 64;

pub(crate) fn run(arguments: &KeyArguments) -> Result<ExitCode, Failure> {
    let path = &arguments.keys.keys;
    match &arguments.command {
        KeyCommand::Create { name, scopes, accounts, expires } => create(path, name, scopes, accounts, *expires)?,
        KeyCommand::List => list(&ApiKeyFile::list(path)?, now()),
        KeyCommand::Revoke { key } => revoke(path, key)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Only the key is printed to standard output, so that a pipe can pass it on.
fn create(path: &Path, name: &str, scopes: &[Scope], accounts: &[AccountId], expires: Expiry) -> Result<(), Failure> {
    if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH || name.chars().any(char::is_control) {
        return Err(Failure::KeyName);
    }
    let accounts = (!accounts.is_empty()).then(|| accounts.iter().cloned().collect());
    let new = NewKey { name: name.to_owned(), scopes: scopes.iter().copied().collect(), accounts, expires };
    let (key, token) = ApiKeyFile::create(path, new, now())?;
    let until = key.expires_at.map_or("without expiry".to_owned(), |end| format!("until {}", format_minute(end)));
    print_note(&format!("Key {} of {} for {}, {until}. It is printed once:", key.id, key.name, describe_access(&key)));
    print_line(token);
    print_note(&format!(
        "Only its hash is stored, in {}. Clients send it as `Authorization: Bearer KEY`.",
        path.display()
    ));
    Ok(())
}

fn revoke(path: &Path, id_or_name: &str) -> Result<(), Failure> {
    let revoked = ApiKeyFile::revoke(path, id_or_name, now())?;
    if revoked.is_empty() {
        print_line(format!("No active key has the ID or name {id_or_name}."));
        return Ok(());
    }
    print_line(format!(
        "{} revoked; running servers reject it within a second:",
        format_count(revoked.len() as u64, "key")
    ));
    list(&revoked, now());
    Ok(())
}

fn list(keys: &[ApiKey], now: Timestamp) {
    print_line(format!(
        "{:<8}  {:<7}  {:<16}  {:<16}  {:<24}  {:<20}",
        "ID", "STATE", "CREATED", "EXPIRES", "NAME", "FOR"
    ));
    for key in keys {
        let expires = key.expires_at.map_or("never".to_owned(), format_minute);
        let created = format_minute(key.created_at);
        let (id, state, name) = (&key.id, key.state(now), &key.name);
        print_line(format!("{id:<8}  {state:<7}  {created:<16}  {expires:<16}  {name:<24}  {}", describe_access(key)));
    }
}

fn describe_access(key: &ApiKey) -> String {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let accounts = key.accounts.as_ref().map(|accounts| {
        let accounts: Vec<String> = accounts.iter().map(ToString::to_string).collect();
        format!(" in {}", accounts.join(", "))
    });
    format!("{}{}", scopes.join(", "), accounts.unwrap_or_default())
}

fn format_minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
