//! Detection of English and French by function words, elisions, letters and endings.

use super::normal::{is_word_char, normalised_beginning};

/// The characters of a text that are read: more evidence changes nothing.
const LONGEST: usize = 2_000;

/// Words that are (almost) only English: the most frequent words first, then words common in customer messages.
const ENGLISH: &str = "\
    the and to of is it you that was for are with his they at be this have from or had by but what were \
    we when your can there an which she do how their if will up about out them then these so some her \
    would make like him into has more could my than been who its now did get got made may why where \
    still just not no yes hi hello hey please pls plz thanks thank thx need want help i am im ive isnt \
    cant dont didnt doesnt wont whats wheres don doesn didn isn wasn haven hasn won couldn shouldn me us \
    our any does should being because after before again already yet never every always only also too \
    very much many one two three first last day days week weeks ago today yesterday tomorrow month time \
    here back account order orders ordered parcel package delivery shipping shipped arrive arrived \
    tracking track refund refunded return returned bill billing invoice charged charge charges payment \
    pay paid card password login log email address change reset cancel broken damaged wrong item items \
    size color money receive received send sent buy bought working work works screen app update website \
    phone battery warranty stock price cost customer service rude agent terrible awful speak manager \
    complaint waiting late tell know use open close turn off on keeps keep says say good bad new old \
    free as weather joke whose someone something anything nothing left see give take find look think go \
    going come came over fix issue error called call name number sign locked lost forgot missing twice \
    total discount shoes jacket laptop charger fit until since while";

/// The same for French, also without accents, as people often type.
const FRENCH: &str = "\
    le la les un une des du de et est il elle je tu nous vous ils elles que qui quoi dans en pour pas \
    plus par sur avec ce cet cette ces mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs \
    au aux ou où mais donc car ne ni si se me moi toi lui eux suis es sont sommes ai as avez avons ont a \
    à été ete être etre avoir fait faire fais faut peut peux puis pouvez veux voudrais voulez dois doit \
    comment combien quand quel quelle quels quelles pourquoi parce comme tout tous toute toutes rien \
    jamais toujours encore déjà deja très tres trop bien mal aussi alors depuis avant après apres \
    pendant chez sans sous entre vers oui non bonjour bonsoir salut slt bjr merci svp stp plait plaît \
    aide aidez besoin ça ca cela c j l d n qu jusqu lorsqu puisqu quelqu aujourd hui hier demain jour \
    jours semaine semaines mois fois deux trois quatre cinq compte commande commandes commandé colis \
    livraison livré livrée livre livreur recu reçu reçue recois reçois recevoir suivi suivre \
    remboursement rembourser remboursé rembourse retour retourner renvoyer échange echange échanger \
    facture factures facturé prélèvement prelevement prélevé paiement payer payé carte argent mot passe \
    connexion connecter adresse changer annuler cassé casse abîmé abime mauvais mauvaise article \
    articles taille couleur envoyer envoyé acheté achete acheter marche fonctionne écran ecran appli \
    site téléphone telephone batterie garantie prix coûte coute client clients inadmissible honte \
    scandaleux nul nulle attends attendre attente retard dire sais savoir ouvrir fermer erreur perdu \
    oublié oublie numéro numero chaussures veste ordinateur chargeur vais va vont aller était etait sera \
    serait quelque chose personne autre autres même meme point pb problème probleme mdp tjs rdv dispo \
    disponible stock blague météo meteo temps bon bonne neuf neuve magasin marre mdr boutique service \
    gratuit euros delai délai frais y";

/// The weight of each kind of evidence: roughly the logarithm of its odds, set by hand and not fitted.
const FUNCTION_WORD: i32 = 2;
const ELISION: i32 = 3;
const ACCENT: i32 = 2;
const ENDING: i32 = 1;

/// Returns `en` or `fr`, whichever the words of `text` are evidence for; `None` if the evidence is balanced or missing.
///
/// Evidence is a function word of one language, an elision (`j'ai`, `qu'il`; `don't`, `it's`), an accented letter of
/// French, or an ending (`-ing`, `-ement`). A word of both languages counts for both. Numbers, emoji and other scripts
/// are no evidence.
#[must_use]
pub fn detect_language(text: &str) -> Option<&'static str> {
    match leaning(text) {
        0 => None,
        1.. => Some("en"),
        _ => Some("fr"),
    }
}

