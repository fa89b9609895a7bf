//! A decoder for the JPEG files that zune-jpeg does not decode rightly: several scans, of which each has a part of the components
//! or of their precision, in any order, and any sampling factors. ITU-T T.81, annexes F and G, Huffman coding, 8 bits.
//!
//! zune-jpeg 0.5.15 reads too few rows of a component that has several blocks a unit and a scan of its own, carries the count of a
//! restart interval from scan to scan, and refuses files whose chroma comes first.

use super::super::PictureError;
use super::component::Component;
use super::scan::{self, Scan};
use super::stream::{
    DHT, DQT, DRI, EOI, PlainStream, SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE, SOS, broken, next_marker, segment,
};
use super::tables::Tables;

/// Scans of one file: one of few bytes takes as long as any, so a file must not have as many as its bytes allow.
const MAX_SCANS: usize = 500;

/// Decodes the components of a stream as they are stored.
pub(super) fn decode_components(stream: &PlainStream) -> Result<Vec<Component>, PictureError> {
    let mut rest = stream.bytes.get(2..).unwrap_or_default();
    let mut tables = Tables::new()?;
    let (mut components, mut progressive, mut largest, mut scans) = (Vec::new(), false, (1, 1), 0);
    loop {
        let marker = next_marker(&mut rest)?;
        if marker == EOI {
            break;
        }
        let payload = segment(&mut rest)?;
        match marker {
            DQT => tables.quantize(payload)?,
            DHT => tables.huffman(payload)?,
            DRI => tables.restart_interval = payload.first_chunk().map_or(0, |pair| u16::from_be_bytes(*pair).into()),
            SOF_BASELINE | SOF_EXTENDED | SOF_PROGRESSIVE => {
                progressive = marker == SOF_PROGRESSIVE;
                (components, largest) = frame(payload, (stream.width, stream.height))?;
                components.iter_mut().for_each(|component| component.allocate(progressive));
            }
            SOS => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(PictureError::Unsupported("JPEG with more than 500 scans: save it as baseline"));
                }
                let scan = Scan::read(payload, &components, progressive)?;
                for &(place, ..) in &scan.components {
                    let component = &mut components[place];
                    let table = tables.quantization[component.table];
                    component.steps = component.steps.or(table);
                    if component.steps.is_none() {
                        return Err(broken("a quantization table is missing"));
                    }
                }
                let units = (stream.width.div_ceil(8 * largest.0), stream.height.div_ceil(8 * largest.1));
                let bits = scan::decode(&scan, &mut components, units, &tables, rest)?;
                rest = bits.rest();
                // Of zeros behind the data, one byte was kept. It may be code, but then all of it: what fills the last byte of a
                // scan up is ones (T.81, F.1.2.3).
                if stream.ends_in_zero && rest == [0xFF, EOI] && bits.left().is_some_and(|left| (1..8).contains(&left))
                {
                    return Err(broken("it is cut short: a scan ends too early"));
                }
            }
            _ => {}
        }
    }
    if stream.open_ended && !components.iter().all(Component::is_complete) {
        return Err(broken("it is cut short: scans and the end-of-image marker are missing"));
    }
    for component in &mut components {
        if component.lowest_bits.iter().all(Option::is_none) {
            return Err(broken("a component has no scan"));
        }
        if progressive {
            component.transform()?;
        }
    }
    Ok(components)
}

/// The components of a frame, and their largest sampling factors: T.81, B.2.2.
fn frame(payload: &[u8], size: (usize, usize)) -> Result<(Vec<Component>, (usize, usize)), PictureError> {
    let wrong = || broken("its frame header contradicts itself");
    let specifications = payload.get(6..).unwrap_or_default().as_chunks::<3>().0;
    let count = payload.get(5).map_or(0, |count| usize::from(*count));
    let specifications = specifications.get(..count).ok_or_else(wrong)?;
    let sampling = |byte: u8| (usize::from(byte >> 4), usize::from(byte & 15));
    let mut largest = (0, 0);
    for &[_, factors, table] in specifications {
        let (across, down) = sampling(factors);
        if !(1..=4).contains(&across) || !(1..=4).contains(&down) || table > 3 {
            return Err(wrong());
        }
        largest = (largest.0.max(across), largest.1.max(down));
    }
    let mut components = Vec::<Component>::with_capacity(count);
    for &[id, factors, table] in specifications {
        if components.iter().any(|other| other.id == id) {
            return Err(broken("two of its components have one name"));
        }
        components.push(Component::new(id, sampling(factors), table.into(), size, largest)?);
    }
    Ok((components, largest))
}

/// The components at the size of the picture, interleaved, `[height, width, components]`.
pub(super) fn interleave(components: &[Component], width: usize, out: &mut [u8]) {
    let count = components.len();
    let mut wide = Vec::new();
    for (y, to) in out.chunks_exact_mut(width * count).enumerate() {
        for (place, component) in components.iter().enumerate() {
            let samples = component.row(y, width, &mut wide);
            for (pixel, sample) in to.chunks_exact_mut(count).zip(samples) {
                pixel[place] = *sample;
            }
        }
    }
}
