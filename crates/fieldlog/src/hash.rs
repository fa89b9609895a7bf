//! Keys of tables whose sizes are bounded: short, the same on every machine, and no defence against an attacker.

/// FNV-1a, 64 bits.
pub fn fnv(bytes: impl AsRef<[u8]>) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.as_ref().iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
