//! The choice of what is enlarged; configurations name it.

/// When to enlarge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// The spot, where a frame counts as defect.
    Anomaly,
    /// The whole of every frame.
    Always,
    /// Not at all.
    Never,
}
