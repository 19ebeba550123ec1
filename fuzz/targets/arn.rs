//! An ARN is refused or is what was written; what it names has one type.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::{Arn, named::Named};

fuzz_target!(|text: &str| {
    if let Ok(arn) = text.parse::<Arn>() {
        assert_eq!(arn.as_str(), text);
    }
    if let Ok(Named { arn, resource_type }) = Named::parse(text) {
        assert_eq!(Named::parse(arn.as_str()).expect("an ARN names what it names").resource_type, resource_type);
    }
});
