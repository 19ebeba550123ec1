//! Tag changes as a POSIX shell script that calls the AWS CLI.

use std::fmt::Write as _;

use crate::remediation::{TagChange, quote_json};

/// The limit of `tag-resources`.
const MAX_ARNS_PER_CALL: usize = 20;

/// Writes a script with one call for every 20 resources of a change. The calls of each account need credentials of that account;
/// a comment in front of them names it.
pub fn write_script(changes: &[TagChange]) -> String {
    let mut text = String::from("#!/bin/sh\nset -eu\n");
    let mut account = None;
    for change in changes {
        if account != Some(&change.account) {
            account = Some(&change.account);
            // Writing to a string cannot fail.
            writeln!(text, "\n# With credentials of account {}:", change.account).ok();
        }
        for arns in change.arns.chunks(MAX_ARNS_PER_CALL) {
            writeln!(text, "aws resourcegroupstaggingapi tag-resources --region {} \\", change.region).ok();
            let tags = format!("{{{}: {}}}", quote_json(&change.key), quote_json(&change.value));
            writeln!(text, "  --tags {} \\", quote_shell(&tags)).ok();
            let names: Vec<String> = arns.iter().map(|arn| quote_shell(arn.as_str())).collect();
            writeln!(text, "  --resource-arn-list {}", names.join(" ")).ok();
        }
    }
    text
}

/// Quotes a text as one word of a POSIX shell. Within single quotes only a single quote is special.
fn quote_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::remediation::hostile_change;

    /// Runs a script with an `aws` command that records its arguments. Returns the arguments of each call.
    fn run_and_record(script: &str) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let (stub, log) = (folder.path().join("aws"), folder.path().join("log"));
        let record = format!(
            "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\0' \"$word\"; done >> '{0}'\nprintf 'END\\0' >> '{0}'\n",
            log.display()
        );
        std::fs::write(&stub, record).unwrap();
        let chmod = Command::new("chmod").arg("+x").arg(&stub).status().unwrap();
        assert!(chmod.success());
        let file = folder.path().join("fix.sh");
        std::fs::write(&file, script).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let output =
            Command::new("sh").arg(&file).current_dir(folder.path()).env_clear().env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let words = String::from_utf8(std::fs::read(log).unwrap()).unwrap();
        let words: Vec<String> = words.split_terminator('\0').map(str::to_owned).collect();
        words.split(|word| word == "END").filter(|call| !call.is_empty()).map(<[String]>::to_vec).collect()
    }

    /// A POSIX shell that runs the generated script passes tag keys and values to the AWS CLI unchanged, and executes
    /// nothing that they contain.
    #[test]
    fn shell_passes_values_verbatim() {
        let change = hostile_change("rds:db", "arn:aws:rds:eu-west-1:123456789012:db:orders");
        let calls = run_and_record(&write_script(std::slice::from_ref(&change)));
        let [call] = calls.as_slice() else { panic!("{calls:?}") };
        let after = |flag: &str| call[call.iter().position(|word| word == flag).unwrap() + 1].clone();
        assert_eq!(call[..2], ["resourcegroupstaggingapi", "tag-resources"]);
        let tags: serde_json::Value = serde_json::from_str(&after("--tags")).unwrap();
        assert_eq!(tags, serde_json::json!({ change.key: change.value }));
        assert_eq!(after("--resource-arn-list"), change.arns[0].as_str());
        assert_eq!(after("--region"), "eu-west-1");
        assert!(!std::path::Path::new("/tmp/x").exists());
    }

    /// The script tags at most 20 resources per call, the limit of `tag-resources`.
    #[test]
    fn resources_are_tagged_in_batches_of_twenty() {
        let mut change = hostile_change("rds:db", "arn:aws:rds:eu-west-1:123456789012:db:orders");
        change.arns = (0..45).map(|n| format!("arn:aws:rds:eu-west-1:123456789012:db:d{n}").parse().unwrap()).collect();
        let calls = run_and_record(&write_script(&[change]));
        let arns = |call: &Vec<String>| call.iter().filter(|word| word.starts_with("arn:")).count();
        assert_eq!(calls.iter().map(arns).collect::<Vec<_>>(), [20, 20, 5]);
    }
}
