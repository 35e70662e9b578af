use super::{check, dialogue_in, dialogue_of, found};
use chrono::{Datelike, Days, NaiveDate};
use proptest::prelude::*;

/// Monday, 30 November 2026, 12:00 in Paris.
const MONDAY: &str = "2026-11-30T11:00:00Z";

#[test]
fn days_of_the_calendar_in_both_languages() {
    let dialogue = dialogue_of("{type: date}");
    check(
        &dialogue,
        MONDAY,
        &[
            ("en", "paid on 2026-10-31.", &["2026-10-31 => 2026-10-31"]),
            (
                "en",
                "on 31/10/2026 and 1.2.27",
                &["31/10/2026 => 2026-10-31", "1.2.27 => 2027-02-01"],
            ),
            ("fr", "le 31/10", &["31/10 => 2026-10-31"]),
            ("en", "on 03/04", &["03/04 => 2027-04-03"]),
            ("en-US", "on 03/04", &["03/04 => 2027-03-04"]),
            ("en", "on 10/31", &["10/31 => 2026-10-31"]),
            ("fr", "né le 14/02/88, pas le 30/02", &["14/02/88 => 1988-02-14"]),
            ("fr", "le 1er mai", &["1er mai => 2027-05-01"]),
            ("fr", "le 1er décembre 2026", &["1er décembre 2026 => 2026-12-01"]),
            (
                "fr",
                "LE 3 AOUT et le 8 février",
                &["3 AOUT => 2026-08-03", "8 février => 2027-02-08"],
            ),
            ("fr", "le 28 fe\u{301}vrier 2028", &["28 fe\u{301}vrier 2028 => 2028-02-28"]),
            (
                "en",
                "14 March 1988, May 6th, 2027 and the 3rd of June",
                &[
                    "14 March 1988 => 1988-03-14",
                    "May 6th, 2027 => 2027-05-06",
                    "3rd of June => 2026-06-03",
                ],
            ),
            (
                "en",
                "12 nov. 2025; 31 October",
                &["12 nov. 2025 => 2025-11-12", "31 October => 2026-10-31"],
            ),
            ("fr", "vendredi 4 décembre", &["vendredi 4 décembre => 2026-12-04"]),
            // The sixth of May is a Friday in 2022 and 2033 only: the nearest is taken, and the day of the week ignored.
            ("fr", "vendredi 6 mai", &["vendredi 6 mai => 2027-05-06"]),
            ("fr", "mercredi 6 mai", &["mercredi 6 mai => 2026-05-06"]),
            (
                "fr",
                "vendredi 4 et samedi 5",
                &["vendredi 4 => 2026-12-04", "samedi 5 => 2026-12-05"],
            ),
            (
                "en",
                "Fri 4 Dec or Mon, 7 December",
                &["Fri 4 Dec => 2026-12-04", "Mon, 7 December => 2026-12-07"],
            ),
            (
                "fr",
                "le 15, ou du 3 au 5 ?",
                &["15 => 2026-12-15", "3 => 2026-12-03", "5 => 2026-12-05"],
            ),
            ("en", "the 10th or the 2nd item", &["the 10th => 2026-12-10"]),
            (
                "en",
                "in October, by May",
                &["October => 2026-10-01 month", "May => 2027-05-01 month"],
            ),
            (
                "fr",
                "depuis novembre 2025, en 2019",
                &["novembre 2025 => 2025-11-01 month", "2019 => 2019-01-01 year"],
            ),
            ("en", "may I march? I sat on mars", &[]),
            (
                "en",
                "29 February 2028, 29 February 2027, 29 February",
                &[
                    "29 February 2028 => 2028-02-29",
                    "February 2027 => 2027-02-01 month",
                    "29 February => 2028-02-29",
                ],
            ),
            ("en", "7.2, 1/2/3/4, 12/13/14/15, 192.168.1.10, FR-12/10, 2026-13-01", &[]),
            ("fr", "06 12 10 11 12, 12/15€, 24/7", &[]),
        ],
    );
}

