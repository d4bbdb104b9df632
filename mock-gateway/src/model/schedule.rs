//! When a job is due.

use serde_json::{Map, Value};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// How far ahead a time is looked for.
const MAX_MINUTES: u64 = 4 * 366 * 24 * 60;

/// A schedule as the gateway keeps it: times written out, and intervals with their anchor.
pub(crate) fn normalized(schedule: &Value, now: u64) -> Value {
    let mut kept = schedule.clone();
    match schedule["kind"].as_str() {
        Some("every") if schedule["anchorMs"].is_null() => kept["anchorMs"] = now.into(),
        Some("at") => {
            if let Some(at) = at(schedule) {
                let mut members = Map::new();
                members.insert("kind".to_owned(), "at".into());
                members.insert("at".to_owned(), iso(at).into());
                return members.into();
            }
        }
        _ => {}
    }
    kept
}

/// The next time after `now`.
pub(crate) fn next(schedule: &Value, now: u64) -> Option<u64> {
    match schedule["kind"].as_str()? {
        "at" => at(schedule),
        "every" => {
            let every = schedule["everyMs"].as_u64()?.max(1);
            let anchor = schedule["anchorMs"].as_u64()?;
            let passed = now.saturating_sub(anchor) / every + 1;
            anchor.checked_add(every.checked_mul(passed)?)
        }
        "cron" => cron(schedule["expr"].as_str()?, now),
        _ => None,
    }
}

/// The one time of a schedule, past or not.
fn at(schedule: &Value) -> Option<u64> {
    match &schedule["at"] {
        Value::Number(ms) => ms.as_u64(),
        Value::String(text) => read_iso(text),
        _ => schedule["atMs"].as_u64(),
    }
}

/// Days since 1970 of a date, and back; both hold for the Gregorian calendar from then on.
fn days_of(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// Milliseconds as a time in UTC.
fn iso(ms: u64) -> String {
    let (year, month, day) = date_of(ms / DAY_MS);
    let (seconds, millis) = (ms % DAY_MS / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// A time such as `2026-11-22T20:00:23Z`, with or without a fraction; without a zone it is UTC.
fn read_iso(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, rest) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let mut parts = date.split('-').map(str::parse::<u64>);
    let (year, month, day) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':').map(str::parse::<u64>);
    let (hour, minute) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let second = parts.next().unwrap_or(Ok(0)).ok()?;
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let seconds = hour * 3600 + minute * 60 + second;
    let ms = days_of(year, month, day) * DAY_MS + seconds * 1000 + fraction.parse::<u64>().ok()?;
    let (hours, minutes) = match zone.trim_start_matches(['Z', '+', '-']) {
        "" => return Some(ms),
        away => away.split_once(':').unwrap_or((away, "0")),
    };
    let away = (hours.parse::<u64>().ok()? * 60 + minutes.parse::<u64>().ok()?) * MINUTE_MS;
    if zone.starts_with('+') {
        ms.checked_sub(away)
    } else {
        Some(ms + away)
    }
}

/// The next minute that five fields name, in UTC.
fn cron(expr: &str, now: u64) -> Option<u64> {
    let fields: Vec<&str> = expr.split_whitespace().collect();
    let [minutes, hours, in_month, months, in_week] = fields[..] else {
        return None;
    };
    let (minutes, hours) = (field(minutes, 0, 59)?, field(hours, 0, 23)?);
    let (months, month_days) = (field(months, 1, 12)?, field(in_month, 1, 31)?);
    let week_days = field(in_week, 0, 7)?;
    let first = now / MINUTE_MS + 1;
    let mut minute = first;
    while minute < first + MAX_MINUTES {
        let of_day = minute % (24 * 60);
        let day = minute / (24 * 60);
        let (_, month, month_day) = date_of(day);
        // 1970 began with a Thursday.
        let week_day = (day + 4) % 7;
        let on_week_day =
            week_days.contains(&week_day) || (week_day == 0 && week_days.contains(&7));
        let on_month_day = month_days.contains(&month_day);
        let is_meant = match (in_month, in_week) {
            ("*", _) => on_week_day,
            (_, "*") => on_month_day,
            _ => on_week_day || on_month_day,
        };
        if !months.contains(&month) || !is_meant {
            minute = (day + 1) * 24 * 60;
        } else if hours.contains(&(of_day / 60)) && minutes.contains(&(of_day % 60)) {
            return Some(minute * MINUTE_MS);
        } else {
            minute += 1;
        }
    }
    None
}

/// The numbers that one field names: `*`, `7`, `1-5`, `*/15`, `1,3`.
fn field(text: &str, least: u64, most: u64) -> Option<Vec<u64>> {
    let mut named = Vec::new();
    for part in text.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step: u64 = step.parse().ok().filter(|step| *step > 0)?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let only = range.parse().ok()?;
                (only, if part.contains('/') { most } else { only })
            }
        };
        if from < least || to > most {
            return None;
        }
        named.extend((from..=to).step_by(usize::try_from(step).ok()?));
    }
    Some(named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let ms = read_iso("2026-11-22T20:00:23Z").expect("a time");
        assert_eq!(ms, 1_795_377_623_000);
        assert_eq!(iso(ms), "2026-11-22T20:00:23.000Z");
        assert_eq!(read_iso("2026-11-22T21:00:23.5+01:00"), Some(ms + 500));
        assert_eq!(read_iso("2026-11-22T15:30:23-04:30"), Some(ms));
        assert_eq!(read_iso("1970-01-01"), Some(0));
        assert_eq!(iso(951_825_600_000), "2000-02-29T12:00:00.000Z");
        for wrong in ["", "soon", "2026-13-01T00:00:00Z", "2026-11-22Tx"] {
            assert_eq!(read_iso(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn intervals_count_from_their_anchor() {
        let kept = normalized(&json!({"kind": "every", "everyMs": 1000}), 5_500);
        assert_eq!(kept["anchorMs"], 5_500);
        assert_eq!(next(&kept, 5_500), Some(6_500));
        assert_eq!(next(&kept, 8_499), Some(8_500));
        let once = normalized(&json!({"kind": "at", "at": "1970-01-01T00:00:09Z"}), 0);
        assert_eq!(next(&once, 1), Some(9_000));
        assert_eq!(once["at"], "1970-01-01T00:00:09.000Z");
    }

    #[test]
    fn five_fields_name_a_minute() {
        let after = |expr: &str, time: &str| {
            let schedule = json!({"kind": "cron", "expr": expr});
            next(&schedule, read_iso(time).expect("a time")).map(iso)
        };
        let sunday = "2026-11-22T20:00:23Z";
        let expect = |expr, time: &str| {
            assert_eq!(
                after(expr, sunday),
                Some(format!("{time}:00.000Z")),
                "{expr}"
            );
        };
        expect("0 3 * * *", "2026-11-23T03:00");
        expect("*/15 * * * *", "2026-11-22T20:15");
        expect("30 9 * * 1-5", "2026-11-23T09:30");
        expect("0 0 29 2 *", "2028-02-29T00:00");
        expect("5 4 1 * 0", "2026-11-29T04:05");
        for wrong in ["", "* * * *", "61 * * * *", "a * * * *", "*/0 * * * *"] {
            assert_eq!(after(wrong, sunday), None, "{wrong}");
        }
    }
}
