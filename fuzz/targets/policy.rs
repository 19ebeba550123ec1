//! A policy is read or refused with words, and one that is read is the same when it is read again from its canonical text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::policy::Policy;

fuzz_target!(|text: &str| match Policy::parse(text) {
    Ok(policy) => {
        let again = Policy::parse(&policy.canonical_json()).expect("a canonical policy is one");
        assert_eq!(again.digest(), policy.digest());
    }
    Err(faults) => assert!(!faults.to_string().is_empty()),
});
