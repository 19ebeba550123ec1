//! An ARN is rejected or keeps its exact text. The resource type of a reference is stable when its normalized ARN is
//! parsed again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tagledger_model::{Arn, resource_ref::ResourceRef};

fuzz_target!(|text: &str| {
    if let Ok(arn) = text.parse::<Arn>() {
        assert_eq!(arn.as_str(), text);
    }
    if let Ok(ResourceRef { arn, resource_type }) = ResourceRef::parse(text) {
        assert_eq!(
            ResourceRef::parse(arn.as_str()).expect("a normalized ARN is a resource reference").resource_type,
            resource_type
        );
    }
});
