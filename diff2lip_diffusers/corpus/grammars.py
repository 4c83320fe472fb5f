"""Grammars of the training split: our own sentences as templates, one `Grammar` per language.

Every way to fill a template is a sentence. The phrases of a slot fit wherever the slot is used: subjects are third
person singular with their article, actions are a verb with everything that its grammar needs.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grammar:
    """A set of sentences.

    Attributes:
        templates: sentences with `{slot}`s.
        slots: the phrases for each slot.
    """

    templates: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]


def phrases(text: str) -> tuple[str, ...]:
    """The phrases of a text that are separated by bars."""
    return tuple(phrase.strip() for phrase in text.split("|"))


GRAMMARS = {
    "en": Grammar(
        templates=(
            "{who} {does} {what} {when}.",
            "{opener}, {who} {does} {what}.",
            "I think {who} {does} {what}, and {who} {goes}.",
            "Does it matter that {who} {goes} {when}?",
            "We saw {what} {where}, and then {who} {goes}.",
            "Please put {what} {where}, before {who} {goes}.",
            "{when}, {who} {goes}. Nobody {does} {what}.",
        ),
        slots={
            "who": phrases(
                "my mother|your brother|the old farmer|a young painter|our teacher|the woman from the bakery|Bobby"
                "|every good cook|the man with the umbrella|Pamela|her uncle|the postman|somebody|a friend of mine"
            ),
            "does": phrases(
                "buys|paints|brings home|forgets about|talks about|moves|opens|wants to repair|looks for|would love"
                "|always finds|photographs|cannot do without|wraps up"
            ),
            "what": phrases(
                "five apples|the big blue boat|a warm coat|some fresh bread|the map of the village|a bowl of soup"
                "|two pairs of shoes|the wooden table|a very small mouse|the morning paper|a basket of plums"
                "|the piano|a cup of coffee|everything on the shelf"
            ),
            "when": phrases(
                "before breakfast|on Monday morning|after the film|every other week|in the middle of the winter"
                "|as often as possible|at half past four|when the moon is up|once a month|while the baby sleeps"
            ),
            "where": phrases(
                "by the window|under the bridge|on top of the fridge|in front of the museum|behind the house"
                "|beside the pool|at the market|in a box"
            ),
            "goes": phrases(
                "goes home|falls asleep|waves goodbye|begins to laugh|walks over the hill|feels much better"
                "|comes back from the farm|leaves for Paris|shows up with a smile|moves to the coast"
            ),
            "opener": phrases(
                "By the way|To be honest|For the moment|As far as I know|Believe it or not|Most of the time"
                "|If I remember well|Of course|Perhaps|On the whole"
            ),
        },
    ),
    "de": Grammar(
        templates=(
            "{who} {does} {what}.",
            "{opener}, dass {who} morgen {what} mitbringt.",
            "{when} {does} {who} {what}.",
            "Wir sahen {what} {where}, und dann kam {who}.",
            "Ich frage mich, ob {who} {what} {where} vergisst.",
            "Bitte stell {what} {where}, bevor {who} kommt.",
            "{who} {does} {what}, aber niemand {does} es {where}.",
        ),
        slots={
            "who": phrases(
                "meine Mutter|dein Bruder|der alte Bauer|eine junge Malerin|unser Lehrer|die Frau vom Bäcker|Paul"
                "|mein bester Freund|der Mann mit dem Hut|Barbara|ihr Onkel|der Postbote|jemand aus Bremen|mein Opa"
            ),
            "does": phrases(
                "kauft|malt|bringt|vergisst|bewundert|öffnet|holt|repariert|findet|fotografiert|liebt|sucht"
            ),
            "what": phrases(
                "fünf Äpfel|das blaue Boot|einen warmen Mantel|frisches Brot|die Karte vom Dorf|eine Schüssel Suppe"
                "|zwei Paar Schuhe|den großen Tisch|eine kleine Maus|die Zeitung|einen Korb voll Pflaumen|das Klavier"
                "|eine Tasse Kaffee|ein paar schöne Blumen"
            ),
            "when": phrases(
                "Am Montag|Vor dem Frühstück|Nach dem Film|Jede zweite Woche|Mitten im Winter|Um halb vier"
                "|Einmal im Monat|Bei Vollmond|So oft wie möglich|Über die Feiertage"
            ),
            "where": phrases(
                "am Fenster|unter der Brücke|auf dem Balkon|vor dem Museum|hinter dem Haus|neben dem Ofen"
                "|auf dem Markt|im Keller"
            ),
            "opener": phrases(
                "Ich glaube|Es freut mich|Man sagt|Wir hoffen|Es kann sein|Ich weiß genau|Alle meinen|Sie behauptet"
            ),
        },
    ),
    "fr": Grammar(
        templates=(
            "{who} {does} {what}.",
            "{opener}, {who} {does} {what} {where}.",
            "{when}, {who} {does} {what}.",
            "Nous avons vu {what} {where}, puis {who} est venu.",
            "Je me demande si {who} {does} {what}.",
            "Pose {what} {where}, avant que {who} parte.",
            "{who} {does} {what}, mais personne ne le sait {where}.",
        ),
        slots={
            "who": phrases(
                "ma mère|ton frère|le vieux fermier|une jeune peintre|notre professeur|la femme du boulanger|Paul"
                "|mon meilleur ami|l'homme au parapluie|Babette|son oncle|le facteur|quelqu'un|mon voisin"
            ),
            "does": phrases(
                "achète|peint|apporte|oublie|admire|ouvre|cherche|répare|trouve|photographie|aime beaucoup|prépare"
            ),
            "what": phrases(
                "cinq pommes|le grand bateau bleu|un manteau chaud|du pain frais|la carte du village|un bol de soupe"
                "|deux paires de chaussures|la table en bois|une petite souris|le journal du matin|un panier de prunes"
                "|le piano|une tasse de café|beaucoup de fleurs"
            ),
            "when": phrases(
                "lundi matin|avant midi|après le film|chaque semaine|au milieu de l'hiver|vers quatre heures"
                "|une fois par mois|pendant les vacances|le plus souvent possible|en septembre"
            ),
            "where": phrases(
                "près de la fenêtre|sous le pont|sur le balcon|devant le musée|derrière la maison|à côté du four"
                "|au marché|dans une boîte"
            ),
            "opener": phrases(
                "à mon avis|pour le moment|bien sûr|d'habitude|par bonheur|à vrai dire|si je me souviens bien|parfois"
            ),
        },
    ),
    "es": Grammar(
        templates=(
            "{who} {does} {what}.",
            "{opener}, {who} {does} {what} {where}.",
            "{when}, {who} {does} {what}.",
            "Vimos {what} {where}, y luego vino {who}.",
            "Me pregunto si {who} {does} {what}.",
            "Pon {what} {where}, antes de que venga {who}.",
            "{who} {does} {what}, pero nadie lo sabe {where}.",
        ),
        slots={
            "who": phrases(
                "mi madre|tu hermano|el viejo pescador|una pintora joven|nuestro maestro|la mujer del panadero|Pablo"
                "|mi mejor amigo|el hombre del paraguas|Amparo|su primo|el bombero|alguien|mi vecina"
            ),
            "does": phrases("compra|pinta|trae|olvida|admira|abre|busca|repara|encuentra|fotografía|prepara|limpia"),
            "what": phrases(
                "cinco manzanas|el barco azul|un abrigo caliente|pan fresco|el mapa del pueblo|un plato de sopa"
                "|dos pares de zapatos|la mesa de madera|un ratón pequeño|el periódico|una cesta de uvas|el piano"
                "|una taza de café|muchas flores"
            ),
            "when": phrases(
                "el lunes por la mañana|antes del mediodía|después de la película|cada semana|en pleno invierno"
                "|a las cuatro y media|una vez al mes|durante las fiestas|siempre que puede|en septiembre"
            ),
            "where": phrases(
                "junto a la ventana|bajo el puente|en el balcón|frente al museo|detrás de la casa|al lado del horno"
                "|en el mercado|en una caja"
            ),
            "opener": phrases(
                "en mi opinión|por el momento|por supuesto|normalmente|por suerte|a decir verdad|si bien recuerdo"
                "|a veces"
            ),
        },
    ),
    "it": Grammar(
        templates=(
            "{who} {does} {what}.",
            "{opener}, {who} {does} {what} {where}.",
            "{when}, {who} {does} {what}.",
            "Abbiamo visto {what} {where}, poi è arrivato {who}.",
            "Mi chiedo se {who} {does} {what}.",
            "Metti {what} {where}, prima che arrivi {who}.",
            "{who} {does} {what}, ma nessuno lo sa {where}.",
        ),
        slots={
            "who": phrases(
                "mia madre|tuo fratello|il vecchio pescatore|una giovane pittrice|il nostro maestro|il fornaio|Paolo"
                "|il mio migliore amico|l'uomo con l'ombrello|Bianca|suo cugino|il postino|qualcuno|la mia vicina"
            ),
            "does": phrases("compra|dipinge|porta|dimentica|ammira|apre|cerca|ripara|trova|fotografa|prepara|pulisce"),
            "what": phrases(
                "cinque mele|la barca blu|un cappotto caldo|pane fresco|la mappa del paese|un piatto di zuppa"
                "|due paia di scarpe|il tavolo di legno|un topo piccolo|il giornale|un cesto di uva|il pianoforte"
                "|una tazza di caffè|molti fiori"
            ),
            "when": phrases(
                "lunedì mattina|prima di mezzogiorno|dopo il film|ogni settimana|in pieno inverno|alle quattro e mezza"
                "|una volta al mese|durante le feste|appena può|a settembre"
            ),
            "where": phrases(
                "vicino alla finestra|sotto il ponte|sul balcone|davanti al museo|dietro la casa|accanto al forno"
                "|al mercato|in una scatola"
            ),
            "opener": phrases(
                "secondo me|per il momento|di sicuro|di solito|per fortuna|a dire il vero|se ricordo bene|a volte"
            ),
        },
    ),
    "pt": Grammar(
        templates=(
            "{who} {does} {what}.",
            "{opener}, {who} {does} {what} {where}.",
            "{when}, {who} {does} {what}.",
            "Vimos {what} {where}, e depois veio {who}.",
            "Eu pergunto se {who} {does} {what}.",
            "Ponha {what} {where}, antes que venha {who}.",
            "{who} {does} {what}, mas ninguém sabe disso {where}.",
        ),
        slots={
            "who": phrases(
                "minha mãe|seu irmão|o velho pescador|uma jovem pintora|nosso professor|a mulher do padeiro|Paulo"
                "|meu melhor amigo|o homem da sombrinha|Bianca|seu primo|o bombeiro|alguém|minha vizinha"
            ),
            "does": phrases("compra|pinta|traz|esquece|admira|abre|procura|conserta|encontra|fotografa|prepara|limpa"),
            "what": phrases(
                "cinco maçãs|o barco azul|um casaco quente|pão fresco|o mapa da vila|um prato de sopa"
                "|dois pares de sapatos|a mesa de madeira|um rato pequeno|o jornal|uma cesta de uvas|o piano"
                "|uma xícara de café|muitas flores"
            ),
            "when": phrases(
                "na segunda de manhã|antes do almoço|depois do filme|toda semana|no meio do inverno|às quatro e meia"
                "|uma vez por mês|durante as férias|sempre que pode|em setembro"
            ),
            "where": phrases(
                "perto da janela|embaixo da ponte|na varanda|em frente ao museu|atrás da casa|ao lado do forno"
                "|no mercado|numa caixa"
            ),
            "opener": phrases(
                "na minha opinião|por enquanto|com certeza|normalmente|por sorte|para falar a verdade|se bem me lembro"
                "|às vezes"
            ),
        },
    ),
}
