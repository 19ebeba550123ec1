//! Money: exact amounts, what a bill is asked, and what its lines are.
//!
//! Nothing here is a float until it is handed out. Amounts of one question are of one currency; currencies are never added.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

mod attribution;
mod bill;
mod charges;
mod single;
mod terms;

pub use attribution::{Attribution, Bucket, KeySpend, Spend, Sums, category};
pub use bill::{
    AllocationTag, BillAnswer, BillProblem, BillQuestion, BillRow, Billed, Condition, Days, Dimension, Grain, Metric,
    TagStatus,
};
pub use charges::{Charge, charge, service_of, types_of};
pub use single::{
    Charges, Pool, SingleCosts, charges_of, monthly_units, pools_of, resources_question, usage_questions,
};
pub use terms::{Invalid, Services, Terms};

/// Millionths in one unit.
const UNIT: i128 = 1_000_000;

/// Millionths in one hundredth.
const CENT: i64 = 10_000;

/// An amount of money, in whole millionths of its currency's unit.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Amount(i64);

/// A text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no amount of money")]
pub struct InvalidAmount(String);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many millionths.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// In millionths.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// In whole cents, half a cent away from zero.
    pub const fn cents(self) -> i64 {
        let half = if self.0 < 0 { -CENT / 2 } else { CENT / 2 };
        self.0.saturating_add(half) / CENT
    }

    /// Which part of `whole` it is; none of nothing.
    pub fn share_of(self, whole: Self) -> Option<f64> {
        (whole.0 != 0).then(|| self.0 as f64 / whole.0 as f64)
    }

    /// Splits the amount by weights, exactly: the parts add up to it. Nothing is split when no weight is positive.
    pub fn split(self, weights: &[u64]) -> Vec<Self> {
        let all: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
        if all == 0 {
            return vec![Self::ZERO; weights.len()];
        }
        let (mut passed, mut given) = (0_i128, 0_i128);
        let part = |weight: &u64| {
            // What all up to here are due, less what they were given: no rest is ever lost or carried twice.
            passed += i128::from(*weight);
            let due = i128::from(self.0) * passed / all;
            let part = due - given;
            given = due;
            Self(i64::try_from(part).unwrap_or(i64::MAX))
        };
        weights.iter().map(part).collect()
    }
}

/// Rounds parts to cents so that they add up to `sum`, which is theirs to a cent or so: those that lose most by rounding are
/// rounded up.
pub fn in_cents(parts: &[Amount], sum: i64) -> Vec<i64> {
    let mut cents: Vec<i64> = parts.iter().map(|part| part.0.div_euclid(CENT)).collect();
    let missing = sum - cents.iter().sum::<i64>();
    let mut by_rest: Vec<usize> = (0..parts.len()).collect();
    by_rest.sort_by_key(|place| std::cmp::Reverse(parts.get(*place).map(|part| part.0.rem_euclid(CENT))));
    if missing < 0 {
        by_rest.reverse();
    }
    let places = by_rest.iter().cycle().take(usize::try_from(missing.unsigned_abs()).unwrap_or_default());
    for place in places.take(2 * parts.len()) {
        if let Some(cents) = cents.get_mut(*place) {
            *cents += missing.signum();
        }
    }
    cents
}

impl FromStr for Amount {
    type Err = InvalidAmount;

    /// Reads a decimal number as Cost Explorer writes them, `-12.3456789012` or `1.2E-7`, to the nearest millionth.
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        decimal(text).map(Self).ok_or_else(|| InvalidAmount(text.chars().take(60).collect()))
    }
}

fn decimal(text: &str) -> Option<i64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeral = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !numeral(whole) || !numeral(fraction) {
        return None;
    }
    // Digits past thirty decide nothing of a millionth, and would not fit.
    let kept = fraction.get(..fraction.len().min(24))?;
    let number: i128 = format!("{whole}{kept}").parse().ok()?;
    let shift = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(kept.len()).ok()?)?;
    let scaled = scale(number.checked_mul(UNIT)?, shift)?;
    i64::try_from(if negative { -scaled } else { scaled }).ok()
}

