//! Two bytes a character, as some shells write.

/// UTF-16 to UTF-8. The first byte of each pair is taken as the low one: of a big-endian file the leading zero was taken for
/// a stray NUL, so that what is ASCII reads the same.
pub fn utf16_to_utf8(utf16: &[u8], out: &mut Vec<u8>) {
    let units = utf16.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    for c in char::decode_utf16(units) {
        let c = c.unwrap_or('\u{fffd}');
        if c != '\r' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}
