//! Searchable tables: the script of a page, and the fields that it works on.
//!
//! Without the script (an old browser, a strict mail program) the page shows the full tables without search fields.

use super::html::escape;

/// The digest of [`SCRIPT`] in the security policy of a page; a test compares the two.
pub(super) const SCRIPT_SHA256: &str = "sha256-XQtnUfRnPOFzAIWdsXbqnNSczNpLFhYbiY/DwdLuKo8=";

/// The script that searches rows by words and by the values of some columns. It makes no network request.
pub(super) const SCRIPT: &str = r#"'use strict';
const plain = text => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
const browsers = [...document.querySelectorAll('.browser')].map(box => {
  const rows = [...box.querySelectorAll('tbody tr')].map(row => ({
    row, words: plain(row.textContent), cells: [...row.cells].map(cell => cell.textContent)
  }));
  const form = box.querySelector('form'), search = form.querySelector('input');
  const picks = [...form.querySelectorAll('select')], summary = form.querySelector('output');
  const groups = [...box.querySelectorAll('details')], tables = [...box.querySelectorAll('tbody')];
  const more = form.querySelector('button[type=button]');
  let most = +box.dataset.most || Infinity;
  for (const pick of picks) {
    const at = +pick.dataset.column;
    for (const value of [...new Set(rows.map(row => row.cells[at]))].sort()) pick.add(new Option(value, value));
  }
  const show = () => {
    const words = plain(search.value).split(/\s+/).filter(Boolean);
    let n = 0;
    for (const { row, words: text, cells } of rows) {
      const fits = words.every(word => text.includes(word))
        && picks.every(pick => !pick.value || cells[+pick.dataset.column] === pick.value);
      row.hidden = !fits;
      n += fits;
    }
    // No search is active: show the first rows of each table.
    const isLong = n === rows.length && tables.some(body => body.rows.length > most);
    if (isLong) for (const body of tables) [...body.rows].slice(most).forEach(row => { row.hidden = true; });
    more.hidden = !isLong;
    for (const group of groups) {
      const there = group.querySelector('tbody tr:not([hidden])');
      group.hidden = !there && rows.length > 0;
      if (words.length && there) group.open = true;
    }
    summary.textContent = n === rows.length ? `${n} rows` : `${n} of ${rows.length} rows`;
  };
  form.addEventListener('input', show);
  form.addEventListener('submit', event => event.preventDefault());
  form.addEventListener('reset', () => setTimeout(show));
  more.addEventListener('click', () => { most = Infinity; show(); });
  form.hidden = false;
  show();
  const all = () => { most = Infinity; form.reset(); show(); };
  return { box, picks, form, show, all };
});
for (const link of document.querySelectorAll('a[data-pick]')) {
  link.addEventListener('click', () => {
    const values = JSON.parse(link.dataset.pick);
    const { form, picks, show } = browsers.find(({ box }) => box.id === link.dataset.browser);
    form.reset();
    picks.forEach((pick, at) => { pick.value = values[at]; });
    show();
  });
}
addEventListener('beforeprint', () => browsers.forEach(({ all }) => all()));
"#;

/// Returns `html`, which contains tables, with fields that search their rows. `id` names the box, `label` the search
/// field.
///
/// Each of `picks` is the heading of a column and its index from 0; a menu filters by the values of that column. The
/// first `most` rows of each table are shown until the user searches or shows all rows.
pub(super) fn browser(
    id: &str,
    label: &str,
    picks: &[(&str, usize)],
    most: Option<usize>,
    html: &str,
) -> String {
    let picks: String = picks
        .iter()
        .map(|(name, column)| {
            format!(
                "<label>{} <select data-column=\"{column}\"><option value=\"\">any</option></select></label>",
                escape(name)
            )
        })
        .collect();
    let most = most.map_or_else(String::new, |most| format!(" data-most=\"{most}\""));
    format!(
        "<div class=\"browser\" id=\"{}\"{most}><form role=\"search\" hidden><label>{} \
         <input type=\"search\" autocomplete=\"off\" spellcheck=\"false\"></label>{picks}\
         <button type=\"reset\">Clear</button><button type=\"button\" hidden>Show all rows</button><output aria-live=\"polite\"></output></form>\n{html}</div>",
        escape(id),
        escape(label),
    )
}

/// Returns the attributes of a link that chooses `values` in the fields of the browser `id`.
pub(super) fn pick(id: &str, values: &[&str]) -> String {
    let values = serde_json::to_string(values).expect("texts are valid JSON");
    format!("data-browser=\"{}\" data-pick=\"{}\"", escape(id), escape(&values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::Digest;

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for part in bytes.chunks(3) {
            let mut three = [0; 3];
            three[..part.len()].copy_from_slice(part);
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for at in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63] as char;
                out.push(if at <= part.len() { digit } else { '=' });
            }
        }
        out
    }

    #[test]
    fn the_policy_contains_the_digest_of_the_script() {
        assert_eq!(base64(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
        assert_eq!(
            SCRIPT_SHA256,
            format!("sha256-{}", base64(Digest::of(SCRIPT.as_bytes()).as_bytes()))
        );
    }

    #[test]
    fn user_text_stays_inside_the_attribute() {
        let html = pick("errors", &["<b> \"x\"", "l'un"]);
        assert_eq!(
            html,
            "data-browser=\"errors\" data-pick=\"[&quot;&lt;b&gt; \\&quot;x\\&quot;&quot;,&quot;l&#39;un&quot;]\""
        );
    }
}