/// Returns the evidence for English (above 0) or French (below 0) in `text`, roughly as the logarithm of the odds.
///
/// Of a long text, the first 2,000 characters are read.
pub fn leaning(text: &str) -> i32 {
    let text = normalised_beginning(text, LONGEST);
    let mut balance = 0_i32;
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c| is_word_char(c, false)) {
        let is_separate = rest[..start].chars().next_back().is_none_or(ends_a_word);
        let tail = &rest[start..];
        let length = tail.find(|c| !is_word_char(c, true)).unwrap_or(tail.len());
        let (word, after) = tail.split_at(length);
        let next = after
            .strip_prefix('\'')
            .map(|next| next.split(|c| !is_word_char(c, true)).next().unwrap_or_default());
        // A single letter is a word only before an apostrophe and another word, or on its own: not in `/C`, `$n`, `d'`.
        let is_word = match next {
            Some(next) => !next.is_empty(),
            None => is_separate,
        };
        if is_word || word.chars().nth(1).is_some() {
            balance += vote(word, next);
        }
        rest = after;
    }
    balance
}

/// Returns whether a word may begin directly after `c`.
fn ends_a_word(c: char) -> bool {
    c.is_whitespace()
        || is_word_char(c, true)
        || matches!(c, '\'' | '"' | '«' | '(' | ',' | '.' | '!' | '?' | ':' | ';' | '-')
}

/// Returns the evidence of `word`, above 0 for English; `next` is the word that follows it after an apostrophe.
fn vote(word: &str, next: Option<&str>) -> i32 {
    if let Some(next) = next.filter(|next| !next.is_empty()) {
        if matches!(word, "j" | "l" | "d" | "c" | "n" | "m" | "t" | "s" | "qu" | "jusqu" | "lorsqu")
            && next.len() > 1
        {
            return -ELISION;
        }
        if matches!(next, "s" | "t" | "m" | "re" | "ve" | "ll" | "d") && word.len() > 1
            || word == "i"
        {
            return ELISION;
        }
    }
    let mut balance = 0;
    if contains(&SORTED.english, word) {
        balance += FUNCTION_WORD;
    }
    if contains(&SORTED.french, word) {
        balance -= FUNCTION_WORD;
    }
    if word.chars().any(|c| "éèêëàâçùûîïôœ".contains(c)) {
        balance -= ACCENT;
    }
    if balance == 0 && word.len() > 4 {
        if ["ing", "ght", "ed", "ly", "ness", "ck", "ould", "sh", "wn"]
            .iter()
            .any(|e| word.ends_with(e))
        {
            balance += ENDING;
        }
        if [
            "ment", "eux", "euse", "ais", "ait", "ez", "ons", "eur", "ique", "aux", "oir", "ette",
            "er", "ees",
        ]
        .iter()
        .any(|e| word.ends_with(e))
            && !["ever", "ther", "ons", "ter"].iter().any(|e| word.ends_with(e))
        {
            balance -= ENDING;
        }
        if word.contains("th") || word.contains('w') || word.contains("ee") || word.contains("oo") {
            balance += ENDING;
        }
        if word.contains("eau") || word.contains("ou") && word.contains('j') || word.contains("qu")
        {
            balance -= ENDING;
        }
    }
    balance
}

struct Lists {
    english: Vec<&'static str>,
    french: Vec<&'static str>,
}

static SORTED: std::sync::LazyLock<Lists> = std::sync::LazyLock::new(|| {
    let sorted = |words: &'static str| {
        let mut words: Vec<&str> = words.split(' ').collect();
        words.sort_unstable();
        words
    };
    Lists { english: sorted(ENGLISH), french: sorted(FRENCH) }
});

fn contains(sorted: &[&str], word: &str) -> bool {
    sorted.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_customer_messages_are_recognized() {
        for text in [
            "where is my parcel?",
            "WHERE IS MY ORDER",
            "refund pls",
            "can't log in",
            "I'm locked out",
            "it's broken",
            "Do you ship to Canada?",
            "the café charger stopped working",
            "cancel",
            "wheres my stuff",
            "hello",
            "My invoice is wrong, I was charged twice",
            "battery dies quickly",
            "thx",
        ] {
            assert_eq!(detect_language(text), Some("en"), "{text}");
        }
        for text in [
            "où est mon colis ?",
            "ou est mon colis",
            "OU EST MA COMMANDE",
            "remboursement svp",
            "j'ai oublié mon mot de passe",
            "jai pas recu ma commande",
            "l’écran est cassé",
            "C'est inadmissible !",
            "bonjour",
            "je veux annuler",
            "ma facture est fausse",
            "la batterie se vide trop vite",
            "pouvez vous m'aider",
            "merci",
            "Est-ce que vous livrez au Canada",
            "d'accord",
            "c est pas bon",
            "bah,c bon",
        ] {
            assert_eq!(detect_language(text), Some("fr"), "{text}");
        }
    }

    #[test]
    fn texts_without_evidence_have_no_language() {
        for text in [
            "",
            "12345",
            "🙂👍",
            "?!",
            "ok",
            "Привет",
            "你好",
            "FR-20451998",
            "=cmd|' /C calc'!A0",
            "d' 12 'c'",
            "/d/l",
        ] {
            assert_eq!(detect_language(text), None, "{text}");
        }
    }
}
