//! The one line of an identity file that stands for a key on a YubiKey, as
//! age-plugin-yubikey writes it: `AGE-PLUGIN-YUBIKEY-1…`. It is not secret; the key is.

use keyrack_piv::Tag;

/// Which key on which YubiKey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stub {
    /// The YubiKey.
    pub(crate) serial: u32,
    /// The key.
    pub(crate) tag: Tag,
}

impl Stub {
    /// Serial (4 bytes, little-endian), slot (1), tag (4), in Bech32. The slot is passed
    /// over: whatever slot the key is in, it is known by its tag.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (hrp, bytes) = bech32::decode(text).ok()?;
        if !hrp.as_str().eq_ignore_ascii_case("age-plugin-yubikey-") {
            return None;
        }
        let (serial, rest) = bytes.split_first_chunk()?;
        let [_slot, tag @ ..] = rest else { return None };
        Some(Self { serial: u32::from_le_bytes(*serial), tag: Tag(tag.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What age-plugin-yubikey 0.5.1 wrote for a key in the first slot of YubiKey 42.
    #[test]
    fn reads_what_the_plugin_writes() {
        let recipient = "age1yubikey1qfm4erjxc9sqqys4xu0xlsty8qfy7l0e3u0spjeuwh5qlp22dfsgvkryx42";
        let tag = crate::Recipient::parse(recipient).unwrap().yubikey().unwrap().tag();
        let stub = Stub::parse("AGE-PLUGIN-YUBIKEY-19GQQQQYZHHTH2GCMZAWNA");
        assert_eq!(stub, Some(Stub { serial: 42, tag }));

        let hrp = bech32::Hrp::parse("age-plugin-yubikey-").unwrap();
        let text = |bytes: &[u8]| bech32::encode_upper::<bech32::Bech32>(hrp, bytes).unwrap();
        let good = [42, 0, 0, 0, 0x82, 7, 7, 7, 7];
        assert!(Stub::parse(&text(&good)).is_some());
        for bad in [&good[..8], &[0; 10], &[]] {
            assert_eq!(Stub::parse(&text(bad)), None);
        }
        assert_eq!(Stub::parse("AGE-PLUGIN-TPM-1QQQQ"), None);
    }
}
