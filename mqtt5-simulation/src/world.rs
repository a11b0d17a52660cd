//! A world: clients, broker and links, moved by a list of steps.

use std::time::Duration;

use mqtt5_client::proto::Instant;

use crate::application::{Application, Life};
use crate::judge::{Judged, Violation, broken};
use crate::link::lock;
use crate::random::Random;
use crate::scene::Scene;
use crate::server::Server;
use crate::settings::{ClientSettings, MOST_CLIENTS, Plan};
use crate::tally::Tally;

/// How long the world has to come to rest, in its own time.
const TIME_TO_REST: Duration = Duration::from_secs(900);

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What happened.
    pub tally: Tally,
    /// Stands for every packet, verdict and message of the run.
    pub digest: u64,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What happened, line by line, if it was asked for.
    pub lines: Vec<String>,
}

pub(crate) struct World {
    scene: Scene,
    applications: Vec<Application>,
    server: Server,
}

/// Runs a plan.
#[must_use]
pub(crate) fn run(plan: &Plan, keeps_lines: bool) -> Outcome {
    let mut scene = Scene::new(keeps_lines);
    scene.tally.runs = 1;
    let mut world = match World::new(plan, scene) {
        Ok(world) => world,
        Err(violation) => {
            return Outcome {
                tally: Tally::default(),
                digest: 0,
                violation: Some(violation),
                lines: Vec::new(),
            };
        }
    };
    let violation = world.live(plan).err();
    Outcome {
        tally: world.scene.tally.clone(),
        digest: world.scene.trace.digest(),
        violation,
        lines: world.scene.trace.into_lines(),
    }
}

impl World {
    fn new(plan: &Plan, mut scene: Scene) -> Judged<Self> {
        let mut random = Random::new(plan.seed ^ 0xC0FF_EE00);
        let count = random.between(1, MOST_CLIENTS);
        let mut applications = Vec::with_capacity(count);
        for index in 0..count {
            let settings = ClientSettings::choose(index, &mut random);
            let generation = index as u64;
            applications.push(Application::new(
                settings, generation, plan.mode, &mut scene,
            )?);
        }
        Ok(Self {
            server: Server::new(plan.seed, plan.mode),
            applications,
            scene,
        })
    }

    fn live(&mut self, plan: &Plan) -> Judged {
        self.settle()?;
        let everything = [(0, plan.steps.saturating_sub(1))];
        let kept = plan.kept.as_deref().unwrap_or(&everything);
        for (first, last) in kept {
            for step in *first..=*last {
                self.step(plan.seed, step)?;
            }
        }
        self.come_to_rest()?;
        self.end()
    }

    /// One step. What it does depends on the seed and its number alone, not on those before it:
    /// leaving out others leaves it as it is.
    fn step(&mut self, seed: u64, step: usize) -> Judged {
        let mut random = Random::new(seed.wrapping_mul(0x0005_DEEC_E66D) ^ step as u64);
        random.next();
        self.scene.tally.steps += 1;
        self.scene.trace.mix(step as u64);
        let kind = random.below(1_000);
        match kind {
            0..90 => self.carry(&mut random),
            90..125 => {
                self.server
                    .carry(None, &mut self.applications, &mut self.scene);
                Ok(())
            }
            125..155 => self.pass_some_time(&mut random),
            155..163 => {
                self.server.disturb_link(&mut random, &mut self.scene);
                Ok(())
            }
            163..175 => {
                self.server.change_window(&mut random, &mut self.scene);
                Ok(())
            }
            175..195 => {
                self.server
                    .act(&mut random, &mut self.applications, &mut self.scene);
                Ok(())
            }
            195..197 => {
                self.disturb_network(&mut random);
                Ok(())
            }
            _ => self.act(kind, &mut random),
        }?;
        self.settle()?;
        Ok(())
    }

