//! The setters of [`ClientOptions`](crate::ClientOptions), for the builder of an adapter.

/// For the author of an adapter: makes the methods that pass an option on to
/// [`ClientOptions`](crate::ClientOptions), for a builder whose field `options` holds one. To be
/// called within its `impl`.
///
/// ```
/// use mqtt5_client::ClientOptions;
///
/// #[derive(Default)]
/// pub struct Builder {
///     options: ClientOptions,
/// }
///
/// impl Builder {
///     mqtt5_client::option_setters!();
/// }
///
/// let builder = Builder::default().client_id("socks-drawer").receive_maximum(10);
/// # drop(builder.options);
/// ```
#[macro_export]
macro_rules! option_setters {
    () => {
        $crate::option_setters! { strings client_id; user_name; }

        $crate::option_setters! {
            values
            session_expiry(expiry: ::core::time::Duration);
            keep_alive(keep_alive: ::core::time::Duration);
            ping_timeout(timeout: ::core::time::Duration);
            will(will: $crate::proto::packet::Will);
            receive_maximum(messages: u16);
            receive_excess(bytes: usize);
            maximum_packet_size(bytes: u32);
            inbound_budget(bytes: u32);
            topic_alias_maximum(aliases: u16);
            request_response_information(request: bool);
            request_problem_information(request: bool);
            user_property(name: &str, value: &str);
            connect_timeout(timeout: ::core::time::Duration);
            reconnect(policy: $crate::ReconnectPolicy);
            outbound_messages(messages: usize);
            outbound_bytes(bytes: usize);
            queue_qos0_offline(queue: bool);
            drain_timeout(timeout: ::core::time::Duration);
            stall_policy(policy: $crate::StallPolicy);
        }

        /// See [`ClientOptions::durable`](mqtt5_client::ClientOptions::durable).
        pub fn durable<S>(mut self, client_id: S, expiry: ::core::time::Duration) -> Self
        where
            S: TryInto<$crate::proto::codec::Utf8String>,
            $crate::proto::codec::DataTypeError: From<S::Error>,
        {
            self.options = self.options.durable(client_id, expiry);
            self
        }

        /// See [`ClientOptions::password`](mqtt5_client::ClientOptions::password).
        pub fn password<B>(mut self, password: B) -> Self
        where
            B: TryInto<$crate::proto::codec::BinaryData>,
            $crate::proto::codec::DataTypeError: From<B::Error>,
        {
            self.options = self.options.password(password);
            self
        }

        /// See [`ClientOptions::credentials`](mqtt5_client::ClientOptions::credentials).
        pub fn credentials<S, B>(self, user_name: S, password: B) -> Self
        where
            S: TryInto<$crate::proto::codec::Utf8String>,
            $crate::proto::codec::DataTypeError: From<S::Error>,
            B: TryInto<$crate::proto::codec::BinaryData>,
            $crate::proto::codec::DataTypeError: From<B::Error>,
        {
            self.user_name(user_name).password(password)
        }

        /// See [`ClientOptions::authentication`](mqtt5_client::ClientOptions::authentication).
        pub fn authentication<S>(
            mut self,
            method: S,
            authenticator: impl $crate::Authenticator + 'static,
        ) -> Self
        where
            S: TryInto<$crate::proto::codec::Utf8String>,
            $crate::proto::codec::DataTypeError: From<S::Error>,
        {
            self.options = self.options.authentication(method, authenticator);
            self
        }
    };
    (values $($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[doc = $crate::option_setters!(link $name)]
        pub fn $name(mut self $(, $argument: $type)*) -> Self {
            self.options = self.options.$name($($argument),*);
            self
        }
    )*};
    (strings $($name:ident;)*) => {$(
        #[doc = $crate::option_setters!(link $name)]
        pub fn $name<S>(mut self, value: S) -> Self
        where
            S: TryInto<$crate::proto::codec::Utf8String>,
            $crate::proto::codec::DataTypeError: From<S::Error>,
        {
            self.options = self.options.$name(value);
            self
        }
    )*};
    (link $name:ident) => {
        concat!(
            "See [`ClientOptions::", stringify!($name), "`](mqtt5_client::ClientOptions::",
            stringify!($name), ")."
        )
    };
}
