//! The arrival schedule: when users come and go, and when requests are due. Pure.

use botops_stats::random::Random;
use std::time::Duration;

/// A straight line of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// The duration; 0 for a jump.
    pub duration: Duration,
    /// The load at its start: users, or requests per second.
    pub from: f64,
    /// The load at its end.
    pub to: f64,
}

/// The load over time, a line of straight parts that begins at time 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    segments: Vec<Segment>,
}

impl Levels {
    /// Makes the load of segments, each of which begins where the one before ends.
    #[must_use]
    pub fn new(segments: Vec<Segment>) -> Self {
        Self { segments }
    }

    /// Returns the time at which the last segment ends.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.segments.iter().map(|segment| segment.duration).sum()
    }

    /// Returns the highest load of a segment that takes time.
    #[must_use]
    pub fn highest(&self) -> f64 {
        let lasting = self.segments.iter().filter(|segment| !segment.duration.is_zero());
        lasting.map(|segment| segment.from.max(segment.to)).fold(0.0, f64::max)
    }

    /// Returns the segment that holds `time`; the later one at a border. `None` from the end on.
    #[must_use]
    pub fn segment_at(&self, time: Duration) -> Option<usize> {
        let mut end = Duration::ZERO;
        self.segments.iter().position(|segment| {
            end += segment.duration;
            time < end
        })
    }

    /// Returns the load at `time`; 0 from the end on.
    #[must_use]
    pub fn at(&self, time: Duration) -> f64 {
        let Some(i) = self.segment_at(time) else { return 0.0 };
        let start: Duration = self.segments[..i].iter().map(|segment| segment.duration).sum();
        let Segment { duration, from, to } = self.segments[i];
        from + (to - from) * ((time - start).as_secs_f64() / duration.as_secs_f64())
    }

    /// Returns the times in which user `i` (from 0) is there: those in which the load is at least i + 1/2, so that the number
    /// of users is the rounded load.
    #[must_use]
    pub fn presence(&self, i: usize) -> Vec<(Duration, Duration)> {
        let needed = i as f64 + 0.5;
        let mut found: Vec<(Duration, Duration)> = Vec::new();
        let mut start = Duration::ZERO;
        for segment in &self.segments {
            let end = start + segment.duration;
            let Segment { from, to, .. } = *segment;
            let crossing = || start + segment.duration.mul_f64((needed - from) / (to - from));
            let part = match (from >= needed, to >= needed) {
                (true, true) => Some((start, end)),
                (true, false) => Some((start, crossing())),
                (false, true) => Some((crossing(), end)),
                (false, false) => None,
            };
            if let Some((begin, end)) = part.filter(|(begin, end)| begin < end) {
                match found.last_mut() {
                    Some(last) if last.1 == begin => last.1 = end,
                    _ => found.push((begin, end)),
                }
            }
            start = end;
        }
        found
    }

    /// Returns the times at which the requests of an open loop are due, in order.
    ///
    /// Request k is due when the integral of the rate reaches k + 1/2 with even arrivals, and the sum of k + 1 draws from an
    /// exponential distribution with mean 1 with `random` ones (a Poisson process whose rate is the load).
    pub fn arrivals(&self, random: Option<Random>) -> Arriving<'_> {
        Arriving {
            levels: self,
            random,
            reached: 0.0,
            next: 0.0,
            segment: 0,
            start: Duration::ZERO,
            done: 0.0,
        }
    }
}

/// The times at which requests are due.
#[derive(Debug)]
pub struct Arriving<'a> {
    levels: &'a Levels,
    random: Option<Random>,
    /// The integral of the last request that was returned, or 0.5 more with even arrivals.
    reached: f64,
    next: f64,
    /// The segment in which to look, its start, and the integral until there.
    segment: usize,
    start: Duration,
    done: f64,
}

impl Iterator for Arriving<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.next = match &mut self.random {
            // 1 - u is in (0, 1], so its logarithm is finite.
            Some(random) => self.reached - (1.0 - random.unit()).ln(),
            None if self.reached == 0.0 => 0.5,
            None => self.reached + 1.0,
        };
        self.reached = self.next;
        loop {
            let segment = self.levels.segments.get(self.segment)?;
            let seconds = segment.duration.as_secs_f64();
            let total = (segment.from + segment.to) / 2.0 * seconds;
            let wanted = self.next - self.done;
            if wanted < total {
                let at = time_of(segment, seconds, wanted);
                return Some(self.start + Duration::from_secs_f64(at));
            }
            self.done += total;
            self.start += segment.duration;
            self.segment += 1;
        }
    }
}

