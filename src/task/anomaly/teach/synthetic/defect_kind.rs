//! The kinds of synthetic defects.

/// A kind of synthetic defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefectKind {
    /// A small dark or bright spot: a pore, a splash.
    Spot,
    /// A thin bent line.
    Scratch,
    /// A piece of this or another picture in the wrong place.
    Paste,
    /// A region that is darker or brighter, with straight or round edges.
    Region,
    /// A region of the same brightness whose texture is smoother, rougher or another one.
    Texture,
    /// Something missing or in front at the picture's edge.
    Bite,
    /// Ragged patches that let the texture through.
    Stain,
    /// A long, jagged, branching hairline.
    Crack,
    /// Brightness that drifts over a large part of the picture.
    Shade,
}

impl DefectKind {
    /// Every kind.
    pub const ALL: [DefectKind; 9] = [
        DefectKind::Spot,
        DefectKind::Scratch,
        DefectKind::Paste,
        DefectKind::Region,
        DefectKind::Texture,
        DefectKind::Bite,
        DefectKind::Stain,
        DefectKind::Crack,
        DefectKind::Shade,
    ];
}