    /// Something that an application does.
    fn act(&mut self, kind: usize, random: &mut Random) -> Judged {
        let index = random.below(self.applications.len());
        if self.applications[index].life == Life::Over {
            return self.succeed(index);
        }
        let (application, scene) = (&mut self.applications[index], &mut self.scene);
        match kind {
            ..500 => application.publish(random, scene),
            500..700 => application.consume(random, scene),
            700..880 => {
                application.acknowledge(random, scene);
                Ok(())
            }
            880..900 => application.poll_some_job(random, scene),
            900..930 => application.drop_some_job(random, scene),
            930..945 => application.reserve(scene),
            945..955 => {
                application.drop_permit(scene);
                Ok(())
            }
            955..975 => application.subscribe(random, scene),
            975..981 => application.unsubscribe(random, scene),
            981..987 => {
                application.drop_stream(random, scene);
                Ok(())
            }
            987..993 => {
                application.clone_stream(random, scene);
                Ok(())
            }
            993..995 => {
                application.claim_rest(scene);
                Ok(())
            }
            995..997 => application.disconnect(random.percent(30), scene),
            997 => application.drop_handles(scene),
            998 => application.kill(scene),
            _ => Ok(()),
        }
    }

    /// A client that is over is buried, and another one made.
    fn succeed(&mut self, index: usize) -> Judged {
        let application = &mut self.applications[index];
        application.bury(&mut self.scene)?;
        *application = application.successor(&mut self.scene)?;
        Ok(())
    }

    fn carry(&mut self, random: &mut Random) -> Judged {
        self.server
            .carry(Some(random), &mut self.applications, &mut self.scene);
        Ok(())
    }

    fn disturb_network(&mut self, random: &mut Random) {
        let index = random.below(self.applications.len());
        let mut network = lock(&self.applications[index].network);
        let kind = random.below(4);
        self.scene.note(format_args!(
            "c{index}: new links are disturbed, kind {kind}"
        ));
        match kind {
            0 => {
                self.scene.tally.refused_dials += 1;
                network.refuse = random.between(1, 3);
            }
            1 => {
                self.scene.tally.hung_dials += 1;
                network.hang = true;
            }
            2 => {
                network.piece = random.one_of([1, 7, usize::MAX]);
                network.window = random.one_of([10, 1_000, usize::MAX]);
            }
            _ => network.heal(),
        }
    }

    fn pass_some_time(&mut self, random: &mut Random) -> Judged {
        let milliseconds = match random.below(100) {
            0..70 => random.below(100),
            70..95 => random.below(3_000),
            95..99 => random.below(20_000),
            _ => random.below(400_000),
        };
        let duration = Duration::from_millis(milliseconds as u64);
        let carrying = random.percent(80);
        if carrying {
            self.server.open_windows();
        }
        if milliseconds > 500 {
            // Long enough for the operators to wake up.
            self.server.refuse_nobody();
        }
        self.pass(duration, carrying)
    }

    /// Everything that can happen without time passing and bytes arriving happens.
    fn settle(&mut self) -> Judged<bool> {
        let mut any = false;
        while self.scene.bell.take() {
            any = true;
            for application in &mut self.applications {
                application.run(&mut self.scene)?;
            }
            self.register_links();
        }
        self.server.send(&mut self.applications, &mut self.scene);
        Ok(any)
    }

    fn register_links(&mut self) {
        let now = self.scene.now();
        for application in &mut self.applications {
            let index = application.index();
            for link in application.opened.drain(..) {
                self.server.accept(index, link, now);
            }
        }
    }

    fn next_alarm(&self) -> Option<Instant> {
        let drivers = self.applications.iter().filter_map(Application::wakes_at);
        drivers.chain(self.server.wakes_at()).min()
    }

    /// Time passes, alarm by alarm.
    fn pass(&mut self, duration: Duration, carrying: bool) -> Judged {
        let end = self.scene.now() + duration;
        loop {
            if carrying {
                self.carry_all()?;
            }
            let now = self.scene.now();
            if now >= end {
                return Ok(());
            }
            let next = self.next_alarm().map_or(end, |at| at.max(now).min(end));
            self.move_clock(next)?;
        }
    }

