//! Whether what happened may happen.

use std::collections::BTreeMap;

use mqtt5_tokio::QoS;

use crate::ledger::{Arrivals, Number, Publish, Verdict};
use crate::wire::Exchanges;

/// What was found about the messages of one direction, to one consumer.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) wrong: Vec<String>,
    pub(crate) delivered: u64,
    /// How often a message of QoS 1 came again, which it may.
    pub(crate) again_at_qos1: u64,
    /// How often a message of QoS 2 came again because the broker had begun another exchange for
    /// it, as the wire shows.
    pub(crate) begun_again_by_broker: u64,
    /// Messages that the broker sent later than a newer one of their topic, as the wire shows.
    pub(crate) out_of_order_by_broker: u64,
}

/// `sent` are the exchanges of the publishers, `received` those of the consumer.
pub(crate) fn judge(
    publishes: &BTreeMap<Number, Publish>,
    arrivals: &Arrivals,
    sent: &[&Exchanges],
    received: &Exchanges,
) -> Judgement {
    let mut judgement = Judgement {
        delivered: arrivals.total(),
        ..Judgement::default()
    };
    for (number, publish) in publishes {
        let times = arrivals.times(*number);
        if let Some(wrong) = contradicts(publish, times) {
            let fact = format!("{number:?} {publish:?}, came {times} times: {wrong}");
            judgement.wrong.push(fact);
        }
        let again = u64::from(times.saturating_sub(1));
        match publish.qos {
            QoS::AtMostOnce if again > 0 => {
                let fact = format!("{number:?} {publish:?}, came {times} times");
                judgement.wrong.push(fact);
            }
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => judgement.again_at_qos1 += again,
            QoS::ExactlyOnce => {
                judgement.begun_again_by_broker += again;
                let begun = received.begun(*number);
                if times > begun {
                    let fact = format!("{number:?} came {times} times, in {begun} exchanges");
                    judgement.wrong.push(fact);
                }
            }
        }
    }
    for number in arrivals.numbers() {
        if !publishes.contains_key(&number) {
            let fact = format!("{number:?} came, and its publisher was told nothing");
            judgement.wrong.push(fact);
        }
    }
    for number in sent.iter().flat_map(|sent| sent.begun_again()) {
        let fact = format!("{number:?} was published again after its PUBREL");
        judgement.wrong.push(fact);
    }
    for number in sent
        .iter()
        .flat_map(|sent| sent.late().chain(sent.crossed()))
    {
        let fact = format!("{number:?} was sent out of order");
        judgement.wrong.push(fact);
    }
    for number in arrivals.out_of_order() {
        if received.late().any(|late| late == *number) {
            judgement.out_of_order_by_broker += 1;
        } else {
            let fact = format!("{number:?} came out of order, but the broker sent it in order");
            judgement.wrong.push(fact);
        }
    }
    judgement.wrong.extend_from_slice(arrivals.wrong());
    judgement
}

/// What a verdict says that is not so.
const fn contradicts(publish: &Publish, times: u32) -> Option<&'static str> {
    let needs_an_answer = !matches!(publish.qos, QoS::AtMostOnce);
    match publish.verdict {
        Verdict::Sent if needs_an_answer => Some("that is no verdict of its QoS"),
        Verdict::Acknowledged if !needs_an_answer => Some("that is no verdict of its QoS"),
        Verdict::Odd => Some("there is no reason for that verdict"),
        Verdict::Acknowledged if times == 0 => Some("lost"),
        Verdict::NotAccepted | Verdict::NeverSent if times > 0 => Some("it was sent"),
        Verdict::NotAccepted | Verdict::NeverSent | Verdict::Unknown
            if publish.lasting && needs_an_answer =>
        {
            Some("its session was never lost")
        }
        _ => None,
    }
}

