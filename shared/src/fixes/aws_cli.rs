//! Commands for the AWS command line, for a POSIX shell.

use std::fmt::Write as _;

use super::{TagChange, quoted};

/// Resources that one call takes.
const AT_ONCE: usize = 20;

/// A script: one call for each twenty resources. It must be run with credentials of each account in turn, as its comments say.
pub fn script(changes: &[TagChange]) -> String {
    let mut text = String::from("#!/bin/sh\nset -eu\n");
    let mut account = None;
    for change in changes {
        if account != Some(&change.account) {
            account = Some(&change.account);
            // Writing to a string cannot fail.
            writeln!(text, "\n# With credentials of account {}:", change.account).ok();
        }
        for arns in change.arns.chunks(AT_ONCE) {
            writeln!(text, "aws resourcegroupstaggingapi tag-resources --region {} \\", change.region).ok();
            let tags = format!("{{{}: {}}}", quoted(&change.key), quoted(&change.value));
            writeln!(text, "  --tags {} \\", in_shell(&tags)).ok();
            let names: Vec<String> = arns.iter().map(|arn| in_shell(arn.as_str())).collect();
            writeln!(text, "  --resource-arn-list {}", names.join(" ")).ok();
        }
    }
    text
}

/// One word for a POSIX shell: within single quotes only these end it.
fn in_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::fixes::nasty;

    /// Runs a script with an `aws` that records its arguments, and returns them call by call.
    fn recorded(script: &str) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let (stub, log) = (folder.path().join("aws"), folder.path().join("log"));
        let record = format!(
            "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\0' \"$word\"; done >> '{0}'\nprintf 'END\\0' >> '{0}'\n",
            log.display()
        );
        std::fs::write(&stub, record).unwrap();
        let made = Command::new("chmod").arg("+x").arg(&stub).status().unwrap();
        assert!(made.success());
        let file = folder.path().join("fix.sh");
        std::fs::write(&file, script).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let done =
            Command::new("sh").arg(&file).current_dir(folder.path()).env_clear().env("PATH", path).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let words = String::from_utf8(std::fs::read(log).unwrap()).unwrap();
        let words: Vec<String> = words.split_terminator('\0').map(str::to_owned).collect();
        words.split(|word| word == "END").filter(|call| !call.is_empty()).map(<[String]>::to_vec).collect()
    }

    #[test]
    fn a_real_shell_hands_every_value_over_to_the_letter_and_runs_none_of_it() {
        let change = nasty("rds:db", "arn:aws:rds:eu-west-1:123456789012:db:orders");
        let calls = recorded(&script(std::slice::from_ref(&change)));
        let [call] = calls.as_slice() else { panic!("{calls:?}") };
        let after = |flag: &str| call[call.iter().position(|word| word == flag).unwrap() + 1].clone();
        assert_eq!(call[..2], ["resourcegroupstaggingapi", "tag-resources"]);
        let tags: serde_json::Value = serde_json::from_str(&after("--tags")).unwrap();
        assert_eq!(tags, serde_json::json!({ change.key: change.value }));
        assert_eq!(after("--resource-arn-list"), change.arns[0].as_str());
        assert_eq!(after("--region"), "eu-west-1");
        assert!(!std::path::Path::new("/tmp/x").exists());
    }

    #[test]
    fn many_resources_are_tagged_twenty_in_a_call() {
        let mut change = nasty("rds:db", "arn:aws:rds:eu-west-1:123456789012:db:orders");
        change.arns = (0..45).map(|n| format!("arn:aws:rds:eu-west-1:123456789012:db:d{n}").parse().unwrap()).collect();
        let calls = recorded(&script(&[change]));
        let arns = |call: &Vec<String>| call.iter().filter(|word| word.starts_with("arn:")).count();
        assert_eq!(calls.iter().map(arns).collect::<Vec<_>>(), [20, 20, 5]);
    }
}
