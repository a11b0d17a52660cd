//! A real Mosquitto broker, and its command line clients, under test control.
//!
//! Every [`Mosquitto`] is a process of its own with its own folder and its own
//! loopback port, so tests need not know of each other and may run in parallel.
//! Nothing here sleeps for a guessed time: it polls for a condition and fails,
//! with the broker's log, once [`DEADLINE`] has passed.
//!
//! All calls block. That is fine even on a current-thread runtime as long as
//! they wait for the broker alone. What waits for something that the test's own
//! tasks must do, such as a subscriber waiting for a message, has an async form.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long anything that is asked of a process may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(5);

/// How many ports to try before giving up on finding a free one.
const PORT_ATTEMPTS: u32 = 8;

/// How much of the log a failure shows. The whole of it can be very long.
const LOG_LINES_SHOWN: usize = 200;

/// Settings of a broker. Whatever is not set is left at the broker's default,
/// but for anonymous access, which is allowed unless there are users.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    persistence: bool,
    autosave_interval: Option<u32>,
    users: Vec<(String, String)>,
    acl: Option<String>,
    allow_anonymous: Option<bool>,
    max_inflight_messages: Option<u16>,
    max_keepalive: Option<u16>,
    max_packet_size: Option<u32>,
    max_qos: Option<u8>,
    retain_available: Option<bool>,
    extra: Vec<String>,
}

impl Config {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sessions and retained messages survive [`Mosquitto::restart`].
    pub(crate) fn persistence(mut self) -> Self {
        self.persistence = true;
        self
    }

    /// Saves every so many seconds besides on a clean exit. Implies persistence.
    pub(crate) fn autosave_interval(mut self, seconds: u32) -> Self {
        self.autosave_interval = Some(seconds);
        self.persistence()
    }

    /// Adds a user. From the first one on, anonymous access is refused unless
    /// [`Config::allow_anonymous`] says otherwise.
    pub(crate) fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// The contents of an ACL file.
    pub(crate) fn acl(mut self, contents: &str) -> Self {
        self.acl = Some(contents.to_owned());
        self
    }

    pub(crate) fn allow_anonymous(mut self, allow: bool) -> Self {
        self.allow_anonymous = Some(allow);
        self
    }

    /// How many QoS 1 and 2 messages may be in flight in either direction. The
    /// broker announces it to MQTT 5 clients as its Receive Maximum.
    pub(crate) fn max_inflight_messages(mut self, max: u16) -> Self {
        self.max_inflight_messages = Some(max);
        self
    }

    /// Longer keep-alives are replaced through Server Keep Alive.
    pub(crate) fn max_keepalive(mut self, seconds: u16) -> Self {
        self.max_keepalive = Some(seconds);
        self
    }

    pub(crate) fn max_packet_size(mut self, bytes: u32) -> Self {
        self.max_packet_size = Some(bytes);
        self
    }

    pub(crate) fn max_qos(mut self, qos: u8) -> Self {
        self.max_qos = Some(qos);
        self
    }

    pub(crate) fn retain_available(mut self, available: bool) -> Self {
        self.retain_available = Some(available);
        self
    }

    /// Any other line of mosquitto.conf. It goes after the listener, where
    /// options of the listener have to be and global ones may be.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.extra.push(line.to_owned());
        self
    }

    /// The text of mosquitto.conf.
    fn render(&self, directory: &Path, port: u16) -> String {
        let directory = directory.display();
        let mut text = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "{name} {value}").unwrap();
        };

        // Started by root, the broker would become a user who cannot write to
        // the folder. Started by anybody else, it ignores this.
        line("user", &"root");
        line("log_dest", &"stderr");
        line("log_type", &"all");
        let anonymous = self.allow_anonymous.unwrap_or(self.users.is_empty());
        line("allow_anonymous", &anonymous);
        if self.persistence {
            line("persistence", &true);
            // Older versions append the file's name to it as it stands.
            line("persistence_location", &format_args!("{directory}/"));
        }
        if let Some(seconds) = self.autosave_interval {
            line("autosave_interval", &seconds);
        }
        if !self.users.is_empty() {
            line("password_file", &format_args!("{directory}/passwords"));
        }
        if self.acl.is_some() {
            line("acl_file", &format_args!("{directory}/acl"));
        }
        if let Some(max) = self.max_inflight_messages {
            line("max_inflight_messages", &max);
        }
        if let Some(seconds) = self.max_keepalive {
            line("max_keepalive", &seconds);
        }
        if let Some(bytes) = self.max_packet_size {
            line("max_packet_size", &bytes);
        }
        if let Some(available) = self.retain_available {
            line("retain_available", &available);
        }
        line("listener", &format_args!("{port} {}", Ipv4Addr::LOCALHOST));
        if let Some(qos) = self.max_qos {
            line("max_qos", &qos);
        }
        for extra in &self.extra {
            text.push_str(extra);
            text.push('\n');
        }
        text
    }
}

