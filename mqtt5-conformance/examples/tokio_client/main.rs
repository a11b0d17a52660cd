//! `mqtt5-tokio` as a client under test: takes instructions on its standard input and says what
//! happens on its standard output. The README of this crate describes the words.

#![allow(clippy::print_stdout, reason = "that is how it talks")]

mod consumer;
mod verdicts;
#[path = "../../clients/words.rs"]
mod words;

use std::future::{Future, IntoFuture, poll_fn};
use std::io::BufRead;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use mqtt5_conformance::Arguments;
use mqtt5_tokio::proto::codec::BinaryData;
use mqtt5_tokio::proto::packet::{AckProperties, DisconnectReasonCode, PublishReasonCode};
use mqtt5_tokio::proto::session::Challenge;
use mqtt5_tokio::{
    Authenticator, Client, DisconnectError, NoAnswer, ReauthenticateError, ReconnectPolicy,
    SubscribeError, TopicFilter,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use consumer::{Command, Consumer};

/// What becomes of an instruction.
enum Answer {
    Done,
    Refused,
    /// There is no way to do this.
    Unsupported(&'static str),
}

impl Answer {
    fn words(&self) -> String {
        match self {
            Self::Done => "ok".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::Unsupported(what) => format!("unsupported {what}"),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (sender, mut lines) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    println!("hello deliveries verdicts");
    let mut adapter = Adapter::default();
    while let Some(line) = lines.recv().await {
        // An argument that stands for nothing there is cannot be carried out either.
        let answer = adapter.instruct(&line).await.unwrap_or(Answer::Refused);
        println!("{}", answer.words());
    }
}

#[derive(Default)]
struct Adapter {
    client: Option<Client>,
    consumer: Consumer,
    subscriptions: Vec<(Vec<TopicFilter>, UnboundedSender<Command>)>,
}

impl Adapter {
    async fn instruct(&mut self, line: &str) -> Option<Answer> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, rest) = match verb {
            "publish" | "subscribe" | "unsubscribe" => rest.split_once(' ')?,
            _ => ("", rest),
        };
        let arguments = Arguments::parse(rest).ok()?;
        if verb == "connect" {
            return self.connect(&arguments);
        }
        let client = self.client.clone()?;
        match verb {
            // It does so by itself.
            "reconnect" => Some(Answer::Done),
            "publish" => publish(&client, name, &arguments),
            "subscribe" => self.subscribe(&client, name, &arguments).await,
            "unsubscribe" => self.unsubscribe(name, &arguments),
            "acknowledge" => self.acknowledge(&arguments),
            "authenticate" => Some(authenticate(client).await),
            "disconnect" => disconnect(&client, &arguments).await,
            _ => None,
        }
    }

    fn connect(&mut self, arguments: &Arguments) -> Option<Answer> {
        let Some(builder) = builder(arguments)? else {
            return Some(Answer::Unsupported(
                "Clean Start 0 for a session that cannot be there",
            ));
        };
        self.consumer.acknowledges_qos1 = arguments.get("puback") != Some("manual");
        self.consumer.acknowledges_qos2 = arguments.get("pubrec") != Some("manual");
        let client = builder.start().ok()?;
        tokio::spawn(verdicts::tell_states(client.state_changes()));
        let (sender, commands) = unbounded_channel();
        let unclaimed = self.consumer.clone();
        tokio::spawn(unclaimed.consume(client.messages(), sender, commands));
        self.client = Some(client);
        Some(Answer::Done)
    }

    async fn subscribe(
        &mut self,
        client: &Client,
        name: &str,
        arguments: &Arguments,
    ) -> Option<Answer> {
        if arguments.get("identifier").is_some() {
            return Some(Answer::Unsupported(
                "Subscription Identifiers of the application",
            ));
        }
        let filters = words::filters(arguments)?;
        let mut subscribe = client
            .subscribe_many(filters.clone())
            .qos(words::qos(arguments, "qos")?)
            .no_local(words::is_set(arguments, "no_local"))
            .retain_as_published(words::is_set(arguments, "retain_as_published"))
            .retain_handling(words::retain_handling(arguments));
        if self.consumer.is_manual() {
            subscribe = subscribe.manual_acknowledge();
        }
        let mut subscribed = subscribe.into_future();
        let first = poll_once(&mut subscribed).await;
        if let Poll::Ready(Err(
            SubscribeError::NotAccepted(_) | SubscribeError::NoLocalOnShared(_),
        )) = first
        {
            return Some(Answer::Refused);
        }
        let (sender, commands) = unbounded_channel();
        self.subscriptions.push((filters, sender.clone()));
        let (consumer, name) = (self.consumer.clone(), name.to_owned());
        tokio::spawn(async move {
            let result = match first {
                Poll::Ready(result) => result,
                Poll::Pending => subscribed.await,
            };
            println!("verdict {name} {}", verdicts::subscribed(&result));
            if let Ok(messages) = result {
                consumer.consume(messages, sender, commands).await;
            }
        });
        Some(Answer::Done)
    }

    fn unsubscribe(&mut self, name: &str, arguments: &Arguments) -> Option<Answer> {
        let filters = words::filters(arguments)?;
        let mut subscriptions = self.subscriptions.iter();
        let Some((_, stream)) = subscriptions.find(|(known, _)| *known == filters) else {
            return Some(Answer::Unsupported("an UNSUBSCRIBE for nothing"));
        };
        let sent = stream.send(Command::Unsubscribe(name.to_owned()));
        Some(sent.map_or(Answer::Refused, |()| Answer::Done))
    }

    fn acknowledge(&mut self, arguments: &Arguments) -> Option<Answer> {
        let number = usize::try_from(arguments.number("message")?).ok()?;
        let (stream, message) = self.consumer.held(number.checked_sub(1)?)?;
        let reason = words::reason(arguments, PublishReasonCode::Success)?;
        let properties = AckProperties {
            reason_string: arguments.get("reason_string").and_then(words::text),
            user_properties: words::user_properties(arguments)?,
        };
        let sent = stream.send(Command::Acknowledge(message, reason, properties));
        Some(sent.map_or(Answer::Refused, |()| Answer::Done))
    }
}

/// `Some(None)`: the client has no way to do this.
fn builder(arguments: &Arguments) -> Option<Option<mqtt5_tokio::Builder>> {
    let url = format!(
        "mqtt://{}:{}",
        arguments.get("host")?,
        arguments.get("port")?
    );
    let client_id = words::text(arguments.get("client_id")?)?;
    let expiry = match words::narrow(arguments.number("session_expiry"))? {
        u32::MAX => Duration::MAX,
        seconds => Duration::from_secs(u64::from(seconds)),
    };
    let mut builder = mqtt5_tokio::builder(&url).ok()?;
    builder = if words::is_set(arguments, "clean_start") {
        builder.client_id(client_id).session_expiry(expiry)
    } else if client_id.is_empty() || expiry.is_zero() {
        return Some(None);
    } else {
        builder.durable(client_id, expiry)
    };
    builder = builder
        .reconnect(ReconnectPolicy::fixed(Duration::from_millis(20)))
        .keep_alive(Duration::from_secs(arguments.number("keep_alive")?))
        .drain_timeout(Duration::from_secs(1))
        .receive_excess(0)
        .request_problem_information(arguments.number("request_problem_information") != Some(0))
        .request_response_information(words::is_set(arguments, "request_response_information"));
    if let Some(maximum) = words::narrow(arguments.number("receive_maximum")) {
        builder = builder.receive_maximum(maximum);
    }
    if let Some(maximum) = words::narrow(arguments.number("maximum_packet_size")) {
        builder = builder.maximum_packet_size(maximum);
    }
    if let Some(maximum) = words::narrow(arguments.number("topic_alias_maximum")) {
        builder = builder.topic_alias_maximum(maximum);
    }
    if let Some(user_name) = arguments.get("user_name") {
        builder = builder.user_name(words::text(user_name)?);
    }
    if let Some(password) = arguments.bytes("password") {
        builder = builder.password(words::data(password)?);
    }
    if let Some(will) = words::will(arguments)? {
        builder = builder.will(will);
    }
    if let Some(method) = arguments.get("authentication_method") {
        let data = |key| arguments.bytes(key).and_then(words::data);
        let authenticator = Fixed {
            data: data("authentication_data"),
            answer: data("authentication_answer"),
        };
        builder = builder.authentication(words::text(method)?, authenticator);
    }
    Some(Some(builder))
}

/// Says always the same.
struct Fixed {
    data: Option<BinaryData>,
    answer: Option<BinaryData>,
}

impl Authenticator for Fixed {
    fn begin(&mut self) -> Option<BinaryData> {
        self.data.clone()
    }

    fn respond(&mut self, _: &Challenge) -> Result<Option<BinaryData>, NoAnswer> {
        Ok(self.answer.clone())
    }
}

/// Lets a future begin, so that what it is about is under way.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

fn publish(client: &Client, name: &str, arguments: &Arguments) -> Option<Answer> {
    let message = words::application_message(arguments)?;
    let Ok(completion) = client.publish_message(message).try_enqueue() else {
        return Some(Answer::Refused);
    };
    let name = name.to_owned();
    tokio::spawn(async move {
        println!("verdict {name} {}", verdicts::published(&completion.await));
    });
    Some(Answer::Done)
}

async fn authenticate(client: Client) -> Answer {
    let mut running = Box::pin(async move { client.reauthenticate().await });
    let first = poll_once(&mut running).await;
    if let Poll::Ready(Err(ReauthenticateError::NotAccepted(_))) = first {
        return Answer::Refused;
    }
    tokio::spawn(async move {
        let result = match first {
            Poll::Ready(result) => result,
            Poll::Pending => running.await,
        };
        if result.is_ok() {
            println!("verdict connection reauthenticated");
        }
    });
    Answer::Done
}

async fn disconnect(client: &Client, arguments: &Arguments) -> Option<Answer> {
    if arguments.get("reason_string").is_some() {
        return Some(Answer::Unsupported("a DISCONNECT with a Reason String"));
    }
    let normal = DisconnectReasonCode::NormalDisconnection;
    let mut disconnect = client
        .disconnect()
        .reason_code(words::reason(arguments, normal)?);
    if let Some(seconds) = arguments.number("session_expiry") {
        disconnect = disconnect.session_expiry(Duration::from_secs(seconds));
    }
    for pair in arguments.all("user_property") {
        let (name, value) = pair.split_once(':')?;
        disconnect = disconnect.user_property(name, value).ok()?;
    }
    let mut ending = disconnect.into_future();
    if let Poll::Ready(Err(DisconnectError::NotAccepted(_))) = poll_once(&mut ending).await {
        return Some(Answer::Refused);
    }
    tokio::spawn(ending);
    Some(Answer::Done)
}
