//! What has to be in the tables, held apart from them.

/// The statements of MQTT 5.0 (the body and Appendix B agree on them), by the number of the section
/// that their ids begin with: the number of the first, and for each whom it binds (`c`lient,
/// `s`erver, `b`oth).
const SECTIONS: [(&str, usize, &str); 56] = [
    ("1.5.4", 1, "bbb"),
    ("1.5.5", 1, "b"),
    ("1.5.7", 1, "b"),
    ("2.1.3", 1, "b"),
    ("2.2.1", 2, "bcsbs"),
    ("2.2.2", 1, "b"),
    ("3.1.0", 1, "cs"),
    ("3.1.2", 1, "bssbssssbsbbbssbbbbccsbssssssc"),
    ("3.1.3", 1, "bbbbssssssbb"),
    ("3.1.4", 1, "ssssss"),
    ("3.2.0", 1, "ss"),
    ("3.2.2", 1, "bssccssssscssccsccsscs"),
    ("3.3.1", 1, "bbbbsssssssss"),
    ("3.3.2", 1, "bbssssbbccssbbssssbs"),
    ("3.3.4", 1, "bsssscccss"),
    ("3.4.2", 1, "bbb"),
    ("3.5.2", 1, "bbb"),
    ("3.6.1", 1, "b"),
    ("3.6.2", 1, "bbb"),
    ("3.7.2", 1, "bbb"),
    ("3.8.1", 1, "b"),
    ("3.8.3", 1, "bbsbb"),
    ("3.8.4", 1, "ssssssss"),
    ("3.9.2", 1, "ss"),
    ("3.9.3", 1, "ss"),
    ("3.10.1", 1, "b"),
    ("3.10.3", 1, "bb"),
    ("3.10.4", 1, "ssssss"),
    ("3.11.2", 1, "ss"),
    ("3.11.3", 1, "ss"),
    ("3.12.4", 1, "s"),
    ("3.14.0", 1, "s"),
    ("3.14.1", 1, "b"),
    ("3.14.2", 1, "bsbb"),
    ("3.14.4", 1, "bbs"),
    ("3.15.1", 1, "b"),
    ("3.15.2", 1, "bbb"),
    ("4.1.0", 1, "bs"),
    ("4.2.0", 1, "b"),
    ("4.3.1", 1, "b"),
    ("4.3.2", 1, "bbbbb"),
    ("4.3.3", 1, "bbbbbbbbbbbbb"),
    ("4.4.0", 1, "bb"),
    ("4.5.0", 1, "sc"),
    ("4.6.0", 1, "ccccss"),
    ("4.7.0", 1, "b"),
    ("4.7.1", 1, "bb"),
    ("4.7.2", 1, "s"),
    ("4.7.3", 1, "bbbs"),
    ("4.8.2", 1, "bbssss"),
    ("4.9.0", 1, "bbb"),
    ("4.12.0", 1, "sscsbsc"),
    ("4.12.1", 1, "cb"),
    ("4.13.1", 1, "s"),
    ("4.13.2", 1, "b"),
    ("6.0.0", 1, "bbcs"),
];

/// All of them.
pub(crate) const STATEMENTS: usize = 251;
/// Those that bind a client.
pub(crate) const CLIENT_STATEMENTS: usize = 136;
/// The edge cases are numbered from 1 up to this.
pub(crate) const EDGE_CASES: u32 = 221;

/// Id and role of every statement, in the order of the standard.
pub(crate) fn statements() -> impl Iterator<Item = (String, &'static str)> {
    SECTIONS.into_iter().flat_map(|(section, first, roles)| {
        (first..).zip(roles.chars()).map(move |(number, role)| {
            let role = match role {
                'c' => "client",
                's' => "server",
                _ => "both",
            };
            (format!("{section}-{number}"), role)
        })
    })
}

#[test]
fn the_numbers_are_those_of_the_standard() {
    assert_eq!(statements().count(), STATEMENTS);
    let of_clients = statements().filter(|(_, role)| *role != "server").count();
    assert_eq!(of_clients, CLIENT_STATEMENTS);
}