    fn move_clock(&mut self, to: Instant) -> Judged {
        self.scene.clock.set(to);
        for application in &mut self.applications {
            application.time_passed(&mut self.scene)?;
        }
        self.server
            .time_passed(&mut self.applications, &mut self.scene);
        self.settle()?;
        self.server
            .check_stalls(&mut self.applications, &mut self.scene)
    }

    /// Moves bytes until nothing moves any more.
    fn carry_all(&mut self) -> Judged<bool> {
        let mut any = false;
        for _ in 0..100_000 {
            let moved = self
                .server
                .carry(None, &mut self.applications, &mut self.scene);
            let stirred = self.settle()?;
            if !moved && !stirred {
                return Ok(any);
            }
            any = true;
        }
        broken("the world comes to rest", "bytes move for ever")
    }

    /// Random steps are over, the network heals, and time runs on until nothing is owed.
    fn come_to_rest(&mut self) -> Judged {
        self.scene.note(format_args!("the world comes to rest"));
        self.server
            .calm_down(&mut self.applications, &mut self.scene);
        for application in &mut self.applications {
            lock(&application.network).heal();
        }
        self.settle()?;
        self.rest()?;
        for application in &mut self.applications {
            application.fill_budget(&mut self.scene)?;
        }
        self.settle()?;
        self.rest()?;
        for application in &mut self.applications {
            let lenient = application.was_lenient();
            application.judge.at_rest(lenient, &self.scene.world())?;
            application.check_budget()?;
        }
        self.settle()?;
        Ok(())
    }

    /// Time runs on until nothing is owed.
    fn rest(&mut self) -> Judged {
        let end = self.scene.now() + TIME_TO_REST;
        loop {
            self.serve_all()?;
            let Some(owed) = self.owed() else {
                return Ok(());
            };
            let now = self.scene.now();
            if now >= end {
                return broken("at rest nothing is owed", owed);
            }
            let next = self.next_alarm().map_or(end, |at| at.max(now).min(end));
            self.move_clock(next.max(now + Duration::from_millis(1)))?;
        }
    }

    /// The applications take and acknowledge all that comes.
    fn serve_all(&mut self) -> Judged {
        loop {
            self.server.open_windows();
            let mut any = self.carry_all()?;
            for index in 0..self.applications.len() {
                if self.applications[index].life == Life::Over {
                    self.succeed(index)?;
                    any = true;
                }
                let application = &mut self.applications[index];
                any |= application.poll_all_jobs(&mut self.scene)?;
                application.claim_rest(&mut self.scene);
                any |= application.consume_all(&mut self.scene)?;
            }
            any |= self.settle()?;
            for application in &mut self.applications {
                any |= application.give_permits_back();
            }
            if !any {
                return Ok(());
            }
        }
    }

    fn owed(&self) -> Option<String> {
        if self.server.is_moving() {
            return Some("something is on its way".into());
        }
        self.applications.iter().find_map(|application| {
            let judge = &application.judge;
            let outstanding = judge.outstanding();
            let client_id = application.settings.asked.client_id;
            application
                .owes()
                .or_else(|| (outstanding > 0).then(|| format!("{outstanding} verdicts")))
                .or_else(|| {
                    // What a hostile broker has made of it is not the client's debt.
                    let owes = self.server.owes(client_id);
                    owes.filter(|_| !judge.tainted)
                })
        })
    }

    /// Everybody leaves.
    fn end(&mut self) -> Judged {
        for application in &mut self.applications {
            application.disconnect(false, &mut self.scene)?;
        }
        self.settle()?;
        let end = self.scene.now() + Duration::from_secs(60);
        while self.applications.iter().any(|it| it.life != Life::Over) {
            self.carry_all()?;
            let now = self.scene.now();
            if now >= end {
                return broken("disconnect ends", "it does not");
            }
            let next = self.next_alarm().map_or(end, |at| at.max(now).min(end));
            self.move_clock(next.max(now + Duration::from_millis(1)))?;
        }
        for application in &mut self.applications {
            application.bury(&mut self.scene)?;
        }
        Ok(())
    }
}
