"""What kind of thing a question asks for, in the words of MedQuAD's question types."""

import re

__all__ = ["ANSWER_WORDS", "TYPES", "question_types"]

#: Type → what people say when they ask for it. The order decides where several fit: what is said
#: rarely for anything else comes first.
_SAID: dict[str, tuple[str, ...]] = {
    "genetic changes": (
        r"(which|what) (genes?|mutations?|chromosomes?)",
        r"genes? (is|are|cause|causes|involved|responsible|related)",
        r"genetic (changes?|mutations?|defects?)|mutations?|chromosom\w+",
    ),
    "inheritance": (
        r"inherit\w*|heredit\w*|genetic|genetically|offspring|carriers?",
        r"runs? in (the |my |our )?famil\w+|family history",
        r"pass(ed)? (\S+ ){0,5}(on|down|to (my|our|the|his|her) (\w+ )?(child|children|kids|baby))",
        r"(will|could|can|might) (my|our|his|her) (\w+ )?(child|children|kids|baby|son|daughter) "
        r"(\w+ )?(get|have|inherit|develop)",
        r"(my|our) (child|children|kids|baby) will (get|have|inherit|develop)",
        r"if my (father|mother|parent|brother|sister)s? (has|have|had)",
    ),
    "stages": (r"stages?|staging",),
    "research": (r"research\w*|clinical trials?|trials?|stud(y|ies)|experimental",),
    "support groups": (r"support groups?", r"other (people|patients|families) (with|who)"),
    "frequency": (
        r"how (common|rare|frequent\w*|often)|how many (people|others|cases|patients|children)",
        r"prevalen\w+|incidence|statistics|many others",
    ),
    "prevention": (
        r"prevent\w*|avoid\w*|vaccin\w+|keep from getting|protect (\w+ )?from",
        r"(so that|that) i (do not|don't|dont) get|lower (my|the|your) risk",
    ),
    "treatment": (
        r"treat\w*|cur(e|es|ed|able|ing)|therap\w+|medic(ine|ines|ation|ations)|remed(y|ies)",
        r"surger(y|ies)|operat(ion|ions|ed)|transplant\w*|antibiotics?|injections?|drugs?",
        r"get rid of|heal(ed|ing)?|relie(f|ve|ves|ved)|manag(e|ed|ement|ing)",
        r"(what|anything|something) (\w+ ){0,2}(can|could|will) (be done|help|i take)",
        r"(can|could) be done|help (for|with|against)",
        r"how (do|can|could) (i|you|we) (stop|fix|remove|control|reduce|deal)",
        r"what (can|could|should) (i|we|you|one|she|he) do (about|for|against)",
    ),
    "exams and tests": (
        r"diagnos\w+|tests?|tested|testing|screen(ed|ing)|detect(ed|ion)?|scans?|biops(y|ies)",
        r"x-?rays?|mri|find out (if|whether)",
    ),
    "outlook": (
        r"prognos\w+|outlook|life (expectancy|span)|lifespan|surviv\w+|recover(y|ed)?|terminal",
        r"how long (can|will|do|does|before|is)|(die|dying|death|fatal|deadly)|long[- ]term",
        r"(go|goes|gone) away|(get|gets|getting) (worse|better)|chances? of (living|survival)",
    ),
    "complications": (
        r"complicat\w+|leads? to|dangerous|danger|untreated|consequences?",
        r"not treated|problems (can|could|does)",
    ),
    "susceptibility": (
        r"at risk|risk factors?|who (gets?|is (\w+ )?likely)|prone|susceptib\w+|likely to",
        r"(chances?|risk) of (getting|having|developing)",
    ),
    "symptoms": (
        r"symptoms?|signs?|how (do|can|would|will) (i|you|one|we) (know|tell)|side effects?",
        r"(feel|feels|look|looks) like|manifest\w*|make you",
    ),
    "causes": (
        r"caus(e|es|ed|ing)|why|reasons?|trigger\w*|due to|because of|etiolog\w+|origins?",
        r"(bring|brings|brought) (\w+ ){0,6}on|comes? from|come about",
        r"how (do|does|did|can|could) (\w+ ){1,3}(get|contract|catch|develop)",
    ),
    "considerations": (
        r"diets?|eat(ing)?|foods?|nutrition\w*|drink(ing)?|exercis\w+|watch out",
        r"what (should|to) (i |we |you )?do|(live|living|cope|coping) with",
    ),
    "information": (
        r"what (exactly )?(is|are)|what's|whats|informations?|explain|tell (me|us)|mean(s)?",
        r"learn|know (more|anything)|anything you know|read about|definition|what kind of|info",
    ),
}

TYPES = tuple(_SAID)

#: Type → words that its answers have, whatever the illness: they find an answer among others about
#: the same illness where no document says of which type it is.
ANSWER_WORDS: dict[str, str] = {
    "information": "is condition disease",
    "symptoms": "symptoms signs include pain",
    "treatment": "treatment treated therapy surgery medicine medication drugs",
    "causes": "caused cause causes",
    "inheritance": "inherited autosomal recessive dominant pattern copies mutated gene parents",
    "genetic changes": "gene mutations protein cause",
    "frequency": "prevalence affects estimated people occurs rare common worldwide",
    "exams and tests": "diagnosis diagnosed tests doctor exam blood",
    "outlook": "prognosis outlook recovery survival life",
    "susceptibility": "risk factors likely older people",
    "prevention": "prevent prevention avoid lower risk",
    "complications": "complications problems lead",
    "research": "research clinical trials supports conducts studies investigators",
    "considerations": "eating diet nutrition",
    "stages": "stage stages spread",
}

_PATTERNS = {
    name: re.compile(rf"\b({'|'.join(said)})\b", re.IGNORECASE) for name, said in _SAID.items()
}


def question_types(question: str) -> tuple[str, ...]:
    """Types that a question asks for, the likeliest first; none where it does not say.

    "What is the treatment" asks for a treatment: for information only where nothing else is
    asked for.

    Args:
        question: without the names of illnesses in it, which may have such words themselves.
    """
    names = tuple(name for name, pattern in _PATTERNS.items() if pattern.search(question))
    return tuple(name for name in names if name != "information") or names
