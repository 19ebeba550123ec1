//! The body of `POST /rescan`: which part of the estate, read strictly.

use serde::Deserialize;

use crate::plan::Narrow;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    accounts: Vec<String>,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(default)]
    types: Vec<String>,
}

/// Reads a body; an empty one wishes for everything.
pub(super) fn read(body: &[u8]) -> Result<Narrow, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Narrow::default());
    }
    let wish: Wish = serde_json::from_slice(body).map_err(|error| {
        format!("the body is no rescan: {error}; give an object with `accounts`, `regions` and `types`, each a list of texts")
    })?;
    Ok(Narrow {
        accounts: parse("accounts", &wish.accounts)?,
        regions: parse("regions", &wish.regions)?,
        types: parse("types", &wish.types)?,
    })
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, given: &[String]) -> Result<Vec<T>, String> {
    let one = |(place, text): (usize, &String)| text.parse().map_err(|error| format!("{field}[{place}]: {error}"));
    given.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_narrows_and_an_empty_one_does_not() {
        assert!(read(b" \n").unwrap().is_whole());
        assert!(read(b"{}").unwrap().is_whole());
        let narrow = read(br#"{"regions":["eu-west-1"],"types":["s3:bucket"],"accounts":["111122223333"]}"#).unwrap();
        assert_eq!((narrow.regions.len(), narrow.types.len(), narrow.accounts.len()), (1, 1, 1));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (body, told) in [
            (r#"{"region":["eu-west-1"]}"#, "unknown field `region`"),
            (r#"{"types":["ec2:instance","ec2:vpc"]}"#, "types[1]"),
            (r#"{"accounts":["12"]}"#, "accounts[0]"),
            (r#"{"regions":"eu-west-1"}"#, "a list of texts"),
            ("[", "the body is no rescan"),
        ] {
            let error = read(body.as_bytes()).unwrap_err();
            assert!(error.contains(told), "{body}: {error}");
        }
    }
}
