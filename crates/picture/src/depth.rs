//! Samples of more than 8 bits, brought to 8: what range they use, which files often leave open.

use super::PictureError;
use super::picture::RowLayout;

/// What a caller knows of a file that the file does not state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// Bits that are used of each sample of 16, 1 to 16: cameras of 10, 12 or 14 bits write theirs into the lower bits. Files
    /// with 8 bits a sample are not affected, nor are those whose format has a range of its own (PNM), or that state theirs (sBIT
    /// of PNG, MaxSampleValue of TIFF).
    pub bits: Option<u8>,
}

/// The range of a decoded file's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleDepth {
    /// Bits of a sample in the file: up to 8, or 16, of which 8 were made.
    pub bits: u8,
    /// The fewest bits that hold the largest sample of colour or grey.
    pub used_bits: u8,
    /// Whether the file, or the caller, states the range. Where nobody does, 16 bits are taken for the whole range.
    pub is_stated: bool,
}

impl SampleDepth {
    /// Of a file with 8 bits a sample.
    pub(super) const EIGHT: SampleDepth = SampleDepth { bits: 8, used_bits: 8, is_stated: true };

    /// Whether there is a range above all samples, as where a camera of 12 bits wrote into 16: nobody states the range, and the
    /// largest sample lies below a quarter of it.
    pub fn leaves_high_bits_unused(&self) -> bool {
        self.bits == 16 && !self.is_stated && self.used_bits <= 14
    }
}

/// What many pictures use of their samples: whether there is a range above all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct BitsInUse {
    /// Pictures of 16 bits a sample whose range nobody states.
    pictures: u64,
    most_bits: u8,
}

impl BitsInUse {
    /// Counts a picture in.
    pub fn add(&mut self, depth: SampleDepth) {
        if depth.bits == 16 && !depth.is_stated {
            self.pictures += 1;
            self.most_bits = self.most_bits.max(depth.used_bits);
        }
    }

    /// Pictures of 16 bits a sample that were counted, whose range nobody states.
    pub fn pictures(&self) -> u64 {
        self.pictures
    }

    /// One line where no picture used the highest bits: they are dark then, and what they show is lost in 8 bits. `how` names
    /// the option or key that states the bits.
    pub fn advice(&self, how: &str) -> Option<String> {
        let camera = [10, 12, 14].into_iter().find(|bits| *bits >= self.most_bits)?;
        let (pictures, bits) = (self.pictures, self.most_bits);
        let noun = if pictures == 1 { "picture has" } else { "pictures have" };
        (pictures > 0).then(|| {
            format!(
                "{pictures} {noun} 16 bits a sample, of which {bits} are used: if the camera has {camera} bits, state them \
                 ({how}, with N = {camera}); otherwise they are taken as dark"
            )
        })
    }
}

/// The largest sample as it is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatedRange {
    /// Nothing is stated.
    None,
    /// So many bits are significant (sBIT of PNG): of the upper bits by the specification, of the lower as cameras write it.
    /// It counts where no sample is larger.
    Significant(u16),
    /// The whole, whatever the samples are (PNM).
    Whole,
}

/// Samples to bytes, and what range they used.
pub(super) fn to_8_bits(
    samples: &[u16],
    row: RowLayout,
    stated: StatedRange,
    options: DecodeOptions,
) -> Result<(Vec<u8>, SampleDepth), PictureError> {
    let channels = row.channels();
    let colours = row.layout.channels();
    let largest = samples.chunks_exact(channels).flat_map(|pixel| &pixel[..colours]).copied().max().unwrap_or(0);
    let used_bits = (u16::BITS - largest.leading_zeros()) as u8;
    let (white, is_stated) = white_level(largest, stated, options)?;
    let white = Scale::new(white);
    // Opacity has the same range, or, where it is beyond that, the whole.
    let opacity = match row.alpha.then(|| samples.iter().skip(colours).step_by(channels).max()).flatten() {
        Some(&alpha) if u32::from(alpha) > white.0 => Scale::new(u16::MAX),
        _ => white,
    };
    let bytes = samples
        .iter()
        .enumerate()
        .map(|(i, &sample)| if row.alpha && i % channels == colours { opacity.of(sample) } else { white.of(sample) });
    Ok((bytes.collect(), SampleDepth { bits: 16, used_bits, is_stated }))
}

