"""What the page of a report says below its titles."""

from .side_by_side import MAX_SHOWN_S

ABOUT_SYSTEMS = (
    "Mean over clips, with its 95&nbsp;% bootstrap interval; measures over all clips at once have none. ↑ higher is"
    " better, ↓ lower is better, → nearer to that number is better. The best system of a row is bold, whether or not"
    " its lead is more than chance."
)
ABOUT_TESTS = (
    "First system less second, on the clips that both have. <i>p</i> is that of the two-sided paired test by flipped"
    " signs. It is not adjusted for the number of measures and systems: of 20 rows without any true difference, one is"
    " expected below 0.05."
)
ABOUT_FIGURES = (
    "Boxes reach from the first to the third quartile over clips, with the median in them; whiskers to the last clip"
    " within 1.5 times that length. Every point is a clip."
)
ABOUT_CLIPS = (
    "Below each video its painted part is magnified: the lower half of the face, the same part for every system. At"
    f" most {MAX_SHOWN_S} seconds are shown. A gray panel means that there is no video."
)
ABOUT_PUBLISHED = (
    "Data and protocols differ from paper to paper and from this evaluation, also where the measure has the same name."
    " So these numbers do not compare, unless the data and the protocol of a row are those used here."
)
