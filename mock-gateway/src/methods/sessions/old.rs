//! What 2026.2.9 shows of a session.

use serde_json::{Value, json};

use crate::model::script::{MODEL, PROVIDER};
use crate::model::sessions::SessionRecord;

/// The fields that a row and an entry share.
fn add_common(fields: &mut Value, book: &SessionRecord) {
    let turns = &book.turns;
    fields["sessionId"] = book.id.as_str().into();
    fields["updatedAt"] = book.updated_at.into();
    if let Some(label) = &book.label {
        fields["label"] = label.as_str().into();
    }
    if turns.was_reset {
        fields["systemSent"] = turns.asked_at.is_some().into();
    }
    if turns.asked_at.is_some() || turns.was_reset {
        fields["abortedLastRun"] = turns.last_aborted.into();
    }
    let tokens = turns.tokens.or_else(|| turns.was_reset.then_some((0, 0)));
    if let Some((input, output)) = tokens {
        fields["inputTokens"] = input.into();
        fields["outputTokens"] = output.into();
        fields["totalTokens"] = input.into();
    }
    if turns.tokens.is_some() {
        fields["contextTokens"] = 128_000.into();
    }
    for (name, value) in &book.settings {
        fields[name] = value.clone();
    }
}

/// The row of `sessions.list`.
pub(super) fn row(key: &str, book: &SessionRecord) -> Value {
    let mut row = json!({
        "key": key, "kind": "direct", "modelProvider": PROVIDER, "model": MODEL,
    });
    add_common(&mut row, book);
    if let Some(label) = &book.label {
        row["displayName"] = label.as_str().into();
    }
    row
}

/// Returns what `sessions.patch` and `sessions.reset` show.
pub(super) fn entry(book: &SessionRecord) -> Value {
    let mut entry = json!({});
    add_common(&mut entry, book);
    if book.turns.tokens.is_some() {
        entry["modelProvider"] = PROVIDER.into();
        entry["model"] = MODEL.into();
    }
    entry
}

/// A title made of the session's id and the day.
pub(super) fn title(book: &SessionRecord, now: u64) -> String {
    let (year, month, day) = date(now / 1000 / 86_400);
    let id: String = book.id.chars().take(8).collect();
    format!("{id} ({year:04}-{month:02}-{day:02})")
}

/// The date of a day since 1970.
fn date(day: u64) -> (u64, u64, u64) {
    // Days since 1 March of year 0, in cycles of 400 years.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_454), (2026, 1, 1));
    }
}
