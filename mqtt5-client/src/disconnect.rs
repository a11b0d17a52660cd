//! The end of a client (section 3.14).

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use mqtt5_proto::codec::DataTypeError;
use mqtt5_proto::packet::{
    Disconnect, DisconnectProperties, DisconnectReasonCode, Role, UserProperty,
};
use mqtt5_proto::session::Rule;

use crate::client::Client;
use crate::errors::{CloseReason, DisconnectError};
use crate::state::ConnectionState;

/// The end of a client that is being put together: [`Client::disconnect`] begins it; awaiting it
/// ends the client.
#[derive(Debug)]
#[must_use = "nothing ends before this is awaited"]
pub struct DisconnectBuilder {
    client: Client,
    disconnect: Disconnect,
    drain_timeout: Duration,
}

impl DisconnectBuilder {
    pub(crate) fn new(client: Client) -> Self {
        let disconnect = client.ordinary_disconnect();
        let drain_timeout = client.shared().drain_timeout();
        Self {
            client,
            disconnect,
            drain_timeout,
        }
    }

    fn properties(&mut self) -> &mut DisconnectProperties {
        self.disconnect.properties.get_or_insert_default()
    }

    /// Why (section 3.14.2.1). [`DisconnectReasonCode::DisconnectWithWillMessage`] has the server
    /// publish the Will. Default: normal disconnection.
    pub const fn reason_code(mut self, reason_code: DisconnectReasonCode) -> Self {
        self.disconnect.reason_code = reason_code;
        self
    }

    /// How long the server keeps the session (section 3.14.2.2.2), in whole seconds;
    /// `Duration::MAX`: for ever. Default: 0 for an ephemeral session, unchanged for a durable one.
    pub fn session_expiry(mut self, expiry: Duration) -> Self {
        let seconds = expiry
            .as_secs()
            .saturating_add(u64::from(expiry.subsec_nanos() > 0));
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.properties().session_expiry_interval = Some(seconds);
        self
    }

    /// Adds a User Property (section 3.14.2.2.4).
    ///
    /// # Errors
    /// [`DataTypeError`] if it cannot be sent.
    pub fn user_property(mut self, name: &str, value: &str) -> Result<Self, DataTypeError> {
        let property = UserProperty::new(name, value)?;
        self.properties().user_properties.push(property);
        Ok(self)
    }

    /// How long to wait for operations to finish. Default: that of the options, 5 s.
    pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    fn check(&self) -> Result<(), Rule> {
        if !self.disconnect.reason_code.may_send(Role::Client) {
            return Err(Rule::ReasonCode);
        }
        let expiry = self.disconnect.properties.as_ref();
        let expiry = expiry.and_then(|properties| properties.session_expiry_interval);
        let asked = self
            .client
            .shared()
            .run(|core| core.session.config().session_expiry_interval);
        if asked == 0 && expiry.is_some_and(|expiry| expiry > 0) {
            return Err(Rule::SessionExpiryInterval);
        }
        Ok(())
    }

    async fn run(self) -> Result<(), DisconnectError> {
        self.check().map_err(DisconnectError::NotAccepted)?;
        let Self {
            client,
            disconnect,
            drain_timeout,
        } = self;
        let mut changes = client.state_changes();
        let shared = client.shared();
        let drain_until = shared.now() + drain_timeout;
        shared.run(|core| core.begin_close(disconnect, drain_until));
        let mut state = client.state();
        let reason = loop {
            if let ConnectionState::Closed(reason) = state {
                break reason;
            }
            state = match changes.changed().await {
                Some(state) => state,
                None => client.state(),
            };
        };
        let (asked, sent) = shared.run(|core| {
            core.closing
                .as_ref()
                .map_or((false, false), |closing| (closing.asked, closing.sent))
        });
        match reason {
            CloseReason::Requested if sent => Ok(()),
            CloseReason::Requested if asked => Err(DisconnectError::NotSent),
            CloseReason::Requested => Err(DisconnectError::NotConnected),
            reason => Err(DisconnectError::Closed(reason)),
        }
    }
}

impl IntoFuture for DisconnectBuilder {
    type Output = Result<(), DisconnectError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Ends the client, and waits until its connection is closed. `Ok`: the DISCONNECT reached the
    /// transport. Called a second time, it waits for the end that is under way.
    ///
    /// Cancel safe: once begun, it goes on in the background.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