/// Which sample is white, and whether anybody states it.
pub(super) fn white_level(
    largest: u16,
    stated: StatedRange,
    options: DecodeOptions,
) -> Result<(u16, bool), PictureError> {
    Ok(match (options.bits, stated) {
        (_, StatedRange::Whole) => (u16::MAX, true),
        (_, StatedRange::Significant(white)) if largest <= white => (white, true),
        // The upper bits are the significant ones then.
        (Some(bits), StatedRange::Significant(_)) if largest > white_of(bits) => (u16::MAX, true),
        (Some(bits), _) => {
            let white = white_of(bits);
            if largest > white {
                return Err(PictureError::TooManyBits { bits, largest });
            }
            (white, true)
        }
        // What the samples contradict states nothing.
        (None, StatedRange::Significant(_) | StatedRange::None) => (u16::MAX, false),
    })
}

/// The largest number of so many bits.
pub(super) fn white_of(bits: u8) -> u16 {
    u16::MAX >> (16 - u32::from(bits.clamp(1, 16)))
}

/// Brings samples from 0 to white to 0 to 255.
#[derive(Clone, Copy)]
pub(super) struct Scale(u32);

impl Scale {
    pub fn new(white: u16) -> Scale {
        Scale(u32::from(white.max(1)))
    }

    /// The nearest of 256 levels.
    pub fn of(self, sample: u16) -> u8 {
        ((u32::from(sample).min(self.0) * 255 + self.0 / 2) / self.0) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Layout;

    const GREY: RowLayout = RowLayout { layout: Layout::Grey, alpha: false };

    fn scaled(samples: &[u16], stated: StatedRange, bits: Option<u8>) -> (Vec<u8>, SampleDepth) {
        to_8_bits(samples, GREY, stated, DecodeOptions { bits }).unwrap()
    }

    #[test]
    fn twelve_bits_fill_eight() {
        let expected = [0, 0, 1, 128, 255];
        let samples = [0, 8, 9, 2048, 4095];
        for (stated, bits) in [(StatedRange::None, Some(12)), (StatedRange::Significant(4095), None)] {
            let (bytes, depth) = scaled(&samples, stated, bits);
            assert_eq!(bytes, expected);
            assert_eq!(depth, SampleDepth { bits: 16, used_bits: 12, is_stated: true });
        }
        let (bytes, depth) = scaled(&samples, StatedRange::None, None);
        assert_eq!((bytes[4], depth.leaves_high_bits_unused()), (16, true));
        // Stated, but by the samples it cannot be so: the whole range, and the advice.
        let (bytes, depth) = scaled(&samples, StatedRange::Significant(255), None);
        assert_eq!((bytes[4], depth.leaves_high_bits_unused()), (16, true));
        assert!(!scaled(&[0, 40_000], StatedRange::None, None).1.leaves_high_bits_unused());
    }

    #[test]
    fn many_pictures_give_one_advice() {
        let depth = |samples: &[u16]| scaled(samples, StatedRange::None, None).1;
        let mut in_use = BitsInUse::default();
        assert_eq!(in_use.advice("--bits N"), None);
        in_use.add(SampleDepth::EIGHT);
        in_use.add(scaled(&[4080], StatedRange::None, Some(12)).1);
        assert_eq!((in_use.pictures(), in_use.advice("--bits N")), (0, None));
        in_use.add(depth(&[100]));
        in_use.add(depth(&[4080]));
        let advice = in_use.advice("--bits N").unwrap();
        assert!(
            advice.starts_with("2 pictures have 16 bits a sample, of which 12 are used: if the camera has 12 bits"),
            "{advice}"
        );
        in_use.add(depth(&[40_000]));
        assert_eq!(in_use.advice("--bits N"), None);
    }

    #[test]
    fn significant_bits_may_be_the_upper_ones() {
        // As PNG's specification has it: 12 bits, shifted up.
        assert_eq!(scaled(&[0, 0x8008, 0xFFFF], StatedRange::Significant(4095), None).0, [0, 128, 255]);
        assert_eq!(scaled(&[0, 128, 129, 65_407], StatedRange::None, None).0, [0, 0, 1, 255]);
    }

    #[test]
    fn more_than_was_stated_is_an_error_and_not_white() {
        let error = to_8_bits(&[4096], GREY, StatedRange::None, DecodeOptions { bits: Some(12) }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "has samples up to 4096, more than 12 bits hold: give the number of bits that the camera has, or none"
        );
        assert_eq!(scaled(&[4096, 65_535], StatedRange::Whole, Some(12)).0, [16, 255]);
    }

    #[test]
    fn opacity_keeps_its_own_range() {
        let row = RowLayout { layout: Layout::Grey, alpha: true };
        let scaled =
            |samples: &[u16]| to_8_bits(samples, row, StatedRange::None, DecodeOptions { bits: Some(12) }).unwrap().0;
        assert_eq!(scaled(&[4095, 65_535, 0, 65_535]), [255, 255, 0, 255]);
        assert_eq!(scaled(&[4095, 4095, 0, 0]), [255, 255, 0, 0]);
    }
}
