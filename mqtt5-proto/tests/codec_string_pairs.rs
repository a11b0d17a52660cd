//! UTF-8 String Pairs: both halves are strings like any other (MQTT 5.0 section 1.5.7).

mod codec_support;

use codec_support::{hex, publish, publish_with, refused, with_properties};
use mqtt5_proto::codec::{DataTypeError, Violation};
use mqtt5_proto::packet::{Packet, UserProperty};

/// Where User Properties stand: first byte, what is before and behind the property section.
const PLACES: [(u8, &str, &str); 14] = [
    (0x10, "00 04 4D 51 54 54 05 02 00 00", "00 00"),
    // The properties of a Will.
    (
        0x10,
        "00 04 4D 51 54 54 05 06 00 00 00 00 00",
        "00 01 77 00 00",
    ),
    (0x20, "00 00", ""),
    (0x30, "00 01 74", ""),
    (0x40, "00 01 00", ""),
    (0x50, "00 01 00", ""),
    (0x62, "00 01 00", ""),
    (0x70, "00 01 00", ""),
    (0x82, "00 01", "00 01 61 00"),
    (0x90, "00 01", "00"),
    (0xA2, "00 01", "00 01 61"),
    (0xB0, "00 01", "00"),
    (0xE0, "00", ""),
    (0xF0, "18", ""),
];

#[test]
fn a_violation_in_the_name_or_in_the_value_is_malformed() {
    for (bad, violation) in [
        // A lead byte without what has to follow, a surrogate, U+0000 too long, U+110000; U+0000.
        ("00 02 C3 28", Violation::InvalidUtf8),
        ("00 03 ED A0 80", Violation::InvalidUtf8),
        ("00 02 C0 80", Violation::InvalidUtf8),
        ("00 04 F4 90 80 80", Violation::InvalidUtf8),
        ("00 01 00", Violation::NulInString),
    ] {
        for (first, before, after) in PLACES {
            // Fixed header, Property Length, property identifier.
            let name_at = 2 + hex(before).len() + 2;
            let name = with_properties(first, before, &format!("26 {bad} 00 01 76"), after);
            refused(&name, 0x81, violation, name_at);
            let value = with_properties(first, before, &format!("26 00 01 6B {bad}"), after);
            refused(&value, 0x81, violation, name_at + 3);
        }
    }
}

#[test]
fn what_is_a_string_is_legal_in_both_halves_and_kept_as_it_is() {
    // Nothing; a byte order mark, alone, in front and behind; U+10FFFF.
    for (good, text) in [
        ("00 00", ""),
        ("00 03 EF BB BF", "\u{FEFF}"),
        ("00 04 EF BB BF 78", "\u{FEFF}x"),
        ("00 04 78 EF BB BF", "x\u{FEFF}"),
        ("00 04 F4 8F BF BF", "\u{10FFFF}"),
    ] {
        let pair = format!("26 {good} {good}");
        for (first, before, after) in PLACES {
            let bytes = with_properties(first, before, &pair, after);
            assert!(Packet::parse(&hex(&bytes)).is_ok(), "{bytes}");
        }
        let bytes = hex(&publish_with(&pair));
        let properties = publish(&bytes).properties();
        assert!(properties.user_properties().eq([(text, text)]));
        let made = UserProperty::new(text, text);
        assert!(made.is_ok_and(|made| made.name == text && made.value == text));
    }
}

#[test]
fn a_pair_that_is_none_cannot_be_made() {
    let long = "a".repeat(65_536);
    for (bad, error) in [
        ("\0", DataTypeError::Nul),
        ("a\0b", DataTypeError::Nul),
        (&long, DataTypeError::TooLong),
    ] {
        assert_eq!(UserProperty::new(bad, "v").err(), Some(error));
        assert_eq!(UserProperty::new("k", bad).err(), Some(error));
    }
    assert!(UserProperty::new("", "").is_ok());
}
