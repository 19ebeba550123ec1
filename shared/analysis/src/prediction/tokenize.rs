//! Splits names into words.

/// The maximum number of words of one name.
const MAX_TOKENS: usize = 8;

/// The maximum length of a word, in bytes. Longer texts are identifiers.
const MAX_TOKEN_LENGTH: usize = 24;

/// The distinct words of a name in lower case, without numbers and identifiers.
pub(crate) fn tokenize(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for part in name.split(|c: char| !c.is_alphanumeric()) {
        if is_identifier(part) {
            continue;
        }
        for word in split_camel_case(part) {
            let word = word.to_lowercase();
            if (2..=MAX_TOKEN_LENGTH).contains(&word.len()) && !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words.truncate(MAX_TOKENS);
    words
}

/// Whether a part is a hash or a serial number, which identifies only one resource.
fn is_identifier(part: &str) -> bool {
    let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let is_mixed = digits > 1 && digits < part.len();
    (is_hex && is_mixed && part.len() >= 5) || (part.len() >= 12 && digits * 3 >= part.len())
}

/// Splits `checkoutWeb02` into `checkout` and `Web`: a word starts at an upper-case letter after a lower-case one, and
/// ends at a digit.
fn split_camel_case(part: &str) -> Vec<String> {
    let (mut words, mut word, mut previous) = (Vec::new(), String::new(), ' ');
    for c in part.chars() {
        let starts_word = c.is_uppercase() && previous.is_lowercase();
        if (starts_word || c.is_numeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !c.is_numeric() {
            word.push(c);
        }
        previous = c;
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are split into complete lower-case words. Numbers, hexadecimal identifiers and single letters are dropped.
    #[test]
    fn tokenizer_drops_numbers_and_identifiers() {
        assert_eq!(tokenize("checkoutWeb02-prod"), ["checkout", "web", "prod"]);
        assert_eq!(tokenize("domain-latest"), ["domain", "latest"], "`main` and `test` are not words of it");
        assert_eq!(tokenize("svc_0a1b2c3d4e5f_a3f09c1_x"), ["svc"]);
        assert_eq!(tokenize("acme.LOGS/2026/eu-west-1"), ["acme", "logs", "eu", "west"]);
        assert_eq!(tokenize("i-0123456789abcdef0"), Vec::<String>::new());
        assert_eq!(tokenize("größe_größe"), ["größe"]);
    }
}
