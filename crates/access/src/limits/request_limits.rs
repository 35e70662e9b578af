//! The rate limits of a server, and which of them apply to a request.

use super::subject::Subject;
use super::{
    client_address::limited_as,
    limit::{Limit, Verdict},
    rate::Rate,
};
use std::{collections::BTreeMap, net::IpAddr};

/// The rates of a server. A rate that is left out limits nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateSpec {
    /// Of the holder of one key or token.
    pub per_key: Option<Rate>,
    /// Of one address, whoever sends from it.
    pub per_address: Option<Rate>,
    /// Of one conversation.
    pub per_conversation: Option<Rate>,
    /// Of single routes, by name, such as `predict`.
    pub routes: BTreeMap<String, RouteRates>,
}

impl RateSpec {
    /// The rates of a server on the internet whose operator sets none: more than people and small services need, and less
    /// than one client needs to wear a server out.
    #[must_use]
    pub fn of_the_internet() -> Self {
        Self {
            per_key: Some(Rate::per_second(50).burst(100)),
            per_address: Some(Rate::per_second(20).burst(100)),
            per_conversation: Some(Rate::per_second(2).burst(10)),
            routes: BTreeMap::new(),
        }
    }
}

/// The rates of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteRates {
    /// Of one caller, by its key, or else by its address.
    pub per_caller: Option<Rate>,
    /// Of all callers together.
    pub total: Option<Rate>,
}

/// Who sends a request, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The kind and the name of a caller that is known; `None` for an anonymous one.
    pub caller: Option<(&'static str, &'a str)>,
    /// The address.
    pub address: IpAddr,
}

impl<'a> Sender<'a> {
    fn subject(&self) -> Subject<'a> {
        match self.caller {
            Some((kind, name)) => Subject::Caller(kind, name),
            None => Subject::Address(limited_as(self.address)),
        }
    }
}

/// The rate limits of a server.
#[derive(Debug, Default)]
pub struct RequestLimits {
    per_key: Option<Limit>,
    per_address: Option<Limit>,
    per_conversation: Option<Limit>,
    routes: BTreeMap<String, RouteLimits>,
}

#[derive(Debug)]
struct RouteLimits {
    per_caller: Option<Limit>,
    total: Option<Limit>,
}

/// A limit and what it counts of a request.
#[derive(Debug, Clone, Copy)]
pub struct Applied<'a> {
    /// The limit.
    pub limit: &'a Limit,
    /// The subject whose requests it counts.
    pub subject: Subject<'a>,
}

impl Applied<'_> {
    /// Counts the request, if it may pass.
    #[must_use]
    pub fn take(&self) -> Verdict {
        self.limit.take(&self.subject)
    }
}

impl RequestLimits {
    /// Makes the limits of these rates.
    #[must_use]
    pub fn new(spec: &RateSpec) -> Self {
        let limit = |name, rate: Option<Rate>| rate.map(|rate| Limit::new(name, rate));
        let route = |(name, rates): (&String, &RouteRates)| {
            let limits = RouteLimits {
                per_caller: limit("route", rates.per_caller),
                total: limit("total", rates.total),
            };
            (name.clone(), limits)
        };
        Self {
            per_key: limit("key", spec.per_key),
            per_address: limit("address", spec.per_address),
            per_conversation: limit("conversation", spec.per_conversation),
            routes: spec.routes.iter().map(route).collect(),
        }
    }

    /// Returns whether a request can be limited by its caller or its route.
    #[must_use]
    pub fn limits_callers(&self) -> bool {
        self.per_key.is_some() || !self.routes.is_empty()
    }

    /// Returns the limit of an address. It comes before the caller is known, so that guesses at keys count.
    #[must_use]
    pub fn of_address(&self, address: IpAddr) -> Option<Applied<'_>> {
        let limit = self.per_address.as_ref()?;
        Some(Applied { limit, subject: Subject::Address(limited_as(address)) })
    }

    /// Returns whether a limit is that of an address.
    #[must_use]
    pub fn is_of_address(&self, applied: &Applied<'_>) -> bool {
        self.per_address.as_ref().is_some_and(|limit| std::ptr::eq(limit, applied.limit))
    }

    /// Returns the limits of a caller on `route`, the narrowest first: those of its key and of the route, and not that of
    /// its address.
    pub fn of_caller<'a>(
        &'a self,
        route: &str,
        sender: &Sender<'a>,
    ) -> impl Iterator<Item = Applied<'a>> {
        let subject = sender.subject();
        let of_key = sender.caller.and(self.per_key.as_ref());
        let route = if self.routes.is_empty() { None } else { self.routes.get(route) };
        let of_caller = route.and_then(|route| route.per_caller.as_ref());
        let total = route.and_then(|route| route.total.as_ref());
        [(of_key, subject), (of_caller, subject), (total, Subject::All)]
            .into_iter()
            .filter_map(|(limit, subject)| Some(Applied { limit: limit?, subject }))
    }

    /// Returns the limit of a conversation, by the kind and name of its caller and its own id. Another caller that names the same
    /// conversation does not use its burst up; anonymous callers are one caller.
    #[must_use]
    pub fn of_conversation<'a>(
        &'a self,
        caller: Option<(&'static str, &'a str)>,
        conversation_id: &'a str,
    ) -> Option<Applied<'a>> {
        let limit = self.per_conversation.as_ref()?;
        let (kind, name) = caller.unwrap_or_default();
        Some(Applied { limit, subject: Subject::Conversation(kind, name, conversation_id) })
    }
}

