//! Standard output and standard error. A reader that has gone away is no failure of ours.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// A line on standard output.
pub(crate) fn say(line: impl Display) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// A failure on standard error.
pub(crate) fn complain(failure: &impl Display) {
    drop(writeln!(io::stderr().lock(), "tagledger: {failure}"));
}

/// What a person should know beside the output.
pub(crate) fn note(line: &impl Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// A warning on standard error.
pub(crate) fn warn(warning: &impl Display) {
    drop(writeln!(io::stderr().lock(), "warning: {warning}"));
}

/// A number as people write it: 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && n % 3 == first {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 scope`, `2 scopes`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let written: Vec<String> = [0, 12, 123, 1234, 123_456, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(written, ["0", "12", "123", "1,234", "123,456", "1,234,567"]);
    }
}
