"""Grammars of the test split: templates and words that differ from those in `grammars`.

Every template starts with a word that starts no sentence of `grammars`, so the splits share no sentence.
"""

from .grammars import Grammar, phrases

HELDOUT_GRAMMARS = {
    "en": Grammar(
        templates=(
            "Yesterday {who} {did} {what}.",
            "Could you tell {who} that we need {what}?",
            "One day, {who} {did} {what} {place}.",
            "Imagine, {who} {did} {what} again!",
            "There was {what} {place}, so {who} came in.",
        ),
        slots={
            "who": phrases(
                "the captain|a famous singer|my grandmother|the woman next door|Oliver|that boy|our new doctor|Miriam"
            ),
            "did": phrases("dropped|borrowed|painted over|remembered|gave away|measured|poured out|picked up"),
            "what": phrases(
                "a purple pumpkin|the broken lamp|seven green bottles|half of the money|a photo of the beach"
                "|the first chapter|a bag of flour|some beautiful music|a pile of wood"
            ),
            "place": phrases("near the harbour|in the attic|on the way to work|across the field|at the bus stop"),
        },
    ),
    "de": Grammar(
        templates=(
            "Gestern hat {who} {what} {did}.",
            "Könnten wir {what} {place} lassen?",
            "Leider hat {who} {what} {did}, sogar {place}.",
            "Stellen Sie sich vor, {who} hat {what} {did}!",
        ),
        slots={
            "who": phrases(
                "der Kapitän|eine bekannte Sängerin|meine Oma|die Nachbarin|Oliver|dieser Junge|unsere Ärztin|Miriam"
            ),
            "did": phrases("verloren|geborgt|bemalt|mitgebracht|verschenkt|gemessen|aufgehoben|beobachtet"),
            "what": phrases(
                "einen Kürbis|die kaputte Lampe|sieben grüne Flaschen|das halbe Geld|ein Foto vom Strand"
                "|das erste Kapitel|einen Sack Mehl|wunderbare Musik|einen Haufen Holz"
            ),
            "place": phrases("am Hafen|auf dem Dachboden|unterwegs|quer über die Wiese|an der Haltestelle"),
        },
    ),
    "fr": Grammar(
        templates=(
            "Hier, {who} a {did} {what}.",
            "Pourriez-vous donner {what}, demande {who}.",
            "Hélas, {who} a {did} {what} {place}.",
            "Imaginez, {who} a {did} {what}!",
        ),
        slots={
            "who": phrases(
                "le capitaine|une grande chanteuse|ma grand-mère|la voisine|Olivier|ce garçon|notre médecin|Myriam"
            ),
            "did": phrases("perdu|emprunté|repeint|rapporté|offert|mesuré|ramassé|observé"),
            "what": phrases(
                "une citrouille|la lampe cassée|sept bouteilles vertes|la moitié de l'argent|une photo de la plage"
                "|le premier chapitre|un sac de farine|une belle musique|un tas de bois"
            ),
            "place": phrases("au port|au grenier|en chemin|à travers champs|à l'arrêt du bus"),
        },
    ),
    "es": Grammar(
        templates=(
            "Ayer {who} {did} {what}.",
            "Podría darme {what}, pide {who}.",
            "Anoche, {who} {did} {what} {place}.",
            "Imagínate, {who} {did} {what}!",
        ),
        slots={
            "who": phrases(
                "el capitán|una gran cantante|mi abuela|la chica de al lado|Oliver|ese muchacho|nuestra doctora|Míriam"
            ),
            "did": phrases("perdió|tomó|rompió|recordó|regaló|midió|recogió|observó"),
            "what": phrases(
                "una calabaza|la lámpara rota|siete botellas verdes|la mitad del dinero|una foto de la playa"
                "|el primer capítulo|un saco de harina|una música bonita|un montón de leña"
            ),
            "place": phrases("en el puerto|en el desván|por el camino|a través del campo|en la parada"),
        },
    ),
    "it": Grammar(
        templates=(
            "Ieri {who} ha {did} {what}.",
            "Potrebbe portare {what}, chiede {who}.",
            "Purtroppo, {who} ha {did} {what} {place}.",
            "Immagina, {who} ha {did} {what}!",
        ),
        slots={
            "who": phrases(
                "il capitano|una grande cantante|mia nonna|la ragazza accanto|Oliviero|quel bambino|il medico|Miriam"
            ),
            "did": phrases("perso|preso|rotto|ricordato|regalato|misurato|raccolto|osservato"),
            "what": phrases(
                "una zucca|la lampada rotta|sette bottiglie verdi|metà dei soldi|una foto della spiaggia"
                "|il primo capitolo|un sacco di farina|una bella musica|un mucchio di legna"
            ),
            "place": phrases("al porto|in soffitta|per strada|attraverso il campo|alla fermata"),
        },
    ),
    "pt": Grammar(
        templates=(
            "Ontem {who} {did} {what}.",
            "Poderia trazer {what}, pede {who}.",
            "Infelizmente, {who} {did} {what} {place}.",
            "Imagine, {who} {did} {what}!",
        ),
        slots={
            "who": phrases(
                "o capitão|uma grande cantora|minha avó|a moça ao lado|Olavo|esse menino|nossa médica|Miriam"
            ),
            "did": phrases("perdeu|pegou|quebrou|lembrou|ofereceu|mediu|recolheu|observou"),
            "what": phrases(
                "uma abóbora|a lâmpada velha|sete garrafas verdes|metade do dinheiro|uma foto da praia"
                "|o primeiro capítulo|um saco de farinha|uma bela música|um monte de lenha"
            ),
            "place": phrases("no porto|no sótão|no caminho|pelo campo|no ponto de ônibus"),
        },
    ),
}
