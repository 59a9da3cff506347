"""The words that ``complexity`` goes by: English, German, French, Spanish. Data, edited by alternatives; no rules here.

A cue that is added belongs to how people ask in general: never tune it on the odd lines of ``bench/routing``, which measure it.
"""

import re
from functools import cached_property


class Cue:
    """A pattern, compiled when it is first looked for: together they take 20 ms, and few projects route by them."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._source = pattern, flags

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(*self._source)

    def search(self, text: str) -> bool:
        """Whether it is anywhere in the text."""
        return self._pattern.search(text) is not None

    def begins(self, text: str) -> bool:
        """Whether the text begins with it."""
        return self._pattern.match(text) is not None

    def all(self, text: str) -> list[str]:
        """Every place, as it is written there."""
        return [hit[0] for hit in self._pattern.finditer(text)]


def _alternatives(text: str) -> str:
    return "".join(line.strip() for line in text.splitlines())


def _any(text: str) -> Cue:
    """One of the alternatives, as whole words anywhere."""
    return Cue(rf"(?<!\w)(?:{_alternatives(text)})(?!\w)", re.IGNORECASE)


def _opening(text: str) -> Cue:
    """The message begins with one of the alternatives, after words of courtesy."""
    return Cue(rf"\W*(?:{_COURTESY})*(?:{_alternatives(text)})(?!\w)", re.IGNORECASE)


_COURTESY = "please |bitte |can you |could you |tell me |now |hey,? "

HARD = _any(
    r"""
    prove[ns]?|proofs?|disprove|refute|derive|beweis\w*|widerleg\w*|herleit\w*|leite .{3,40} her|d[ée]montr\w*|
    prouve[rz]?|demuestr\w*|demostr\w*|(?:re)?design (?:a|an|the|our|and|me)|architect(?:ure)?|entw[iue]rf\w*|
    entwickle|con[cç]oi[st]|concev\w+|dise[ñn]\w+|arquitectura|debug|diagnose|troubleshoot|root causes?|
    race conditions?|deadlocks?|leaks?|intermittent(?:ly)?|flaky|hangs|crash(?:es|ed)?|ursachen?analyse|fehlersuche|
    trade-?offs?|cost-benefit|threat model|post-?mortem|roadmap|lock-free|linearizab\w+|abw[äa]g\w*|gutachten|
    (?:business|go-to-market|migration|rollout|marketing|recovery|training|project) (?:plan|strategy)|
    migrations?(?:plan|konzept)|synthesi[sz]e|reconcile|cross-reference|critically|contradict\w*|widerspr[uü]\w*|
    contradic\w+|stress-test
    """
)
"""Alone enough for *complex*."""

DEMANDING = _any(
    r"""
    analy[sz]e\w*|analysis|analiza\w*|evaluate|assess|bewerte\w*|[ée]value[rz]?|eval[uú]a\w*|investigate|critique|
    argue|justify|begr[uü]nd\w*|justifi\w+|strateg(?:y|ies|ie)|plane|planen?|planifi\w+|refactor|optimi[sz]e\w*|
    optimier\w*|migrate|implement\w*|integrate|schedule|allocate|distributed|concurren(?:t|cy)|fault[- ]tolerant|
    scalab\w+|multi-?tenant|consensus|thread-?safe|zero[- ]downtime|incremental(?:ly)?|comprehensive|in[- ]depth|
    detailed|rigorous(?:ly)?|thorough(?:ly)?|end-to-end|full|complete|vollst[äa]ndig\w*|complet|completo|multiple|
    several|conflicting|sources|papers|studies|phases?|stakeholders|implications|constraints?|subject to|edge cases|
    proposal|business case|specification|protocol|forecast|simulate|curriculum|syllabus|test plan|konzept|estrategia|
    propuesta|[ée]labor\w+|rollback|failover|consistency|idempoten\w+|invariants?|throughput|guarantees?|negotiat\w+|
    algorithm|complexity|scenarios?|migration|audit|construct|determine|recommend\w*|empfehl\w*|recomm?and\w*|
    recomiend\w*|alternativ\w+|risks?|risiken|riesgos|risques|worst case
    """
)
"""One is *medium*; several together are *complex*."""

STEPS = _any(
    r"""
    explain\w*|erkl[äa]r\w*|expli(?:qu|c)\w*|compar[ea]\w*|vergleich\w*|contrast|differences?|unterschied\w*|
    diff[ée]ren\w+|diferencia\w*|summari[sz]e|summary|sum up|zusammen|zusammenfass\w*|r[ée]sum\w*|describe|
    beschreib\w*|d[ée]cri\w+|describ\w+|discuss|outline|review|pros and cons|why|warum|wieso|pourquoi|por qu[ée]|
    how (?:does|did|could|would|should|come|is|are|can)|wie (?:funktioniert|kann|geht|soll)|comment|c[óo]mo|
    (?:dis)?advantages|benefits|vor- und nachteile|causes?|effects?|impact|history of|walk me|guide|steps?|rechenweg|
    schritt\w*|[ée]tapes?|pasos|draft|write|compose|schreib\w*|verfass\w*|r[ée]dig\w*|[ée]cri\w*|redact\w*|escrib\w*|
    necesito un|create|generate|build|develop|turn (?:this|these)|suggest|propose|advice|advise|tips|ideas|examples?|
    beispiel\w*|ejemplo\w*|exemples?|what (?:should|could|would|can) (?:i|we|be|it)|should (?:i|we)|essay|story|
    article|blog|letter|speech|report|poem|brief|cuento|carta|lettre|solve|probability|step by step|which one|
    what happens|how long|add|extend|improve|extends?|produce|make (?:a|me|it)|give me (?:a|an|\d+|some)|
    show (?:me|the|how)|list \d+|\d+ (?:ideas|tips|ways|reasons|examples)
    """
)
"""Asks for several steps or a paragraph."""

CONSTRAINTS = _any(
    r"""
    must|should|cannot|can't|without|at (?:most|least)|no more than|less than|more than|only|ensure|exactly|nobody|
    nothing|never|not|given that|assum(?:e|ing)|while|unless|except|within|both|each|every|handl(?:es?|ing)|
    support(?:s|ing)?|includ(?:e|ing)|max|min|budget|limit|require(?:s|ments?|d)?|also|then|finally|between \d+|
    under \d+|over \d+|per (?:day|week|month|night|request|second)|muss|m[uü]ssen|soll(?:en)?|darf|d[uü]rfen|ohne|
    h[oö]chstens|mindestens|nur|jede\w*|nicht|kein\w*|sowie|bei|doit|doivent|sans|au (?:plus|moins)|chaque|debe\w*|
    sin|como m[áa]ximo|al menos|cada|m[áa]ximo|m[íi]nimo
    """
)
"""What an answer has to heed."""

SHORT = _any(
    r"""
    (?:in|with|as) (?:one|a single|1) (?:word|sentence|line|number)|one[- ](?:liner|line|sentence|word)|yes or no|
    true or false|ja oder nein|briefly|kurze?|just (?:the|give|tell|answer)|
    (?:only|just) the (?:number|name|answer|result)|in a sentence|quick question|slogan|tagline|headline|
    subject line|tweet|caption|title for|synonyms?|antonyms?|acronym|(?:this|the) (?:sentence|word|phrase|line)
    """
)
"""A sentence or two is wanted."""

MECHANICAL = _opening(
    r"""
    extract|pull|list all|translate|convert|sort|correct|fix (?:the|my|any) (?:typos?|spelling|grammar)|put|rename|
    make this|which of (?:these|the)|reformat|format|capitali[sz]e|uppercase|lowercase|remove|dedup\w*|count|replace|
    classify|label|tag|round|spell|reverse|nur die|[uü]bersetz\w*|korrigier\w*|extrahier\w*|sortier\w*|wandle|
    ersetze?|tradui\w+|traduce|traducir|corrige\w*|extrai\w+|extrae|trie[rz]?|ordena|convert\w+|reemplaza|
    remplace[rz]?
    """
)
"""A mechanical transformation of the text that follows."""

FACT = _opening(
    r"""
    who|when|where|which|what|how (?:many|much|old|far|tall|long|do i|do you|to)|is|are|was|were|does|did|do|can|has|
    define|name|hi|hello|hey|thanks|good (?:morning|evening)|wer|wann|wo|wie|welche\w*|qui|quand|o[ùu]|quel\w*|
    combien|qui[ée]n|cu[áa]ndo|d[óo]nde|cu[áa]l\w*|cu[áa]nt\w+
    """
)
"""A question of fact, or a greeting, where it is short."""

CODE = _any(
    r"""
    python|javascript|typescript|java|kotlin|swift|rust|golang|c\+\+|c#|c(?:11|99|17)|php|ruby|haskell|scala|sql|
    html|css|bash|zsh|powershell|awk|sed|grep|react|django|flask|fastapi|pandas|numpy|node\.?js|pytest|
    postgres(?:ql)?|mysql|sqlite|redis|kubernetes|kubectl|docker(?:file)?|terraform|nginx|merge conflict|
    pull requests?|rebase|commits?|list comprehension|for loop|recursi(?:on|ve)|stored procedure|foreign key|
    webhooks?|yaml|ci pipeline|regex|regular expression|code|codebase|source file|compil\w+|stack ?trace|segfault|
    segmentation fault|null pointer|unit tests?|type hints?|docstrings?|git|linux command|shell|command line|
    terminal|cron(?:job|tab)?|npm|pip|makefile|refactor|api endpoint|linked list|binary (?:search )?tree|ring buffer|
    debug|bugs?|(?:left|inner|outer) joins?|lock-free|mutex|async|coroutines?|goroutines?|functions? (?:that|which)|
    skript|funktion,? die|
    (?:write|implement|create) (?:a|an|the) (?:\w+ ){0,3}(?:function|class|method|query|program|
    script|parser|decorator|endpoint|algorithm)
    """
)
"""Program text or commands."""

MATH = _any(
    r"""
    calculate|compute|solve|equations?|integral|integrate|derivative|differentiate|probability|prove|theorem|lemma|
    matrix|eigenvalues?|berechne\w*|percent(?:age)?|prozent|square root|factori[sz]e|polynomial|triangle|circle|
    radius|perimeter|area of|volume of|prime(?:s| numbers?| factors?)?|sum (?:of|over)|average of|mean of|median|
    standard deviation|logarithm|modulo|divisible|odds of|expected value|interest|gcd|lcm|rechenweg|plus|minus|
    mal \d+|times \d+|divided by|multiplied by|algebra|geometry|combinatorics?|permutations?|convergen\w+|converges?|
    irrational|how many days|how much is|discount|fractions?|average|gleichung|ableitung|wahrscheinlichkeit|
    [ée]quation|ecuaci[óo]n|probabili(?:t[ée]|dad)|por ciento|pour cent|vat|gross|markup|margin|monthly payment|
    convert \d[\d.,]*
    """
)
"""Calculation and proof."""

EXTRACTION = _any(
    r"""
    extract|pull|parse|classify|categori[sz]e|label (?:the|each|this|these)|sentiment|tag (?:the|each|these)|
    dedup\w*|identify (?:all|the|every)|sort|names?,? (?:and|or) (?:dates?|addresses|e-?mails?)|phone numbers?|
    e-?mail addresses|fields|columns|mentioned|appears?|order numbers?|ids|find (?:all|the|every)|
    list (?:all|the|every)|which of (?:these|the following)|into the fields|for every|extrahier\w*|extrae|extrais|
    trace|(?:in|into|to|as|produce) (?:a |valid )?(?:json|csv|yaml|xml|table|key-value)|
    is this (?:review|e-?mail|message|tweet|comment|ticket)|spam|
    from (?:this|the|these|each) (?:following )?(?:text|sentence|paragraph|e-?mail|message|invoice|
    contract|document|transcript|notes|log|thread)s?
    """
)
"""A given text is to be searched or reshaped."""

REASONING = _any(
    r"""
    plan|plane|planen?|planifi\w+|decide|weigh|trade-?offs?|assess|evaluate|argue|strategy|strategies|
    which (?:one|option|constraint|supplier)|should (?:i|we)|better option|options?|offers?|suppliers?|deadlines?|
    contract|legal|risks?|conflicts?|scenario|negotiat\w+|compensation|liab\w+|and why|eligible|valid(?:ity)?|
    entitled|if today|puzzle|riddle|logic(?:al)?|analy[sz]e|schedule|prioriti[sz]e|construct or refute|rules?|policy
    """
)
"""Something is to be weighed, planned or decided."""

WRITING = _any(
    r"""
    write|draft|compose|rewrite|rephrase|paraphrase|proofread|edit|translate|summari[sz]e|summary|shorten|polish|
    reword|tl;dr|schreib\w*|verfass\w*|poem|haiku|limerick|story|essay|article|blog|letter|speech|toast|headline|
    slogan|tagline|tweet|caption|press release|zusammen|mensaje|carta|gutachten|message|note|reply|invitation|
    thank[- ]you|apology|announcement|newsletter|nachricht|antwort|einladung|notiz|courriel|correo|lettre|sum up|
    grammar|spelling|typos?|rechtschreibung|passive voice|active voice|(?:more|less) (?:formal|polite|concise)|tone|
    polite|dialogue|screenplay|lyrics|bio|r[ée]dig\w*|[ée]cri\w*|redact\w*|escrib\w*|tradui\w*|traduc\w*|
    [uü]bersetz\w*|r[ée]sum\w*
    """
)
"""Prose."""

CODE_TEXT = Cue(
    _alternatives(
        r"""
        ```|\bdef \w+\(|\bfunction \w*\(|\bclass \w+[:({]|#include\b|^import \w+|=>|\);|\b\w+\(\)|</\w+>|\bTraceback\b|
        \b[A-Z]\w+(?:Error|Exception)\b|\bSELECT\b.{1,200}\bFROM\b|
        (?<![@\w])\w+\.(?:py|jsx?|tsx?|java|go|rs|cpp|rb|sh|sql|ya?ml|toml|json|html|css)\b|\$ \w+|
        ^[ \t]*(?:for|if|while) .+:$|`[^`\n]+`|^[ \t]*\w+ [-+]?= .+$|\b\w+::\w+|\b0x[0-9a-f]+
        """
    ),
    re.MULTILINE,
)
"""Program text itself."""

FORMULA = Cue(r"\d\s*[+*/×÷^=]\s*\d|\d\s*%\s+of|\b[a-z]\s*(?:\^\s*\d|=\s*-?\d)|\d[a-z]\s*[-+=]")
"""Arithmetic or algebra itself."""

ITEMS = Cue(r"^[ \t]*(?:[-*•]|\(?\w{1,2}[.)])\s|\((?:[a-h]|\d|i{1,3}v?)\)", re.MULTILINE)
"""Enumerated demands."""

CLAUSES = Cue(r"[,;](?=\s)|\s(?:and|und|et|y)\s")
"""Ends of clauses."""