/// A running broker. Dropping it ends the process and removes its folder; if
/// that happens because a test panics, the end of its log is shown.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    port: u16,
    /// `None` while stopped.
    child: Option<Child>,
    // After `child`, as fields are dropped in order and the folder is in use.
    directory: Directory,
}

/// Why a broker did not come up.
enum StartError {
    /// Somebody else has the port: worth another try.
    PortTaken,
    Other(String),
}

impl Mosquitto {
    /// Starts a broker and returns once it accepts connections.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a config is built for one call"
    )]
    pub(crate) fn start(config: Config) -> Self {
        let directory = Directory::create();
        write_passwords(&directory.file("passwords"), &config.users);
        if let Some(acl) = &config.acl {
            write_private(&directory.file("acl"), acl);
        }
        let mut broker = Self {
            port: 0,
            child: None,
            directory,
        };
        for _ in 0..PORT_ATTEMPTS {
            broker.port = free_port();
            write_private(
                &broker.directory.file("mosquitto.conf"),
                &config.render(broker.directory.path(), broker.port),
            );
            match broker.launch() {
                Ok(()) => return broker,
                Err(StartError::PortTaken) => {}
                Err(StartError::Other(error)) => panic!("{error}"),
            }
        }
        panic!("found no free port for mosquitto in {PORT_ATTEMPTS} attempts");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Everything the broker has logged so far, over all of its runs.
    pub(crate) fn log(&self) -> String {
        match fs::read(self.log_path()) {
            Ok(log) => String::from_utf8_lossy(&log).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => panic!("the log of mosquitto cannot be read: {error}"),
        }
    }

    /// Waits until the log holds `text`. The log tells of every packet, such as
    /// "Sending SUBACK to" or "Received PUBLISH from", with the client's id.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let found = poll(|| self.log().contains(text).then_some(()));
        assert!(found.is_some(), "mosquitto did not log {text:?}");
    }

    /// Asks the broker to exit, so that it saves what it has to, and waits until
    /// it has. The port then refuses connections.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // Rust's `kill` sends SIGKILL, which leaves no time to save anything.
        // The shell has a `kill` of its own; as a program it may be missing.
        let sent = Command::new("sh")
            .args(["-c", "kill -TERM \"$1\"", "sh", &child.id().to_string()])
            .status()
            .expect("sh can be run");
        let exited = sent.success().then(|| wait(&mut child)).flatten();
        if exited.is_none() {
            end(&mut child);
            panic!("mosquitto did not exit upon SIGTERM");
        }
    }

    /// Ends the broker as a crash would: nothing is saved.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child);
        }
    }

    /// Starts a stopped broker again, on the port it had.
    pub(crate) fn resume(&mut self) {
        assert!(self.child.is_none(), "mosquitto is running already");
        // A client that keeps reconnecting to a port nobody listens on can by
        // chance get this very port as its own. It soon lets go of it.
        let started = poll(|| match self.launch() {
            Ok(()) => Some(()),
            Err(StartError::PortTaken) => None,
            Err(StartError::Other(error)) => panic!("{error}"),
        });
        assert!(started.is_some(), "port {} is not free again", self.port);
    }

    /// [`stop`](Self::stop), then [`resume`](Self::resume).
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.resume();
    }

    /// Runs mosquitto_pub, which must succeed, against this broker, and returns
    /// what it printed. Speaks MQTT 5 unless `arguments` have another -V.
    pub(crate) fn mosquitto_pub<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let finished = self.try_mosquitto_pub(arguments);
        assert!(finished.status.success(), "mosquitto_pub: {finished:?}");
        finished.stdout
    }

    /// Runs mosquitto_pub, which may fail, against this broker.
    pub(crate) fn try_mosquitto_pub<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Finished {
        client("mosquitto_pub", self.port)
            .arguments(arguments)
            .finish()
    }

    /// Starts mosquitto_sub against this broker and returns once the broker has
    /// acknowledged its subscription, or refused it. With `-C COUNT` it exits by
    /// itself after so many messages.
    pub(crate) fn mosquitto_sub<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Running {
        let given = arguments
            .iter()
            .position(|argument| matches!(argument.as_ref().to_str(), Some("-i" | "--id")))
            .map(|option| arguments[option + 1].as_ref().to_string_lossy());
        let id = match &given {
            Some(id) => id.to_string(),
            None => format!("mosquitto_sub-{}", unique()),
        };
        // The id may have been used before: only what comes now counts.
        let logged = self.log().len();
        let mut client = client("mosquitto_sub", self.port);
        if given.is_none() {
            client = client.arguments(&["-i", &id]);
        }
        let mut client = client.arguments(arguments).spawn();

        let acknowledged = format!("Sending SUBACK to {id}\n");
        let subscribed = poll(|| {
            // A client that has exited already gets to say so in `finish`.
            let over = client.exited() || self.log()[logged..].contains(&acknowledged);
            over.then_some(())
        });
        assert!(subscribed.is_some(), "mosquitto_sub did not get a SUBACK");
        client
    }

    fn log_path(&self) -> PathBuf {
        self.directory.file("log")
    }

    /// Starts the process and waits until it serves the port.
    fn launch(&mut self) -> Result<(), StartError> {
        let before = self.log().len();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log can be written");
        let child = Command::new(find("mosquitto"))
            .arg("-c")
            .arg(self.directory.file("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn()
            .expect("mosquitto can be run");
        // Kept here from now on, so that a panic does not leave it behind.
        let child = self.child.insert(child);

        let address = (Ipv4Addr::LOCALHOST, self.port).into();
        let log_path = self.directory.file("log");
        let log = || {
            let log = fs::read(&log_path).unwrap_or_default();
            String::from_utf8_lossy(log.get(before..).unwrap_or_default()).into_owned()
        };
        let outcome = poll(|| {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return Some(Err(status));
            }
            // A connection alone could be to somebody else who has the port, and
            // it is only after it has bound its listeners that the broker says
            // that it runs.
            let serves = log().contains(" running\n")
                && TcpStream::connect_timeout(&address, DEADLINE).is_ok();
            serves.then_some(Ok(()))
        });
        match outcome {
            Some(Ok(())) => Ok(()),
            Some(Err(status)) => {
                self.child = None;
                let log = log();
                if log.contains("Address already in use") {
                    Err(StartError::PortTaken)
                } else {
                    let message = format!("mosquitto did not start ({status}):\n{}", tail(&log));
                    Err(StartError::Other(message))
                }
            }
            None => {
                let message = format!("mosquitto does not accept connections:\n{}", tail(&log()));
                Err(StartError::Other(message))
            }
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            // Not `log`, which may panic, and a second panic would abort.
            let log = fs::read(self.log_path()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            eprintln!(
                "--- log of mosquitto on port {} ---\n{}",
                self.port,
                tail(&log)
            );
        }
    }
}

/// Runs mosquitto_pub, which must succeed, against any broker on this port.
pub(crate) async fn publish_to<S: AsRef<OsStr>>(port: u16, arguments: &[S]) {
    let running = client("mosquitto_pub", port).arguments(arguments).spawn();
    let finished = running.finish_async().await;
    assert!(finished.status.success(), "mosquitto_pub: {finished:?}");
}

/// Starts mosquitto_sub against any broker on this port, and does not wait for its subscription.
pub(crate) fn subscribe_to<S: AsRef<OsStr>>(port: u16, arguments: &[S]) -> Running {
    client("mosquitto_sub", port).arguments(arguments).spawn()
}

fn client(program: &'static str, port: u16) -> Client {
    let mut command = Command::new(find(program));
    command
        .args(["-h", &Ipv4Addr::LOCALHOST.to_string()])
        .args(["-p", &port.to_string()])
        .args(["-V", "mqttv5"]);
    Client { program, command }
}

/// A command line client about to be started.
struct Client {
    program: &'static str,
    command: Command,
}

impl Client {
    fn arguments<S: AsRef<OsStr>>(mut self, arguments: &[S]) -> Self {
        self.command.args(arguments);
        self
    }

    fn finish(self) -> Finished {
        self.spawn().finish()
    }

    fn spawn(mut self) -> Running {
        let program = self.program;
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        let stdout = collect(child.stdout.take().expect("standard output is a pipe"));
        let stderr = collect(child.stderr.take().expect("standard error is a pipe"));
        Running {
            program,
            child,
            output: Some((stdout, stderr)),
        }
    }
}

/// A command line client that runs. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Running {
    program: &'static str,
    child: Child,
    /// What the threads that read the two outputs will return.
    output: Option<(JoinHandle<String>, JoinHandle<String>)>,
}