#[test]
fn days_relative_to_the_message_in_both_languages() {
    let dialogue = dialogue_of("{type: date}");
    check(
        &dialogue,
        MONDAY,
        &[
            ("en", "today or tomorrow", &["today => 2026-11-30", "tomorrow => 2026-12-01"]),
            ("fr", "aujourd’hui ou demain", &["aujourd’hui => 2026-11-30", "demain => 2026-12-01"]),
            (
                "fr",
                "hier, avant-hier, après-demain",
                &["hier => 2026-11-29", "avant-hier => 2026-11-28", "après-demain => 2026-12-02"],
            ),
            ("en", "the day after tomorrow", &["the day after tomorrow => 2026-12-02"]),
            (
                "en",
                "next Friday, last Friday, Friday",
                &["next Friday => 2026-12-04", "last Friday => 2026-11-27", "Friday => 2026-12-04"],
            ),
            (
                "fr",
                "vendredi prochain, mardi dernier, lundi",
                &[
                    "vendredi prochain => 2026-12-04",
                    "mardi dernier => 2026-11-24",
                    "lundi => 2026-12-07",
                ],
            ),
            ("en", "this Monday", &["this Monday => 2026-11-30"]),
            (
                "fr",
                "vendredi de la semaine prochaine",
                &["vendredi de la semaine prochaine => 2026-12-11"],
            ),
            ("en", "Friday next week", &["Friday next week => 2026-12-11"]),
            (
                "en",
                "in 3 days, in a week, 2 weeks ago",
                &[
                    "in 3 days => 2026-12-03",
                    "in a week => 2026-12-07",
                    "2 weeks ago => 2026-11-16",
                ],
            ),
            (
                "fr",
                "dans trois jours, il y a deux semaines, il y a un mois",
                &[
                    "dans trois jours => 2026-12-03",
                    "il y a deux semaines => 2026-11-16",
                    "il y a un mois => 2026-10-30",
                ],
            ),
            ("en", "three months ago", &["three months ago => 2026-08-30"]),
            ("fr", "d'ici 10 jours, sous 48h", &["d'ici 10 jours => 2026-12-10"]),
            ("fr", "ce mois-ci", &["ce mois-ci => 2026-11-01 month"]),
            ("en", "within 14 days, one day earlier, two days later, from 2000 euros", &[]),
            ("fr", "il y a vingt et un jours", &["il y a vingt et un jours => 2026-11-09"]),
            (
                "en",
                "next week, last month, this year",
                &[
                    "next week => 2026-12-07 week",
                    "last month => 2026-10-01 month",
                    "this year => 2026-01-01 year",
                ],
            ),
            (
                "fr",
                "la semaine prochaine, le mois dernier, l'an prochain",
                &[
                    "semaine prochaine => 2026-12-07 week",
                    "mois dernier => 2026-10-01 month",
                    "an prochain => 2027-01-01 year",
                ],
            ),
            (
                "en",
                "by the end of the month or the end of next week",
                &["end of the month => 2026-11-30", "end of next week => 2026-12-13"],
            ),
            (
                "fr",
                "fin du mois, fin février, début janvier, fin de l'année",
                &[
                    "fin du mois => 2026-11-30",
                    "fin février => 2027-02-28",
                    "début janvier => 2027-01-01",
                    "fin de l'année => 2026-12-31",
                ],
            ),
        ],
    );
}

#[test]
fn dates_at_the_end_of_the_year_and_of_february() {
    let dialogue = dialogue_of("{type: date}");
    check(
        &dialogue,
        "2026-12-31T11:00:00Z",
        &[
            ("en", "tomorrow", &["tomorrow => 2027-01-01"]),
            (
                "fr",
                "demain, dans deux mois, fin du mois",
                &[
                    "demain => 2027-01-01",
                    "dans deux mois => 2027-02-28",
                    "fin du mois => 2026-12-31",
                ],
            ),
            (
                "en",
                "next month, 1 January, 30 December",
                &[
                    "next month => 2027-01-01 month",
                    "1 January => 2027-01-01",
                    "30 December => 2026-12-30",
                ],
            ),
            ("fr", "samedi", &["samedi => 2027-01-02"]),
            ("en", "next year", &["next year => 2027-01-01 year"]),
        ],
    );
    check(
        &dialogue,
        "2028-01-01T11:00:00Z",
        &[
            (
                "fr",
                "hier, 31/12, lundi dernier",
                &["hier => 2027-12-31", "31/12 => 2027-12-31", "lundi dernier => 2027-12-27"],
            ),
            ("en", "last week", &["last week => 2027-12-20 week"]),
        ],
    );
    check(
        &dialogue,
        "2028-02-28T11:00:00Z",
        &[(
            "en",
            "tomorrow, in a year, 29/02",
            &["tomorrow => 2028-02-29", "in a year => 2029-02-28", "29/02 => 2028-02-29"],
        )],
    );
    // Half an hour before midnight in London it is tomorrow in Paris, and still today in New York.
    let late = "2026-12-31T23:30:00Z";
    assert_eq!(found(&dialogue, "today", late, "en"), ["today => 2027-01-01"]);
    let new_york = dialogue_in("America/New_York", "{type: date}");
    assert_eq!(found(&new_york, "today", late, "en"), ["today => 2026-12-31"]);
}

