//! Which connection gets which plan, and what can be seen and done from outside.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt5_testkit::Direction::{FromClient, ToClient};
use mqtt5_testkit::{LinkPlan, RandomPlans};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{BYTES, World, all_of, expect, soon};

#[tokio::test]
async fn a_link_that_does_not_accept_uses_no_plan_up() {
    let world = World::new().await;
    world.link.script([LinkPlan::sound().close(ToClient, 0)]);
    world.link.accept_connections(false);
    let mut client = TcpStream::connect(world.link.address()).await.unwrap();
    assert_eq!(all_of(&mut client).await, (vec![], false));
    world.link.accept_connections(true);
    let mut client = TcpStream::connect(world.link.address()).await.unwrap();
    assert_eq!(all_of(&mut client).await, (vec![], true));
    let seen = world.link.counters();
    assert_eq!((seen.attempts, seen.refused, seen.closed), (2, 1, 1));
}

#[tokio::test]
async fn each_connection_has_its_plan_and_those_after_the_last_are_sound() {
    let world = World::new().await;
    let plans = (1..=3).map(|after| LinkPlan::sound().close(FromClient, after));
    world.link.script(plans);
    for count in [1, 2, 3, 10, 10] {
        let mut client = TcpStream::connect(world.link.address()).await.unwrap();
        let (mut server, _) = soon(world.server.accept()).await.unwrap();
        client.write_all(BYTES).await.unwrap();
        expect(&mut server, &BYTES[..count]).await;
        if count < BYTES.len() {
            assert_eq!(all_of(&mut server).await, (vec![], true));
        }
    }
    assert_eq!(world.link.counters().closed, 3);
}

#[tokio::test]
async fn a_script_for_now_begins_with_the_newest_connection_at_its_next_byte() {
    let world = World::new().await;
    let (mut old, mut old_server) = world.open(LinkPlan::sound()).await;
    let mut new = TcpStream::connect(world.link.address()).await.unwrap();
    let (mut new_server, _) = soon(world.server.accept()).await.unwrap();
    for (client, server) in [(&mut old, &mut old_server), (&mut new, &mut new_server)] {
        client.write_all(BYTES).await.unwrap();
        expect(server, BYTES).await;
    }
    let close = |after| LinkPlan::sound().close(FromClient, after);
    world.link.script_now([close(4), close(2)]);
    new.write_all(BYTES).await.unwrap();
    assert_eq!(all_of(&mut new_server).await, (b"0123".to_vec(), true));
    let mut next = TcpStream::connect(world.link.address()).await.unwrap();
    let (mut next_server, _) = soon(world.server.accept()).await.unwrap();
    next.write_all(BYTES).await.unwrap();
    assert_eq!(all_of(&mut next_server).await, (b"01".to_vec(), true));
    old.write_all(BYTES).await.unwrap();
    expect(&mut old_server, BYTES).await;
}

#[tokio::test]
async fn a_sound_plan_puts_right_what_is_stalled_or_silent() {
    let world = World::new().await;
    let plan = LinkPlan::sound().stall(FromClient, 0).silence(ToClient, 0);
    let (mut client, mut server) = world.open(plan).await;
    server.write_all(b"lost").await.unwrap();
    client.write_all(b"late").await.unwrap();
    let strikes = world
        .link
        .wait_for(|seen| seen.bytes_lost == 4 && seen.stalled == 1);
    strikes.await.unwrap();
    world.link.script_now([LinkPlan::sound()]);
    expect(&mut server, b"late").await;
    server.write_all(b"answer").await.unwrap();
    expect(&mut client, b"answer").await;
}

#[tokio::test]
async fn connections_can_be_ended_by_hand() {
    let world = World::new().await;
    for in_order in [true, false] {
        let (mut a, mut a_server) = world.open(LinkPlan::sound()).await;
        let mut b = TcpStream::connect(world.link.address()).await.unwrap();
        let (mut b_server, _) = soon(world.server.accept()).await.unwrap();
        world.link.release_stalled();
        if in_order {
            world.link.close_connections();
        } else {
            world.link.reset_connections();
        }
        for end in [&mut a, &mut a_server, &mut b, &mut b_server] {
            assert_eq!(all_of(end).await, (vec![], in_order));
        }
        drop((a, a_server, b, b_server));
        world.is_idle().await;
    }
    let seen = world.link.counters();
    assert_eq!((seen.closed, seen.reset), (2, 2));
}