impl Running {
    /// Waits until the client exits by itself.
    pub(crate) fn finish(mut self) -> Finished {
        let status = wait(&mut self.child);
        if status.is_none() {
            // The outputs end only when the process does.
            end(&mut self.child);
        }
        let (stdout, stderr) = self.output.take().expect("only `finish` takes it");
        let stdout = stdout.join().expect("the reader does not panic");
        let stderr = stderr.join().expect("the reader does not panic");
        let Some(status) = status else {
            let program = self.program;
            panic!("{program} did not exit in {DEADLINE:?}; it printed:\n{stdout}\n{stderr}");
        };
        Finished {
            status,
            stdout,
            stderr,
        }
    }

    /// [`finish`](Self::finish), while the tasks of the test go on.
    pub(crate) async fn finish_async(self) -> Finished {
        match tokio::task::spawn_blocking(|| self.finish()).await {
            Ok(finished) => finished,
            // The caller's panic, with the message of this one.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn exited(&mut self) -> bool {
        let status = self.child.try_wait().expect("a child can be waited for");
        status.is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// How a command line client ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder under the system's temporary one, removed when dropped.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn create() -> Self {
        loop {
            let name = format!("mqtt5-mosquitto-{}-{}", process::id(), unique());
            let path = env::temp_dir().join(name);
            // There are passwords in it.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self(path),
                // Left behind by a killed process that had the same id.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{} cannot be created: {error}", path.display()),
            }
        }
    }

    fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // If it stays it is a nuisance, not a reason to fail a test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn write_private(path: &Path, contents: &str) {
    // The folder keeps others out.
    fs::write(path, contents).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn write_passwords(path: &Path, users: &[(String, String)]) {
    if users.is_empty() {
        return;
    }
    // mosquitto_passwd -b adds to a file that exists.
    File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (name, password) in users {
        let output = Command::new(find("mosquitto_passwd"))
            .arg("-b")
            .arg(path)
            .args([name, password])
            .output()
            .expect("mosquitto_passwd can be run");
        assert!(output.status.success(), "mosquitto_passwd: {output:?}");
    }
}

/// A port nobody listens on now. Somebody may before the broker does.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port can be bound");
    listener.local_addr().expect("it has an address").port()
}

/// Where a program of Mosquitto's is.
fn find(program: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        // Where packages put the broker, and what few users have on their PATH.
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{program} is needed for this test and not installed: run scripts/test, or \
                 apt-get install mosquitto mosquitto-clients"
            )
        })
}

/// Number for names that must differ within this process.
fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Asks until there is an answer or [`DEADLINE`] has passed.
fn poll<T>(mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        let answer = question();
        if answer.is_some() || began.elapsed() > DEADLINE {
            return answer;
        }
        thread::sleep(POLL);
    }
}

/// Waits until a process has exited by itself.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    poll(|| child.try_wait().expect("a child can be waited for"))
}

/// Ends a process, if it runs, and reaps it.
fn end(child: &mut Child) {
    // Neither can fail but for a process that is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads to the end on a thread, so that a full pipe never stops the process.
fn collect(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        let _ = output.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}