#[test]
fn the_preferred_side_decides_dates_without_a_year() {
    let past = dialogue_of("{type: date, prefer: past}");
    check(
        &past,
        MONDAY,
        &[
            (
                "fr",
                "le 1er mai, vendredi, en décembre",
                &[
                    "1er mai => 2026-05-01",
                    "vendredi => 2026-11-27",
                    "décembre => 2025-12-01 month",
                ],
            ),
            ("en", "next Friday", &["next Friday => 2026-12-04"]),
        ],
    );
    let future = dialogue_of("{type: date, prefer: future, date_order: month_first}");
    check(
        &future,
        MONDAY,
        &[(
            "en",
            "31 October, 11/30, 11/29",
            &["31 October => 2027-10-31", "11/30 => 2026-11-30", "11/29 => 2027-11-29"],
        )],
    );
}

#[test]
fn without_relative_dates_only_the_calendar_counts() {
    let dialogue = dialogue_of("{type: date, relative: false}");
    check(
        &dialogue,
        MONDAY,
        &[
            ("en", "yesterday, next week, in 3 days, the end of the month", &[]),
            (
                "en",
                "last Friday or 31 October",
                &["Friday => 2026-11-27", "31 October => 2026-10-31"],
            ),
            ("fr", "mardi dernier, hier", &["mardi dernier => 2026-11-24"]),
            ("fr", "Black Friday, facture de 2023", &["2023 => 2023-01-01 year"]),
        ],
    );
}

const EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const FR: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_day_is_read_as_it_is_written(days in 0_u64..80_000) {
        let date = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap().checked_add_days(Days::new(days)).unwrap();
        let dialogue = dialogue_of("{type: date}");
        let (day, month, year) = (date.day(), date.month0() as usize, date.year());
        let fr_day = if day == 1 { "1er".to_owned() } else { day.to_string() };
        for (language, text) in [
            ("en", date.format("%Y-%m-%d").to_string()),
            ("fr", date.format("%d/%m/%Y").to_string()),
            ("fr", date.format("%d.%m.%Y").to_string()),
            ("en-US", date.format("%m/%d/%Y").to_string()),
            ("en", format!("{day} {} {year}", EN[month])),
            ("en", format!("{} {day}, {year}", EN[month])),
            ("fr", format!("{fr_day} {} {year}", FR[month])),
        ] {
            let expected = format!("{text} => {}", date.format("%Y-%m-%d"));
            prop_assert_eq!(found(&dialogue, &format!("x {text} ?"), MONDAY, language), vec![expected]);
        }
    }

    #[test]
    fn distances_and_weekdays_agree_with_the_calendar(now in 0_u64..40_000, n in 0_u64..3_000) {
        let today = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap().checked_add_days(Days::new(now)).unwrap();
        let at = format!("{today}T10:00:00Z");
        let dialogue = dialogue_of("{type: date}");
        let date = |text: &str, language: &str| -> NaiveDate {
            let found = found(&dialogue, text, &at, language);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            found[0].rsplit(" => ").next().unwrap().parse().unwrap()
        };
        let later = today.checked_add_days(Days::new(n)).unwrap();
        prop_assert_eq!(date(&format!("in {n} days"), "en"), later);
        prop_assert_eq!(date(&format!("dans {n} jours"), "fr"), later);
        let earlier = today.checked_sub_days(Days::new(n)).unwrap();
        prop_assert_eq!(date(&format!("il y a {n} jours"), "fr"), earlier);
        for (en, fr) in [("Monday", "lundi"), ("Friday", "vendredi"), ("Sunday", "dimanche")] {
            let coming = date(en, "en");
            prop_assert!((1..=7).contains(&(coming - today).num_days()));
            prop_assert_eq!(coming.format("%A").to_string(), en);
            prop_assert_eq!(date(&format!("{fr} prochain"), "fr"), coming);
            let last = date(&format!("last {en}"), "en");
            prop_assert!((1..=7).contains(&(today - last).num_days()));
            prop_assert_eq!(last.weekday(), coming.weekday());
        }
        let end = date("fin du mois", "fr");
        prop_assert_eq!((end.month(), end.succ_opt().unwrap().day()), (today.month(), 1));
    }
}
