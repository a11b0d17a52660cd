//! The reason codes that an application may answer a message with (MQTT 5.0 sections 3.4.2.1 and
//! 3.5.2.1).

mod session_support;

use mqtt5_proto::packet::PublishReasonCode;
use mqtt5_proto::session::AckError;
use session_support::*;

/// What a client may send in PUBACK and PUBREC; 0x10 is the server's.
const ALLOWED: [u8; 8] = [0x00, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];

#[test]
fn pubacks_and_pubrecs_carry_the_codes_that_a_client_may_send_and_no_other() {
    for (publish, answer) in [
        ("32 07 00 01 74 00 0A 00 61", "40"),
        ("34 07 00 01 74 00 0A 00 61", "50"),
    ] {
        let mut sent = Vec::new();
        for &code in PublishReasonCode::ALL {
            let mut peer = Peer::connected();
            peer.given(publish);
            let token = peer.expect_token("a");
            match peer.session.acknowledge(token, code) {
                Ok(()) if code.raw() == 0 => peer.expect(&format!("{answer} 02 00 0A")),
                Ok(()) => peer.expect(&format!("{answer} 03 00 0A {:02X}", code.raw())),
                Err(error) => {
                    assert_eq!(error, AckError::ReasonCode);
                    peer.expect_nothing();
                    // The message still waits for its answer.
                    peer.acknowledge(token);
                    peer.expect(&format!("{answer} 02 00 0A"));
                    continue;
                }
            }
            sent.push(code.raw());
        }
        assert_eq!(sent, ALLOWED);
    }
}
