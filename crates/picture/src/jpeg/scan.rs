//! The entropy-coded data of one scan: ITU-T T.81, annexes F.2 (sequential) and G.2 (progressive).

use super::super::PictureError;
use super::component::{Component, ZIGZAG};
use super::huffman::{Bits, HuffmanTable};
use super::stream::broken;
use super::tables::Tables;

/// What the header of a scan states: T.81, B.2.3.
pub(super) struct Scan {
    /// For each component: its place in the frame, its DC and its AC table.
    pub components: Vec<(usize, usize, usize)>,
    /// First and last coefficient, in zigzag order.
    spectrum: (usize, usize),
    /// The bit that came last before this scan, `None` in a first one, and the lowest that comes in it.
    bits: (Option<u8>, u8),
    progressive: bool,
}

impl Scan {
    /// Reads the header of a scan of a frame with these components.
    pub fn read(payload: &[u8], frame: &[Component], progressive: bool) -> Result<Scan, PictureError> {
        let wrong = || broken("a scan header contradicts itself");
        let (&count, rest) = payload.split_first().ok_or_else(wrong)?;
        let (selectors, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(wrong)?;
        let Some(&[first, last, bits]) = rest.first_chunk() else { return Err(wrong()) };
        let mut components = Vec::<(usize, usize, usize)>::new();
        for &[id, tables] in selectors.as_chunks::<2>().0 {
            let place = frame.iter().position(|component| component.id == id).ok_or_else(wrong)?;
            let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
            if dc > 3 || ac > 3 || components.iter().any(|&(other, ..)| other == place) {
                return Err(wrong());
            }
            components.push((place, dc, ac));
        }
        // T.81, B.2.3: a unit of an interleaved scan has ten blocks at most.
        let blocks: usize =
            components.iter().map(|&(place, ..)| frame[place].sampling.0 * frame[place].sampling.1).sum();
        if components.is_empty() || components.len() > 4 || components.len() > 1 && blocks > 10 {
            return Err(wrong());
        }
        if !progressive {
            // What such a scan states of coefficients is passed over, as libjpeg does: it has them all.
            return Ok(Scan { components, spectrum: (0, 63), bits: (None, 0), progressive });
        }
        let (high, low) = (bits >> 4, bits & 15);
        let one_kind = if first == 0 { last == 0 } else { first <= last && last <= 63 && components.len() == 1 };
        if !one_kind || low > 13 || high != 0 && high != low + 1 {
            return Err(wrong());
        }
        let bits = ((high != 0).then_some(high), low);
        Ok(Scan { components, spectrum: (first.into(), last.into()), bits, progressive })
    }
}

/// What is carried from block to block of a scan.
#[derive(Default)]
struct State {
    /// The last DC value of each component of the scan.
    previous: [i32; 4],
    /// Blocks that hold nothing more of the band.
    end_of_band: u32,
}

/// Decodes the data of a scan into its components and returns what is left of it and follows. `units` is how many units an interleaved scan
/// has, across and down.
pub(super) fn decode<'a>(
    scan: &Scan,
    frame: &mut [Component],
    units: (usize, usize),
    tables: &Tables,
    data: &'a [u8],
) -> Result<Bits<'a>, PictureError> {
    for &(place, ..) in &scan.components {
        let component = &mut frame[place];
        let known = &mut component.lowest_bits[scan.spectrum.0..=scan.spectrum.1];
        if !scan.progressive && known.iter().any(Option::is_some) {
            return Err(broken("a component has two scans"));
        }
        known.fill(Some(scan.bits.1));
    }
    let (mut bits, mut state) = (Bits::new(data), State::default());
    // A component alone in its scan comes block by block: T.81, A.2.2.
    let alone = scan.components.len() == 1;
    let units = if alone { frame[scan.components[0].0].blocks } else { units };
    for unit in 0..units.0 * units.1 {
        if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
            bits.restart(((unit / tables.restart_interval - 1) % 8) as u8)?;
            state = State::default();
        }
        let (x, y) = (unit % units.0, unit / units.0);
        for (index, &(place, dc, ac)) in scan.components.iter().enumerate() {
            let component = &mut frame[place];
            let (across, down) = if alone { (1, 1) } else { component.sampling };
            for at in (0..across * down).map(|i| (x * across + i % across, y * down + i / across)) {
                let (dc, ac) = (tables.dc[dc].as_ref(), tables.ac[ac].as_ref());
                if scan.progressive {
                    refine(scan, component, at, (dc, ac), &mut bits, &mut state, index)?;
                } else {
                    let mut block = [0; 64];
                    let steps = component.steps.unwrap_or([1; 64]);
                    let (dc, ac) = (dc.ok_or_else(no_table)?, ac.ok_or_else(no_table)?);
                    sequential(&mut bits, (dc, ac), &mut state.previous[index], &steps, &mut block)?;
                    if at.0 < component.blocks.0 && at.1 < component.blocks.1 {
                        component.put(at, &mut block);
                    }
                }
            }
        }
    }
    Ok(bits)
}