/// Returns the seconds after the start of `segment` at which the integral of its load is `wanted`.
fn time_of(segment: &Segment, seconds: f64, wanted: f64) -> f64 {
    // from t + slope t^2 / 2 = wanted, in the form that does not divide by a small slope.
    let slope = (segment.to - segment.from) / seconds;
    let root = (segment.from * segment.from + 2.0 * slope * wanted).max(0.0).sqrt();
    let at = 2.0 * wanted / (segment.from + root);
    if at.is_finite() { at.clamp(0.0, seconds) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(n: f64) -> Duration {
        Duration::from_secs_f64(n)
    }

    /// Up to 100 in 120 s, hold 300 s, to 200 in 120 s, hold 300 s, down in 120 s.
    fn standard() -> Levels {
        let segment = |n: f64, from, to| Segment { duration: seconds(n), from, to };
        Levels::new(vec![
            segment(120.0, 0.0, 100.0),
            segment(300.0, 100.0, 100.0),
            segment(120.0, 100.0, 200.0),
            segment(300.0, 200.0, 200.0),
            segment(120.0, 200.0, 0.0),
        ])
    }

    #[test]
    fn the_load_goes_in_straight_lines() {
        let levels = standard();
        assert_eq!(levels.end(), seconds(960.0));
        assert_eq!(levels.highest(), 200.0);
        for (time, load) in [
            (0.0, 0.0),
            (60.0, 50.0),
            (120.0, 100.0),
            (400.0, 100.0),
            (480.0, 150.0),
            (900.0, 100.0),
            (960.0, 0.0),
        ] {
            assert!((levels.at(seconds(time)) - load).abs() < 1e-9, "{time}");
        }
        assert_eq!(levels.segment_at(seconds(120.0)), Some(1));
        assert_eq!(levels.segment_at(seconds(960.0)), None);
    }

    #[test]
    fn a_user_comes_when_the_rounded_load_reaches_them_and_goes_when_it_falls_below() {
        let levels = standard();
        // Load 0.5 is reached after 0.6 s; on the way down, 120 s x (1 - 0.5 / 200) after 840 s.
        assert_eq!(levels.presence(0), [(seconds(0.6), seconds(959.7))]);
        assert_eq!(levels.presence(99), [(seconds(119.4), seconds(900.3))]);
        assert_eq!(levels.presence(150), [(seconds(480.6), seconds(869.7))]);
        assert_eq!(levels.presence(200), []);
    }

    #[test]
    fn a_stage_without_duration_is_a_jump() {
        let segment = |n: f64, from, to| Segment { duration: seconds(n), from, to };
        let levels = Levels::new(vec![
            segment(10.0, 5.0, 5.0),
            segment(0.0, 5.0, 50.0),
            segment(10.0, 50.0, 50.0),
            segment(0.0, 50.0, 5.0),
            segment(10.0, 5.0, 5.0),
        ]);
        assert_eq!(levels.presence(4), [(seconds(0.0), seconds(30.0))]);
        assert_eq!(levels.presence(5), [(seconds(10.0), seconds(20.0))]);
        assert_eq!(levels.at(seconds(10.0)), 50.0);
        let due: Vec<Duration> = levels.arrivals(None).collect();
        let within = |from: f64, to: f64| {
            due.iter().filter(|at| **at >= seconds(from) && **at < seconds(to)).count()
        };
        assert_eq!((within(0.0, 10.0), within(10.0, 20.0), within(20.0, 30.0)), (50, 500, 50));
    }

    #[test]
    fn even_arrivals_of_a_constant_rate_have_equal_distances() {
        let levels = Levels::new(vec![Segment { duration: seconds(2.0), from: 4.0, to: 4.0 }]);
        let due: Vec<f64> = levels.arrivals(None).map(|at| at.as_secs_f64()).collect();
        assert_eq!(due, [0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625, 1.875]);
    }

    #[test]
    fn random_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() {
        let levels =
            Levels::new(vec![Segment { duration: seconds(2_000.0), from: 10.0, to: 10.0 }]);
        let due: Vec<f64> =
            levels.arrivals(Some(Random::new(7))).map(|at| at.as_secs_f64()).collect();
        // 20,000 expected, standard deviation 141.
        assert!((due.len() as f64 - 20_000.0).abs() < 5.0 * 141.4, "{}", due.len());
        let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Exponential gaps: the standard deviation is the mean. Equal gaps would give 0.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{mean} {variance}");
        let again: Vec<f64> =
            levels.arrivals(Some(Random::new(7))).map(|at| at.as_secs_f64()).collect();
        assert_eq!(due, again);
    }

    proptest! {
        #[test]
        fn arrivals_rise_and_their_number_is_the_integral_of_the_rate(
            parts in prop::collection::vec((0_u32..20, 0.0_f64..200.0), 1..6),
        ) {
            let mut from = 0.0;
            let mut segments = Vec::new();
            let mut integral = 0.0;
            for (n, to) in parts {
                let duration = seconds(f64::from(n));
                integral += (from + to) / 2.0 * f64::from(n);
                segments.push(Segment { duration, from, to });
                from = to;
            }
            let levels = Levels::new(segments);
            let due: Vec<Duration> = levels.arrivals(None).collect();
            prop_assert!((due.len() as f64 - integral).abs() <= 1.0, "{} {integral}", due.len());
            prop_assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(due.iter().all(|at| *at <= levels.end()));
        }

        #[test]
        fn the_number_of_users_is_the_rounded_load(
            parts in prop::collection::vec((0_u32..20, 0_u32..30), 1..6),
            share in 0.0_f64..1.0,
        ) {
            let mut from = 0.0;
            let mut segments = Vec::new();
            for (n, to) in parts {
                let duration = seconds(f64::from(n));
                segments.push(Segment { duration, from, to: f64::from(to) });
                from = f64::from(to);
            }
            let levels = Levels::new(segments);
            let time = levels.end().mul_f64(share);
            let load = levels.at(time);
            let here = (0..40)
                .filter(|user| levels.presence(*user).iter().any(|(start, end)| *start <= time && time < *end))
                .count();
            prop_assert!((here as f64 - load).abs() <= 0.5 + 1e-6, "{here} {load}");
        }
    }
}
