//! Ten thousands of random mutations of policy files and ARNs. Each is parsed or rejected, and none causes a panic.

#![cfg(test)]

use tagledger_model::{Arn, resource_ref::ResourceRef};
use tagledger_policy::Policy;

const SAMPLE: &str = include_str!("../../../policies/tagging_policy.json");

/// An xorshift generator by Marsaglia. Every run makes the same mutations.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(n).unwrap()).unwrap()
    }
}

/// The text with up to six random changes: a character replaced, removed, inserted or copied, a part copied, or the end
/// cut off.
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

/// Of 20,000 random mutations of the sample policy, each either parses to a stable digest or is rejected with a message
/// of bounded length. None causes a panic.
#[test]
fn mutated_policy_parses_or_reports_errors() {
    let strange =
        ['{', '}', '[', ']', '"', ':', ',', '\\', '(', '*', '+', '\0', 'é', '\u{202e}', '9', '-', 'e', '\n', '/'];
    let (mut random, mut parsed, mut rejected) = (Random(20_261_125), 0, 0);
    for _ in 0..20_000 {
        let text = mutated(SAMPLE, &strange, &mut random);
        match Policy::parse(&text) {
            Ok(policy) => {
                parsed += 1;
                assert_eq!(Policy::parse(&text).unwrap().digest(), policy.digest());
            }
            Err(errors) => {
                rejected += 1;
                let message = errors.to_string();
                assert!(!message.is_empty() && message.len() < 100_000, "{message}");
            }
        }
    }
    assert!(parsed > 500 && rejected > 5_000, "only {parsed} were parsed and {rejected} rejected");
}

/// Of 50,000 random mutations of ARNs, each is either rejected or keeps its exact text, and a recognized resource type
/// is stable when its normalized ARN is parsed again.
#[test]
fn mutated_arn_is_rejected_or_round_trips() {
    let arns = [
        "arn:aws:ec2:eu-west-1:123456789012:instance/i-0123456789abcdef0",
        "arn:aws:s3:::company-logs",
        "arn:aws-us-gov:rds:us-gov-west-1:123456789012:db:orders",
        "arn:aws:lambda:us-east-1:123456789012:function:handler",
        "arn:aws:ecs:us-east-1:123456789012:service/cluster/web",
    ];
    let strange = [':', '/', '*', ' ', '\0', 'é', '\u{200b}', '?', '%', '-', '0', 'A', '\n'];
    let (mut random, mut parsed, mut named) = (Random(7), 0, 0);
    for n in 0..50_000 {
        let text = mutated(arns[n % arns.len()], &strange, &mut random);
        if let Ok(arn) = text.parse::<Arn>() {
            parsed += 1;
            assert_eq!(arn.as_str(), text);
        }
        if let Ok(ResourceRef { arn, resource_type }) = ResourceRef::parse(&text) {
            named += 1;
            assert_eq!(ResourceRef::parse(arn.as_str()).unwrap().resource_type, resource_type, "{text:?}");
        }
    }
    assert!(parsed > 5_000 && named > 1_000, "only {parsed} were ARNs and {named} named resources");
}