/// One block with all its coefficients, dequantized.
fn sequential(
    bits: &mut Bits,
    (dc, ac): (&HuffmanTable, &HuffmanTable),
    previous: &mut i32,
    steps: &[i32; 64],
    block: &mut [i32; 64],
) -> Result<(), PictureError> {
    *previous = previous.wrapping_add(difference(bits, dc)?);
    block[0] = previous.wrapping_mul(steps[0]);
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run < 15 {
                break;
            }
            at += 16;
            continue;
        }
        at += run;
        let value = bits.signed(size)?;
        let place = usize::from(*ZIGZAG.get(at).ok_or_else(past_the_block)?);
        block[place] = value.wrapping_mul(steps[place]);
        at += 1;
    }
    Ok(())
}

fn difference(bits: &mut Bits, dc: &HuffmanTable) -> Result<i32, PictureError> {
    let size = bits.symbol(dc)?;
    if size > 15 {
        return Err(broken("a difference has more than 15 bits"));
    }
    bits.signed(size.into())
}

/// What one scan of a progressive file adds to one block.
fn refine(
    scan: &Scan,
    component: &mut Component,
    (x, y): (usize, usize),
    (dc, ac): (Option<&HuffmanTable>, Option<&HuffmanTable>),
    bits: &mut Bits,
    state: &mut State,
    index: usize,
) -> Result<(), PictureError> {
    // A block beyond the picture, which fills a unit, has its bits all the same.
    let mut beyond = [0; 64];
    let inside = x < component.blocks.0 && y < component.blocks.1;
    let from = 64 * (y * component.blocks.0 + x);
    let stored = component.coefficients.get_mut(from..).and_then(|rest| rest.first_chunk_mut::<64>());
    let block = stored.filter(|_| inside).unwrap_or(&mut beyond);
    let (before, low) = scan.bits;
    match (scan.spectrum.0, before) {
        (0, None) => {
            let previous = &mut state.previous[index];
            *previous = previous.wrapping_add(difference(bits, dc.ok_or_else(no_table)?)?);
            block[0] = (*previous << low) as i16;
        }
        (0, Some(_)) => block[0] |= (bits.take(1)? << low) as i16,
        (_, None) => first_of_band(scan, block, ac.ok_or_else(no_table)?, bits, &mut state.end_of_band)?,
        (_, Some(_)) => more_of_band(scan, block, ac.ok_or_else(no_table)?, bits, &mut state.end_of_band)?,
    }
    Ok(())
}

/// The highest bits of a band: T.81, G.1.2.2.
fn first_of_band(
    scan: &Scan,
    block: &mut [i16; 64],
    ac: &HuffmanTable,
    bits: &mut Bits,
    end_of_band: &mut u32,
) -> Result<(), PictureError> {
    if *end_of_band > 0 {
        *end_of_band -= 1;
        return Ok(());
    }
    let (mut at, last) = scan.spectrum;
    while at <= last {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run < 15 {
                *end_of_band = (1 << run) - 1 + bits.take(run as u32)? as u32;
                break;
            }
            at += 16;
            continue;
        }
        at += run;
        let value = bits.signed(size)?;
        let place = ZIGZAG.get(at).filter(|_| at <= last).ok_or_else(past_the_block)?;
        block[usize::from(*place)] = (value << scan.bits.1) as i16;
        at += 1;
    }
    Ok(())
}

/// One more bit of a band: of the coefficients that have bits already, and of those that begin here. T.81, G.1.2.3.
fn more_of_band(
    scan: &Scan,
    block: &mut [i16; 64],
    ac: &HuffmanTable,
    bits: &mut Bits,
    end_of_band: &mut u32,
) -> Result<(), PictureError> {
    let bit = 1_i16 << scan.bits.1;
    let (mut at, last) = scan.spectrum;
    // One more bit of a coefficient that is not zero; it may have it already, in a file that repeats a scan.
    let correct = |value: &mut i16, bits: &mut Bits| -> Result<(), PictureError> {
        if bits.take(1)? == 1 && *value & bit == 0 {
            *value = value.wrapping_add(if *value > 0 { bit } else { -bit });
        }
        Ok(())
    };
    if *end_of_band == 0 {
        while at <= last {
            let symbol = bits.symbol(ac)?;
            let (mut run, size) = (u32::from(symbol >> 4), symbol & 15);
            let mut begins = 0;
            match size {
                0 if run < 15 => {
                    *end_of_band = (1 << run) + bits.take(run)? as u32;
                    break;
                }
                0 => {}
                1 => begins = if bits.take(1)? == 1 { bit } else { -bit },
                _ => return Err(broken("a refined coefficient has more than one bit")),
            }
            // The run counts the coefficients that are still zero.
            while at <= last {
                let value = &mut block[usize::from(ZIGZAG[at])];
                if *value != 0 {
                    correct(value, bits)?;
                } else if run > 0 {
                    run -= 1;
                } else {
                    *value = begins;
                    at += 1;
                    break;
                }
                at += 1;
            }
        }
    }
    if *end_of_band > 0 {
        while at <= last {
            let value = &mut block[usize::from(ZIGZAG[at])];
            if *value != 0 {
                correct(value, bits)?;
            }
            at += 1;
        }
        *end_of_band -= 1;
    }
    Ok(())
}

fn no_table() -> PictureError {
    broken("a Huffman table is missing")
}

fn past_the_block() -> PictureError {
    broken("a block has more than 64 coefficients")
}