/// Counts a request at each of `limits` until one refuses it. Returns the tightest verdict; `None` without limits.
///
/// A request that is refused by a later limit has used up a little of the earlier ones.
pub fn take_all<'a>(limits: impl IntoIterator<Item = Applied<'a>>) -> Option<Verdict> {
    let mut tightest: Option<Verdict> = None;
    for applied in limits {
        let verdict = applied.take();
        let verdict = tightest.map_or(verdict, |tightest| tightest.tighter(verdict));
        tightest = Some(verdict);
        if !verdict.is_allowed() {
            break;
        }
    }
    tightest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(spec: RateSpec) -> RequestLimits {
        RequestLimits::new(&spec)
    }

    fn sender<'a>(caller: Option<&'a str>, address: &str) -> Sender<'a> {
        Sender { caller: caller.map(|name| ("key", name)), address: address.parse().unwrap() }
    }

    fn hourly(burst: u32) -> Option<Rate> {
        Some("1/h".parse::<Rate>().unwrap().burst(burst))
    }

    #[test]
    fn a_server_without_rates_limits_nothing() {
        let limits = limits(RateSpec::default());
        let sender = sender(Some("shop"), "192.0.2.1");
        assert!(limits.of_address(sender.address).is_none());
        assert_eq!(take_all(limits.of_caller("predict", &sender)), None);
        assert!(limits.of_conversation(sender.caller, "c").is_none());
    }

    #[test]
    fn a_key_counts_over_addresses_and_an_address_over_keys() {
        let limits =
            limits(RateSpec { per_key: hourly(2), per_address: hourly(3), ..RateSpec::default() });
        let of = |caller, address| {
            take_all(limits.of_caller("predict", &sender(caller, address)))
                .map(|it| it.is_allowed())
        };
        assert_eq!(of(Some("shop"), "192.0.2.1"), Some(true));
        assert_eq!(of(Some("shop"), "192.0.2.2"), Some(true));
        assert_eq!(of(Some("shop"), "192.0.2.3"), Some(false));
        assert_eq!(of(Some("other"), "192.0.2.3"), Some(true));
        assert_eq!(of(None, "192.0.2.3"), None, "an anonymous caller has no key");
        let address =
            |text: &str| limits.of_address(text.parse().unwrap()).unwrap().take().is_allowed();
        assert!(address("2001:db8::1") && address("2001:db8::2") && address("2001:db8::3"));
        assert!(!address("2001:db8::4"), "one customer has a /64");
        assert!(address("2001:db8:0:1::1"));
    }

    #[test]
    fn a_route_has_limits_of_its_own() {
        let rates = RouteRates { per_caller: hourly(1), total: hourly(3) };
        let routes = [("feedback".to_owned(), rates)].into();
        let limits = limits(RateSpec { routes, ..RateSpec::default() });
        let of = |route, caller, address| {
            take_all(limits.of_caller(route, &sender(caller, address)))
                .map(|it| (it.is_allowed(), it.limit))
        };
        assert_eq!(of("predict", Some("shop"), "192.0.2.1"), None);
        assert_eq!(of("feedback", Some("shop"), "192.0.2.1"), Some((true, "route")));
        assert_eq!(of("feedback", Some("shop"), "192.0.2.1"), Some((false, "route")));
        assert_eq!(of("feedback", None, "192.0.2.1").map(|it| it.0), Some(true));
        assert_eq!(of("feedback", None, "192.0.2.2").map(|it| it.0), Some(true));
        assert_eq!(of("feedback", None, "192.0.2.3"), Some((false, "total")));
    }

    #[test]
    fn a_conversation_is_one_of_its_caller() {
        let limits = limits(RateSpec { per_conversation: hourly(1), ..RateSpec::default() });
        let of = |caller: Option<&str>, id: &str| {
            let caller = caller.map(|name: &str| ("key", name));
            limits.of_conversation(caller, id).unwrap().take().is_allowed()
        };
        assert!(of(Some("shop"), "c") && !of(Some("shop"), "c"));
        assert!(of(Some("other"), "c") && of(Some("shop"), "d") && of(None, "c"));
    }
}
