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

/// A server acknowledged a PUBLISH that the transport had not begun to take, and lost its session then:
/// what became of the message is not known, and it is not there any more to be handed back.
#[test]
fn a_message_that_a_lying_server_took_before_it_left_has_a_verdict_without_it() {
    holds_against(
        Mode::Hostile,
        140_002_890,
        "2,11,13,15-16,21-23,28-29,32-33,35-36,45,47-48,51,54,56-57,59-60,64,66,\
         68,70-71,73-78,84-88,90,92-95,97-100,104-109,111-112,122-124,127,129-131,\
         135-136,141-142,145,150,152,154-155,160-162,169,171,174-178,195-198,\
         201-202,212,214-216,218-223,226-227,254,288,292-293,297-300,308-313,320-321,\
         327,345,348,350-352,357-358,366,369-370,390-391,395,398-400,402,404,409,\
         411-413,416-417,427-430,435-438,444-445,448,451,454,459-461,467-468,471,\
         477,479,481,483-484,489-490,492-494,496-497,501-502,508-509,512,514-515,\
         518,524-530,535,538-540,542-544,549-551,553-555,557,559,562,565-569,\
         571-575,588,591-593,596-602,604-605,607-611,614,616,620,622,624,626,632,\
         634-635,638,645,648,652,661,666-667,676-677,679,681-682,685,687,691-695,\
         699-701,704-705,709-711,714-715,720,725-726,730-732,736,738,744-746,748,\
         750,754,757,759-760,766-767,770,775-776,780-783,785-786,790-795,798,800,\
         804,806-807,811-813,820,826-827,836,843-844,850-851,854,857,861,873-874,\
         877,879,884-885,887-889,891,893-895,897-898,900-901,905,917-921,924,\
         931-933,935-937,940-941,944-946,950,952-953,955-956,958,960-962,964-966,968,\
         970-971,973-976,979-980,983,985-986,988,992-994,996,998-999,1001,1005-1006,\
         1013,1015,1022,1026,1030,1035,1037,1042-1044,1046,1052-1055,1057-1058,1060,\
         1068,1071,1073-1074,1078,1092,1094,1105-1106,1113-1114,1124-1125,1129,1133,\
         1135,1140,1144,1147,1149,1154,1158-1161,1164,1166,1173,1175,1178,1187,\
         1189,1193,1195-1196,1200-1203,1205,1209-1210,1212,1218-1221,1223-1224,1226,\
         1230-1231,1234,1241-1242,1244,1246,1256-1259,1261-1262,1264,1266,1271,\
         1274-1276,1284-1286,1288,1325,1331,1335,1337,1339,1346-1347,1355,1362-1364,\
         1366,1370,1378,1411",
    );
}
