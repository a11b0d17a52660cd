//! Every fault at its byte.

use std::time::{Duration, Instant};

use mqtt5_testkit::Direction::{FromClient, ToClient};
use mqtt5_testkit::LinkPlan;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{BOTH, BYTES, World, all_of, expect, nothing_waits, soon};

#[tokio::test]
async fn a_sound_link_passes_bytes_and_ends_of_either_side_on() {
    let world = World::new().await;
    let url = format!("mqtt://127.0.0.1:{}", world.link.port());
    assert_eq!(world.link.url(), url);
    for way in BOTH {
        let (mut sender, mut receiver) = world.open_towards(way, LinkPlan::sound()).await;
        sender.write_all(BYTES).await.unwrap();
        sender.shutdown().await.unwrap();
        assert_eq!(all_of(&mut receiver).await, (BYTES.to_vec(), true));
        // The other direction goes on.
        receiver.write_all(b"answer").await.unwrap();
        drop(receiver);
        assert_eq!(all_of(&mut sender).await, (b"answer".to_vec(), true));
        world.is_idle().await;

        let (sender, mut receiver) = world.open_towards(way, LinkPlan::sound()).await;
        sender.set_zero_linger().unwrap();
        drop(sender);
        assert_eq!(all_of(&mut receiver).await, (vec![], false));
        world.is_idle().await;
    }
    let seen = world.link.counters();
    assert_eq!((seen.attempts, seen.faults()), (4, 0));
    assert_eq!((seen.bytes_from_client, seen.bytes_to_client), (16, 16));
}

#[tokio::test]
async fn closes_and_resets_come_after_exactly_so_many_bytes() {
    let world = World::new().await;
    let mut rounds = 0;
    for way in BOTH {
        for count in 0..=BYTES.len() {
            let after = u64::try_from(count).unwrap();
            rounds += 1;
            for in_order in [true, false] {
                let plan = if in_order {
                    LinkPlan::sound().close(way, after)
                } else {
                    LinkPlan::sound().reset(way, after)
                };
                let (mut sender, mut receiver) = world.open_towards(way, plan).await;
                if count > 0 {
                    sender.write_all(BYTES).await.unwrap();
                }
                let expected = (BYTES[..count].to_vec(), in_order);
                assert_eq!(all_of(&mut receiver).await, expected, "{way:?} {count}");
                drop(receiver);
                assert_eq!(all_of(&mut sender).await, (vec![], in_order));
                drop(sender);
                world.is_idle().await;
            }
            let seen = world.link.counters();
            assert_eq!((seen.closed, seen.reset), (rounds, rounds));
            assert_eq!(seen.faults(), 2 * rounds);
        }
    }
}

#[tokio::test]
async fn a_stall_holds_at_exactly_its_byte_until_it_is_released() {
    let world = World::new().await;
    for way in BOTH {
        let before = world.link.counters();
        let plan = (0..10).fold(LinkPlan::sound(), |plan, after| plan.stall(way, after));
        let (mut sender, mut receiver) = world.open_towards(way, plan).await;
        sender.write_all(BYTES).await.unwrap();
        for (stalled, byte) in (before.stalled + 1..).zip(BYTES) {
            let stalls = world.link.wait_for(|seen| seen.stalled == stalled).await;
            stalls.unwrap();
            nothing_waits(&receiver);
            // The other direction goes on.
            receiver.write_all(b"!").await.unwrap();
            expect(&mut sender, b"!").await;
            world.link.release_stalled();
            expect(&mut receiver, &[*byte]).await;
        }
        drop(sender);
        assert_eq!(all_of(&mut receiver).await, (vec![], true));
        drop(receiver);
        world.is_idle().await;
    }
}

#[tokio::test]
async fn a_stalled_sender_is_not_read_from_and_loses_nothing() {
    const STALLED_AT: usize = 3;
    let world = World::new().await;
    for way in BOTH {
        let plan = LinkPlan::sound().stall(way, 3);
        let (sender, mut receiver) = world.open_towards(way, plan).await;
        let much = vec![7; 64 << 20];
        sender.writable().await.unwrap();
        let mut written = 0;
        // Until the sockets are full.
        while let Ok(count) = sender.try_write(&much[written..]) {
            written += count;
        }
        assert!((STALLED_AT..much.len()).contains(&written));
        expect(&mut receiver, &much[..STALLED_AT]).await;
        nothing_waits(&receiver);
        let wait = world.link.wait_for(|seen| seen.stalled > 0);
        wait.await.unwrap();
        world.link.release_stalled();
        let mut rest = vec![0; written - STALLED_AT];
        soon(receiver.read_exact(&mut rest)).await.unwrap();
        assert_eq!(rest, much[STALLED_AT..written]);
    }
}

