use super::{check, dialogue_in, dialogue_of, found};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

/// Monday, 30 November 2026, 12:00 in Paris.
const MONDAY: &str = "2026-11-30T11:00:00Z";

#[test]
fn times_of_day_in_both_languages() {
    let dialogue = dialogue_of("{type: time}");
    check(
        &dialogue,
        MONDAY,
        &[
            (
                "en",
                "at 8:30 pm, 20:30 or 8.15pm",
                &["8:30 pm => 20:30", "20:30 => 20:30", "8.15pm => 20:15"],
            ),
            (
                "en",
                "8pm, 12 am, 12 p.m., 9 in the morning",
                &[
                    "8pm => 20:00",
                    "12 am => 00:00",
                    "12 p.m. => 12:00",
                    "9 in the morning => 09:00",
                ],
            ),
            (
                "fr",
                "à 20h30, 20 h 30, 8h du soir, 20h",
                &["20h30 => 20:30", "20 h 30 => 20:30", "8h du soir => 20:00", "20h => 20:00"],
            ),
            (
                "fr",
                "huit heures et demie, 8 heures moins le quart, dix heures vingt",
                &[
                    "huit heures et demie => 08:30",
                    "8 heures moins le quart => 07:45",
                    "dix heures vingt => 10:20",
                ],
            ),
            (
                "fr",
                "3 heures de l'après-midi, midi et demi, minuit",
                &["3 heures de l'après-midi => 15:00", "midi et demi => 12:30", "minuit => 00:00"],
            ),
            (
                "en",
                "noon, midnight, half past eight, quarter to 9, five o'clock",
                &[
                    "noon => 12:00",
                    "midnight => 00:00",
                    "half past eight => 08:30",
                    "quarter to 9 => 08:45",
                    "five o'clock => 05:00",
                ],
            ),
            ("en", "23:59:58", &["23:59:58 => 23:59:58"]),
            ("fr", "sous 24h, pendant 2 heures, 24h/24, 48h, 25:10, 12:75, après-midi", &[]),
            ("en", "in 3 hours, within 24h, 8 people, 1:2:3", &[]),
        ],
    );
}

#[test]
fn moments_in_both_languages() {
    let dialogue = dialogue_of("{type: datetime}");
    check(
        &dialogue,
        MONDAY,
        &[
            ("en", "tomorrow at 9", &["tomorrow at 9 => 2026-12-01T09:00:00+01:00"]),
            ("en", "at 8pm on Friday", &["at 8pm on Friday => 2026-12-04T20:00:00+01:00"]),
            ("fr", "demain à 20h30", &["demain à 20h30 => 2026-12-01T20:30:00+01:00"]),
            (
                "fr",
                "vendredi 4 décembre vers midi",
                &["vendredi 4 décembre vers midi => 2026-12-04T12:00:00+01:00"],
            ),
            (
                "fr",
                "le 1er mai à 8 heures du soir",
                &["1er mai à 8 heures du soir => 2027-05-01T20:00:00+02:00"],
            ),
            ("fr", "à 20h demain", &["à 20h demain => 2026-12-01T20:00:00+01:00"]),
            ("en", "tonight at 8", &["tonight at 8 => 2026-11-30T20:00:00+01:00"]),
            ("en", "in 3 hours", &["in 3 hours => 2026-11-30T15:00:00+01:00"]),
            (
                "fr",
                "il y a 20 minutes, dans une demi-heure",
                &[
                    "il y a 20 minutes => 2026-11-30T11:40:00+01:00",
                    "dans une demi-heure => 2026-11-30T12:30:00+01:00",
                ],
            ),
            ("fr", "maintenant", &["maintenant => 2026-11-30T12:00:00+01:00"]),
            (
                "en",
                "at 11am, at 1pm",
                &["at 11am => 2026-12-01T11:00:00+01:00", "at 1pm => 2026-11-30T13:00:00+01:00"],
            ),
            ("en", "2026-07-14T09:30:00Z", &["2026-07-14T09:30:00Z => 2026-07-14T11:30:00+02:00"]),
            (
                "en",
                "2026-07-14T09:30+05:30",
                &["2026-07-14T09:30+05:30 => 2026-07-14T06:00:00+02:00"],
            ),
            ("en", "2026-07-14 09:30", &["2026-07-14 09:30 => 2026-07-14T09:30:00+02:00"]),
            ("en", "tomorrow, Friday 4 parcels, 9", &[]),
        ],
    );
}

