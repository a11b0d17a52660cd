use super::{Body, PacketType, Parsed, Sink};

macro_rules! empty_packet {
    ($(#[$doc:meta])* $Name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $Name;

        impl $Name {
            #[allow(clippy::unnecessary_wraps, reason = "the form of all packets")]
            pub(super) fn parse(_: u8, body: &[u8]) -> Parsed<'_, Self> {
                Ok((body, Self))
            }
        }

        impl Body for $Name {
            fn first_byte(&self) -> u8 {
                PacketType::$Name.first_byte()
            }

            fn body<S: Sink>(&self, _: &mut S) {}
        }
    };
}

empty_packet! {
    /// "I am still here" (section 3.12).
    Pingreq
}
empty_packet! {
    /// The answer to a PINGREQ (section 3.13).
    Pingresp
}