#[tokio::test]
async fn a_stall_for_some_time_and_a_delay_end_by_themselves() {
    const PAUSE: Duration = Duration::from_millis(20);
    let world = World::new().await;
    for way in BOTH {
        for plan in [
            LinkPlan::sound().stall_for(way, 4, PAUSE),
            LinkPlan::sound().delay(way, 4, PAUSE),
        ] {
            let (mut sender, mut receiver) = world.open_towards(way, plan).await;
            let start = Instant::now();
            sender.write_all(BYTES).await.unwrap();
            expect(&mut receiver, &BYTES[..4]).await;
            expect(&mut receiver, &BYTES[4..]).await;
            assert!(start.elapsed() >= PAUSE);
        }
    }
    let seen = world.link.counters();
    assert_eq!((seen.stalled, seen.delayed), (2, 2));
}

#[tokio::test]
async fn a_silent_direction_loses_exactly_what_comes_after_its_byte() {
    let world = World::new().await;
    for way in BOTH {
        for count in 0..=BYTES.len() {
            let lost = world.link.counters().bytes_lost;
            let after = u64::try_from(count).unwrap();
            let plan = LinkPlan::sound().silence(way, after);
            let (mut sender, mut receiver) = world.open_towards(way, plan).await;
            sender.write_all(BYTES).await.unwrap();
            expect(&mut receiver, &BYTES[..count]).await;
            let all_lost = lost + 10 - after;
            let is_lost = world.link.wait_for(|seen| seen.bytes_lost == all_lost);
            is_lost.await.unwrap();
            nothing_waits(&receiver);
            // The other direction works.
            receiver.write_all(b"answer").await.unwrap();
            expect(&mut sender, b"answer").await;
            receiver.shutdown().await.unwrap();
            assert_eq!(all_of(&mut sender).await, (vec![], true));
            drop(sender);
            world.is_idle().await;
        }
    }
    assert_eq!(world.link.counters().faults(), 22);
}

#[tokio::test]
async fn a_silent_direction_keeps_the_end_of_its_sender_to_itself() {
    for way in BOTH {
        let world = World::new().await;
        let silent = LinkPlan::sound().silence(way, 0);
        let (sender, mut receiver) = world.open_towards(way, silent).await;
        drop(sender);
        // Until the link finds out that nobody is there to take it.
        while world.link.counters().bytes_lost == 0 {
            receiver.write_all(b"hello?").await.unwrap();
            tokio::task::yield_now().await;
        }
        nothing_waits(&receiver);
        assert_eq!(world.link.counters().open, 1);
        // By hand it is past the silence.
        world.link.reset_connections();
        assert_eq!(all_of(&mut receiver).await, (vec![], false));
        world.is_idle().await;
    }
}

#[tokio::test]
async fn one_side_can_be_gone_and_the_other_not_know() {
    for (way, other) in [(FromClient, ToClient), (ToClient, FromClient)] {
        let world = World::new().await;
        let plan = LinkPlan::sound().silence(other, 0).reset(way, 1);
        let (mut sender, mut gone) = world.open_towards(way, plan).await;
        sender.write_all(b"ab").await.unwrap();
        assert_eq!(all_of(&mut gone).await, (b"a".to_vec(), false));
        let is_lost = world.link.wait_for(|seen| seen.bytes_lost == 1);
        is_lost.await.unwrap();
        nothing_waits(&sender);
        assert_eq!(world.link.counters().open, 1);
        sender.shutdown().await.unwrap();
        assert_eq!(all_of(&mut sender).await, (vec![], true));
        world.is_idle().await;
    }
}

#[tokio::test]
async fn pieces_are_of_the_size_asked_for_from_their_byte_on() {
    let world = World::new().await;
    for way in BOTH {
        // 4 bytes as they come, and 6 in pieces; 0 counts as 1.
        for (size, pieces) in [(0, 7), (1, 7), (2, 4), (3, 3), (4, 3), (6, 2), (7, 2)] {
            let before = world.link.counters();
            let plan = LinkPlan::sound().in_pieces(way, 4, size);
            let (mut sender, mut receiver) = world.open_towards(way, plan).await;
            sender.write_all(BYTES).await.unwrap();
            expect(&mut receiver, BYTES).await;
            let seen = world.link.counters();
            assert_eq!(seen.pieces - before.pieces, pieces, "{size}");
            assert_eq!(seen.in_pieces - before.in_pieces, 1);
        }
    }
}

#[tokio::test]
async fn who_is_refused_is_reset_and_the_server_does_not_hear_of_it() {
    let world = World::new().await;
    world.link.script([LinkPlan::refused(), LinkPlan::sound()]);
    let mut refused = TcpStream::connect(world.link.address()).await.unwrap();
    assert_eq!(all_of(&mut refused).await, (vec![], false));
    let mut client = TcpStream::connect(world.link.address()).await.unwrap();
    client.write_all(b"second").await.unwrap();
    // It is the first that the server sees.
    let (mut server, _) = soon(world.server.accept()).await.unwrap();
    expect(&mut server, b"second").await;
    assert_eq!(world.link.counters().refused, 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_looks_like_a_cut() {
    let world = World::new().await;
    drop(world.server);
    let mut client = TcpStream::connect(world.link.address()).await.unwrap();
    assert_eq!(all_of(&mut client).await, (vec![], false));
    let seen = world.link.wait_for(|seen| seen.open == 0).await.unwrap();
    assert_eq!((seen.unreachable, seen.faults()), (1, 0));
}
