//! Arrays of a fixed length.

use serde::de::{Deserialize, Deserializer, Error};
use toml::Spanned;

/// Exactly `N` values. Of a longer array serde would take the first ones, without a word about the others.
pub(super) fn exactly<'de, D: Deserializer<'de>, T: Deserialize<'de>, const N: usize>(
    from: D,
) -> Result<Option<Spanned<[T; N]>>, D::Error> {
    let list = Spanned::<Vec<T>>::deserialize(from)?;
    let (span, list) = (list.span(), list.into_inner());
    let found = list.len();
    let array = list.try_into().map_err(|_| D::Error::custom(format!("{N} numbers are wanted, found {found}")))?;
    Ok(Some(Spanned::new(span, array)))
}
