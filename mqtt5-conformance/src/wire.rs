//! A reader of bytes that is strict about everything, and the check that every packet from a client
//! has to pass in every case. Knows nothing of the crates that are tested with it.

/// What is wrong with bytes.
pub(crate) type Fault = String;

/// Takes the fields of a packet one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| format!("{count} bytes wanted, {} left", self.0.len()))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from(self.byte()?) << 8 | u16::from(self.byte()?))
    }

    /// A Variable Byte Integer, in its shortest form.
    pub(crate) fn variable(&mut self) -> Result<usize, Fault> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err("a Variable Byte Integer is longer than it need be".to_owned());
                }
                return Ok(value);
            }
        }
        Err("a Variable Byte Integer has more than four bytes".to_owned())
    }

    fn binary(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.u16()?;
        self.take(length.into())
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, Fault> {
        let text = std::str::from_utf8(self.binary()?).map_err(|error| error.to_string())?;
        if text.contains('\0') {
            return Err("a string holds U+0000".to_owned());
        }
        Ok(text)
    }

    fn packet_id(&mut self) -> Result<(), Fault> {
        match self.u16()? {
            0 => Err("Packet Identifier 0".to_owned()),
            _ => Ok(()),
        }
    }

    /// A property section: identifiers and the bytes of their values.
    pub(crate) fn properties(&mut self) -> Result<Vec<(u8, &'a [u8])>, Fault> {
        let length = self.variable()?;
        let mut section = Reader(self.take(length)?);
        let mut properties = Vec::new();
        while !section.0.is_empty() {
            let id = section.byte()?;
            let start = section.0;
            section.property_value(id)?;
            let value = &start[..start.len() - section.0.len()];
            properties.push((id, value));
        }
        Ok(properties)
    }

    fn property_value(&mut self, id: u8) -> Result<(), Fault> {
        match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => self.byte().map(drop),
            0x13 | 0x21 | 0x22 | 0x23 => self.take(2).map(drop),
            0x02 | 0x11 | 0x18 | 0x27 => self.take(4).map(drop),
            0x0B => self.variable().map(drop),
            0x09 | 0x16 => self.binary().map(drop),
            0x03 | 0x08 | 0x12 | 0x15 | 0x1A | 0x1C | 0x1F => self.string().map(drop),
            0x26 => {
                self.string()?;
                self.string().map(drop)
            }
            _ => Err(format!("there is no property {id:02X}")),
        }
    }

    /// A property section of a packet that may have the properties `allowed`.
    fn section(&mut self, allowed: &[u8]) -> Result<Vec<(u8, &'a [u8])>, Fault> {
        let properties = self.properties()?;
        let mut seen = Vec::new();
        for (id, value) in &properties {
            if !allowed.contains(id) {
                return Err(format!("property {id:02X} is not for this packet"));
            }
            if *id != 0x26 && seen.contains(id) {
                return Err(format!("property {id:02X} comes twice"));
            }
            seen.push(*id);
            check_value(*id, value)?;
        }
        Ok(properties)
    }
}

/// Values that the standard rules out.
fn check_value(id: u8, value: &[u8]) -> Result<(), Fault> {
    let bad = match id {
        0x01 | 0x17 | 0x19 => value.first().is_some_and(|byte| *byte > 1),
        0x0B | 0x21 | 0x23 | 0x27 => value.iter().all(|byte| *byte == 0),
        0x08 => return check_topic(Reader(value).string()?),
        _ => false,
    };
    if bad {
        return Err(format!("property {id:02X} has a value that is not allowed"));
    }
    Ok(())
}

fn check_topic(topic: &str) -> Result<(), Fault> {
    if topic.is_empty() || topic.contains(['+', '#']) {
        return Err(format!("{topic:?} is no topic name"));
    }
    Ok(())
}

fn check_filter(filter: &str) -> Result<bool, Fault> {
    let bad = || Err(format!("{filter:?} is no topic filter"));
    let (shared, rest) = match filter.strip_prefix("$share/") {
        None => (false, filter),
        Some(shared) => match shared.split_once('/') {
            Some((name, rest)) if !name.is_empty() && !name.contains(['+', '#']) => (true, rest),
            _ => return bad(),
        },
    };
    let levels: Vec<&str> = rest.split('/').collect();
    for (index, level) in levels.iter().enumerate() {
        let last = index + 1 == levels.len();
        let lone = level.len() == 1;
        if level.contains('+') && !lone || level.contains('#') && !(lone && last) {
            return bad();
        }
    }
    if rest.is_empty() {
        return bad();
    }
    Ok(shared)
}

