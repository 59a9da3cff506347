"""Families of small faults, one a file: ``family(statement, context) -> Iterator[Mutation]``.

Belongs here: what is put in the place of what, with a prior (how usual such a fault is, 0 to 1). The priors follow the
frequencies of simple Python bugs reported by PySStuBs (Kamienski et al., MSR 2021) and the fix templates of TBar
(Liu et al., ISSTA 2019), and are rough. Never here: which line is to blame, running tests, or the order of search.
A family with many alternatives at one place lowers the prior from one alternative to the next.
"""
