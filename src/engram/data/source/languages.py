"""Languages by the codes and names that files of parallel text are called by."""

from __future__ import annotations

_CODES = """
aa ab af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es
et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ik io is it iu ja jv ka kg ki
kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no
nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te
tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_NAMES = """
arabic bengali bulgarian chinese croatian czech danish dutch english estonian finnish french german greek hebrew
hindi hungarian indonesian italian japanese korean latin latvian lithuanian norwegian persian polish portuguese
romanian russian serbian slovak slovenian spanish swedish thai turkish ukrainian urdu vietnamese
"""
_SIDES = "source target src tgt trg"

WORDS = frozenset(f"{_CODES} {_NAMES} {_SIDES}".split())
"""One of them, as a word of a file's name, says which side of a translation it holds. Codes are those of ISO 639-1, but
for ii, which is more often the number of a volume."""
