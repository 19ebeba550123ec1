//! A policy file is parsed or gives an error message. The canonical JSON of a policy parses to the same policy.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tagledger_policy::Policy;

fuzz_target!(|text: &str| match Policy::parse(text) {
    Ok(policy) => {
        let again = Policy::parse(policy.canonical_json()).expect("canonical JSON is a valid policy");
        assert_eq!(again.digest(), policy.digest());
    }
    Err(errors) => assert!(!errors.to_string().is_empty()),
});
