//! The tables of a stream: ITU-T T.81, B.2.4.

use super::super::PictureError;
use super::component::ZIGZAG;
use super::huffman::HuffmanTable;
use super::standard_tables;
use super::stream::broken;

/// The tables that segments set, as they are at some place of the stream.
pub(super) struct Tables {
    /// Steps in natural order.
    pub quantization: [Option<[i32; 64]>; 4],
    pub dc: [Option<HuffmanTable>; 4],
    pub ac: [Option<HuffmanTable>; 4],
    /// Units between restart markers; 0 where there are none.
    pub restart_interval: usize,
}

impl Tables {
    /// The standard ones, which hold until a segment sets others.
    pub fn new() -> Result<Tables, PictureError> {
        let mut tables =
            Tables { quantization: [None; 4], dc: [const { None }; 4], ac: [const { None }; 4], restart_interval: 0 };
        standard_tables::fill(&mut tables.dc, &mut tables.ac)?;
        Ok(tables)
    }

    /// T.81, B.2.4.1.
    pub fn quantize(&mut self, mut payload: &[u8]) -> Result<(), PictureError> {
        let short = || broken("a quantization table is cut short");
        while let Some((&kind, after)) = payload.split_first() {
            let bytes = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, after) = after.split_at_checked(64 * bytes).ok_or_else(short)?;
            let mut steps = [0; 64];
            for (value, &place) in values.chunks(bytes).zip(&ZIGZAG) {
                steps[usize::from(place)] = value.iter().fold(0, |sum, byte| (sum << 8) | i32::from(*byte));
            }
            *self.quantization.get_mut(usize::from(kind & 15)).ok_or_else(short)? = Some(steps);
            payload = after;
        }
        Ok(())
    }

    /// T.81, B.2.4.2.
    pub fn huffman(&mut self, mut payload: &[u8]) -> Result<(), PictureError> {
        let short = || broken("a Huffman table is cut short");
        while let Some((&kind, after)) = payload.split_first() {
            let (counts, after) = after.split_first_chunk::<16>().ok_or_else(short)?;
            let length = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, after) = after.split_at_checked(length).ok_or_else(short)?;
            let class = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *class.get_mut(usize::from(kind & 15)).ok_or_else(short)? = Some(HuffmanTable::new(counts, symbols)?);
            payload = after;
        }
        Ok(())
    }
}
