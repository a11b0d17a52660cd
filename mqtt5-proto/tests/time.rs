//! Instants saturate and never run backwards.

use std::time::Duration;

use mqtt5_proto::Instant;

const END: Instant = Instant::from_start(Duration::MAX);

#[test]
fn instants_saturate_at_both_ends() {
    let second = Duration::from_secs(1);
    assert_eq!(END.since_start(), Duration::from_nanos(u64::MAX));
    assert_eq!(END + second, END);
    assert_eq!(Instant::ZERO + Duration::MAX, END);
    assert_eq!(Instant::ZERO - second, Instant::ZERO);
    assert_eq!(END - Duration::MAX, Instant::ZERO);
    // Whole seconds fit, the rest does not.
    let most = Duration::from_secs(u64::MAX / 1_000_000_000);
    assert_eq!(Instant::from_start(most).since_start(), most);
    let over = most + Duration::from_nanos(999_999_999);
    assert_eq!(Instant::from_start(over), END);
    let exact = Duration::new(3, 4);
    assert_eq!(Instant::from_start(exact).since_start(), exact);
}

#[test]
fn an_earlier_instant_is_no_time_ago() {
    let (one, two) = (
        Instant::from_start(Duration::from_secs(1)),
        Instant::from_start(Duration::from_secs(2)),
    );
    assert_eq!(two.saturating_since(one), Duration::from_secs(1));
    assert_eq!(one.saturating_since(two), Duration::ZERO);
    assert!(one < two && two < END);
    assert_eq!(one + Duration::from_secs(1), two);
    assert_eq!(two - Duration::from_secs(1), one);
}
