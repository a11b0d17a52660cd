//! Looking at text eight bytes at a time: most strings of the protocol are short, and each is looked
//! at once on its way in and once on its way out.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// Not 0 if a byte of `word` is `byte`.
const fn holds(word: u64, byte: u8) -> u64 {
    let word = word ^ (ONES * byte as u64);
    word.wrapping_sub(ONES) & !word & HIGH
}

/// Whether `odd` says something else than 0 of any eight bytes. Some may be looked at twice.
#[inline]
fn any(bytes: &[u8], odd: impl Fn(u64) -> u64) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return odd(short(bytes)) != 0;
    };
    let (words, rest) = bytes.as_chunks();
    let mut found = words
        .iter()
        .fold(0, |found, word| found | odd(u64::from_le_bytes(*word)));
    if !rest.is_empty() {
        found |= odd(u64::from_le_bytes(*last));
    }
    found != 0
}

/// Fewer than eight bytes as eight: some of them are there twice, or 1, which none looks for, if
/// there are none.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    match bytes {
        [] => ONES,
        [first, .., last] => {
            let middle = bytes.get(1).unwrap_or(first);
            ONES << 24 | u64::from(*first) << 16 | u64::from(*middle) << 8 | u64::from(*last)
        }
        [only] => ONES << 8 | u64::from(*only),
    }
}

/// Whether all bytes are ASCII, and none is 0: the usual case, well-formed without another look.
#[inline]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    !any(bytes, |word| word & HIGH | holds(word, 0))
}

/// Whether a byte is 0.
#[inline]
pub(crate) fn has_nul(bytes: &[u8]) -> bool {
    any(bytes, |word| holds(word, 0))
}

/// Whether a byte is `+` or `#`.
#[inline]
pub(crate) fn has_wildcard(bytes: &[u8]) -> bool {
    any(bytes, |word| holds(word, b'+') | holds(word, b'#'))
}

/// Whether `text`, which is well-formed, has no byte that a topic name must not have.
#[inline]
pub(crate) fn is_plain_name(text: &str) -> bool {
    !any(text.as_bytes(), |word| {
        holds(word, 0) | holds(word, b'+') | holds(word, b'#')
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// Every byte at every place of strings of every length up to three words.
    #[test]
    fn finds_each_byte_wherever_it_is() {
        for length in 0..=24 {
            let mut bytes = vec![b'a'; length];
            assert!(is_plain(&bytes) && !has_nul(&bytes) && !has_wildcard(&bytes));
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    bytes[place] = byte;
                    assert_eq!(is_plain(&bytes), (1..=0x7F).contains(&byte));
                    assert_eq!(has_nul(&bytes), byte == 0);
                    assert_eq!(has_wildcard(&bytes), byte == b'+' || byte == b'#');
                    if let Ok(text) = core::str::from_utf8(&bytes) {
                        assert_eq!(is_plain_name(text), !matches!(byte, 0 | b'+' | b'#'));
                    }
                }
                bytes[place] = b'a';
            }
        }
    }

    /// Any two bytes that are looked for, wherever they are.
    #[test]
    fn two_finds_do_not_cancel_each_other() {
        for length in 2..=24 {
            for first in 0..length {
                for second in 0..length {
                    for (one, other) in [(b'+', b'+'), (b'#', b'+'), (0, 0), (0, b'#')] {
                        let mut bytes = vec![b'a'; length];
                        bytes[first] = one;
                        bytes[second] = other;
                        let has = |byte| bytes.contains(&byte);
                        assert_eq!(has_nul(&bytes), has(0));
                        assert_eq!(has_wildcard(&bytes), has(b'+') || has(b'#'));
                        let text = core::str::from_utf8(&bytes).unwrap_or_default();
                        assert!(!is_plain_name(text));
                    }
                }
            }
        }
    }

    #[test]
    fn a_find_hides_no_other() {
        assert!(!is_plain(&[0x80, 0, 0x80]));
        assert!(has_nul(&[1, 0, 1, 0x80, 0xFF, 0, 1, 1, 1]));
        assert!(has_wildcard(b"aaaa+aaaa"));
    }
}
