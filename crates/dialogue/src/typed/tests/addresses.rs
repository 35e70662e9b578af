use super::{check, dialogue_of};

const AT: &str = "2026-11-30T11:00:00Z";

#[test]
fn email_addresses() {
    let dialogue = dialogue_of("{type: email}");
    check(
        &dialogue,
        AT,
        &[
            (
                "en",
                "write to Zoe.X+tag@Mail.Example.COM.",
                &["Zoe.X+tag@Mail.Example.COM => Zoe.X+tag@mail.example.com"],
            ),
            (
                "fr",
                "écrivez à zoé@exemple.fr, <a_b@c-d.org>;'x@y.eu'",
                &[
                    "zoé@exemple.fr => zoé@exemple.fr",
                    "a_b@c-d.org => a_b@c-d.org",
                    "x@y.eu => x@y.eu",
                ],
            ),
            ("en", "a@b.com@c.com", &["a@b.com => a@b.com"]),
            ("en", "a@b, @b.com, a..b@c.com, a@-b.com, a@b.c, a @b.com, @@, a@b..com", &[]),
            ("fr", "moi@exemple.com.Merci", &["moi@exemple.com.Merci => moi@exemple.com.merci"]),
        ],
    );
}

#[test]
fn web_addresses() {
    let dialogue = dialogue_of("{type: url}");
    check(
        &dialogue,
        AT,
        &[
            (
                "en",
                "see HTTPS://Example.com/A?b=c#d.",
                &["HTTPS://Example.com/A?b=c#d => https://example.com/A?b=c#d"],
            ),
            (
                "en",
                "(www.example.org/a_(b)), shop.fr",
                &[
                    "www.example.org/a_(b) => https://www.example.org/a_(b)",
                    "shop.fr => https://shop.fr",
                ],
            ),
            (
                "en",
                "http://example.com:8080/x, 3com.com",
                &[
                    "http://example.com:8080/x => http://example.com:8080/x",
                    "3com.com => https://3com.com",
                ],
            ),
            ("en", "me@example.com, read.me, e.g. this, file.pdf, v1.2, https://", &[]),
        ],
    );
}
