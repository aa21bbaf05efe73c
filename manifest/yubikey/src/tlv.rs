//! Tag, length, value, as cards write them: one byte of tag, lengths up to 65,535.

/// Calls every pair in `bytes`, in order, and ends where they make no sense.
pub fn parse(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, rest) = bytes.split_first()?;
        let (length, rest) = length(rest)?;
        let (value, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        Some((*tag, value))
    })
}

/// The value of the first pair that has this tag.
pub fn find(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    parse(bytes).find_map(|(found, value)| (found == tag).then_some(value))
}

/// Adds a pair.
pub fn put(to: &mut Vec<u8>, tag: u8, value: &[u8]) {
    to.push(tag);
    match value.len() {
        short @ 0..=0x7f => to.push(short as u8),
        long @ 0x80..=0xff => to.extend([0x81, long as u8]),
        longer => to.extend([0x82, (longer >> 8) as u8, longer as u8]),
    }
    to.extend_from_slice(value);
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [0x81, length, rest @ ..] => Some((usize::from(*length), rest)),
        [0x82, high, low, rest @ ..] => Some((usize::from(*high) << 8 | usize::from(*low), rest)),
        [length @ 0..=0x7f, rest @ ..] => Some((usize::from(*length), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 3000] {
            let value = vec![7; length];
            let mut bytes = Vec::new();
            put(&mut bytes, 0x70, &value);
            put(&mut bytes, 0x71, &[1]);
            assert_eq!(find(&bytes, 0x70), Some(&value[..]));
            assert_eq!(find(&bytes, 0x71), Some(&[1][..]));
            assert_eq!(find(&bytes, 0x72), None);
        }
    }

    #[test]
    fn what_is_cut_short_is_not_there() {
        for bytes in
            [&[][..], &[0x70], &[0x70, 2, 1], &[0x70, 0x81], &[0x70, 0x82, 1], &[0x70, 0x83]]
        {
            assert_eq!(find(bytes, 0x70), None, "{bytes:?}");
        }
    }
}
