//! Output to standard output and standard error. A closed pipe is not an error.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Prints a line to standard output.
pub(crate) fn print_line(line: impl Display) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// Prints an error to standard error.
pub(crate) fn print_error(failure: &impl Display) {
    drop(writeln!(io::stderr().lock(), "tagledger: {failure}"));
}

/// Prints a note to standard error, so that it does not become part of the output.
pub(crate) fn print_note(line: &impl Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Prints a warning to standard error.
pub(crate) fn print_warning(warning: &impl Display) {
    drop(writeln!(io::stderr().lock(), "warning: {warning}"));
}

/// Formats a number with separators of thousands: 1,234,567.
pub(crate) fn format_number(number: u64) -> String {
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

/// Formats a number with a noun: `1 scope`, `2 scopes`.
pub(crate) fn format_count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", format_number(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers are written with a comma between groups of three digits.
    #[test]
    fn numbers_are_grouped_by_thousands() {
        let formatted: Vec<String> = [0, 12, 123, 1234, 123_456, 1_234_567].into_iter().map(format_number).collect();
        assert_eq!(formatted, ["0", "12", "123", "1,234", "123,456", "1,234,567"]);
    }
}