#[test]
fn moments_across_daylight_saving() {
    let paris = dialogue_of("{type: datetime}");
    // The clock goes from 02:00 to 03:00 on 28 March 2027, and from 03:00 to 02:00 on 31 October 2027.
    check(
        &paris,
        "2027-03-27T11:00:00Z",
        &[
            ("en", "tomorrow at 1:30 am", &["tomorrow at 1:30 am => 2027-03-28T01:30:00+01:00"]),
            ("fr", "demain à 2h30", &["demain à 2h30 => 2027-03-28T03:30:00+02:00"]),
            ("fr", "demain à 3h30", &["demain à 3h30 => 2027-03-28T03:30:00+02:00"]),
            ("en", "in 24 hours", &["in 24 hours => 2027-03-28T13:00:00+02:00"]),
            ("fr", "dans 24 heures", &["dans 24 heures => 2027-03-28T13:00:00+02:00"]),
        ],
    );
    check(
        &paris,
        "2027-10-30T10:00:00Z",
        &[
            ("fr", "demain à 2h30", &["demain à 2h30 => 2027-10-31T02:30:00+02:00"]),
            ("en", "tomorrow at 3:30", &["tomorrow at 3:30 => 2027-10-31T03:30:00+01:00"]),
            ("en", "in 24 hours", &["in 24 hours => 2027-10-31T11:00:00+01:00"]),
        ],
    );
    let days = dialogue_of("{type: date}");
    // Days are days of the calendar, also when one of them has 23 or 25 hours.
    assert_eq!(found(&days, "tomorrow", "2027-03-27T23:30:00Z", "en"), ["tomorrow => 2027-03-29"]);
    assert_eq!(found(&days, "demain", "2027-10-30T22:30:00Z", "fr"), ["demain => 2027-11-01"]);
    // A gap of half an hour, and one of a whole day: Samoa had no 30 December 2011.
    let lord_howe = dialogue_in("Australia/Lord_Howe", "{type: datetime}");
    assert_eq!(
        found(&lord_howe, "2027-10-03 02:10", MONDAY, "en"),
        ["2027-10-03 02:10 => 2027-10-03T02:40:00+11:00"]
    );
    let apia = dialogue_in("Pacific/Apia", "{type: datetime}");
    assert_eq!(
        found(&apia, "2011-12-30 10:00", MONDAY, "en"),
        ["2011-12-30 10:00 => 2011-12-31T10:00:00+14:00"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_time_is_read_as_it_is_written(hour in 0_u32..24, minute in 0_u32..60) {
        let dialogue = dialogue_of("{type: time}");
        let half = if hour < 12 { "am" } else { "pm" };
        let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
        for (language, text) in [
            ("en", format!("{hour:02}:{minute:02}")),
            ("fr", format!("{hour}h{minute:02}")),
            ("en", format!("{twelve}:{minute:02} {half}")),
        ] {
            let expected = format!("{text} => {hour:02}:{minute:02}");
            prop_assert_eq!(found(&dialogue, &text, MONDAY, language), vec![expected]);
        }
    }

    #[test]
    fn a_distance_in_hours_is_exact_in_every_zone(
        seconds in 0_i64..4_000_000_000,
        hours in 0_i64..5_000,
        zone in proptest::sample::select(vec!["Europe/Paris", "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "UTC"]),
    ) {
        let at = DateTime::from_timestamp(seconds, 0).unwrap();
        let dialogue = dialogue_in(zone, "{type: datetime}");
        for (text, language, n) in [
            (format!("in {hours} hours"), "en", hours), (format!("il y a {hours} heures"), "fr", -hours),
        ] {
            let found = found(&dialogue, &text, &at.to_rfc3339(), language);
            let moment: DateTime<Utc> = found[0].rsplit(" => ").next().unwrap().parse().unwrap();
            prop_assert_eq!(moment, at + TimeDelta::hours(n));
        }
    }
}
