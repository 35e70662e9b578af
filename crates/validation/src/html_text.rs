//! HTML in a text: entities such as `&eacute;` and tags such as `<br>`, found and removed.
//!
//! Only names of HTML count: `<name>` is a placeholder, `a < b` a comparison, and `?a=1&copy=2` an address.

/// The longest entity, without its `;`, and the longest tag, in bytes.
const LONGEST_ENTITY: usize = 12;
const LONGEST_TAG: usize = 400;

/// The entities of the characters from U+00A0 to U+00FF, in their order.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 \
    acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig \
    Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave \
    Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave \
    iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// Other entities that texts contain.
const OTHERS: [(&str, char); 27] = [
    ("quot", '"'),
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("apos", '\''),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
    ("Yuml", 'Ÿ'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("bull", '•'),
    ("hellip", '…'),
    ("euro", '€'),
    ("trade", '™'),
    ("rarr", '→'),
    ("larr", '←'),
];

/// Tags that have no end.
const VOID: [&str; 3] = ["br", "hr", "wbr"];
/// Tags that separate words.
const BLOCKS: [&str; 22] = [
    "br",
    "hr",
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "tr",
    "td",
    "th",
    "table",
    "tbody",
    "thead",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "pre",
    "body",
];
/// Tags within a line.
const INLINE: [&str; 19] = [
    "a", "b", "i", "u", "s", "em", "strong", "span", "font", "small", "big", "sub", "sup", "code",
    "mark", "wbr", "html", "head", "label",
];
/// Tags whose content is no text, or that are content themselves. They are reported and not removed.
const CONTENT: [&str; 8] = ["script", "style", "img", "iframe", "input", "button", "form", "svg"];

/// Returns the first entity or tag in `text`, with its position in bytes.
pub(crate) fn first(text: &str) -> Option<(usize, &str)> {
    pieces(text).next()
}

/// Iterates over the entities and tags in `text`, with their positions in bytes.
fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(at) = text[from..].find(['&', '<']).map(|at| from + at) {
            let rest = &text[at..];
            let length = entity(rest).map(|(length, _)| length).or_else(|| Some(tag(rest)?.length));
            from = at + length.unwrap_or(1);
            if let Some(length) = length {
                return Some((at, &rest[..length]));
            }
        }
        None
    })
}

/// Returns `text` with entities decoded, and without tags if each one that is opened is closed.
pub(crate) fn removed(text: &str) -> String {
    let removes_tags = has_whole_tags(text);
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for (at, piece) in pieces(text) {
        out.push_str(&text[end..at]);
        end = at + piece.len();
        match (entity(piece), tag(piece)) {
            (Some((_, c)), _) => out.push(c),
            (None, Some(tag)) if removes_tags => {
                let is_apart = out.chars().next_back().is_none_or(char::is_whitespace)
                    || text[end..].chars().next().is_none_or(char::is_whitespace);
                if BLOCKS.contains(&tag.name.as_str()) && !is_apart {
                    out.push(' ');
                }
            }
            _ => out.push_str(piece),
        }
    }
    out.push_str(&text[end..]);
    out
}

/// Returns whether all tags can be removed: each one that is opened is closed, and none has content that is no text.
fn has_whole_tags(text: &str) -> bool {
    let mut open: Vec<String> = Vec::new();
    for tag in pieces(text).filter_map(|(_, piece)| tag(piece)) {
        if CONTENT.contains(&tag.name.as_str()) {
            return false;
        }
        if VOID.contains(&tag.name.as_str()) {
            continue;
        }
        match tag.is_end {
            false => open.push(tag.name),
            true if open.last() == Some(&tag.name) => drop(open.pop()),
            true => return false,
        }
    }
    open.is_empty()
}

/// Returns the length and the character of the entity that `text` begins with.
fn entity(text: &str) -> Option<(usize, char)> {
    let rest = text.strip_prefix('&')?;
    let end = rest.bytes().take(LONGEST_ENTITY).position(|b| b == b';')?;
    let name = &rest[..end];
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let hexadecimal = number.strip_prefix(['x', 'X']);
            let code = match hexadecimal {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            // Leading signs are no digits of an entity.
            let is_number = number.bytes().all(|b| b.is_ascii_alphanumeric());
            char::from_u32(code.ok().filter(|_| is_number)?).filter(|c| !c.is_control())?
        }
        None => OTHERS.iter().find(|(known, _)| *known == name).map(|(_, c)| *c).or_else(|| {
            let place = LATIN.split_whitespace().position(|known| known == name)?;
            char::from_u32(0xa0 + u32::try_from(place).ok()?)
        })?,
    };
    Some((end + 2, c))
}

/// A tag at the beginning of a text.
struct Tag {
    /// Its length in bytes.
    length: usize,
    name: String,
    is_end: bool,
}

/// Returns the tag that `text` begins with.
fn tag(text: &str) -> Option<Tag> {
    let rest = text.strip_prefix('<')?;
    let is_end = rest.starts_with('/');
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let end = rest.bytes().take(LONGEST_TAG).position(|b| matches!(b, b'>' | b'<'))?;
    let inside = rest.get(..end).filter(|_| rest.as_bytes()[end] == b'>')?;
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    let name_end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let (name, attributes) = inside.split_at(name_end);
    let name = name.to_ascii_lowercase();
    // `<b and c>` is no tag: attributes have values.
    let has_attributes =
        attributes.starts_with(char::is_whitespace) && (attributes.contains('=') && !is_end);
    let is_html = [&BLOCKS[..], &INLINE[..], &CONTENT[..]].concat().contains(&name.as_str());
    (is_html && (attributes.trim().is_empty() || has_attributes)).then(|| Tag {
        length: 1 + usize::from(is_end) + end + 1,
        name,
        is_end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_tags_are_found_and_removed() {
        for (text, seen, after) in [
            ("Tom &amp; Jerry", "&amp;", "Tom & Jerry"),
            ("d&eacute;j&agrave; pay&#233; 12&#x20AC;", "&eacute;", "déjà payé 12€"),
            ("it&#39;s &quot;late&quot;", "&#39;", "it's \"late\""),
            ("first line<br/>second<BR>third", "<br/>", "first line second third"),
            ("<p>Hello <b>you</b>,</p><p>thanks</p>", "<p>", "Hello you, thanks"),
            ("see <a href=\"x?a=1&amp;b=2\">this</a>", "<a href=\"x?a=1&amp;b=2\">", "see this"),
            ("&yuml;&nbsp;&Agrave;", "&yuml;", "ÿ\u{a0}À"),
        ] {
            assert_eq!(first(text).map(|(_, seen)| seen), Some(seen), "{text}");
            assert_eq!(removed(text), after, "{text}");
        }
    }

    #[test]
    fn tags_that_are_not_whole_are_reported_and_kept() {
        for text in ["my <b> tag does not work", "<script>x()</script>", "a</p>", "<img src='x'>"] {
            assert!(first(text).is_some(), "{text}");
            assert_eq!(removed(text), text);
        }
    }

    #[test]
    fn text_without_html_is_not_reported() {
        for text in [
            "a < b and c > d",
            "<name>, <b and c>, <3, < br>, <>",
            "https://x.org/?a=1&copy=2&lt",
            "R&D; AT&T; &unknown; &; &#; &#x; &#0; &#+65;",
            "é & è",
        ] {
            assert_eq!(first(text), None, "{text}");
        }
    }
}