/// Times a power of ten, half a unit up.
fn scale(number: i128, shift: i32) -> Option<i128> {
    let power = shift.unsigned_abs();
    if shift >= 0 {
        return if number == 0 { Some(0) } else { number.checked_mul(10_i128.checked_pow(power)?) };
    }
    match 10_i128.checked_pow(power) {
        Some(divisor) => Some((number + divisor / 2) / divisor),
        None => Some(0),
    }
}

impl fmt::Display for Amount {
    /// In units and cents, with commas: `-1,234.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.cents();
        let sign = if cents < 0 { "-" } else { "" };
        let units = (cents.unsigned_abs() / 100).to_string();
        let mut grouped = String::new();
        for (place, digit) in units.chars().enumerate() {
            if place > 0 && (units.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        f.pad(&format!("{sign}{grouped}.{:02}", cents.unsigned_abs() % 100))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}µ", self.0)
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_to_the_nearest_millionth() {
        for (text, micros) in [
            ("0", 0),
            ("12", 12_000_000),
            ("12.3456789", 12_345_679),
            ("-0.0000005", -1),
            ("0.00000049999", 0),
            ("1.2E-7", 0),
            ("-1.5e-6", -2),
            ("1.5E+3", 1_500_000_000),
            (".5", 500_000),
            ("5.", 5_000_000),
            ("0E-10", 0),
            ("0.12345678901234567890123456789012345678901234567890", 123_457),
        ] {
            assert_eq!(text.parse::<Amount>().unwrap().micros(), micros, "{text}");
        }
        for text in ["", "-", ".", "1,5", "USD 1", "1.5.5", "1e", "NaN", "1e99", "99999999999999999999"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_in_units_and_cents() {
        for (micros, shown) in [
            (0, "0.00"),
            (1_234_567_894_999, "1,234,567.89"),
            (-5_000, "-0.01"),
            (-4_999, "0.00"),
            (999_995_000, "1,000.00"),
        ] {
            assert_eq!(Amount(micros).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn parts_of_a_split_add_up_to_it(micros in -(1_i64 << 50)..(1_i64 << 50), weights in prop::collection::vec(0_u64..1_000_000, 1..40)) {
            let parts = Amount(micros).split(&weights);
            let all: u64 = weights.iter().sum();
            prop_assert_eq!(parts.iter().copied().sum::<Amount>(), if all == 0 { Amount::ZERO } else { Amount(micros) });
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = micros as f64 * *weight as f64 / all.max(1) as f64;
                prop_assert!((part.micros() as f64 - exact).abs() <= 2.0, "{} of {}", part.micros(), exact);
            }
        }

        #[test]
        fn parts_in_cents_add_up_to_their_sum_in_cents(parts in prop::collection::vec(-(1_i64 << 40)..(1_i64 << 40), 0..60)) {
            let parts: Vec<Amount> = parts.into_iter().map(Amount).collect();
            let sum = parts.iter().copied().sum::<Amount>().cents();
            for sum in if parts.len() > 1 { vec![sum - 1, sum, sum + 1] } else { vec![sum] } {
                let cents = in_cents(&parts, sum);
                prop_assert_eq!(cents.iter().sum::<i64>(), if parts.is_empty() { 0 } else { sum });
                for (cents, part) in cents.iter().zip(&parts) {
                    prop_assert!((cents * CENT - part.micros()).abs() <= 2 * CENT);
                }
            }
        }

        #[test]
        fn an_amount_written_with_six_places_is_read_as_it_was(micros in any::<i64>()) {
            let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
            let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
            prop_assert_eq!(text.parse::<Amount>().map(Amount::micros).ok(), Some(micros));
        }
    }
}
