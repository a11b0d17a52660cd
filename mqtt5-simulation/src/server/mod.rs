//! The broker of the testkit, with the habits of real ones, at the other end of all links.

mod acts;
mod habits;
mod hostility;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use mqtt5_client::proto::packet::{PublishReasonCode, SubackReasonCode};
use mqtt5_client::proto::{Instant, TopicFilter};
use mqtt5_testkit::{Action, Broker, Config, ConnectionId};

use crate::application::Application;
use crate::judge::{Judged, broken};
use crate::link::SharedLink;
use crate::random::Random;
use crate::scene::Scene;
use crate::settings::Mode;
use crate::universe::{REFUSED_FILTER, REFUSED_TOPIC};

/// The broker's end of a link.
struct End {
    id: ConnectionId,
    /// Whose link it is.
    client: usize,
    link: SharedLink,
    /// The broker does not know this connection any more.
    forgotten: bool,
    /// The link is broken, and the broker has not noticed.
    broken: bool,
    /// Nothing moves since then.
    stalled: Option<Instant>,
    /// How many bytes go through before the link breaks.
    cut_up: Option<usize>,
    cut_down: Option<usize>,
    /// The CONNECT, until it is whole.
    connect: Option<Vec<u8>>,
    /// Answers that come late, and when.
    late: VecDeque<(Instant, Bytes)>,
}

pub(crate) struct Server {
    broker: Broker,
    ends: Vec<End>,
    random: Random,
    mode: Mode,
    /// In percent: answers that come late, odd forms, messages sent twice.
    lateness: usize,
    oddity: usize,
    doubling: usize,
    /// It counts messages in flight wrongly, in percent of the connections.
    excess: usize,
    /// It does not mind a client that is silent.
    patient: bool,
    /// No more habits: the world comes to rest.
    pub(crate) calm: bool,
}

impl Server {
    pub(crate) fn new(seed: u64, mode: Mode) -> Self {
        let mut random = Random::new(seed ^ 0x5EED_B0B0);
        let mut config = Config {
            no_records: true,
            ..Config::default()
        };
        config.use_topic_aliases = random.percent(30);
        let mut broker = Broker::new(config);
        if let Ok(filter) = TopicFilter::new(REFUSED_TOPIC) {
            broker.refuse_publish(filter, PublishReasonCode::NotAuthorized);
        }
        if let Ok(filter) = TopicFilter::new(REFUSED_FILTER) {
            broker.refuse_subscribe(filter, SubackReasonCode::NotAuthorized);
        }
        Self {
            broker,
            ends: Vec::new(),
            mode,
            lateness: random.one_of([0, 0, 10, 40]),
            oddity: random.one_of([0, 10]),
            doubling: random.one_of([0, 0, 5]),
            excess: random.one_of([0, 0, 50]),
            patient: Random::new(seed ^ 0x0A11_0C1D).percent(30),
            calm: false,
            random,
        }
    }

    /// A client has opened a link.
    pub(crate) fn accept(&mut self, client: usize, link: SharedLink, now: Instant) {
        let id = self.broker.connection_opened(now);
        self.ends.push(End {
            id,
            client,
            link,
            forgotten: false,
            broken: false,
            stalled: None,
            cut_up: None,
            cut_down: None,
            connect: Some(Vec::new()),
            late: VecDeque::new(),
        });
    }

