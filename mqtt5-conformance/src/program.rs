//! A client in a process of its own: TCP for its bytes, its standard input for instructions, its
//! standard output for what it tells. Time is real.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::{Answer, Broken, Client, Heard, Pace, Tells, Told};
use crate::instruction::{Arguments, Instruction, Verb};

/// How long a program may take to start and to answer an instruction.
const STARTUP: Duration = Duration::from_secs(60);

/// A client program under test. Dropping it ends the process.
#[derive(Debug)]
pub struct Program {
    child: Child,
    instructions: ChildStdin,
    address: SocketAddr,
    happenings: Receiver<Happening>,
    acceptor: Option<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
    /// The connections that the case is not through with, the oldest first.
    connections: VecDeque<Connection>,
    answers: VecDeque<Answer>,
    told: VecDeque<Told>,
    tells: Option<Tells>,
    pace: Pace,
    start: Instant,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    stream: TcpStream,
    heard: VecDeque<Heard>,
}

/// What the threads that wait for the program report.
#[derive(Debug)]
enum Happening {
    Line(String),
    Ended,
    Opened(u64, TcpStream),
    Bytes(u64, Vec<u8>),
    Closed(u64),
}

impl Program {
    /// Starts `command`: a program and its arguments.
    ///
    /// # Errors
    /// [`Broken`] if it cannot be started or does not say hello.
    pub fn start(command: &[String], pace: Pace) -> Result<Self, Broken> {
        let io = |what: &str, error: std::io::Error| Broken(format!("{what}: {error}"));
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| io("listening", error))?;
        let address = listener
            .local_addr()
            .map_err(|error| io("listening", error))?;
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| Broken("there is no command".to_owned()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io(program, error))?;
        let (Some(instructions), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Broken("there are no pipes".to_owned()));
        };
        let (report, happenings) = channel();
        let lines = report.clone();
        thread::spawn(move || read_lines(BufReader::new(output), &lines));
        let stopping = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopping);
        let acceptor = thread::spawn(move || accept(&listener, &flag, &report));
        let mut started = Self {
            child,
            instructions,
            address,
            happenings,
            acceptor: Some(acceptor),
            stopping,
            connections: VecDeque::new(),
            answers: VecDeque::new(),
            told: VecDeque::new(),
            tells: None,
            pace,
            start: Instant::now(),
        };
        let deadline = started.now() + STARTUP;
        while started.tells.is_none() {
            if !started.pump(deadline)? {
                return Err(Broken("it does not say hello".to_owned()));
            }
        }
        Ok(started)
    }

    /// Takes the next that happens; false if nothing does until the deadline.
    fn pump(&mut self, deadline: Duration) -> Result<bool, Broken> {
        let patience = deadline.saturating_sub(self.now());
        let Ok(happening) = self.happenings.recv_timeout(patience) else {
            return Ok(false);
        };
        match happening {
            Happening::Line(line) => self.take_line(&line)?,
            Happening::Ended => return Err(Broken("its process has ended".to_owned())),
            Happening::Opened(number, stream) => self.connections.push_back(Connection {
                number,
                stream,
                heard: VecDeque::from([Heard::Opened]),
            }),
            Happening::Bytes(number, bytes) => self.hear(number, Heard::Bytes(bytes)),
            Happening::Closed(number) => self.hear(number, Heard::Closed),
        }
        Ok(true)
    }

    fn hear(&mut self, number: u64, heard: Heard) {
        let mut connections = self.connections.iter_mut();
        if let Some(connection) = connections.find(|connection| connection.number == number) {
            connection.heard.push_back(heard);
        }
    }

    fn take_line(&mut self, line: &str) -> Result<(), Broken> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "hello" => {
                self.tells = Some(Tells {
                    deliveries: rest.split_whitespace().any(|word| word == "deliveries"),
                    verdicts: rest.split_whitespace().any(|word| word == "verdicts"),
                });
            }
            "ok" => self.answers.push_back(Answer::Done),
            "refused" => self.answers.push_back(Answer::Refused),
            "unsupported" => self.answers.push_back(Answer::Unsupported(rest.to_owned())),
            "connected" => self.told.push_back(Told::Connected),
            "delivered" => {
                let message = Arguments::parse(rest).map_err(Broken)?;
                self.told.push_back(Told::Delivered(message));
            }
            "verdict" => {
                let (name, words) = rest.split_once(' ').unwrap_or((rest, ""));
                let (name, words) = (name.to_owned(), words.to_owned());
                self.told.push_back(Told::Verdict { name, words });
            }
            _ => return Err(Broken(format!("it says {line:?}"))),
        }
        Ok(())
    }
}

fn read_lines(output: impl BufRead, report: &Sender<Happening>) {
    for line in output.lines() {
        let Ok(line) = line else {
            break;
        };
        if report.send(Happening::Line(line)).is_err() {
            return;
        }
    }
    let _ = report.send(Happening::Ended);
}

fn accept(listener: &TcpListener, stopping: &AtomicBool, report: &Sender<Happening>) {
    for (number, stream) in (0..).zip(listener.incoming()) {
        if stopping.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let Ok(reader) = stream.try_clone() else {
            continue;
        };
        if report.send(Happening::Opened(number, stream)).is_err() {
            return;
        }
        let report = report.clone();
        thread::spawn(move || read_bytes(reader, number, &report));
    }
}

fn read_bytes(mut stream: TcpStream, number: u64, report: &Sender<Happening>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let happening = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => Happening::Closed(number),
            Ok(count) => Happening::Bytes(number, buffer.iter().take(count).copied().collect()),
        };
        let ended = matches!(happening, Happening::Closed(_));
        if report.send(happening).is_err() || ended {
            return;
        }
    }
}

impl Client for Program {
    fn tells(&self) -> Tells {
        self.tells.unwrap_or_default()
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn instruct(&mut self, instruction: &Instruction) -> Result<Answer, Broken> {
        let place = match instruction.verb {
            Verb::Connect => format!(" host={} port={}", self.address.ip(), self.address.port()),
            _ => String::new(),
        };
        writeln!(self.instructions, "{instruction}{place}")
            .and_then(|()| self.instructions.flush())
            .map_err(|error| Broken(format!("it takes no instructions: {error}")))?;
        let deadline = self.now() + STARTUP;
        while self.answers.is_empty() && self.pump(deadline)? {}
        let answer = self.answers.pop_front();
        answer.ok_or_else(|| Broken(format!("it does not answer to {instruction}")))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        // One that has closed its connection is told by `listen`.
        if let Some(connection) = self.connections.front_mut() {
            let _ = connection.stream.write_all(bytes);
        }
        Ok(())
    }

    fn listen(&mut self, deadline: Duration) -> Result<Heard, Broken> {
        loop {
            let front = self.connections.front_mut();
            if let Some(heard) = front.and_then(|connection| connection.heard.pop_front()) {
                if heard == Heard::Closed {
                    self.cut();
                }
                return Ok(heard);
            }
            if !self.pump(deadline)? {
                return Ok(Heard::Nothing);
            }
        }
    }

    fn told(&mut self, deadline: Duration) -> Result<Option<Told>, Broken> {
        while self.told.is_empty() && self.pump(deadline)? {}
        Ok(self.told.pop_front())
    }

    fn cut(&mut self) {
        if let Some(connection) = self.connections.pop_front() {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    fn wait(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        while !self.connections.is_empty() {
            self.cut();
        }
        self.stopping.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}
