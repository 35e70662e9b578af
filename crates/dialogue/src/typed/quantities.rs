//! Quantities: `2,5 kg`, `three boxes`, `x3`, `une douzaine d'œufs`, or the only number of a short message.

use super::{
    context::Context,
    numerals::{Numeral, Three, number_at},
    tokens::Tokens,
};

/// A quantity in a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QuantityHit {
    /// One past the last token.
    pub(crate) end: usize,
    pub(crate) quantity: f64,
    /// The unit in its usual short form, or in English.
    pub(crate) unit: Option<&'static str>,
}

/// The most tokens of a message whose only number is a quantity.
const SHORT: usize = 6;

/// Returns the unit of a word.
fn unit(word: &str, raw: &str) -> Option<&'static str> {
    Some(match word {
        "kg" | "kilo" | "kilos" | "kilogram" | "kilograms" | "kilogramme" | "kilogrammes" => "kg",
        "gram" | "grams" | "gramme" | "grammes" => "g",
        "mg" => "mg",
        "litre" | "litres" | "liter" | "liters" => "l",
        "cl" => "cl",
        "ml" => "ml",
        "metre" | "metres" | "meter" | "meters" => "m",
        "cm" | "centimetre" | "centimetres" | "centimeter" | "centimeters" => "cm",
        "mm" | "millimetre" | "millimetres" => "mm",
        "km" | "kilometre" | "kilometres" | "kilometer" | "kilometers" => "km",
        "inch" | "inches" | "pouce" | "pouces" => "in",
        "foot" | "feet" | "ft" => "ft",
        "mile" | "miles" => "mi",
        "lb" | "lbs" => "lb",
        "oz" | "ounce" | "ounces" => "oz",
        "gb" => "GB",
        "go" if raw == "Go" => "GB",
        "mb" => "MB",
        "mo" if raw == "Mo" => "MB",
        "tb" => "TB",
        "to" if raw == "To" => "TB",
        "watt" | "watts" => "W",
        "kwh" => "kWh",
        "kw" => "kW",
        "wh" => "Wh",
        "mah" => "mAh",
        "volt" | "volts" => "V",
        "percent" => "%",
        "piece" | "pieces" => "piece",
        "item" | "items" | "article" | "articles" | "product" | "products" | "produit"
        | "produits" => "item",
        "unit" | "units" | "unite" | "unites" => "unit",
        "box" | "boxes" | "boite" | "boites" | "carton" | "cartons" => "box",
        "pack" | "packs" | "paquet" | "paquets" => "pack",
        "parcel" | "parcels" | "package" | "packages" | "colis" => "parcel",
        "bottle" | "bottles" | "bouteille" | "bouteilles" => "bottle",
        "bag" | "bags" | "sac" | "sacs" | "sachet" | "sachets" => "bag",
        "pair" | "pairs" | "paire" | "paires" => "pair",
        "set" | "sets" | "lot" | "lots" => "set",
        "copy" | "copies" | "exemplaire" | "exemplaires" => "copy",
        "person" | "persons" | "people" | "personne" | "personnes" => "person",
        "ticket" | "tickets" | "billet" | "billets" => "ticket",
        "g" | "l" | "m" if raw == word => match word {
            "g" => "g",
            "l" => "l",
            _ => "m",
        },
        "l" if raw == "L" => "l",
        "w" if raw == "W" => "W",
        _ => return None,
    })
}

/// Returns the quantity that starts at `at`.
pub(crate) fn quantity_at(t: &Tokens<'_>, at: usize, c: &Context) -> Option<QuantityHit> {
    if t.is(at, &["x"]) && t.joined(at + 1) && (at == 0 || !t.joined(at)) {
        // `x3`.
        let number = whole_at(t, at + 1)?;
        return t.closes(at + 2).then(|| hit(at + 2, &number, None));
    }
    if t.is(at, &["a", "une"]) && t.is(at + 1, &["dozen", "douzaine"]) {
        return Some(dozens(t, at + 2, 1.0));
    }
    if t.is(at, &["a", "une"]) && t.is(at + 1, &["pair", "paire"]) {
        return Some(QuantityHit { end: at + 2, quantity: 1.0, unit: Some("pair") });
    }
    let number = number_at(t, at, c.words, Three::ByLanguage)?;
    let end = number.end;
    if t.is(end, &["dozen", "dozens", "douzaine", "douzaines"]) {
        return Some(dozens(t, end + 1, number.value));
    }
    if t.is_mark(end, '%') {
        return Some(hit(end + 1, &number, Some("%")));
    }
    if t.is(end, &["pour"]) && t.is(end + 1, &["cent"]) {
        return Some(hit(end + 2, &number, Some("%")));
    }
    if let Some(unit) = unit(t.word(end), t.raw(end)).filter(|_| t.closes(end + 1)) {
        return Some(hit(end + 1, &number, Some(unit)));
    }
    // `3x` and `3 x`, but not `3 x 4`.
    if t.is(end, &["x"]) && t.closes(end + 1) && t.digits(end + 1).is_none() && !number.in_words {
        return Some(hit(end + 1, &number, None));
    }
    let labeled = at > 0
        && (t.is(at - 1, &["quantity", "quantite", "qty", "qte"])
            || (t.is_mark(at - 1, ':')
                && at > 1
                && t.is(at - 2, &["quantity", "quantite", "qty", "qte"])));
    let alone = t.len() <= SHORT && number.value < 10_000.0 && is_only_number(t, at, end, c);
    (t.closes(end) && (labeled || alone)).then(|| hit(end, &number, None))
}

fn hit(end: usize, number: &Numeral, unit: Option<&'static str>) -> QuantityHit {
    QuantityHit { end, quantity: number.value, unit }
}

fn whole_at(t: &Tokens<'_>, at: usize) -> Option<Numeral> {
    let digits = t.digits(at).filter(|digits| digits.len() <= 6)?;
    let value = digits.parse().ok()?;
    Some(Numeral { end: at + 1, decimal: digits.to_owned(), value, in_words: false })
}

fn dozens(t: &Tokens<'_>, end: usize, n: f64) -> QuantityHit {
    let unit = unit(t.word(end), t.raw(end));
    QuantityHit { end: end + usize::from(unit.is_some()), quantity: 12.0 * n, unit }
}

/// Returns whether no other number is in the text, and the one at `at` is no article (`un`, `one`) before a noun.
fn is_only_number(t: &Tokens<'_>, at: usize, end: usize, c: &Context) -> bool {
    if t.is(at, &["un", "une", "one", "neuf"]) && end == at + 1 && t.len() > 1 && t.is_word(end) {
        return false;
    }
    let is_other = |i: usize| i < at || i >= end;
    (0..t.len()).filter(|i| is_other(*i)).all(|i| {
        t.digits(i).is_none()
            && (t.is(i, &["un", "une", "one"])
                || number_at(t, i, c.words, Three::ByLanguage).is_none())
            && super::calendar_words::clear_month(t.word(i)).is_none()
    })
}
