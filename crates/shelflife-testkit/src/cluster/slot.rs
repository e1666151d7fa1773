//! In which slot a key is: CRC16 of it, or of what stands between its first braces.

/// How many there are.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of a key.
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(hashed(key)) % SLOTS
}

/// What of a key decides: what is between the first `{` and the first `}` after it, unless that is nothing.
fn hashed(key: &[u8]) -> &[u8] {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    tag.unwrap_or(key)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let mixed = crc ^ (u16::from(*byte) << 8);
        (0..8).fold(mixed, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    #[test]
    fn what_is_in_the_first_braces_decides() {
        assert_eq!(slot_of(b"{user}:a"), slot_of(b"user"));
        assert_eq!(slot_of(b"x{user}{y}"), slot_of(b"user"));
        assert_eq!(hashed(b"a{}b"), b"a{}b");
        assert_eq!(hashed(b"a{{b}}"), b"{b");
        assert_eq!(hashed(b"a{b"), b"a{b");
    }
}
