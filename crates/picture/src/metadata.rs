//! What a file states beside its pixels: how it lies, how its colours are meant, and how dense its pixels are.

use super::orientation::swaps_sides;
use super::picture::Layout;
use image::metadata::Orientation;

/// What a file states beside its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// How the pixels lie in the file. Readers of this crate turn them.
    pub orientation: Orientation,
    /// The ICC profile of the colours.
    pub icc_profile: Option<Vec<u8>>,
    /// How dense the pixels are.
    pub density: Option<Density>,
    /// Whether the file has further pictures: pages, or the frames of an animation.
    pub has_more_pictures: bool,
}

/// Pixels for each length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Density {
    /// Across.
    pub x: u32,
    /// Down.
    pub y: u32,
    /// Whether they are for each metre. Otherwise only their ratio is stated.
    pub per_metre: bool,
}

impl Default for Metadata {
    fn default() -> Metadata {
        Metadata { orientation: Orientation::NoTransforms, icc_profile: None, density: None, has_more_pictures: false }
    }
}

impl Metadata {
    /// The metadata of the picture once it is upright.
    pub(super) fn of_upright(self) -> Metadata {
        let swap = |density: Density| Density { x: density.y, y: density.x, ..density };
        let density = if swaps_sides(self.orientation) { self.density.map(swap) } else { self.density };
        Metadata { orientation: Orientation::NoTransforms, density, ..self }
    }

    /// The profile, where it is one for such pixels: ICC.1, 7.2.6, has the colour space at byte 16 of the header.
    pub(super) fn profile_for(&self, layout: Layout) -> Option<&[u8]> {
        let space: &[u8] = match layout {
            Layout::Grey => b"GRAY",
            Layout::Rgb => b"RGB ",
        };
        self.icc_profile.as_deref().filter(|profile| profile.get(16..20) == Some(space))
    }
}

impl Density {
    /// Of numbers for each inch; nothing where they make no sense.
    pub(super) fn per_inch(x: f64, y: f64) -> Option<Density> {
        Density::per_centimetre(x / 2.54, y / 2.54)
    }

    /// Of numbers for each centimetre.
    pub(super) fn per_centimetre(x: f64, y: f64) -> Option<Density> {
        let metre = |number: f64| (100.0 * number).round();
        let sensible = |number: f64| number.is_finite() && (1.0..=1e9).contains(&number);
        let (x, y) = (metre(x), metre(y));
        (sensible(x) && sensible(y)).then_some(Density { x: x as u32, y: y as u32, per_metre: true })
    }
}
