//! Properties of stored states and of the assignment.

use super::{
    events::{events, plans, play},
    *,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_round_trip_through_json_changes_no_decision(plan in plans(), events in events()) {
        play(&plan, &events, |step, now| {
            let [one, other] = events::apply_twice(step.before, step.event, now);
            prop_assert_eq!(&one, &other);
            for evidence in step.next().evidence() {
                prop_assert!(evidence.log_e_rollback.is_finite() && evidence.log_e_promote.is_finite());
                let share = |rate: &Option<f64>| rate.is_none_or(|rate| (0.0..=1.0).contains(&rate));
                prop_assert!(evidence.rates.iter().all(share), "{:?}", evidence);
            }
            for limit in step.next().limit_evidence() {
                prop_assert!(limit.log_e_above.is_finite() && limit.log_e_below.is_finite());
                prop_assert!(limit.failures <= limit.units);
            }
            let text = serde_json::to_string(step.transition).unwrap();
            let back: Transition = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back.next, step.next());
            Ok(())
        })?;
    }

    #[test]
    fn assignment_is_monotone_in_the_weight(id in "[a-z0-9-]{1,20}", low in 0.0..1.0_f64, more in 0.0..1.0_f64) {
        let high = low + (1.0 - low) * more;
        if assign("r1", &id, low) == Arm::Canary {
            prop_assert_eq!(assign("r1", &id, high), Arm::Canary);
        }
        prop_assert_eq!(assign("r1", &id, 0.0), Arm::Primary);
        prop_assert_eq!(assign("r1", &id, 1.0), Arm::Canary);
    }
}

#[test]
fn the_canary_gets_its_weight_and_another_salt_draws_other_conversations() {
    // 20,000 conversations: a standard error of at most 0.0035.
    let share = |salt: &str, weight: f64| {
        let canary = (0..20_000)
            .filter(|i| assign(salt, &format!("conversation-{i}"), weight) == Arm::Canary)
            .count();
        canary as f64 / 20_000.0
    };
    for weight in [0.01, 0.05, 0.25, 0.5, 0.9] {
        let got = share("r1", weight);
        let error = (weight * (1.0 - weight) / 20_000.0).sqrt();
        assert!((got - weight).abs() < 4.0 * error, "{got} at {weight}");
    }
    let both = (0..20_000)
        .filter(|i| {
            let id = format!("conversation-{i}");
            ["r1", "r2"].iter().all(|salt| assign(salt, &id, 0.5) == Arm::Canary)
        })
        .count();
    assert!((4_750..5_250).contains(&both), "{both}");
}
