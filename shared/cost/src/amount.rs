//! Exact amounts of money.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Millionths in one unit of a currency.
const MICROS_PER_UNIT: i128 = 1_000_000;

/// Millionths in one cent.
const MICROS_PER_CENT: i64 = 10_000;

/// An amount of money, in integer millionths of the unit of its currency.
///
/// The range is about 9.2 million million units. Sums of the rows of a [`CostQueryResponse`] are exact, because a
/// response whose rows exceed that range is rejected ([`CostQueryResponse::has_exact_sums`]). Beyond the range,
/// addition saturates.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Amount(i64);

/// A text that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount of money")]
pub struct InvalidAmount(String);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// From millionths.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// In millionths.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// In cents, rounded half away from zero.
    pub const fn cents(self) -> i64 {
        let half = if self.0 < 0 { -MICROS_PER_CENT / 2 } else { MICROS_PER_CENT / 2 };
        self.0.saturating_add(half) / MICROS_PER_CENT
    }

    /// The ratio of this amount to `total`; none when `total` is zero.
    pub fn share_of(self, total: Self) -> Option<f64> {
        (total.0 != 0).then(|| self.0 as f64 / total.0 as f64)
    }

    /// Splits the amount in proportion to weights. The parts add up to it exactly; they are zero when all weights are
    /// zero.
    pub fn split(self, weights: &[u64]) -> Vec<Self> {
        let total_weight: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
        if total_weight == 0 {
            return vec![Self::ZERO; weights.len()];
        }
        let (mut weight_so_far, mut allocated) = (0_i128, 0_i64);
        let part = |weight: &u64| {
            // The cumulative share minus the amount allocated so far: the rounding errors of the parts cancel out.
            weight_so_far += i128::from(*weight);
            let cumulative = i128::from(self.0) * weight_so_far / total_weight;
            // A cumulative share lies between zero and the amount, so the conversion always succeeds.
            let cumulative = i64::try_from(cumulative).unwrap_or(self.0);
            let part = cumulative - allocated;
            allocated = cumulative;
            Self(part)
        };
        weights.iter().map(part).collect()
    }
}

/// Rounds amounts to cents that add up to `total_cents`, which must be close to their sum. The largest remainders are
/// rounded up.
pub fn round_to_cents(parts: &[Amount], total_cents: i64) -> Vec<i64> {
    let mut cents: Vec<i64> = parts.iter().map(|part| part.0.div_euclid(MICROS_PER_CENT)).collect();
    let missing = total_cents - cents.iter().sum::<i64>();
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder
        .sort_by_key(|index| std::cmp::Reverse(parts.get(*index).map(|part| part.0.rem_euclid(MICROS_PER_CENT))));
    if missing < 0 {
        by_remainder.reverse();
    }
    let indexes = by_remainder.iter().cycle().take(usize::try_from(missing.unsigned_abs()).unwrap_or_default());
    for index in indexes.take(2 * parts.len()) {
        if let Some(cents) = cents.get_mut(*index) {
            *cents += missing.signum();
        }
    }
    cents
}

impl FromStr for Amount {
    type Err = InvalidAmount;

    /// Parses a decimal number as Cost Explorer formats it, such as `-12.3456789012` or `1.2E-7`, to the nearest
    /// millionth.
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        parse_micros(text).map(Self).ok_or_else(|| InvalidAmount(text.chars().take(60).collect()))
    }
}

fn parse_micros(text: &str) -> Option<i64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    // Digits after the 24th do not change the nearest millionth, and they would not fit in the integer.
    let significant = fraction.get(..fraction.len().min(24))?;
    let number: i128 = format!("{whole}{significant}").parse().ok()?;
    let shift = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(significant.len()).ok()?)?;
    let scaled = scale_by_power_of_ten(number.checked_mul(MICROS_PER_UNIT)?, shift)?;
    i64::try_from(if negative { -scaled } else { scaled }).ok()
}

/// Multiplies by a power of ten, rounded half up.
fn scale_by_power_of_ten(number: i128, shift: i32) -> Option<i128> {
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
    /// Units and cents with thousands separators: `-1,234.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.cents();
        let sign = if cents < 0 { "-" } else { "" };
        let units = (cents.unsigned_abs() / 100).to_string();
        let mut grouped = String::new();
        for (index, digit) in units.chars().enumerate() {
            if index > 0 && (units.len() - index).is_multiple_of(3) {
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

    /// Decimal text, with or without an exponent, parses to an amount rounded to the nearest millionth. Text that is
    /// not a number or is out of range is rejected.
    #[test]
    fn amount_parses_to_nearest_millionth() {
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

    /// An amount is displayed with two decimal places, rounded, and with thousands separators. An amount that rounds to
    /// zero has no minus sign.
    #[test]
    fn amount_displays_rounded_cents() {
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
        /// The parts of an amount split by weights add up to the amount exactly unless all weights are zero, and each
        /// part is within two millionths of its exact share.
        #[test]
        fn split_parts_sum_to_amount(micros in -(1_i64 << 50)..(1_i64 << 50), weights in prop::collection::vec(0_u64..1_000_000, 1..40)) {
            let parts = Amount(micros).split(&weights);
            let all: u64 = weights.iter().sum();
            prop_assert_eq!(parts.iter().copied().sum::<Amount>(), if all == 0 { Amount::ZERO } else { Amount(micros) });
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = micros as f64 * *weight as f64 / all.max(1) as f64;
                prop_assert!((part.micros() as f64 - exact).abs() <= 2.0, "{} of {}", part.micros(), exact);
            }
        }

        /// Parts rounded to cents add up to the given total in cents, and each differs from its exact amount by at most
        /// two cents.
        #[test]
        fn cent_parts_sum_to_total_cents(parts in prop::collection::vec(-(1_i64 << 40)..(1_i64 << 40), 0..60)) {
            let parts: Vec<Amount> = parts.into_iter().map(Amount).collect();
            let sum = parts.iter().copied().sum::<Amount>().cents();
            for sum in if parts.len() > 1 { vec![sum - 1, sum, sum + 1] } else { vec![sum] } {
                let cents = round_to_cents(&parts, sum);
                prop_assert_eq!(cents.iter().sum::<i64>(), if parts.is_empty() { 0 } else { sum });
                for (cents, part) in cents.iter().zip(&parts) {
                    prop_assert!((cents * MICROS_PER_CENT - part.micros()).abs() <= 2 * MICROS_PER_CENT);
                }
            }
        }

        /// Every amount that is written with six decimal places parses back to the same number of millionths.
        #[test]
        fn six_decimal_amount_round_trips(micros in any::<i64>()) {
            let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
            let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
            prop_assert_eq!(text.parse::<Amount>().map(Amount::micros).ok(), Some(micros));
        }
    }
}