/// What every packet from a client has to be, whatever the case is about.
pub(crate) fn check_from_client(packet: &[u8]) -> Result<(), Fault> {
    let mut whole = Reader(packet);
    let first = whole.byte()?;
    whole.variable()?;
    let mut body = whole;
    match first {
        0x10 => connect(&mut body)?,
        0x30 | 0x31 | 0x32 | 0x33 | 0x34 | 0x35 | 0x3A | 0x3B | 0x3C | 0x3D => {
            publish(first, &mut body)?;
        }
        0x40 | 0x50 => {
            acknowledgement(&mut body, &[0x00, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])?;
        }
        0x62 | 0x70 => acknowledgement(&mut body, &[0x00, 0x92])?,
        0x82 => subscribe(&mut body)?,
        0xA2 => unsubscribe(&mut body)?,
        0xC0 => {}
        0xE0 => {
            let codes = [
                0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
            ];
            reason(&mut body, &codes, &[0x11, 0x1F, 0x26])?;
        }
        0xF0 => {
            let properties = reason(&mut body, &[0x18, 0x19], &[0x15, 0x16, 0x1F, 0x26])?;
            if !properties.iter().any(|(id, _)| *id == 0x15) {
                return Err("an AUTH without Authentication Method".to_owned());
            }
        }
        _ => {
            return Err(format!(
                "no client sends a packet that begins with {first:02X}"
            ));
        }
    }
    if body.0.is_empty() {
        Ok(())
    } else {
        Err(format!("{} bytes too many", body.0.len()))
    }
}

fn connect(body: &mut Reader<'_>) -> Result<(), Fault> {
    if body.string()? != "MQTT" || body.byte()? != 5 {
        return Err("not MQTT 5".to_owned());
    }
    let flags = body.byte()?;
    let has_will = flags & 0x04 != 0;
    if flags & 0x01 != 0 || flags & 0x18 == 0x18 || (!has_will && flags & 0x38 != 0) {
        return Err(format!("Connect Flags {flags:02X}"));
    }
    body.u16()?;
    let properties = body.section(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27])?;
    let has = |wanted: u8| properties.iter().any(|(id, _)| *id == wanted);
    if has(0x16) && !has(0x15) {
        return Err("Authentication Data without Authentication Method".to_owned());
    }
    body.string()?;
    if has_will {
        body.section(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26])?;
        check_topic(body.string()?)?;
        body.binary()?;
    }
    if flags & 0x80 != 0 {
        body.string()?;
    }
    if flags & 0x40 != 0 {
        body.binary()?;
    }
    Ok(())
}

fn publish(first: u8, body: &mut Reader<'_>) -> Result<(), Fault> {
    let topic = body.string()?;
    if first & 0x06 != 0 {
        body.packet_id()?;
    }
    let properties = body.section(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26])?;
    if !topic.is_empty() || !properties.iter().any(|(id, _)| *id == 0x23) {
        check_topic(topic)?;
    }
    body.0 = &[];
    Ok(())
}

fn acknowledgement(body: &mut Reader<'_>, codes: &[u8]) -> Result<(), Fault> {
    body.packet_id()?;
    reason(body, codes, &[0x1F, 0x26]).map(drop)
}

/// A Reason Code and properties, with the forms that leave out what can be left out.
fn reason<'a>(
    body: &mut Reader<'a>,
    codes: &[u8],
    allowed: &[u8],
) -> Result<Vec<(u8, &'a [u8])>, Fault> {
    if body.0.is_empty() {
        return Ok(Vec::new());
    }
    let code = body.byte()?;
    if !codes.contains(&code) {
        return Err(format!(
            "reason code {code:02X} is not for a client to send here"
        ));
    }
    if body.0.is_empty() {
        return Ok(Vec::new());
    }
    body.section(allowed)
}

fn subscribe(body: &mut Reader<'_>) -> Result<(), Fault> {
    body.packet_id()?;
    body.section(&[0x0B, 0x26])?;
    loop {
        let shared = check_filter(body.string()?)?;
        let options = body.byte()?;
        let no_local = options & 0x04 != 0;
        if options & 0xC0 != 0
            || options & 0x03 == 3
            || options & 0x30 == 0x30
            || (shared && no_local)
        {
            return Err(format!("Subscription Options {options:02X}"));
        }
        if body.0.is_empty() {
            return Ok(());
        }
    }
}

fn unsubscribe(body: &mut Reader<'_>) -> Result<(), Fault> {
    body.packet_id()?;
    body.section(&[0x26])?;
    loop {
        check_filter(body.string()?)?;
        if body.0.is_empty() {
            return Ok(());
        }
    }
}

/// Cuts the stream of bytes from a client into packets.
#[derive(Debug, Default)]
pub(crate) struct Framer(Vec<u8>);

impl Framer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole packet.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let mut reader = Reader(&self.0);
        let Ok(_) = reader.byte() else {
            return Ok(None);
        };
        let whole_length = self.0.iter().skip(1).take(4).any(|byte| byte & 0x80 == 0);
        if !whole_length && self.0.len() < 5 {
            return Ok(None);
        }
        let length = reader.variable()?;
        let header = self.0.len() - reader.0.len();
        if self.0.len() < header + length {
            return Ok(None);
        }
        Ok(Some(self.0.drain(..header + length).collect()))
    }

    /// Bytes that are not a whole packet.
    pub(crate) fn left(&self) -> &[u8] {
        &self.0
    }
}