    /// When the broker has something to do.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        let late = self
            .ends
            .iter()
            .flat_map(|end| end.late.iter().map(|(at, _)| *at));
        late.chain(self.broker.poll_timeout()).min()
    }

    pub(crate) fn time_passed(&mut self, applications: &mut [Application], scene: &mut Scene) {
        let now = scene.now();
        self.broker.handle_timeout(now);
        for end in &mut self.ends {
            while let Some(index) = end.late.iter().position(|(at, _)| *at <= now) {
                if let Some((_, packet)) = end.late.remove(index) {
                    scene.tally.delayed += 1;
                    scene.tally.reordered += u64::from(index > 0);
                    end.link.lock().down.extend_from_slice(&packet);
                }
            }
        }
        self.send(applications, scene);
    }

    /// Does what the broker wants done.
    pub(crate) fn send(&mut self, applications: &mut [Application], scene: &mut Scene) {
        while let Some((id, action)) = self.broker.poll_output() {
            let Some(index) = self.ends.iter().position(|end| end.id == id) else {
                continue;
            };
            match action {
                Action::Send(bytes) => self.send_packet(index, bytes, applications, scene),
                Action::Close => {
                    let end = &mut self.ends[index];
                    end.forgotten = true;
                    let mut link = end.link.lock();
                    for (_, packet) in end.late.drain(..) {
                        link.down.extend_from_slice(&packet);
                    }
                    link.broker_closed = true;
                    link.arrive(0);
                }
                Action::Cut => {
                    self.ends[index].forgotten = true;
                    self.ends[index].link.lock().break_off(false);
                }
            }
        }
    }

    /// Moves bytes in both directions of every link. `random`: pieces, or all there is.
    pub(crate) fn carry(
        &mut self,
        mut random: Option<&mut Random>,
        applications: &mut [Application],
        scene: &mut Scene,
    ) -> bool {
        let mut moved = false;
        for index in 0..self.ends.len() {
            let end = &mut self.ends[index];
            if end.stalled.is_some() {
                continue;
            }
            let mut portion = |limit: usize, tally: &mut u64| match random.as_deref_mut() {
                None => limit,
                Some(random) => match random.below(10) {
                    0 => {
                        *tally += u64::from(limit > 0);
                        limit.min(1)
                    }
                    1 => random.below(limit + 1),
                    2 => 0,
                    _ => limit,
                },
            };
            let mut link = end.link.lock();
            let up = portion(link.up.len(), &mut scene.tally.single_bytes);
            let down = portion(link.down.len(), &mut scene.tally.single_bytes);
            let (up, cut_up) = shorten(up, &mut end.cut_up);
            let (down, cut_down) = shorten(down, &mut end.cut_down);
            let up = up.min(link.up.len());
            let bytes = link.up.split_to(up);
            let arrived = down.min(link.down.len());
            link.arrive(arrived);
            drop(link);
            moved |= !bytes.is_empty() || arrived > 0;
            if !bytes.is_empty() {
                self.take(index, &bytes, scene.now(), applications);
            }
            if cut_up || cut_down {
                scene.tally.cut_later += 1;
                self.cut_end(index, scene);
            }
        }
        self.send(applications, scene);
        moved | self.clear_away(applications, scene)
    }

    /// Bytes have come.
    fn take(&mut self, index: usize, bytes: &[u8], now: Instant, applications: &[Application]) {
        let end = &mut self.ends[index];
        if end.forgotten || end.broken {
            return;
        }
        let id = end.id;
        let Some(mut connect) = end.connect.take() else {
            return self.broker.handle_input(id, bytes, now);
        };
        connect.extend_from_slice(bytes);
        match crate::wire::packet_size(&connect, usize::MAX) {
            Ok(Some(size)) if size <= connect.len() => {
                let application = applications.get(end.client);
                let tolerant = application.filter(|it| it.settings.tolerant);
                if let Some(application) = tolerant
                    && self.random.percent(self.excess)
                {
                    let asked = application.settings.asked.receive_maximum;
                    habits::raise_receive_maximum(&mut connect, asked);
                }
                if self.patient {
                    habits::drop_keep_alive(&mut connect);
                }
                self.broker.handle_input(id, &connect, now);
            }
            _ => end.connect = Some(connect),
        }
    }

    /// Forgets links that are done with.
    fn clear_away(&mut self, applications: &mut [Application], scene: &mut Scene) -> bool {
        let mut any = false;
        let now = scene.now();
        let mut index = 0;
        while index < self.ends.len() {
            let end = &mut self.ends[index];
            let link = end.link.lock();
            let (gone, rest) = (link.client_gone, link.up.len());
            drop(link);
            let done = gone && (rest == 0 || end.broken || end.forgotten);
            if gone && end.stalled.take().is_some() {
                scene.tally.stalls_ended += 1;
                any = true;
            }
            if !done {
                index += 1;
                continue;
            }
            any = true;
            let end = self.ends.swap_remove(index);
            if !end.forgotten {
                self.broker.connection_closed(end.id, now);
            }
        }
        self.send(applications, scene);
        any
    }

    fn choose(&self, random: &mut Random) -> Option<usize> {
        let whole = |end: &End| end.link.lock().is_whole() && end.stalled.is_none();
        let count = self.ends.iter().filter(|end| whole(end)).count();
        let chosen = random.below(count);
        let mut indices = 0..self.ends.len();
        indices
            .by_ref()
            .filter(|index| whole(&self.ends[*index]))
            .nth(chosen)
    }

    fn cut_end(&mut self, index: usize, scene: &mut Scene) {
        let end = &mut self.ends[index];
        end.cut_up = None;
        end.cut_down = None;
        end.stalled = None;
        end.late.clear();
        end.link.lock().break_off(false);
        // The broker notices when the client has gone, or later.
        end.broken = true;
        scene.note(format_args!("c{}: the link is cut", end.client));
    }

    /// Cuts some link: now, or after some bytes, or for writing alone; or lets it stall.
    pub(crate) fn disturb_link(&mut self, random: &mut Random, scene: &mut Scene) {
        let Some(index) = self.choose(random) else {
            return;
        };
        let end = &mut self.ends[index];
        match random.below(20) {
            0..8 => {
                scene.tally.cut_now += 1;
                self.cut_end(index, scene);
            }
            8..16 => {
                let bytes = random.below(60);
                if random.percent(50) {
                    end.cut_up = Some(bytes);
                } else {
                    end.cut_down = Some(bytes);
                }
            }
            16..18 => {
                scene.tally.broken_pipes += 1;
                scene.note(format_args!("c{}: the link breaks for writing", end.client));
                end.broken = true;
                end.late.clear();
                end.link.lock().break_off(true);
            }
            _ => {
                scene.tally.stalled += 1;
                scene.note(format_args!("c{}: the link stalls", end.client));
                end.stalled = Some(scene.now());
                end.link.lock().widen(random.below(3_000), usize::MAX);
            }
        }
    }

    /// Lets the transport of some client take less, or more, at a time.
    pub(crate) fn change_window(&mut self, random: &mut Random, scene: &mut Scene) {
        let Some(index) = self.choose(random) else {
            return;
        };
        let window = random.one_of([0, 1, 20, 1_000, usize::MAX, usize::MAX]);
        let piece = random.one_of([1, 10, usize::MAX, usize::MAX]);
        scene.tally.closed_windows += u64::from(window == 0);
        let client = self.ends[index].client;
        scene.note(format_args!(
            "c{client}: the link takes {window} bytes, {piece} at once"
        ));
        self.ends[index].link.lock().widen(window, piece);
    }

    /// Opens the windows that are closed, so that nothing hangs by the world's fault.
    pub(crate) fn open_windows(&self) {
        for end in &self.ends {
            if end.stalled.is_none() {
                end.link.lock().widen(usize::MAX, usize::MAX);
            }
        }
    }

    /// Links on which nothing moved must have been given up by now.
    pub(crate) fn check_stalls(
        &mut self,
        applications: &mut [Application],
        scene: &mut Scene,
    ) -> Judged {
        let now = scene.now();
        for index in 0..self.ends.len() {
            let end = &self.ends[index];
            let Some(application) = applications.get_mut(end.client) else {
                continue;
            };
            let link = end.link.lock();
            let (gone, blocked) = (link.client_gone, link.window == 0);
            drop(link);
            let current = application
                .link
                .as_ref()
                .is_some_and(|link| end.link.is(link));
            if gone || !current {
                continue;
            }
            if blocked {
                application.judge.was_blocked(now);
            } else {
                application.judge.time_passed(now)?;
            }
            let Some(stalled) = end.stalled else {
                continue;
            };
            match application.judge.patience(stalled) {
                Some(limit) if now > limit => {
                    return broken(
                        "a dead link is given up",
                        format_args!("c{} since {:?}", end.client, stalled.since_start()),
                    );
                }
                // Without keep alive only the network can end it.
                None if now.saturating_since(stalled) > Duration::from_secs(60) => {
                    self.cut_end(index, scene);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// No more trouble from here on.
    pub(crate) fn calm_down(&mut self, applications: &mut [Application], scene: &mut Scene) {
        self.calm = true;
        self.broker.configure(|config| {
            config.connack = Default::default();
            config.refuse = None;
        });
        for index in 0..self.ends.len() {
            // What a hostile broker has not answered only another connection brings.
            if self.ends[index].stalled.is_some() || self.mode == Mode::Hostile {
                self.cut_end(index, scene);
            }
            self.ends[index].cut_up = None;
            self.ends[index].cut_down = None;
        }
        self.open_windows();
        self.send(applications, scene);
    }

    /// What the broker still has for a client that it is connected to.
    pub(crate) fn owes(&self, client_id: &str) -> Option<String> {
        let queued = self.broker.queued(client_id);
        let open = self.broker.unacknowledged(client_id);
        (queued + open > 0).then(|| format!("{client_id}: {queued} queued, {open} open"))
    }

    /// Whether anything is on its way.
    pub(crate) fn is_moving(&self) -> bool {
        self.ends.iter().any(|end| {
            let link = end.link.lock();
            !end.late.is_empty() || !link.up.is_empty() || !link.down.is_empty()
        })
    }
}

/// How many bytes go before the cut, and whether it comes then.
fn shorten(count: usize, left: &mut Option<usize>) -> (usize, bool) {
    let Some(limit) = left else {
        return (count, false);
    };
    let allowed = count.min(*limit);
    *limit -= allowed;
    (allowed, *limit == 0)
}
