//! Conversions to floating-point numbers.

/// A count as a floating-point number. Exact, because counts of resources are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub const fn to_f64(n: u64) -> f64 {
    n as f64
}
