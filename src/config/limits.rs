//! Values that must lie between two others.

use bytesize::ByteSize;
use toml::Spanned;

/// An invalid value: the byte offset where it is set, and what is wrong with it.
pub(super) type Violation = (usize, String);

pub(super) fn check_fps(fps: &Option<Spanned<f64>>, key: &str) -> Option<Violation> {
    fps.as_ref().and_then(|fps| check_range(fps, key, 0.01, 1000.0))
}

pub(super) fn check_range<T: PartialOrd + std::fmt::Display>(
    value: &Spanned<T>,
    key: &str,
    low: T,
    high: T,
) -> Option<Violation> {
    let found = value.get_ref();
    let inside = *found >= low && *found <= high;
    (!inside).then(|| (value.span().start, format!("{key} must lie in {low}..{high}, found {found}")))
}

/// As [`check_range`]; a small number is taken for one whose unit is missing.
pub(super) fn check_bytes(value: &Spanned<ByteSize>, key: &str, low: ByteSize, high: ByteSize) -> Option<Violation> {
    let (start, problem) = check_range(value, key, low, high)?;
    let bytes = value.get_ref().as_u64();
    let unit = format!("; {bytes} is {bytes} bytes: did you mean \"{bytes} MiB\"?");
    Some((start, if bytes < 100_000 && !bytes.is_multiple_of(1024) { problem + &unit } else { problem }))
}
