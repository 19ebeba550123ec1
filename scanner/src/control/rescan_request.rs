//! The body of `POST /rescan`: which part of the estate to scan. Unknown fields are errors.

use serde::Deserialize;

use crate::scan::plan::ScanScopeFilter;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RescanRequest {
    #[serde(default)]
    accounts: Vec<String>,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(default)]
    types: Vec<String>,
}

/// Parses a body. An empty body requests all scopes.
pub(crate) fn parse_body(body: &[u8]) -> Result<ScanScopeFilter, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(ScanScopeFilter::default());
    }
    let request: RescanRequest = serde_json::from_slice(body).map_err(|error| {
        format!("the body is not a rescan request: {error}; send an object with `accounts`, `regions` and `types`, each a list of strings")
    })?;
    Ok(ScanScopeFilter {
        accounts: parse_list("accounts", &request.accounts)?,
        regions: parse_list("regions", &request.regions)?,
        types: parse_list("types", &request.types)?,
    })
}

fn parse_list<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, given: &[String]) -> Result<Vec<T>, String> {
    let parse_item =
        |(index, text): (usize, &String)| text.parse().map_err(|error| format!("{field}[{index}]: {error}"));
    given.iter().enumerate().map(parse_item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blank body or an empty object requests all scopes. Lists of regions, types and accounts limit the rescan to
    /// them.
    #[test]
    fn empty_rescan_body_selects_all_scopes() {
        assert!(parse_body(b" \n").unwrap().is_empty());
        assert!(parse_body(b"{}").unwrap().is_empty());
        let filter =
            parse_body(br#"{"regions":["eu-west-1"],"types":["s3:bucket"],"accounts":["111122223333"]}"#).unwrap();
        assert_eq!((filter.regions.len(), filter.types.len(), filter.accounts.len()), (1, 1, 1));
    }

    /// The error for an invalid rescan request names the field and, in a list, the index of the invalid item.
    #[test]
    fn rescan_body_error_names_field() {
        for (body, expected) in [
            (r#"{"region":["eu-west-1"]}"#, "unknown field `region`"),
            (r#"{"types":["ec2:instance","ec2:vpc"]}"#, "types[1]"),
            (r#"{"accounts":["12"]}"#, "accounts[0]"),
            (r#"{"regions":"eu-west-1"}"#, "a list of strings"),
            ("[", "the body is not a rescan request"),
        ] {
            let error = parse_body(body.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
