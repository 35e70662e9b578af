//! The most that may be spent: by request, and by day of UTC.
//!
//! A request reserves its largest possible amount before it is sent, so that requests at the same time cannot exceed the
//! budget together. Afterwards, the reservation is replaced by the amount that was spent.

use crate::generated::Usage;
use botops_workspace::{GenerationBudget, GenerationPrice};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// Tokens and their cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// The tokens.
    pub tokens: u64,
    /// The cost, in the currency of the price; 0 without a price.
    pub cost: f64,
}

#[derive(Debug, Default)]
struct Day {
    /// The days since 1970-01-01.
    number: u64,
    spent: Spent,
    reserved: Spent,
}

#[derive(Debug)]
pub(crate) struct Budget {
    limits: GenerationBudget,
    price: Option<GenerationPrice>,
    today: Mutex<Day>,
}

/// An amount set aside for one request. Dropped, it is replaced by the tokens that it knows of.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    budget: &'a Budget,
    day: u64,
    amount: Spent,
    spent: Usage,
}

/// Returns the cost of tokens: in x input price / 1,000,000 + out x output price / 1,000,000; 0 without a price.
pub(crate) fn cost(usage: Usage, price: Option<GenerationPrice>) -> f64 {
    price.map_or(0.0, |price| {
        (usage.tokens_in as f64 * price.input_per_million
            + usage.tokens_out as f64 * price.output_per_million)
            / 1e6
    })
}

impl Budget {
    pub(crate) fn new(limits: GenerationBudget, price: Option<GenerationPrice>) -> Self {
        Self { limits, price, today: Mutex::default() }
    }

    /// Sets the largest possible amount of a request aside, or returns the limit that it would exceed.
    pub(crate) fn reserve(
        &self,
        now: SystemTime,
        largest: Usage,
    ) -> Result<Reservation<'_>, &'static str> {
        let amount = Spent { tokens: largest.tokens(), cost: cost(largest, self.price) };
        let GenerationBudget { tokens_per_day, tokens_per_request, cost_per_day, cost_per_request } =
            self.limits;
        if tokens_per_request.is_some_and(|most| amount.tokens > most) {
            return Err("tokens_per_request");
        }
        if cost_per_request.is_some_and(|most| amount.cost > most) {
            return Err("cost_per_request");
        }
        let day = day_of(now);
        let mut today = self.today();
        // A clock that goes back does not open a day that was spent.
        if day > today.number {
            *today = Day { number: day, ..Day::default() };
        }
        let tokens = today.spent.tokens.saturating_add(today.reserved.tokens);
        if tokens_per_day.is_some_and(|most| tokens.saturating_add(amount.tokens) > most) {
            return Err("tokens_per_day");
        }
        let costs = today.spent.cost + today.reserved.cost + amount.cost;
        if cost_per_day.is_some_and(|most| costs > most) {
            return Err("cost_per_day");
        }
        today.reserved.tokens += amount.tokens;
        today.reserved.cost += amount.cost;
        Ok(Reservation { budget: self, day: today.number, amount, spent: Usage::default() })
    }

    /// Returns the amount spent on the day of `now`, reservations left out.
    pub(crate) fn spent(&self, now: SystemTime) -> Spent {
        let today = self.today();
        if day_of(now) > today.number { Spent::default() } else { today.spent }
    }

    fn today(&self) -> MutexGuard<'_, Day> {
        self.today.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn day_of(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400)
}

impl Reservation<'_> {
    /// Adds tokens that were spent.
    pub(crate) fn add(&mut self, usage: Usage) {
        self.spent.tokens_in = self.spent.tokens_in.saturating_add(usage.tokens_in);
        self.spent.tokens_out = self.spent.tokens_out.saturating_add(usage.tokens_out);
        self.spent.is_reported = usage.is_reported;
    }

    pub(crate) fn usage(&self) -> Usage {
        self.spent
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut today = self.budget.today();
        // The reservations of a day that is over went with it.
        if today.number == self.day {
            today.reserved.tokens = today.reserved.tokens.saturating_sub(self.amount.tokens);
            today.reserved.cost = (today.reserved.cost - self.amount.cost).max(0.0);
        }
        today.spent.tokens = today.spent.tokens.saturating_add(self.spent.tokens());
        today.spent.cost += cost(self.spent, self.budget.price);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn usage(tokens_in: u64, tokens_out: u64) -> Usage {
        Usage { tokens_in, tokens_out, is_reported: true }
    }

    #[test]
    fn requests_at_the_same_time_cannot_exceed_the_day_together() {
        let limits = GenerationBudget { tokens_per_day: Some(100), ..Default::default() };
        let budget = Budget::new(limits, None);
        let now = UNIX_EPOCH + Duration::from_secs(86_400 * 20_000);
        let mut first = budget.reserve(now, usage(40, 20)).unwrap();
        assert_eq!(budget.reserve(now, usage(40, 20)).unwrap_err(), "tokens_per_day");
        first.add(usage(10, 20));
        drop(first);
        assert_eq!(budget.spent(now).tokens, 30);
        drop(budget.reserve(now, usage(40, 30)).unwrap());
        assert_eq!(budget.spent(now).tokens, 30, "a request that was not sent costs nothing");
        assert!(budget.reserve(now, usage(70, 1)).is_err());
        let tomorrow = now + Duration::from_secs(86_400);
        assert!(budget.reserve(tomorrow, usage(70, 1)).is_ok());
        assert_eq!(budget.reserve(now, usage(100, 1)).unwrap_err(), "tokens_per_day");
    }

    #[test]
    fn costs_are_those_of_the_price_list() {
        let price = GenerationPrice { input_per_million: 2.0, output_per_million: 8.0 };
        // By hand: 1,000 x 2 / 1e6 + 500 x 8 / 1e6.
        assert!((cost(usage(1_000, 500), Some(price)) - 0.006).abs() < 1e-12);
        let limits = GenerationBudget {
            cost_per_request: Some(0.01),
            cost_per_day: Some(0.013),
            ..Default::default()
        };
        let budget = Budget::new(limits, Some(price));
        let over = budget.reserve(UNIX_EPOCH, usage(0, 1_300)).unwrap_err();
        assert_eq!(over, "cost_per_request");
        let mut first = budget.reserve(UNIX_EPOCH, usage(1_000, 500)).unwrap();
        first.add(usage(1_000, 500));
        drop(first);
        assert!(budget.reserve(UNIX_EPOCH, usage(1_000, 500)).is_ok());
        let over = budget.reserve(UNIX_EPOCH, usage(1_000, 700)).unwrap_err();
        assert_eq!(over, "cost_per_day");
    }
}
