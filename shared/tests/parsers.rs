//! What is read of others' making, mutated some ten thousand times: it is read or refused, and never breaks.

#![cfg(test)]

use shared::{Arn, named::Named, policy::Policy};

const SAMPLE: &str = include_str!("../../policies/tagging_policy.json");

/// Marsaglia's generator: the same mutations on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(n).unwrap()).unwrap()
    }
}

/// The text with a few of its characters changed, left out, doubled, moved, or taken from another place.
fn mutated(text: &str, strange: &[char], random: &mut Random) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(6) {
        if characters.is_empty() {
            break;
        }
        let (at, from) = (random.below(characters.len()), random.below(characters.len()));
        match random.below(6) {
            0 => characters[at] = strange[random.below(strange.len())],
            1 => drop(characters.remove(at)),
            2 => characters.insert(at, strange[random.below(strange.len())]),
            3 => characters[at] = characters[from],
            4 => {
                let piece: Vec<char> = characters[at..].iter().take(random.below(40)).copied().collect();
                characters.splice(from..from, piece);
            }
            _ => characters.truncate(at),
        }
    }
    characters.into_iter().collect()
}

#[test]
fn a_mutated_policy_is_read_or_refused_with_the_place_of_each_fault() {
    let strange =
        ['{', '}', '[', ']', '"', ':', ',', '\\', '(', '*', '+', '\0', 'é', '\u{202e}', '9', '-', 'e', '\n', '/'];
    let (mut random, mut read, mut refused) = (Random(20_261_125), 0, 0);
    for _ in 0..20_000 {
        let text = mutated(SAMPLE, &strange, &mut random);
        match Policy::parse(&text) {
            Ok(policy) => {
                read += 1;
                assert_eq!(Policy::parse(&text).unwrap().digest(), policy.digest());
            }
            Err(faults) => {
                refused += 1;
                let told = faults.to_string();
                assert!(!told.is_empty() && told.len() < 100_000, "{told}");
            }
        }
    }
    assert!(read > 500 && refused > 5_000, "{read} were read and {refused} refused: this shows little");
}

#[test]
fn a_mutated_arn_is_refused_or_is_what_was_written() {
    let arns = [
        "arn:aws:ec2:eu-west-1:123456789012:instance/i-0123456789abcdef0",
        "arn:aws:s3:::company-logs",
        "arn:aws-us-gov:rds:us-gov-west-1:123456789012:db:orders",
        "arn:aws:lambda:us-east-1:123456789012:function:handler",
        "arn:aws:ecs:us-east-1:123456789012:service/cluster/web",
    ];
    let strange = [':', '/', '*', ' ', '\0', 'é', '\u{200b}', '?', '%', '-', '0', 'A', '\n'];
    let (mut random, mut read, mut named) = (Random(7), 0, 0);
    for n in 0..50_000 {
        let text = mutated(arns[n % arns.len()], &strange, &mut random);
        if let Ok(arn) = text.parse::<Arn>() {
            read += 1;
            assert_eq!(arn.as_str(), text);
        }
        if let Ok(Named { arn, resource_type }) = Named::parse(&text) {
            named += 1;
            assert_eq!(Named::parse(arn.as_str()).unwrap().resource_type, resource_type, "{text:?}");
        }
    }
    assert!(read > 5_000 && named > 1_000, "{read} were ARNs and {named} named resources: this shows little");
}
