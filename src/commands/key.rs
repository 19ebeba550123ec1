//! `tagledger key`.

use std::{path::Path, process::ExitCode};

use gate::{Expiry, Key, KeyFile, NewKey, Scope};
use jiff::Timestamp;
use shared::AccountId;

use super::now;
use crate::{
    cli::{KeyArguments, KeyCommand},
    failure::Failure,
    output::{count, note, say},
};

/// Longest name of a key, characters: a column of a list.
const LONGEST_NAME: usize = 64;

pub(crate) fn run(arguments: &KeyArguments) -> Result<ExitCode, Failure> {
    let path = &arguments.keys.keys;
    match &arguments.command {
        KeyCommand::Create { name, scopes, accounts, expires } => create(path, name, scopes, accounts, *expires)?,
        KeyCommand::List => list(&KeyFile::list(path)?, now()),
        KeyCommand::Revoke { key } => revoke(path, key)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The key alone goes to standard output, so that it can be handed on by a pipe.
fn create(path: &Path, name: &str, scopes: &[Scope], accounts: &[AccountId], expires: Expiry) -> Result<(), Failure> {
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Failure::KeyName);
    }
    let accounts = (!accounts.is_empty()).then(|| accounts.iter().cloned().collect());
    let new = NewKey { name: name.to_owned(), scopes: scopes.iter().copied().collect(), accounts, expires };
    let (key, token) = KeyFile::create(path, new, now())?;
    let until = key.expires_at.map_or("for ever".to_owned(), |end| format!("until {}", minute(end)));
    note(&format!("Key {} of {} for {}, {until}. It is shown once:", key.id, key.name, allowed(&key)));
    say(token);
    note(&format!("Only its hash is kept, in {}. Clients send it as `Authorization: Bearer KEY`.", path.display()));
    Ok(())
}

fn revoke(path: &Path, which: &str) -> Result<(), Failure> {
    let revoked = KeyFile::revoke(path, which, now())?;
    if revoked.is_empty() {
        say(format!("No key of {which} was still accepted."));
        return Ok(());
    }
    say(format!("{} revoked; running servers refuse it within a second:", count(revoked.len() as u64, "key")));
    list(&revoked, now());
    Ok(())
}

fn list(keys: &[Key], now: Timestamp) {
    say(format!("{:<8}  {:<7}  {:<16}  {:<16}  {:<24}  {:<20}", "ID", "STATE", "CREATED", "EXPIRES", "NAME", "FOR"));
    for key in keys {
        let expires = key.expires_at.map_or("never".to_owned(), minute);
        let created = minute(key.created_at);
        let (id, state, name) = (&key.id, key.state(now), &key.name);
        say(format!("{id:<8}  {state:<7}  {created:<16}  {expires:<16}  {name:<24}  {}", allowed(key)));
    }
}

fn allowed(key: &Key) -> String {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let accounts = key.accounts.as_ref().map(|accounts| {
        let accounts: Vec<String> = accounts.iter().map(ToString::to_string).collect();
        format!(" in {}", accounts.join(", "))
    });
    format!("{}{}", scopes.join(", "), accounts.unwrap_or_default())
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
