//! The words of a name: whole ones, never parts of words.

/// Words taken of one name.
const MOST_WORDS: usize = 8;

/// Longest word; what is longer is an identifier.
const LONGEST: usize = 24;

/// The words of a name in lower case, without numbers and identifiers, each once.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for part in name.split(|c: char| !c.is_alphanumeric()) {
        if is_identifier(part) {
            continue;
        }
        for word in humps(part) {
            let word = word.to_lowercase();
            if (2..=LONGEST).contains(&word.len()) && !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words.truncate(MOST_WORDS);
    words
}

/// Hashes, serial numbers and the like: they name one resource and nothing else.
fn is_identifier(part: &str) -> bool {
    let hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let mixed = digits > 1 && digits < part.len();
    (hex && mixed && part.len() >= 5) || (part.len() >= 12 && digits * 3 >= part.len())
}

/// `checkoutWeb02` is `checkout` and `Web`: a word begins at a capital behind a small letter, and ends at a digit.
fn humps(part: &str) -> Vec<String> {
    let (mut words, mut word, mut before) = (Vec::new(), String::new(), ' ');
    for c in part.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if (begins || c.is_numeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !c.is_numeric() {
            word.push(c);
        }
        before = c;
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_numbers_and_identifiers_are_left_out() {
        assert_eq!(words("checkoutWeb02-prod"), ["checkout", "web", "prod"]);
        assert_eq!(words("domain-latest"), ["domain", "latest"], "neither `main` nor `test` is a word of it");
        assert_eq!(words("svc_0a1b2c3d4e5f_a3f09c1_x"), ["svc"]);
        assert_eq!(words("acme.LOGS/2026/eu-west-1"), ["acme", "logs", "eu", "west"]);
        assert_eq!(words("i-0123456789abcdef0"), Vec::<String>::new());
        assert_eq!(words("größe_größe"), ["größe"]);
    }
}
