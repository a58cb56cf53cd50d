"""Words before a full stop that may not end a sentence, and words that usually begin one."""

__all__ = ["NEVER_END", "SOMETIMES_END", "STARTERS"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Never end a sentence, whatever follows.
NEVER_END = _words("""
    e.g i.e cf vs viz dr mr mrs ms prof st mt rev gen sgt capt lt col hon fig figs eq eqs ref refs
    no nos vol vols pp ed eds approx ca resp esp incl dept al
""")

#: May end one: they do where a word follows that usually begins a sentence.
SOMETIMES_END = _words("""
    etc inc ltd co corp jr sr sec min hr hrs wk wks mo mos yr yrs wt ht temp max avg tab tabs cap
    caps inj sol susp tsp tbsp oz lb lbs ft sq dist univ inst assoc jan feb mar apr jun jul aug
    sep sept oct nov dec mon tue tues wed thu thurs fri sat sun b.i.d t.i.d q.i.d q.d p.r.n p.o
    i.v i.m s.c a.m p.m ph.d m.d d.o r.n b.s m.s m.p.h
""")

#: Usually begin a sentence, in text about health.
STARTERS = _words("""
    a about after all also although an and another any are as ask at because before both but by
    call can children common contact do does doctors during each early either even every examples
    few first for from give go he her his how however i if in infants is it its just keep like
    many may men more most my never no not of often on once one only or other others our patients
    people please risk see seek she should signs since so some sometimes such symptoms take talk
    tell that the their then there therefore these they this those though through to too two
    treatment under unless until use usually we what when where whether which while who why will
    with without women you your
""")
