//! The macros that turn a table into a property set.

/// Declares the view of a property set from its table.
macro_rules! property_view {
    (
        $(#[$doc:meta])*
        $View:ident { $($kind:ident $id:literal $name:ident: $type:ty, $about:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default)]
        pub struct $View<'a>($crate::packet::property::Section<'a>);

        #[allow(dead_code, reason = "one form for all sets")]
        impl<'a> $View<'a> {
            const REPEATABLE: u64 = 0 $(| property_view!(@repeatable $kind $id))*;

            #[inline]
            pub(crate) fn parse(input: &'a [u8]) -> $crate::codec::Parsed<'a, Self> {
                let (rest, section) = $crate::packet::property::Section::parse(
                    input, Self::REPEATABLE, Self::check)?;
                Ok((rest, Self(section)))
            }

            pub(crate) const fn checked(bytes: &'a [u8], present: u64) -> Self {
                Self($crate::packet::property::Section::checked(bytes, present))
            }

            pub(crate) const fn section(&self) -> $crate::packet::property::Section<'a> {
                self.0
            }

            #[inline]
            fn check(id: u8, value: &[u8]) -> Option<$crate::codec::Parsed<'_, ()>> {
                match id {
                    $($id => Some(<$type as $crate::packet::property::Property>::check(value)),)*
                    _ => None,
                }
            }

            #[inline]
            fn skip(id: u8, value: &[u8]) -> Option<$crate::codec::Parsed<'_, ()>> {
                match id {
                    $($id => Some(<$type as $crate::packet::property::Property>::skip(value)),)*
                    _ => None,
                }
            }

            pub(crate) fn locate(&self, id: u8) -> Option<&'a [u8]> {
                self.0.locate(id, Self::skip)
            }

            /// Whether there is no property at all.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                self.0.bytes.is_empty()
            }

            /// The section as it came: identifiers and values, without the Property Length.
            #[must_use]
            pub const fn as_bytes(&self) -> &'a [u8] {
                self.0.bytes
            }

            $(property_view!(@getter $kind $id $name $type, $about);)*
        }

        impl PartialEq for $View<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.0.bytes == other.0.bytes
            }
        }

        impl Eq for $View<'_> {}

        impl core::fmt::Debug for $View<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut map = f.debug_struct(stringify!($View));
                $(property_view!(@debug $kind $id $name map self);)*
                map.finish()
            }
        }
    };
    (@repeatable once $id:literal) => { 0 };
    (@repeatable many $id:literal) => { 1 << $id };
    (@repeatable secret $id:literal) => { 0 };
    (@getter many $id:literal $name:ident $type:ty, $about:literal) => {
        #[doc = $about]
        pub fn $name(&self) -> impl Iterator<
            Item = <$type as $crate::packet::property::Property>::View<'a>> + Clone + use<'a>
        {
            self.0.all::<$type>($id, Self::skip)
        }
    };
    (@getter $kind:ident $id:literal $name:ident $type:ty, $about:literal) => {
        #[doc = $about]
        #[must_use]
        pub fn $name(&self) -> Option<<$type as $crate::packet::property::Property>::View<'a>> {
            self.0.find::<$type>($id, Self::skip)
        }
    };
    (@debug secret $id:literal $name:ident $map:ident $this:ident) => {
        if $this.0.has($id) {
            $map.field(stringify!($name), &"…");
        }
    };
    (@debug once $id:literal $name:ident $map:ident $this:ident) => {
        if let Some(value) = $this.$name() {
            $map.field(stringify!($name), &value);
        }
    };
    (@debug many $id:literal $name:ident $map:ident $this:ident) => {
        if $this.0.has($id) {
            $map.field(stringify!($name), &$this.$name().collect::<alloc::vec::Vec<_>>());
        }
    };
}