#[tokio::test]
async fn the_tap_shows_what_is_passed_on_and_nothing_else() {
    let world = World::new().await;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let tapped = Arc::clone(&shown);
    world.link.tap(move |passed| {
        let passed = (passed.connection, passed.direction, passed.bytes.to_vec());
        tapped.lock().unwrap().push(passed);
    });
    for close_after in [2, 4] {
        let plan = LinkPlan::sound()
            .silence(FromClient, 1)
            .close(ToClient, close_after);
        let (mut client, mut server) = world.open(plan).await;
        client.write_all(b"ask").await.unwrap();
        expect(&mut server, b"a").await;
        server.write_all(b"answer").await.unwrap();
        all_of(&mut client).await;
    }
    let expected = [
        (1, FromClient, b"a".to_vec()),
        (1, ToClient, b"an".to_vec()),
        (2, FromClient, b"a".to_vec()),
        (2, ToClient, b"answ".to_vec()),
    ];
    assert_eq!(*shown.lock().unwrap(), expected);
}

#[tokio::test]
async fn nothing_is_left_of_a_link_that_was_shut_down_or_dropped() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    for shut_down in [true, false] {
        let world = World::new().await;
        let before = tasks();
        let (mut a, mut a_server) = world.open(LinkPlan::sound()).await;
        let held = LinkPlan::sound().stall(FromClient, 0).silence(ToClient, 0);
        let mut b = TcpStream::connect(world.link.address()).await.unwrap();
        let (mut b_server, _) = soon(world.server.accept()).await.unwrap();
        world.link.script_now([held]);
        let address = world.link.address();
        if shut_down {
            soon(world.link.shutdown()).await;
            assert_eq!(tasks(), before - 1);
        } else {
            drop(world.link);
        }
        for end in [&mut a, &mut a_server, &mut b, &mut b_server] {
            assert_eq!(all_of(end).await.0, []);
        }
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

#[tokio::test]
async fn what_did_not_come_true_shows_the_counters() {
    let world = World::new().await;
    let wait = world.link.wait_for_within(Duration::ZERO, |_| false);
    let unmet = wait.await.unwrap_err();
    assert!(unmet.to_string().contains("attempts: 0"), "{unmet}");
    assert!(unmet.records().is_empty());
}

#[tokio::test]
async fn random_plans_come_back_with_their_seed_which_debug_shows() {
    const COUNT: usize = 2000;
    let plans = |seed| RandomPlans::new(seed).within(100).take(COUNT);
    let all = |plans: std::iter::Take<RandomPlans>| format!("{:?}", plans.collect::<Vec<_>>());
    assert!(plans(7).eq(plans(7)));
    assert!(plans(7).ne(plans(8)));
    let text = all(plans(7));
    for kind in [
        "Close",
        "Reset",
        "Silence",
        "Stall(Some",
        "Pieces",
        "Delay",
        "refused: true",
    ] {
        assert!(text.contains(kind), "{kind}");
    }
    for way in ["from_client: [Fault", "to_client: [Fault"] {
        assert!(text.contains(way), "{way}");
    }
    assert!(text.contains("after: 100,") && !text.contains("after: 101,"));
    assert!(!all(RandomPlans::new(7).without_silence().take(COUNT)).contains("Silence"));
    // Each ends its connection in some way.
    for plan in plans(7) {
        let text = format!("{plan:?}");
        let ends = ["Close", "Reset", "Silence", "refused: true"];
        assert!(ends.iter().any(|end| text.contains(end)), "{text}");
    }

    let world = World::new().await;
    world.link.script(RandomPlans::new(4711));
    let client = TcpStream::connect(world.link.address()).await.unwrap();
    world
        .link
        .wait_for(|seen| seen.attempts == 1)
        .await
        .unwrap();
    let text = format!("{:?}", world.link);
    assert!(text.contains("RandomPlans { seed: 4711") && text.contains("taken: 1"));
    drop(client);
}
