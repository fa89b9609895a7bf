//! What is enlarged, as named in configurations.

/// What to enlarge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// The spot with the highest heat, in frames that count as defects.
    Anomaly,
    /// The whole of every frame.
    Always,
    /// Nothing.
    Never,
}