/// Declares the builder of a property set from its table.
macro_rules! property_builder {
    (
        $(#[$doc:meta])*
        $Builder:ident { $($kind:ident $id:literal $name:ident: $type:ty, $about:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq)]
        pub struct $Builder {
            $(#[doc = $about] pub $name: property_builder!(@type $kind $type),)*
        }

        impl $Builder {
            /// Whether there is no property at all.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                true $(&& property_builder!(@empty $kind self.$name))*
            }

            #[inline]
            pub(crate) fn put<S: $crate::codec::Sink>(&self, sink: &mut S) {
                $(for value in self.$name.iter() {
                    if $crate::packet::property::Property::is_writable(value) {
                        sink.byte($id);
                        $crate::packet::property::Property::put(value, sink);
                    }
                })*
                let _ = sink;
            }
        }

        impl core::fmt::Debug for $Builder {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut map = f.debug_struct(stringify!($Builder));
                $(property_builder!(@debug $kind $name map self);)*
                map.finish()
            }
        }
    };
    (@type many $type:ty) => { alloc::vec::Vec<$type> };
    (@type $kind:ident $type:ty) => { Option<$type> };
    (@empty many $this:ident.$name:ident) => { $this.$name.is_empty() };
    (@empty $kind:ident $this:ident.$name:ident) => { $this.$name.is_none() };
    (@debug secret $name:ident $map:ident $this:ident) => {
        if $this.$name.is_some() {
            $map.field(stringify!($name), &"…");
        }
    };
    (@debug once $name:ident $map:ident $this:ident) => {
        if let Some(value) = &$this.$name {
            $map.field(stringify!($name), value);
        }
    };
    (@debug many $name:ident $map:ident $this:ident) => {
        if !$this.$name.is_empty() {
            $map.field(stringify!($name), &$this.$name);
        }
    };
}

/// Declares, from its table, what writes a property set of values that are borrowed.
macro_rules! property_ref {
    (
        $(#[$doc:meta])*
        $Ref:ident { $($kind:ident $id:literal $name:ident: $type:ident, $about:literal;)* }
    ) => {
        $(#[$doc])*
        ///
        /// The values are borrowed, and checked when they are written.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $Ref<'a> {
            $(#[doc = $about] pub $name: property_ref!(@type $kind 'a $type),)*
        }

        impl $Ref<'_> {
            #[inline]
            pub(crate) fn check(&self) -> Result<(), $crate::packet::EncodeError> {
                $(for value in self.$name.iter() {
                    <$type as $crate::packet::property::Borrowed>::accept(*value)?;
                })*
                Ok(())
            }

            #[inline]
            pub(crate) fn put<S: $crate::codec::Sink>(&self, sink: &mut S) {
                $(for value in self.$name.iter() {
                    sink.byte($id);
                    <$type as $crate::packet::property::Borrowed>::put_view(*value, sink);
                })*
            }
        }
    };
    (@type many $a:lifetime $type:ident) => { &$a [property_ref!(@value $a $type)] };
    (@type once $a:lifetime $type:ident) => { Option<property_ref!(@value $a $type)> };
    (@value $a:lifetime Utf8String) => { &$a str };
    (@value $a:lifetime Topic) => { &$a str };
    (@value $a:lifetime BinaryData) => { &$a [u8] };
    (@value $a:lifetime UserProperty) => { (&$a str, &$a str) };
    (@value $a:lifetime $number:ident) => { $number };
}

/// Declares two builders of a property set from one table: of values that are owned, and of values
/// that are borrowed.
macro_rules! property_builders {
    (
        $(#[$doc:meta])*
        $Builder:ident, $Ref:ident
        { $($kind:ident $id:literal $name:ident: $type:ident, $about:literal;)* }
    ) => {
        property_builder! { $(#[$doc])* $Builder { $($kind $id $name: $type, $about;)* } }
        property_ref! { $(#[$doc])* $Ref { $($kind $id $name: $type, $about;)* } }
    };
}

/// Declares view and builder of a property set from one table, and the way from one to the other.
macro_rules! property_set {
    (
        $(#[$doc:meta])*
        $View:ident, $Builder:ident
        { $($kind:ident $id:literal $name:ident: $type:ty, $about:literal;)* }
    ) => {
        property_view! {
            $(#[$doc])*
            ///
            /// A view of what was received; read without allocation.
            $View { $($kind $id $name: $type, $about;)* }
        }
        property_builder! { $(#[$doc])* $Builder { $($kind $id $name: $type, $about;)* } }

        impl $View<'_> {
            /// A copy that owns its values.
            #[must_use]
            pub fn to_owned(&self) -> $Builder {
                $Builder { $($name: property_set!(@own $kind self $name $type),)* }
            }
        }
    };
    (@own many $this:ident $name:ident $type:ty) => {
        $this.$name().filter_map(<$type as $crate::packet::property::Property>::from_view).collect()
    };
    (@own $kind:ident $this:ident $name:ident $type:ty) => {
        $this.$name().and_then(<$type as $crate::packet::property::Property>::from_view)
    };
}
