//! The chart.

use std::fmt::Write;

use super::Row;
use super::table::number;
use crate::work::Side;

const WIDTH: f64 = 900.0;
const LABELS: f64 = 345.0;
const BAR: f64 = 11.0;
const GROUP: f64 = 3.0 * BAR + 12.0;
const TOP: f64 = 60.0;

/// A drawing of the rows in SVG: for each the time of ours, of the best other crate and of the
/// strict hand-written code, as multiples of the latter on a logarithmic scale.
#[must_use]
pub fn svg(rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .filter(|row| COLORS.iter().all(|(side, ..)| row.charted(*side).is_some()))
        // Without a copy the size is all that matters.
        .filter(|row| !row.name.starts_with("payload"))
        .collect();
    let largest = rows
        .iter()
        .flat_map(|row| {
            let base = row.charted(Side::Strict);
            let sides = [Side::Ours, Side::Peer].into_iter();
            sides.filter_map(move |side| Some(row.charted(side)? / base?))
        })
        .fold(10.0, f64::max);
    let decades = largest.log10().ceil();
    // From a third of the hand-written code's time on.
    let x = |ratio: f64| {
        let from = -0.5;
        let part = (ratio.log10() - from) / (decades - from);
        LABELS + part.clamp(0.0, 1.0) * (WIDTH - LABELS - 60.0)
    };
    let height = TOP + rows.len() as f64 * GROUP + 20.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">Time as a multiple of code written by hand for \
         the purpose, with the same checks (less is better; logarithmic)</text>\n"
    );
    legend(&mut out);
    let mut decade = 0.0;
    while decade <= decades {
        let at = x(10f64.powf(decade));
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"#bbb\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666\">× {}</text>",
            height - 20.0,
            height - 6.0,
            10f64.powf(decade)
        );
        decade += 1.0;
    }
    for (index, row) in rows.iter().enumerate() {
        group(&mut out, row, TOP + index as f64 * GROUP + 6.0, &x);
    }
    out.push_str("</svg>\n");
    out
}

const COLORS: [(Side, &str, &str); 3] = [
    (Side::Strict, "#9a9a9a", "by hand"),
    (Side::Ours, "#1f77b4", "mqtt5"),
    (Side::Peer, "#e08a3c", "best other crate"),
];

fn legend(out: &mut String) {
    for (index, (_, color, name)) in COLORS.iter().enumerate() {
        let at = LABELS + 150.0 * index as f64;
        let _ = writeln!(
            out,
            "<rect x=\"{at}\" y=\"33\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"42\">{name}</text>",
            at + 15.0
        );
    }
}

fn group(out: &mut String, row: &Row, top: f64, x: &impl Fn(f64) -> f64) {
    let Some(base) = row.charted(Side::Strict) else {
        return;
    };
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        LABELS - 8.0,
        top + 2.0 * BAR,
        escaped(&row.title)
    );
    for (index, (side, color, _)) in COLORS.iter().enumerate() {
        let Some(time) = row.charted(*side) else {
            continue;
        };
        let (y, end) = (top + BAR * index as f64, x(time / base));
        let _ = writeln!(
            out,
            "<rect x=\"{LABELS}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{color}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\">{} ns</text>",
            end - LABELS,
            BAR - 1.0,
            end + 3.0,
            y + BAR - 2.5,
            number(time)
        );
    }
}

fn escaped(text: &str) -> String {
    let short: String = text.chars().take(56).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{short}{dots}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}