/// What is found wrong about one publish whose message has come so often.
fn found(qos: QoS, verdict: Verdict, lasting: bool, times: u32, exchanges: u8) -> Vec<String> {
    let number = Number::next();
    let mut arrivals = Arrivals::default();
    for _ in 0..times {
        arrivals.enter("t", &number.payload(3));
    }
    let publish = Publish {
        qos,
        lasting,
        verdict,
    };
    let publishes = BTreeMap::from([(number, publish)]);
    let mut wire = crate::wire::Wire::default();
    for _ in 0..exchanges {
        let payload = number.payload(0);
        let publish = [
            &[0x34, 14, 0, 1, b't', 0, 1, 0][..],
            &payload,
            &[0x62, 2, 0, 1],
        ];
        let direction = mqtt5_testkit::Direction::ToClient;
        wire.see(1, direction, &publish.concat());
    }
    let received = wire.exchanges(mqtt5_testkit::Direction::ToClient);
    judge(&publishes, &arrivals, &[], received).wrong
}

#[test]
fn every_verdict_is_held_against_what_came() {
    use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
    use Verdict::{Acknowledged, NeverSent, NotAccepted, Odd, Sent, Unknown};
    let right = [
        (AtMostOnce, Sent, true, 0, 0),
        (AtMostOnce, Sent, true, 1, 0),
        (AtMostOnce, Unknown, true, 1, 0),
        (AtMostOnce, NotAccepted, true, 0, 0),
        (AtLeastOnce, Acknowledged, true, 1, 0),
        (AtLeastOnce, Acknowledged, true, 3, 0),
        (AtLeastOnce, Unknown, false, 0, 0),
        (AtLeastOnce, Unknown, false, 2, 0),
        (AtLeastOnce, NeverSent, false, 0, 0),
        (ExactlyOnce, Acknowledged, true, 1, 1),
        (ExactlyOnce, Acknowledged, true, 2, 2),
        (ExactlyOnce, Unknown, false, 0, 0),
        (ExactlyOnce, Unknown, false, 1, 1),
    ];
    for (qos, verdict, lasting, times, exchanges) in right {
        let wrong = found(qos, verdict, lasting, times, exchanges);
        assert_eq!(wrong, [""; 0], "{qos:?} {verdict:?}");
    }
    let wrong = [
        (AtMostOnce, Sent, true, 2, 0),
        (AtMostOnce, NeverSent, true, 1, 0),
        (AtMostOnce, NotAccepted, true, 1, 0),
        (AtMostOnce, Acknowledged, true, 1, 0),
        (AtLeastOnce, Sent, true, 1, 0),
        (AtLeastOnce, Acknowledged, true, 0, 0),
        (AtLeastOnce, Unknown, true, 1, 0),
        (AtLeastOnce, NeverSent, true, 0, 0),
        (AtLeastOnce, NeverSent, false, 1, 0),
        (AtLeastOnce, Odd, false, 1, 0),
        (ExactlyOnce, Acknowledged, true, 0, 0),
        (ExactlyOnce, Acknowledged, true, 2, 1),
        (ExactlyOnce, Acknowledged, false, 3, 2),
        (ExactlyOnce, Unknown, false, 2, 1),
        (ExactlyOnce, NeverSent, false, 1, 1),
    ];
    for (qos, verdict, lasting, times, exchanges) in wrong {
        let found = found(qos, verdict, lasting, times, exchanges);
        assert!(!found.is_empty(), "{qos:?} {verdict:?} {times}");
    }
}

#[test]
fn what_comes_unasked_damaged_or_out_of_order_is_found() {
    let [first, second] = [Number::next(), Number::next()];
    let publish = Publish {
        qos: QoS::AtLeastOnce,
        lasting: true,
        verdict: Verdict::Acknowledged,
    };
    let publishes = BTreeMap::from([(first, publish), (second, publish)]);
    let found = |payloads: &[Vec<u8>]| {
        let mut arrivals = Arrivals::default();
        for payload in payloads {
            arrivals.enter("t", payload);
        }
        judge(&publishes, &arrivals, &[], &Exchanges::default()).wrong
    };
    let [one, two] = [first.payload(2), second.payload(2)];
    assert_eq!(found(&[one.clone(), two.clone(), one.clone()]), [""; 0]);
    assert_eq!(found(&[two.clone(), one.clone()]).len(), 1);
    let strange = Number::next().payload(0);
    assert_eq!(found(&[one.clone(), two.clone(), strange]).len(), 1);
    let mut damaged = two.clone();
    damaged[9] ^= 1;
    assert_eq!(found(&[one.clone(), damaged]).len(), 1);
    assert_eq!(found(&[one, two, b"short".to_vec()]).len(), 1);
}
