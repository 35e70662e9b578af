//! Windows over days, midnight and changes of the clocks.

use super::*;

fn window(text: &str) -> Window {
    Window::parse(text).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Returns the minutes from `from` to `to` in which the window is open, as ranges of UTC times.
fn open_between(window: &Window, from: &str, to: &str) -> Vec<String> {
    let (mut minute, to) = (at(from), at(to));
    let (mut ranges, mut since): (Vec<String>, Option<DateTime<Utc>>) = (Vec::new(), None);
    while minute <= to {
        match (window.is_open(minute), since) {
            (true, None) => since = Some(minute),
            (false, Some(start)) => {
                ranges.push(format!("{}-{}", start.format("%H:%M"), minute.format("%H:%M")));
                since = None;
            }
            _ => {}
        }
        minute += TimeDelta::minutes(1);
    }
    ranges
}

/// Returns the next opening, found minute by minute.
fn searched(window: &Window, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let minutes = (0..21 * 24 * 60).map(|n| from + TimeDelta::minutes(n));
    minutes.into_iter().find(|minute| window.is_open(*minute))
}

#[test]
fn a_window_is_printed_as_it_is_read() {
    for (text, printed) in [
        ("Mon-Fri 09:00-16:00 Europe/Warsaw", None),
        ("mon,WED 22:00-02:00 America/New_York", Some("Mon,Wed 22:00-02:00 America/New_York")),
        ("Fri-Mon 00:00-24:00 UTC", Some("Mon,Fri-Sun 00:00-24:00 UTC")),
        ("Sat 00:30-01:00 Asia/Kathmandu", None),
        ("Mon-Sun 08:00-07:59 UTC", None),
    ] {
        let read = window(text);
        assert_eq!(read.to_string(), printed.unwrap_or(text));
        assert_eq!(window(&read.to_string()), read);
    }
}

#[test]
fn a_window_that_cannot_be_read_says_why() {
    for (text, problem, hint) in [
        ("Mon-Fri 09:00-16:00", "expected 3 parts, found 2", "write days, times and a time zone"),
        ("Mon-Fry 09:00-16:00 UTC", "unknown day `Fry`", "write days as"),
        ("Mon 9:00-16:00 UTC", "`9:00` is not a time", "write times"),
        ("Mon 09:00-24:01 UTC", "`24:01` is not a time", "write times"),
        ("Mon 24:00-09:00 UTC", "a window cannot start at `24:00`", "write times"),
        ("Mon 22:00-00:00 UTC", "the end of the day is written `24:00`", "write times"),
        ("Mon 09:00-09:00 UTC", "it starts when it ends", "write times"),
        ("Mon 09:00 UTC", "the times have no end", "write times"),
        ("Mon 09:00-10:00 Europe/Warsawa", "unknown time zone", "did you mean `Europe/Warsaw`?"),
        ("Mon 09:00-10:00 nowhere-at-all", "unknown time zone", "write a zone of the IANA"),
    ] {
        let fault = Window::parse(text).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1064", 2), "{text}");
        assert!(fault.message().contains(problem), "{text}: {}", fault.message());
        assert!(fault.hints()[0].starts_with(hint), "{text}: {:?}", fault.hints());
    }
}

#[test]
fn the_start_belongs_to_a_window_and_the_end_does_not() {
    let office = window("Mon-Fri 09:00-16:00 Europe/Warsaw");
    // Monday in winter, an hour ahead of UTC.
    for (time, open) in [
        ("2026-11-30T07:59:59Z", false),
        ("2026-11-30T08:00:00Z", true),
        ("2026-11-30T14:59:59Z", true),
        ("2026-11-30T15:00:00Z", false),
        ("2026-11-28T10:00:00Z", false),
        // In summer two hours ahead.
        ("2026-07-06T07:00:00Z", true),
        ("2026-07-06T14:00:00Z", false),
    ] {
        assert_eq!(office.is_open(at(time)), open, "{time}");
    }
    // Friday afternoon: the next opening is on Monday.
    let opening = office.next_opening(at("2026-11-27T15:00:00Z")).unwrap();
    assert_eq!(opening, at("2026-11-30T08:00:00Z"));
    assert_eq!(office.shown(opening), "2026-11-30 09:00 Europe/Warsaw");
    let inside = at("2026-11-30T09:12:13Z");
    assert_eq!(office.next_opening(inside), Some(inside));
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_it_starts_on() {
    let night = window("Fri 22:00-02:00 UTC");
    let open = open_between(&night, "2026-11-27T12:00:00Z", "2026-11-29T12:00:00Z");
    assert_eq!(open, ["22:00-02:00"]);
    assert!(
        night.is_open(at("2026-11-28T01:59:00Z")) && !night.is_open(at("2026-11-27T01:00:00Z"))
    );
    let day = window("Sat 00:00-24:00 UTC");
    assert!(day.is_open(at("2026-11-28T23:59:59Z")) && !day.is_open(at("2026-11-29T00:00:00Z")));
}

#[test]
fn a_time_that_does_not_occur_in_spring_is_in_no_window() {
    // The clocks go from 02:00 to 03:00 on 2026-03-29 in Warsaw (01:00 UTC), and on 2026-03-08 in New York (07:00 UTC).
    let over = window("Sun 01:30-04:00 Europe/Warsaw");
    let open = open_between(&over, "2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z");
    assert_eq!(open, ["00:30-02:00"], "an hour and a half, not two and a half");
    let start_is_skipped = window("Sun 02:30-04:00 America/New_York");
    let before = at("2026-03-08T05:00:00Z");
    assert_eq!(start_is_skipped.next_opening(before), Some(at("2026-03-08T07:00:00Z")));
    let all_is_skipped = window("Sun 02:15-02:45 Europe/Warsaw");
    let before = at("2026-03-29T00:00:00Z");
    assert_eq!(all_is_skipped.next_opening(before), Some(at("2026-04-05T00:15:00Z")));
}

#[test]
fn an_hour_that_occurs_twice_in_autumn_is_open_twice() {
    // The clocks go from 03:00 to 02:00 on 2026-10-25 in Warsaw (01:00 UTC), and from 02:00 to 01:00 on 2026-11-01 in New
    // York (06:00 UTC).
    let over = window("Sun 01:30-03:30 Europe/Warsaw");
    let open = open_between(&over, "2026-10-24T20:00:00Z", "2026-10-25T20:00:00Z");
    assert_eq!(open, ["23:30-02:30"], "three hours, not two");
    let inside = window("Sun 01:15-01:45 America/New_York");
    let open = open_between(&inside, "2026-11-01T00:00:00Z", "2026-11-01T20:00:00Z");
    assert_eq!(open, ["05:15-05:45", "06:15-06:45"]);
    let between = at("2026-11-01T05:50:30Z");
    assert_eq!(inside.next_opening(between), Some(at("2026-11-01T06:15:00Z")));
}

#[test]
fn the_next_opening_is_the_first_open_minute() {
    let starts = ["2026-03-07T00:00:00Z", "2026-03-27T00:00:00Z", "2026-10-23T00:00:00Z"];
    for text in [
        "Mon-Fri 09:00-16:00 Europe/Warsaw",
        "Sun 02:15-02:45 Europe/Warsaw",
        "Sun 01:30-02:30 America/New_York",
        "Sat 22:00-02:30 Europe/Warsaw",
        "Mon,Wed 00:00-24:00 Australia/Lord_Howe",
        "Tue 12:00-12:01 Asia/Kathmandu",
    ] {
        let window = window(text);
        for start in starts {
            for hours in (0..11 * 24).step_by(5) {
                let from = at(start) + TimeDelta::hours(hours);
                assert_eq!(window.next_opening(from), searched(&window, from), "{text} {from}");
            }
        }
    }
}

#[test]
fn of_several_windows_the_first_to_open_counts() {
    let windows = [window("Sat 10:00-12:00 UTC"), window("Mon-Fri 09:00-16:00 UTC")];
    let saturday = at("2026-11-28T00:00:00Z");
    let (opening, first) = next_opening(&windows, saturday).unwrap();
    assert_eq!((opening, first), (at("2026-11-28T10:00:00Z"), &windows[0]));
    assert!(!is_open(&windows, saturday) && is_open(&windows, opening) && is_open(&[], saturday));
    assert_eq!(next_opening(&[], saturday), None);
    assert_eq!(window("Mon 09:00-10:00 UTC").next_opening(DateTime::<Utc>::MAX_UTC), None);
}
