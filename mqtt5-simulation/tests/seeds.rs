//! Runs that were judged broken once, in the fewest steps that showed it, and why.

#![allow(clippy::panic, reason = "helpers of tests are no tests to clippy")]

use mqtt5_simulation::{Mode, Plan, read_steps, run};

fn holds(seed: u64, steps: &str) {
    holds_against(Mode::Lawful, seed, steps);
}

fn holds_against(mode: Mode, seed: u64, steps: &str) {
    let kept = read_steps(steps);
    assert!(kept.is_some());
    let plan = Plan {
        seed,
        steps: 2000,
        mode,
        kept,
    };
    let outcome = run(&plan, true);
    if let Some(violation) = outcome.violation {
        panic!("{violation}\n{}", outcome.lines.join("\n"));
    }
}

/// The client gave up a server that did not answer its PINGREQ, said no DISCONNECT, waited two
/// seconds for the transport all the same, and sent the PINGREQs that had piled up.
#[test]
fn what_waits_when_a_server_does_not_answer_is_not_sent() {
    holds(
        30_025_844,
        "1491-1492,1626,1633,1635,1642,1656,1660,1666,1676,1683",
    );
}

/// A client that had lost its handles, its link and its session waited for the end of its drain
/// timeout, with an UNSUBSCRIBE still to send: it is at rest when it has ended, not before.
#[test]
fn a_client_that_drains_is_at_rest_when_it_has_ended() {
    holds(
        30_044_689,
        "1083,1156,1166,1206,1283,1312,1332,1338-1339,1346,1350,1356,1358-1359,1363,1400,1798",
    );
}

/// A message was read and not looked at when the link broke, and the copy of it delivered: that is
/// its delivery.
#[test]
fn a_copy_that_is_delivered_in_place_of_its_message_is_its_delivery() {
    holds(
        30_048_482,
        "1042,1127,1129,1645,1743-1744,1746,1760-1762,1768,1772,1776",
    );
}

/// One message came twice under one Subscription Identifier, the two copies alike in all that the
/// application sees. Which of them a stream gave out showed only by the second answer.
#[test]
fn copies_that_look_alike_are_told_apart_by_their_answers() {
    holds(
        30_105_854,
        "23,31,41,50-51,55,72,124,154,182-183,199,202-204,213,257,348-350,356,394,396,400,448-449,\
         451,460,462,476,565,568-569,574,577,581-583,585,589-590,592-593,600,602-603,609-610,617,\
         623-627,629-630,634,636,640-641,645-647,650,816-817,820,824-825,827,832,849,911-912",
    );
}

/// A SUBSCRIBE that was to restore an older stream's filter too did not fit the server after a lost
/// session, and was given up without a thought for that stream.
#[test]
fn a_subscribe_that_is_given_up_takes_no_older_stream_with_it() {
    holds(30_001_592, "1757,1762,1766-1767,1832,1872,1885,1927");
}

/// A server sent a PUBREC for every identifier there is, also for a message that was still to be sent
/// again: its exchange went on, and later messages left before it, which never left again.
#[test]
fn a_message_that_a_lying_server_acknowledges_has_not_lost_its_turn() {
    holds_against(
        Mode::Hostile,
        130_002_411,
        "313-316,318,327-328,332,336,340,342-343,345,349-350,358,366,372,467,\
         469-470,473,475,477,482-483,487,489-490,494-496,498-500,504-506,533,536,\
         542,546-549,551,553-555,565,570-572,576-577,580-581,584-585,587,589-590,\
         598,600,602-604,616,620,622,624-626,628,635-637,639,641-642,644,650-651,\
         653-654,656-659,675,688-689,692,694,697-698,703,705,711-715,719-726,\
         729-736,738,740-743,747,750,754-757,761,765-766,770,777-779,784,787-788,\
         796-797,799,803,805,842,867-868,871,874,1000-1005,1008-1010,1014,1020,\
         1025,1033-1034,1045,1059-1060,1073,1075,1088-1089,1092-1095,1097,1099,\
         1101-1102,1105,1109-1110,1114,1116,1133-1134,1137,1150,1152,1154,1156-1157,\
         1162,1165,1168,1194-1195,1202,1205,1224-1225,1257,1261,1264,1281,1284,\
         1286,1288,1369,1382,1384,1388,1403,1405-1406,1411,1414,1422,1425-1426,\
         1461,1463",
    );
}
