//! Conversions between column values and domain types.

use jiff::Timestamp;
use tagledger_model::inventory::GapReason;
use tagledger_policy::State;

use crate::error::LedgerError;

/// Parses a text column that only this program writes.
pub(crate) fn parse<T: std::str::FromStr>(what: &'static str, given: &str) -> Result<T, LedgerError> {
    given.parse().map_err(|_| LedgerError::Content { what, given: given.to_owned() })
}

pub(crate) fn parse_time(seconds: i64) -> Result<Timestamp, LedgerError> {
    let invalid = |_| LedgerError::Content { what: "a time", given: seconds.to_string() };
    Timestamp::from_second(seconds).map_err(invalid)
}

pub(crate) fn encode_state(state: State) -> i64 {
    match state {
        State::Compliant => 0,
        State::NonCompliant => 1,
        State::NotApplicable => 2,
        State::Unknown => 3,
        State::Exempt => 4,
    }
}

/// Decodes a column `state`.
///
/// # Errors
///
/// When the number is not that of a state.
pub(crate) fn parse_state(number: i64) -> rusqlite::Result<State> {
    decode_state(number).ok_or_else(|| {
        let message = format!("{number} is not a state of a resource");
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Integer, message.into())
    })
}

/// The reverse of [`encode_state`].
pub(crate) fn decode_state(number: i64) -> Option<State> {
    Some(match number {
        0 => State::Compliant,
        1 => State::NonCompliant,
        2 => State::NotApplicable,
        3 => State::Unknown,
        4 => State::Exempt,
        _ => return None,
    })
}

pub(crate) fn parse_reason(text: &str) -> Result<GapReason, LedgerError> {
    let found = GapReason::ALL.iter().copied().find(|reason| reason.as_str() == text);
    found.ok_or_else(|| LedgerError::Content { what: "a gap's reason", given: text.to_owned() })
}
